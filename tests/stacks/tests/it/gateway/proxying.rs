//! Where requests go, what comes back, and what the gateway does not do.

use http::{HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    program::{Gateway, json},
    upstream::{Upstream, gateway_to, lines, raw_upstream, whole},
    wire,
};
use crate::support::loopback::http2_client;

#[tokio::test]
async fn a_path_of_the_upstream_goes_before_each_requests_own() {
    let upstream = Upstream::mirror().await;
    for prefix in ["/base/v1", "/base/v1/"] {
        let gateway = upstream.gateway_for(&format!("http://{}{prefix}", upstream.addr), "").await;
        for (path, target) in [("/", "/base/v1/"), ("/x%2F?y=%20", "/base/v1/x%2F?y=%20"), ("//x", "/base/v1//x")] {
            assert_eq!(lines(&wire::get(gateway.addr, path, &[]).await)[0], format!("GET {target}"));
        }
    }
}

#[tokio::test]
async fn redirects_and_errors_of_the_upstream_come_back_as_they_are() {
    let upstream = Upstream::start(|request| async move {
        let mut answer = whole("page");
        *answer.status_mut() = request.uri().path()[1..].parse().unwrap();
        answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static("http://elsewhere.test/"));
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("7"));
        answer
    })
    .await;
    let gateway = upstream.gateway().await;
    for status in [301, 302, 307, 404, 418, 429, 500, 502, 503] {
        let answer = gateway.get(&format!("/{status}")).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()[header::LOCATION], "http://elsewhere.test/");
        assert_eq!(answer.headers()[header::RETRY_AFTER], "7");
        assert_eq!(answer.body(), "page");
    }
}

#[tokio::test]
async fn http2_reaches_an_upstream_of_either_version_with_its_own_authority() {
    let upstream = Upstream::start(|request| async move {
        let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap().to_owned());
        let authority = request.uri().authority().map(ToString::to_string);
        whole(format!("{:?} {:?} {:?}", request.version(), host, authority))
    })
    .await;
    let gateway = upstream.gateway().await;
    let through = |client: crate::support::loopback::HttpClient, gateway: &Gateway| {
        let request = Request::get(gateway.uri("/")).body(Full::default()).unwrap();
        async move {
            let answer = client.request(request).await.unwrap();
            (
                answer.version(),
                answer.headers()[header::VIA].clone(),
                answer.into_body().collect().await.unwrap().to_bytes(),
            )
        }
    };
    let addr = upstream.addr.to_string();
    let (version, via, body) = through(http2_client(), &gateway).await;
    assert_eq!((version, via.to_str().unwrap()), (Version::HTTP_2, "1.1 tower-auth-refresh"));
    assert_eq!(body, format!("HTTP/1.1 {:?} None", Some(&addr)));

    let gateway = upstream.gateway_with("upstream_http2 = true").await;
    let (version, via, body) = through(gateway.client.clone(), &gateway).await;
    assert_eq!((version, via.to_str().unwrap()), (Version::HTTP_11, "2 tower-auth-refresh"));
    assert_eq!(body, format!("HTTP/2.0 None {:?}", Some(&addr)));
}

#[tokio::test]
async fn tunnels_and_websockets_get_a_clear_answer() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let connect =
        wire::exchange(gateway.addr, &wire::head("CONNECT", gateway.addr, &gateway.addr.to_string(), &[])).await;
    assert!(wire::status(&connect) == 501 && connect.contains("connect-not-supported"), "{connect}");
    let websocket = ["connection: upgrade", "upgrade: websocket", "sec-websocket-key: x", "sec-websocket-version: 13"];
    let head = wire::head("GET", gateway.addr, "/", &websocket);
    let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(wire::status(&answer) == 501 && answer.contains("upgrade-not-supported"), "{answer}");
}

#[tokio::test]
async fn a_target_with_the_gateways_own_authority_is_its_path_and_another_one_is_refused() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let own = wire::get(gateway.addr, &format!("http://{}/x?y", gateway.addr), &[]).await;
    assert_eq!(lines(&own)[0], "GET /x?y");
    let other = wire::get(gateway.addr, "http://api.test/x", &[]).await;
    assert!(wire::status(&other) == 403 && other.contains("host-not-allowed"), "{other}");
    let asterisk = wire::exchange(gateway.addr, &wire::head("OPTIONS", gateway.addr, "*", &[])).await;
    assert!(wire::status(&asterisk) == 400 && asterisk.contains("bad-target"), "{asterisk}");
}

#[tokio::test]
async fn any_method_passes() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "lower"] {
        let request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(gateway.uri("/x"));
        let answer = gateway.send(request.body(Full::default()).unwrap()).await;
        assert!(answer.body().starts_with(format!("{method} /x\n").as_bytes()), "{answer:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_told_without_the_url() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let gateway = gateway_to(&uri).await;
    let answer = gateway.get("/secret-path?token=hush").await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(!answer.headers().contains_key(header::RETRY_AFTER));
    let body = json(&answer);
    assert_eq!(body["error"], "upstream-unreachable");
    assert_eq!(body["message"], "the upstream cannot be reached: connection refused");
    let ended = gateway.terminate().await;
    assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_told() {
    let (uri, upstream) = raw_upstream(b"").await;
    let gateway = gateway_to(&uri).await;
    let answer = gateway.get("/?token=hush").await;
    upstream.await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let body = json(&answer);
    assert_eq!(body["error"], "upstream-failed");
    assert!(!body["message"].as_str().unwrap().contains("hush"));
}

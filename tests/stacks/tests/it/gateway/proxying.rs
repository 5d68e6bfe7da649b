//! What passes through the gateway and what does not, byte for byte.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    program::{Folder, Gateway, json},
    upstream::{Reply, Upstream, raw_upstream, whole, with_token},
    wire,
};
use crate::support::loopback::http2_client;

/// The header lines that the mirror got.
fn lines(mirrored: &str) -> Vec<&str> {
    mirrored.split("\r\n\r\n").nth(1).unwrap_or(mirrored).split("\n\n").next().unwrap().lines().collect()
}

async fn gateway_to(uri: &str) -> Gateway {
    let folder = Folder::new();
    Gateway::start_with(&folder, &with_token(&folder, uri, ""), &[]).await
}

#[tokio::test]
async fn a_request_reaches_the_upstream_as_it_came_with_the_token_and_a_via() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let answer = wire::get(gateway.addr, "/a//b/../%2e%2E/%7Ez?q=%20+&&=x;y", &["x-one: 1", "accept: */*"]).await;
    assert_eq!(wire::status(&answer), 200);
    let mut got = lines(&answer);
    got.sort_unstable();
    let mut sent = vec![
        "GET /a//b/../%2e%2E/%7Ez?q=%20+&&=x;y".to_owned(),
        "accept: */*".to_owned(),
        "authorization: Bearer steady".to_owned(),
        format!("host: {}", upstream.addr),
        "via: 1.1 tower-auth-refresh".to_owned(),
        "x-one: 1".to_owned(),
    ];
    sent.sort_unstable();
    assert_eq!(got, sent);
}

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
async fn headers_of_one_hop_stay_behind_on_the_way_there() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let answer = wire::get(
        gateway.addr,
        "/",
        &[
            "connection: close, X-Named , upgrade,,\t keep-alive",
            "x-named: 1",
            "keep-alive: timeout=5",
            "proxy-connection: keep-alive",
            "proxy-authorization: Basic x",
            "te: gzip",
            "upgrade: h2c",
            "http2-settings: AAMAAABkAARAAAAAAAIAAAAA",
            "x-kept: 1",
        ],
    )
    .await;
    let names: Vec<_> = lines(&answer)[1..].iter().map(|line| line.split(':').next().unwrap()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["authorization", "host", "via", "x-kept"]);
}

#[tokio::test]
async fn headers_of_one_hop_stay_behind_on_the_way_back() {
    let (uri, upstream) = raw_upstream(
        b"HTTP/1.1 200 Fine By Me\r\nConnection: close, x-named\r\nX-Named: 1\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Authenticate: Basic\r\nVia: 1.0 origin\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let gateway = gateway_to(&uri).await;
    let answer = wire::get(gateway.addr, "/", &[]).await;
    upstream.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut head: Vec<_> = head.split("\r\n").collect();
    head[1..].sort_unstable();
    assert_eq!(
        head,
        [
            "HTTP/1.1 200 Fine By Me",
            // The listener's own: this client has asked for it.
            "connection: close",
            "content-length: 2",
            "via: 1.0 origin",
            "via: 1.1 tower-auth-refresh",
            "x-kept: 1"
        ]
    );
    assert_eq!(body, "ok");
}

#[tokio::test]
async fn te_passes_for_trailers_and_for_nothing_else() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let answer = wire::get(gateway.addr, "/", &["te: gzip, Trailers;q=1, trailers"]).await;
    assert!(lines(&answer).contains(&"te: trailers"), "{answer}");
    let answer = wire::get(gateway.addr, "/", &["connection: close, te", "te: trailers"]).await;
    assert!(lines(&answer).contains(&"te: trailers"), "{answer}");
}

#[tokio::test]
async fn a_via_that_is_there_is_added_to() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let answer = wire::get(gateway.addr, "/", &["via: 1.0 first"]).await;
    let via: Vec<_> = lines(&answer).into_iter().filter(|line| line.starts_with("via")).collect();
    assert_eq!(via, ["via: 1.0 first", "via: 1.1 tower-auth-refresh"]);
    let answer = wire::exchange(gateway.addr, &format!("GET / HTTP/1.0\r\nhost: {}\r\n\r\n", gateway.addr)).await;
    assert!(lines(&answer).contains(&"via: 1.0 tower-auth-refresh"), "{answer}");
}

#[tokio::test]
async fn what_a_connection_header_names_cannot_take_the_token_or_the_host_away() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let answer = wire::get(gateway.addr, "/", &["connection: close, authorization, host, via, content-length"]).await;
    let got = lines(&answer);
    assert!(got.contains(&"authorization: Bearer steady"), "{answer}");
    assert!(got.contains(&&*format!("host: {}", upstream.addr)), "{answer}");
    assert!(got.contains(&"via: 1.1 tower-auth-refresh"), "{answer}");
}

#[tokio::test]
async fn a_caller_who_brings_an_authorization_keeps_it() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let answer = wire::get(gateway.addr, "/", &["authorization: Basic own"]).await;
    assert!(lines(&answer).contains(&"authorization: Basic own"), "{answer}");
    assert!(!answer.contains("steady"), "{answer}");
}

#[tokio::test]
async fn a_body_keeps_its_length_or_its_chunks() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let post = |framing: &str| wire::head("POST", gateway.addr, "/", &[framing]);
    let counted = wire::exchange(gateway.addr, &(post("content-length: 3") + "abc")).await;
    assert!(lines(&counted).contains(&"content-length: 3") && counted.ends_with("\n\nabc"), "{counted}");
    let chunked =
        wire::exchange(gateway.addr, &(post("transfer-encoding: chunked") + "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")).await;
    assert!(lines(&chunked).contains(&"transfer-encoding: chunked") && chunked.ends_with("\n\nabc"), "{chunked}");
    let none = wire::exchange(gateway.addr, &wire::head("DELETE", gateway.addr, "/", &[])).await;
    let framed = |line: &&&str| line.starts_with("content-length") || line.starts_with("transfer-encoding");
    assert_eq!(lines(&none).iter().find(framed), None, "{none}");
}

#[tokio::test]
async fn a_length_beside_a_transfer_encoding_is_not_passed_on() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let body = "5\r\nabcde\r\n0\r\n\r\n";
    for framing in
        [["content-length: 2", "transfer-encoding: chunked"], ["transfer-encoding: chunked", "content-length: 2"]]
    {
        let request = wire::head("POST", gateway.addr, "/", &framing) + body;
        let answer = wire::exchange(gateway.addr, &request).await;
        assert!(wire::status(&answer) == 400 || answer.ends_with("\n\nabcde"), "{answer}");
        assert!(!lines(&answer).contains(&"content-length: 2"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_with_a_length_beside_its_transfer_encoding_comes_back_with_one_of_them() {
    for framing in
        ["Content-Length: 2\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 2"]
    {
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nabcde\r\n0\r\n\r\n");
        let (uri, upstream) = raw_upstream(answer.leak().as_bytes()).await;
        let gateway = gateway_to(&uri).await;
        let answer = wire::get(gateway.addr, "/", &[]).await;
        upstream.await.unwrap();
        assert!(wire::status(&answer) == 502 || !answer.contains("content-length: 2"), "{answer}");
    }
}

#[tokio::test]
async fn framing_that_can_be_read_in_two_ways_is_refused() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    for framing in [
        &["content-length: 1", "content-length: 2"][..],
        &["content-length: 1, 2"],
        &["content-length: +1"],
        &["transfer-encoding: chunked, identity"],
        &["transfer-encoding: xchunked"],
        &["transfer-encoding : chunked"],
        &["x: 1\n folded"],
    ] {
        let answer =
            wire::exchange(gateway.addr, &(wire::head("POST", gateway.addr, "/", framing) + "0\r\n\r\n")).await;
        assert_eq!(wire::status(&answer), 400, "{framing:?}: {answer}");
    }
}

#[tokio::test]
async fn an_answer_gets_no_date_and_is_not_decoded() {
    let upstream = Upstream::start(|_| async {
        let mut answer = whole(&b"\x1f\x8b not really gzip"[..]);
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        answer
    })
    .await;
    let gateway = upstream.gateway().await;
    for client in [gateway.client.clone(), http2_client()] {
        let request = Request::get(gateway.uri("/")).header("accept-encoding", "gzip").body(Full::default()).unwrap();
        let answer = client.request(request).await.unwrap();
        let mut names: Vec<_> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-encoding", "content-length", "via"]);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), &b"\x1f\x8b not really gzip"[..]);
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
async fn an_answer_to_head_keeps_the_length_that_it_names_and_gets_none_otherwise() {
    let named = b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n";
    let unnamed = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (answer, length) in [(&named[..], Some("content-length: 1234")), (unnamed, None)] {
        let (uri, upstream) = raw_upstream(answer).await;
        let gateway = gateway_to(&uri).await;
        let answer = wire::exchange(gateway.addr, &wire::head("HEAD", gateway.addr, "/", &[])).await;
        assert!(upstream.await.unwrap().starts_with("HEAD / "));
        let lengths: Vec<_> = answer.lines().filter(|line| line.starts_with("content-length")).collect();
        assert_eq!(lengths.first().copied(), length, "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn answers_without_a_body_stay_without_one_and_without_a_length() {
    for status in ["204 No Content", "304 Not Modified"] {
        let answer = format!("HTTP/1.1 {status}\r\nETag: \"x\"\r\n\r\n");
        let (uri, upstream) = raw_upstream(answer.leak().as_bytes()).await;
        let gateway = gateway_to(&uri).await;
        let answer = wire::get(gateway.addr, "/", &[]).await;
        upstream.await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(!answer.contains("content-length") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn an_interim_answer_does_not_take_the_place_of_the_final_one() {
    let (uri, upstream) =
        raw_upstream(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
    let gateway = gateway_to(&uri).await;
    let answer = wire::get(gateway.addr, "/", &[]).await;
    upstream.await.unwrap();
    assert!(answer.contains("HTTP/1.1 200 OK") && answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn who_waits_for_a_continue_gets_it() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let mut stream = TcpStream::connect(gateway.addr).await.unwrap();
    let head = wire::head("PUT", gateway.addr, "/", &["expect: 100-continue", "content-length: 2"]);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(wire::status(&answer) == 200 && answer.ends_with("\n\nok"), "{answer}");
}

#[tokio::test]
async fn trailers_pass_both_ways_over_both_protocols() {
    let upstream = Upstream::start(|request| async {
        let got = request.into_body().collect().await.unwrap();
        let sum = got.trailers().and_then(|trailers| trailers.get("x-sum")).cloned().unwrap();
        let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), sum)]);
        let frames = [Ok(Frame::data(got.to_bytes())), Ok(Frame::trailers(trailers))];
        let body: Reply = StreamBody::new(tokio_stream::iter(frames)).boxed_unsync();
        let mut answer = http::Response::new(body);
        answer.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-sum"));
        answer
    })
    .await;
    for upstream_http2 in [false, true] {
        let gateway = upstream.gateway_with(&format!("upstream_http2 = {upstream_http2}")).await;
        for http2 in [false, true] {
            let frames = [
                Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from("data"))),
                Ok(Frame::trailers(HeaderMap::from_iter([(
                    http::HeaderName::from_static("x-sum"),
                    HeaderValue::from_static("42"),
                )]))),
            ];
            let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
                .http2_only(http2)
                .build_http();
            let request =
                Request::post(gateway.uri("/")).header(header::TRAILER, "x-sum").header(header::TE, "trailers");
            let answer =
                client.request(request.body(StreamBody::new(tokio_stream::iter(frames))).unwrap()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let answer = answer.into_body().collect().await.unwrap();
            let sum = answer.trailers().and_then(|trailers| trailers.get("x-sum")).cloned();
            assert_eq!(sum.unwrap(), "42", "{upstream_http2} {http2}");
            assert_eq!(answer.to_bytes(), "data");
        }
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

#[tokio::test]
async fn an_answer_in_http_10_does_not_end_the_clients_connection() {
    let (uri, upstream) = raw_upstream(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let gateway = gateway_to(&uri).await;
    let twice = wire::head("GET", gateway.addr, "/", &["connection: keep-alive"])
        + &wire::head("GET", gateway.addr, "/-/status", &[]);
    let answers = wire::exchange(gateway.addr, &twice).await;
    upstream.await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

//! Which headers pass, which stay behind, and which one is added.

use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};

use super::{
    upstream::{Upstream, gateway_to, lines, raw_upstream, whole},
    wire,
};
use crate::support::loopback::http2_client;

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
async fn cookies_that_http2_brings_in_pieces_reach_the_upstream_as_one() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let request = Request::get(gateway.uri("/")).header(header::COOKIE, "a=1").header(header::COOKIE, "b=2; c=3");
    let answer = http2_client().request(request.body(Full::default()).unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let got = std::str::from_utf8(&body).unwrap();
    let cookies: Vec<_> = lines(got).into_iter().filter(|line| line.starts_with("cookie: ")).collect();
    assert_eq!(cookies, ["cookie: a=1; b=2; c=3"]);
}

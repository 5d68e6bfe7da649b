//! Who may call: by `Host` and by `Sec-Fetch-Site`, over both protocols.

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};

use super::{program::Gateway, upstream::Upstream, wire};
use crate::support::loopback::http2_client;

async fn by_host(gateway: &Gateway, lines: &str) -> u16 {
    wire::status(&wire::exchange(gateway.addr, &format!("GET / HTTP/1.1\r\n{lines}connection: close\r\n\r\n")).await)
}

/// An HTTP/2 request with that `:authority`, sent to the gateway whatever it names.
async fn by_authority(gateway: &Gateway, authority: &str, host: Option<&str>) -> u16 {
    let stream = tokio::net::TcpStream::connect(gateway.addr).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    super::spawn(connection);
    let mut request = Request::get(format!("http://{authority}/"));
    if let Some(host) = host {
        request = request.header(header::HOST, host);
    }
    sender.send_request(request.body(Full::<bytes::Bytes>::default()).unwrap()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_listeners_address_and_localhost_are_its_names() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let port = gateway.addr.port();
    for host in [gateway.addr.to_string(), "localhost".to_owned(), format!("LocalHost:{port}")] {
        assert_eq!(by_host(&gateway, &format!("host: {host}\r\n")).await, 200, "{host}");
        assert_eq!(by_authority(&gateway, &host, None).await, 200, "{host}");
    }
}

#[tokio::test]
async fn another_name_is_refused() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let port = gateway.addr.port();
    for host in [
        "evil.test".to_owned(),
        format!("evil.test:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:1".to_owned(),
        "localhost:1".to_owned(),
        format!("localhost.evil.test:{port}"),
        format!("evil.test@localhost:{port}"),
        format!("127.1:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::1]:{port}"),
        upstream.addr.to_string(),
    ] {
        assert_eq!(by_host(&gateway, &format!("host: {host}\r\n")).await, 403, "{host}");
    }
    for host in ["evil.test", "127.0.0.1:1", "localhost:1"] {
        assert_eq!(by_authority(&gateway, host, None).await, 403, "{host}");
    }
    assert_eq!(by_host(&gateway, "host: \r\n").await, 403);
}

#[tokio::test]
async fn a_name_in_hosts_is_taken_with_the_listeners_port_or_as_it_stands() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway_with("hosts = [\"Gateway.test\", \"mapped.test:8443\"]").await;
    let port = gateway.addr.port();
    for host in ["gateway.test".to_owned(), format!("GATEWAY.TEST:{port}"), "mapped.test:8443".to_owned()] {
        assert_eq!(by_host(&gateway, &format!("host: {host}\r\n")).await, 200, "{host}");
    }
    for host in ["gateway.test:1", "mapped.test", "other.test"] {
        assert_eq!(by_host(&gateway, &format!("host: {host}\r\n")).await, 403, "{host}");
    }
}

#[tokio::test]
async fn hosts_that_are_missing_double_or_contradict_each_other_are_refused() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let own = gateway.addr;
    assert_eq!(by_host(&gateway, "").await, 400);
    assert_eq!(by_host(&gateway, &format!("host: {own}\r\nhost: {own}\r\n")).await, 400);
    assert_eq!(by_host(&gateway, &format!("host: {own}\r\nhost: localhost\r\n")).await, 400);
    assert_eq!(by_host(&gateway, &format!("host: {own}\r\nhost: evil.test\r\n")).await, 403);
    assert_eq!(wire::status(&wire::exchange(own, "GET / HTTP/1.0\r\n\r\n").await), 400);

    let own = own.to_string();
    assert_eq!(by_authority(&gateway, &own, Some(&own)).await, 200);
    assert_eq!(by_authority(&gateway, &own, Some("localhost")).await, 400);
    assert_eq!(by_authority(&gateway, &own, Some("evil.test")).await, 403);
    assert_eq!(by_authority(&gateway, "evil.test", Some(&own)).await, 403);
    let absolute = wire::get(gateway.addr, "http://localhost/", &[]).await;
    assert_eq!(wire::status(&absolute), 400);
}

#[tokio::test]
async fn what_a_browser_sends_across_sites_is_refused() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    for refused in [
        &["sec-fetch-site: cross-site"][..],
        &["Sec-Fetch-Site: CROSS-Site"],
        &["sec-fetch-site: same-origin", "sec-fetch-site: cross-site"],
        &["sec-fetch-site: none, cross-site"],
        &["sec-fetch-site: cross-site;x=1"],
    ] {
        let answer = wire::get(gateway.addr, "/", refused).await;
        assert!(wire::status(&answer) == 403 && answer.contains("\"cross-site\""), "{refused:?}: {answer}");
    }
    for taken in ["none", "same-origin", "same-site", ""] {
        let answer = wire::get(gateway.addr, "/", &[&format!("sec-fetch-site: {taken}")]).await;
        assert_eq!(wire::status(&answer), 200, "{taken}");
    }
    let request = Request::get(gateway.uri("/")).header("sec-fetch-site", "Cross-Site").body(Full::default()).unwrap();
    assert_eq!(http2_client().request(request).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_refused_never_reaches_the_upstream_and_sees_no_status() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    let request =
        |path: &str| Request::get(gateway.uri(path)).header(header::HOST, "evil.test").body(Full::default()).unwrap();
    for path in ["/", "/-/status", "/-/other"] {
        let answer = gateway.client.request(request(path)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"{\"error\":\"host-not-allowed\""), "{body:?}");
    }
}

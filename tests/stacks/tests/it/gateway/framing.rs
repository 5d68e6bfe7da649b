//! Where messages end: lengths, chunks, trailers, answers without a body, and what contradicts itself.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    upstream::{Reply, Upstream, gateway_to, lines, raw_upstream},
    wire,
};

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
async fn a_body_in_a_transfer_coding_that_would_be_lost_is_refused_both_ways() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    for framing in
        [&["transfer-encoding: gzip, chunked"][..], &["transfer-encoding: gzip", "transfer-encoding: chunked"]]
    {
        let request = wire::head("POST", gateway.addr, "/", framing) + "1\r\na\r\n0\r\n\r\n";
        let answer = wire::exchange(gateway.addr, &request).await;
        assert_eq!(wire::status(&answer), 501, "{framing:?}: {answer}");
        assert!(answer.contains("transfer-coding-not-supported"), "{answer}");
    }

    let coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let (uri, upstream) = raw_upstream(coded).await;
    let gateway = gateway_to(&uri).await;
    let answer = wire::get(gateway.addr, "/", &[]).await;
    upstream.await.unwrap();
    assert_eq!(wire::status(&answer), 502, "{answer}");
}

#[tokio::test]
async fn chunks_that_are_none_are_the_clients_fault() {
    let upstream = Upstream::mirror().await;
    let gateway = upstream.gateway().await;
    for chunks in ["0x3\r\nabc\r\n0\r\n\r\n", "3\r\nabcX\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\nabc\r\n"] {
        let request = wire::head("POST", gateway.addr, "/", &["transfer-encoding: chunked"]) + chunks;
        let answer = wire::exchange(gateway.addr, &request).await;
        assert_eq!(wire::status(&answer), 400, "{chunks:?}: {answer}");
        assert!(answer.contains("bad-body"), "{answer}");
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
async fn an_answer_in_http_10_does_not_end_the_clients_connection() {
    let (uri, upstream) = raw_upstream(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let gateway = gateway_to(&uri).await;
    let twice = wire::head("GET", gateway.addr, "/", &["connection: keep-alive"])
        + &wire::head("GET", gateway.addr, "/-/status", &[]);
    let answers = wire::exchange(gateway.addr, &twice).await;
    upstream.await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

//! Bodies that come bit by bit, and clients that go away.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    program::{Folder, Gateway},
    token_endpoint::{Gate, Served, quectel},
    upstream::{Reply, Upstream, raw_upstream, whole, with_token},
};

type Frames = mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>;
type Streaming = StreamBody<UnboundedReceiverStream<Result<Frame<Bytes>, Infallible>>>;

fn stream() -> (Frames, Streaming) {
    let (frames, receiver) = mpsc::unbounded_channel();
    (frames, StreamBody::new(UnboundedReceiverStream::new(receiver)))
}

fn send(frames: &Frames, data: &'static str) {
    frames.send(Ok(Frame::data(Bytes::from(data)))).unwrap();
}

/// The next data, or none at the end. HTTP/2 may end with a frame without data.
async fn next(body: &mut Incoming) -> Bytes {
    loop {
        let Some(frame) = body.frame().await else { return Bytes::new() };
        let data = frame.unwrap().into_data().unwrap();
        if !data.is_empty() {
            return data;
        }
    }
}

fn client(http2: bool) -> Client<HttpConnector, Streaming> {
    Client::builder(TokioExecutor::new()).http2_only(http2).build_http()
}

/// Each test runs over both protocols on both sides.
async fn over_all(upstream: &Upstream) -> Vec<(Gateway, Client<HttpConnector, Streaming>)> {
    let mut all = Vec::new();
    for upstream_http2 in [false, true] {
        for http2 in [false, true] {
            let gateway = upstream.gateway_with(&format!("upstream_http2 = {upstream_http2}")).await;
            all.push((gateway, client(http2)));
        }
    }
    all
}

/// An answer of a type in which no provider looks for a rejection. (Where one does, it is given a second for it.)
fn unjudged(body: Streaming) -> Response<Reply> {
    let mut answer = Response::new(body.boxed_unsync());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    answer
}

/// Tells when it is dropped.
struct Present(watch::Sender<u32>);

impl Present {
    fn new(gone: &watch::Sender<u32>) -> Self {
        Self(gone.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.send_modify(|gone| *gone += 1);
    }
}

#[tokio::test]
async fn an_upload_arrives_while_it_is_sent() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |request| {
        let arrived = arrived.clone();
        async move {
            let mut body = request.into_body();
            loop {
                let part = next(&mut body).await;
                if part.is_empty() {
                    return whole("done");
                }
                arrived.send(part).unwrap();
            }
        }
    })
    .await;
    for (gateway, client) in over_all(&upstream).await {
        let (frames, body) = stream();
        let request = client.request(Request::post(gateway.uri("/")).body(body).unwrap());
        let feed = async {
            for part in ["first", "second"] {
                send(&frames, part);
                // The next part is not sent before this one is there.
                assert_eq!(arrivals.recv().await.unwrap(), part);
            }
            drop(frames);
        };
        let (answer, ()) = tokio::join!(request, feed);
        assert_eq!(answer.unwrap().into_body().collect().await.unwrap().to_bytes(), "done");
    }
}

#[tokio::test]
async fn a_download_arrives_while_it_is_sent() {
    let (sender, frames) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |_| {
        let (frames, body) = stream();
        sender.send(frames).unwrap();
        async { unjudged(body) }
    })
    .await;
    let frames = Arc::new(Mutex::new(frames));
    for (gateway, client) in over_all(&upstream).await {
        let answer = client.request(Request::get(gateway.uri("/")).body(stream().1).unwrap());
        let (answer, frames) = tokio::join!(answer, async { frames.lock().await.recv().await.unwrap() });
        let mut body = answer.unwrap().into_body();
        for part in ["first", "second"] {
            send(&frames, part);
            assert_eq!(next(&mut body).await, part);
        }
        drop(frames);
        assert_eq!(next(&mut body).await, "");
    }
}

#[tokio::test]
async fn server_sent_events_arrive_one_by_one_also_where_bodies_are_judged() {
    let (sender, mut streams) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |_| {
        let (frames, body) = stream();
        sender.send(frames).unwrap();
        let mut answer: Response<Reply> = Response::new(body.boxed_unsync());
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        async { answer }
    })
    .await;
    let gateway = upstream.gateway().await;
    let answer = client(false).request(Request::get(gateway.uri("/")).body(stream().1).unwrap()).await.unwrap();
    let frames = streams.recv().await.unwrap();
    let mut body = answer.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        send(&frames, event);
        assert_eq!(next(&mut body).await, event);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_ends_the_upstream_call() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let gone = watch::Sender::new(0);
    let mut leavings = gone.subscribe();
    let upstream = Upstream::start(move |_| {
        let present = Present::new(&gone);
        arrived.send(()).unwrap();
        async move {
            let _present = present;
            std::future::pending().await
        }
    })
    .await;
    for (count, (gateway, client)) in (1..).zip(over_all(&upstream).await) {
        let request = super::spawn(client.request(Request::get(gateway.uri("/")).body(stream().1).unwrap()));
        arrivals.recv().await.unwrap();
        request.abort();
        drop(client);
        leavings.wait_for(|gone| *gone == count).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_goes_away_during_the_answer_ends_the_upstream_call() {
    let (sender, mut streams) = mpsc::unbounded_channel::<Frames>();
    let upstream = Upstream::start(move |_| {
        let (frames, body) = stream();
        sender.send(frames).unwrap();
        async { unjudged(body) }
    })
    .await;
    for (gateway, client) in over_all(&upstream).await {
        let answer = client.request(Request::get(gateway.uri("/")).body(stream().1).unwrap()).await.unwrap();
        let frames = streams.recv().await.unwrap();
        let mut body = answer.into_body();
        send(&frames, "first");
        assert_eq!(next(&mut body).await, "first");
        drop((body, client));
        frames.closed().await;
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_no_whole_request_for_the_upstream() {
    let (ended, mut endings) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |request| {
        let ended = ended.clone();
        async move {
            let mut body = request.into_body();
            let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
            ended.send(Ok(first)).unwrap();
            ended.send(Err(body.frame().await.unwrap().is_err())).unwrap();
            whole("late")
        }
    })
    .await;
    for (gateway, client) in over_all(&upstream).await {
        let (frames, body) = stream();
        let request = super::spawn(client.request(Request::post(gateway.uri("/")).body(body).unwrap()));
        send(&frames, "first");
        assert_eq!(endings.recv().await.unwrap(), Ok(Bytes::from("first")));
        request.abort();
        drop((client, frames));
        assert_eq!(endings.recv().await.unwrap(), Err(true));
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_breaks_the_clients_answer_off() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfirst"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    ] {
        for http2 in [false, true] {
            let (uri, upstream) = raw_upstream(answer).await;
            let folder = Folder::new();
            let gateway = Gateway::start_with(&folder, &with_token(&folder, &uri, ""), &[]).await;
            let answer = client(http2).request(Request::get(gateway.uri("/")).body(stream().1).unwrap()).await;
            upstream.await.unwrap();
            // Over HTTP/2 the break may overtake the head.
            let is_whole = match answer {
                Ok(answer) => answer.into_body().collect().await.is_ok(),
                Err(_) => !http2,
            };
            assert!(!is_whole, "over HTTP/2: {http2}");
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_no_login() {
    let gate = Gate::new();
    let server = Served::behind(quectel(), Some(gate.clone())).await;
    let gateway = Gateway::start(&server.quectel("")).await;
    let client = client(false);
    let request = super::spawn(client.request(Request::get(gateway.uri("/v2/devices")).body(stream().1).unwrap()));
    gate.arrivals(1).await;
    request.abort();
    drop(client);
    gate.let_through(1);
    let status = gateway.until(|status| status["state"] != "refreshing").await;
    assert_eq!((&status["state"], &status["flights"]), (&"fresh".into(), &1.into()));
    assert_eq!(server.api.counts().logins, 1);
}

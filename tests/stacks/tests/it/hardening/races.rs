//! The end of a body and the answer at the same time, by real clients and servers.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use tower::{Layer, ServiceExt, service_fn};
use tower_auth_refresh::{
    AuthRefreshLayer,
    replay::{Buffered, ReplayBody},
    test_util::Place,
};

use crate::support::{
    reqwest_scene::{Http, Scene},
    serve::serve,
};

/// A body that may declare its length.
struct Declared<B>(B, Option<u64>);

impl<B: Body<Data = Bytes> + Unpin> Body for Declared<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.1.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

async fn a_replay_is_whole_whenever_the_answer_came(http: Http, declares: bool, has_trailers: bool) {
    let scene = Scene::new(http).await;
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let (round, replays) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = serve(service_fn({
        let (wrong, round, replays) = (Arc::clone(&wrong), Arc::clone(&round), Arc::clone(&replays));
        move |request: Request<Incoming>| {
            let (wrong, round, replays) = (Arc::clone(&wrong), Arc::clone(&round), Arc::clone(&replays));
            async move {
                let is_replay = request.headers().contains_key("x-first") && {
                    request.headers()["authorization"] != request.headers()["x-first"]
                };
                let mut body = request.into_body();
                if !is_replay {
                    for _ in 0..round.fetch_add(1, Ordering::SeqCst) % 6 {
                        let _ = body.frame().await;
                    }
                    let answer = Response::builder().status(StatusCode::UNAUTHORIZED);
                    return Ok::<_, Infallible>(answer.body(Full::new(Bytes::from("no"))).unwrap());
                }
                replays.fetch_add(1, Ordering::SeqCst);
                let body = body.collect().await;
                let shown = match &body {
                    Ok(body) => format!("{:?}", body.trailers().map(|trailers| trailers.contains_key("x-sum"))),
                    Err(error) => error.to_string(),
                };
                let wants = has_trailers.then_some(true);
                let is_whole = body
                    .as_ref()
                    .is_ok_and(|body| body.trailers().map(|trailers| trailers.contains_key("x-sum")) == wants)
                    && body.is_ok_and(|body| body.to_bytes().len() == 3000);
                if !is_whole {
                    wrong.lock().unwrap().push(shown);
                }
                Ok(Response::new(Full::new(Bytes::from("welcome"))))
            }
        }
    }))
    .await;
    let provider = tower_auth_refresh::test_util::TestProvider::placed(Place::Bearer).with_origin(server.uri());
    let session = scene.sign_in(provider.with_token_endpoint(scene.idp_server.base()).with_single_use(false));
    let client = AuthRefreshLayer::new(session.clone()).replay::<Buffered>().layer(scene.http.service());
    for turn in 0..300_u64 {
        let token = tower_auth_refresh::test_util::TestProvider::token(
            7,
            crate::support::reqwest_scene::LIFE,
            scene.clock.wall(),
        );
        scene.auth.grant(7);
        session.set(token).unwrap();
        scene.clock.advance(std::time::Duration::from_secs(600));
        let parts = stream::iter((0..3).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![1; 1000])))));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        let end = stream::iter(has_trailers.then(|| Ok(Frame::trailers(trailers))));
        let parts = parts.chain(end).then(move |part| async move {
            for _ in 0..turn % 4 {
                tokio::task::yield_now().await;
            }
            part
        });
        let body = Declared(StreamBody::new(Box::pin(parts)), declares.then_some(3000));
        let request = Request::put(server.url("/")).header("x-first", "Bearer access-7").header("trailer", "x-sum");
        let request = request.body(ReplayBody::new(sync_wrapper(body))).unwrap();
        let _ = client.clone().oneshot(request).await;
    }
    assert_eq!(*wrong.lock().unwrap(), Vec::<String>::new());
    assert!(replays.load(Ordering::SeqCst) > 0);
}

fn sync_wrapper<B>(body: B) -> reqwest::Body
where
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<tower::BoxError>,
{
    reqwest::Body::wrap(body)
}

macro_rules! races {
    ($($name:ident => $http:ident, $declares:literal, $trailers:literal;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            a_replay_is_whole_whenever_the_answer_came(Http::$http, $declares, $trailers).await;
        })+
    };
}

races! {
    over_http1_without_a_length => One, false, false;
    over_http1_without_a_length_with_trailers => One, false, true;
    over_http1_with_a_length => One, true, false;
    over_http2_without_a_length => Two, false, false;
    over_http2_without_a_length_with_trailers => Two, false, true;
    over_http2_with_a_length => Two, true, false;
    over_http2_with_a_length_and_trailers => Two, true, true;
}

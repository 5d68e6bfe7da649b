//! Streaming request bodies over real HTTP/1.1 and HTTP/2 connections: C31 and C32.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tower::{BoxError, Layer, Service};
use tower_auth_refresh::{
    AuthRefreshLayer, Session,
    inspect::InspectBody,
    replay::{Buffered, ReplayBody},
};

use crate::{
    scene::{no_jitter, signed_in},
    support::{
        Bare, TestProvider, World,
        duplex::Servers,
        frames::{Frames, Part, data, trailers, unauthorized},
        send, session, text,
    },
};

type Stream = ReplayBody<Frames>;
type Answer = Response<InspectBody<Incoming>>;

/// Each test over HTTP/1.1 and over HTTP/2.
macro_rules! over_both {
    ($($name:ident => $test:ident),+ $(,)?) => {
        $(mod $name {
            #[tokio::test(start_paused = true)]
            async fn over_http1() {
                super::$test(super::Scene::new(), super::Servers::http1).await;
            }

            #[tokio::test(start_paused = true)]
            async fn over_http2() {
                super::$test(super::Scene::new(), super::Servers::http2).await;
            }
        })+
    };
}

over_both! {
    a_stream_that_was_sent_whole_is_replayed_to_its_last_trailer => is_replayed,
    a_replay_declares_its_length_if_the_first_send_did => declares_its_length,
    a_stream_that_was_answered_early_is_not_replayed_and_the_token_is_renewed => answered_early,
    a_stream_above_the_bound_is_sent_once_and_arrives_whole => above_the_bound,
    a_stream_that_waited_for_the_first_token_is_replayed_as_well => waited_first,
    a_stream_is_replayed_as_often_as_the_layer_says => replayed_twice,
    an_empty_stream_is_replayed_empty => empty,
    a_stream_that_is_not_rejected_is_sent_once => accepted,
}

async fn is_replayed<S: Peer>(scene: Scene, connect: impl AsyncFn(&Servers) -> S) {
    let frames = Frames::new([data("first "), data("second"), trailers("x-sum", "3")]);

    let answer = scene.rejected(connect, put(frames)).await;

    assert_eq!((answer.status(), text(answer).await.as_str()), (StatusCode::OK, "welcome"));
    let [first, second] = &scene.servers.seen()[..] else { panic!("not two sends") };
    assert_eq!(Bare::of(&first.head, 7), Bare::of(&second.head, 8));
    for send in [first, second] {
        assert_eq!(send.body.as_deref(), Some(&b"first second"[..]));
        assert_eq!(send.trailers.as_ref().unwrap()["x-sum"], "3");
        assert_eq!(send.head.headers.get(header::CONTENT_LENGTH), None);
    }
    assert_eq!(scene.world.counts().token_calls(), 1);
}

async fn declares_its_length<S: Peer>(scene: Scene, connect: impl AsyncFn(&Servers) -> S) {
    let answer = scene.rejected(connect, put(Frames::declared([data("first "), data("second")]))).await;

    assert_eq!(answer.status(), StatusCode::OK);
    let [first, second] = &scene.servers.seen()[..] else { panic!("not two sends") };
    assert_eq!(Bare::of(&first.head, 7), Bare::of(&second.head, 8));
    for send in [first, second] {
        assert_eq!(send.head.headers[header::CONTENT_LENGTH], "12");
        assert_eq!(send.body.as_deref(), Some(&b"first second"[..]));
    }
}

async fn answered_early<S: Peer>(mut scene: Scene, connect: impl AsyncFn(&Servers) -> S) {
    scene.servers = scene.servers.early(|_| Some(unauthorized(Frames::new([data("rejected")]))));
    let session = signed_in(&scene.world, TestProvider::new(), no_jitter());

    let answer = scene.send(&session, 1, connect, put(Frames::new([data("first"), Part::Hold, data("second")]))).await;

    assert_eq!((answer.status(), text(answer).await.as_str()), (StatusCode::UNAUTHORIZED, "rejected"));
    session.settled().await;
    assert_eq!((scene.servers.seen().len(), scene.world.counts().refreshes), (1, 1));
}

async fn above_the_bound<S: Peer>(scene: Scene, connect: impl AsyncFn(&Servers) -> S) {
    let parts: Vec<_> = (0..70).map(|number| data(vec![number; 1024])).collect();
    let sent: Vec<u8> = (0..70).flat_map(|number| [number; 1024]).collect();

    let answer = scene.rejected(connect, put(Frames::new(parts))).await;

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let [only] = &scene.servers.seen()[..] else { panic!("not one send") };
    assert!(only.body.as_deref() == Some(&sent[..]), "the body arrived changed");
    scene.session.settled().await;
    assert_eq!(scene.world.counts().refreshes, 1);
}

async fn waited_first<S: Peer>(scene: Scene, connect: impl AsyncFn(&Servers) -> S) {
    let rejects_the_first = |request: &Request<Bytes>| {
        let is_first = request.headers()[header::AUTHORIZATION] == "Bearer access-8";
        is_first.then(|| Ok(Response::builder().status(401).body("no".into()).unwrap()))
    };
    scene.world.script_api(rejects_the_first);
    let session = session(&scene.world, TestProvider::new());

    let answer = scene.send(&session, 1, connect, put(Frames::new([data("all")]))).await;

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(scene.bodies(), ["all", "all"]);
    assert_eq!((scene.world.counts().logins, scene.world.counts().refreshes), (1, 1));
}

async fn replayed_twice<S: Peer>(scene: Scene, connect: impl AsyncFn(&Servers) -> S) {
    scene.world.script_api(|_| Some(Ok(Response::builder().status(401).body("no".into()).unwrap())));

    let answer = scene.send(&scene.session, 2, connect, put(Frames::new([data("all")]))).await;

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(scene.bodies(), ["all", "all", "all"]);
    assert_eq!((scene.world.counts().refreshes, scene.session.status().replays), (2, 2));
}

async fn empty<S: Peer>(scene: Scene, connect: impl AsyncFn(&Servers) -> S) {
    let answer = scene.rejected(connect, put(Frames::new([]))).await;

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(scene.bodies(), ["", ""]);
}

async fn accepted<S: Peer>(scene: Scene, connect: impl AsyncFn(&Servers) -> S) {
    let answer = scene.send(&scene.session, 1, connect, put(Frames::new([data("all")]))).await;

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!((scene.bodies(), scene.world.counts().token_calls()), (vec![Bytes::from("all")], 0));
}

// ===== the scene =====

/// A client over one connection.
trait Peer: Service<Request<Stream>, Response = Response<Incoming>, Error = BoxError> + Clone {}

impl<S: Service<Request<Stream>, Response = Response<Incoming>, Error = BoxError> + Clone> Peer for S {}

/// Two servers, and a session with token set 7, which is good.
struct Scene {
    world: World,
    servers: Servers,
    session: Session<TestProvider>,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        Self { servers: Servers::new(&world), session: signed_in(&world, TestProvider::new(), no_jitter()), world }
    }

    /// Sends a request whose token the server has ended.
    async fn rejected<S: Peer>(&self, connect: impl AsyncFn(&Servers) -> S, request: Request<Stream>) -> Answer {
        self.world.revoke_access();
        self.send(&self.session, 1, connect, request).await
    }

    async fn send<S: Peer>(
        &self,
        session: &Session<TestProvider>,
        replays: u8,
        connect: impl AsyncFn(&Servers) -> S,
        request: Request<Stream>,
    ) -> Answer {
        let layer = AuthRefreshLayer::new(session.clone()).replays(replays).replay::<Buffered>();
        let client = layer.layer(connect(&self.servers).await);
        in_time(send(&client, request)).await.unwrap()
    }

    /// The bodies that the API received, in order.
    fn bodies(&self) -> Vec<Bytes> {
        self.servers.seen().into_iter().map(|seen| seen.body.unwrap()).collect()
    }
}

fn put(frames: Frames) -> Request<Stream> {
    Request::put("https://api.test/a%20b?x=1").header("trailer", "x-sum").body(ReplayBody::new(frames)).unwrap()
}

/// Paused time passes only when nothing else can happen, so that what hangs fails at once.
#[allow(clippy::disallowed_methods, reason = "paused time")]
async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("no hang")
}

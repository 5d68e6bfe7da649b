//! What the types promise by themselves, and that errors come through unchanged: C55.

use std::{
    convert::Infallible,
    error::Error as StdError,
    fmt,
    future::{Future, Ready, ready},
    marker::{PhantomData, PhantomPinned},
    panic::{RefUnwindSafe, UnwindSafe},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use tower::{BoxError, Layer, Service, service_fn};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Error, Provider, Session,
    clock::{Clock, Now, SystemClock},
    credential::{Credential, InvalidCredential},
    error::{ErrorKind, FailureClass, RefreshFailure},
    extensions::{Credentials, TargetUri},
    future::ResponseFuture,
    inspect::InspectBody,
    provider::{self, Grant, GrantKind, ProviderError, ProviderErrorKind, Reason, Verdict},
    providers,
    replay::{Buffered, CloneBody, Never, ReplayBody},
    session::{Condition, Event, Events, InvalidPolicy, RefreshPolicy, SessionBuilder, Status},
    store::{FileStore, MemoryStore, StoreError, StoreErrorKind, Swap},
    test_util,
    token::{Expiry, FencingToken, Generation, LoginMark, SecretString, Stored, StoredError, TokenSet, Version},
};

use crate::support::{Body, Counts, Place, TestProvider, World, client, get, send, session, text};

/// Compiles only where each type is all of these.
macro_rules! assert_is {
    ($($bound:path),+; $($type:ty),+ $(,)?) => {{
        fn check<T: ?Sized $(+ $bound)+>() {}
        $(check::<$type>();)+
    }};
}

/// Compiles only where no type is this: otherwise there are two candidates for one call.
macro_rules! assert_is_not {
    ($bound:path; $($type:ty),+ $(,)?) => {{
        trait Ambiguous<A> {
            fn here() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + $bound> Ambiguous<u8> for T {}
        $(<$type as Ambiguous<_>>::here();)+
    }};
}

// ===== handles =====

#[test]
fn sessions_and_layers_can_be_cloned_and_shared_between_threads() {
    assert_is!(Send, Sync, Unpin, Clone, fmt::Debug;
        Session<TestProvider>, Session<Arc<dyn Provider>>, Session<Box<dyn Provider>>,
        AuthRefreshLayer<TestProvider>, AuthRefreshLayer<TestProvider, Never>,
    );
    assert_is!(Send, Sync, Unpin, fmt::Debug; SessionBuilder<TestProvider>, Events);
}

#[test]
fn the_replay_strategy_is_only_named_and_takes_no_auto_trait_away() {
    assert_is!(Send, Sync, Unpin, Clone;
        AuthRefreshLayer<TestProvider, Rc<PhantomPinned>>, AuthRefresh<Steady, TestProvider, Rc<PhantomPinned>>,
    );
}

#[test]
fn the_service_is_what_the_inner_service_is() {
    assert_is!(Send, Sync, Unpin, Clone, fmt::Debug; AuthRefresh<Steady, TestProvider>);
    assert_is!(Clone; AuthRefresh<Local, TestProvider>);
    assert_is_not!(Send; AuthRefresh<Local, TestProvider>);
    assert_is_not!(Sync; AuthRefresh<Local, TestProvider>);
    assert_is_not!(Unpin; AuthRefresh<PhantomPinned, TestProvider>);
    assert_is_not!(Clone; AuthRefresh<Unique, TestProvider>);
}

#[test]
fn the_response_future_is_send_and_sync_where_its_parts_are() {
    assert_is!(Send, Sync, fmt::Debug; ResponseFuture<Steady, TestProvider, Body>);
    // The service, the request's body, the inner future and the answer's body, one by one.
    assert_is_not!(Send;
        ResponseFuture<Local, TestProvider, Body>,
        ResponseFuture<Steady, TestProvider, Rc<()>>,
        ResponseFuture<Answering<Rc<()>, Body>, TestProvider, Body>,
        ResponseFuture<Answering<(), LocalBody>, TestProvider, Body>,
    );
    assert_is_not!(Sync;
        ResponseFuture<Local, TestProvider, Body>,
        ResponseFuture<Steady, TestProvider, Rc<()>>,
        ResponseFuture<Answering<Rc<()>, Body>, TestProvider, Body>,
        ResponseFuture<Answering<(), LocalBody>, TestProvider, Body>,
    );
}

#[test]
fn the_response_future_holds_a_place_in_a_queue_and_must_be_pinned() {
    assert_is_not!(Unpin; ResponseFuture<Steady, TestProvider, Body>);
}

#[test]
fn what_there_is_only_one_of_cannot_be_cloned() {
    assert_is_not!(Clone;
        Error, Events, SessionBuilder<TestProvider>, InspectBody<Body>, ReplayBody<Body>,
        ResponseFuture<Steady, TestProvider, Body>,
    );
}

#[tokio::test]
async fn the_keeper_can_be_spawned_and_borrows_nothing() {
    fn is_spawnable(_: impl Future<Output = ()> + Send + 'static) {}
    let session = session(&World::new(), TestProvider::new());
    is_spawnable(session.keep_fresh());
}

#[test]
fn the_servers_of_tests_can_be_cloned_and_shared_between_threads() {
    assert_is!(Send, Sync, Unpin, Clone, fmt::Debug;
        test_util::AuthServer, test_util::Api, test_util::Gate, test_util::TestClock, test_util::TestProvider,
        test_util::Samples, test_util::Report, test_util::Check, test_util::Outcome, test_util::NonConformance,
    );
    assert_is!(Send, Sync, Unpin, Copy, fmt::Debug;
        test_util::Fault, test_util::Place, test_util::TokenCounts, test_util::ApiCounts,
    );
    assert_is!(Send, Unpin, fmt::Debug; test_util::ServerBody);
    assert_is!(StdError; test_util::NonConformance);
}

// ===== values =====

#[test]
fn values_can_be_copied_and_go_everywhere() {
    assert_is!(Send, Sync, Unpin, Copy, UnwindSafe, RefUnwindSafe, fmt::Debug;
        Buffered, CloneBody, Never, Credentials, SystemClock, Now, Condition, InvalidPolicy, ErrorKind, FailureClass, InvalidCredential,
        Expiry, Generation, FencingToken, Version, LoginMark, StoreErrorKind, Swap, Grant<'_>, GrantKind, Reason, Verdict, provider::Context, ProviderErrorKind,
        providers::BodyFormat, providers::Language, providers::Place, providers::RefreshIn, providers::RefreshWith,
    );
}

#[test]
fn tokens_settings_and_reports_can_be_cloned_and_go_everywhere() {
    assert_is!(Send, Sync, Unpin, Clone, UnwindSafe, RefUnwindSafe, fmt::Debug;
        TokenSet, Stored, StoredError, StoreError, SecretString, Credential, RefreshPolicy, Status, Event, RefreshFailure, ProviderError,
        TargetUri, providers::Accuat, providers::Kanfang, providers::Quectel, providers::Action, providers::UserDomain,
    );
    assert_is!(Send, Sync, Unpin, Clone, fmt::Debug; providers::FashionWorld);
    assert_is!(Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; InspectBody<Body>, Events);
    // A copy of a secret is made by name.
    assert_is_not!(Copy; TokenSet, Stored, SecretString, Credential);
}

#[test]
fn stores_are_shared_and_go_everywhere() {
    assert_is!(Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, fmt::Debug; FileStore);
    assert_is!(Send, Sync, Unpin, Clone, UnwindSafe, RefUnwindSafe, fmt::Debug; MemoryStore);
    #[cfg(feature = "redis")]
    assert_is!(Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, fmt::Debug; tower_auth_refresh::store::RedisStore);
}

#[test]
fn what_holds_foreign_code_does_not_promise_to_be_unwind_safe() {
    assert_is_not!(UnwindSafe;
        Session<TestProvider>, SessionBuilder<TestProvider>, AuthRefreshLayer<TestProvider>,
        AuthRefresh<Steady, TestProvider>, ResponseFuture<Steady, TestProvider, Body>, Error, providers::FashionWorld,
    );
}

// ===== errors =====

#[test]
fn every_error_is_a_proper_error() {
    assert_is!(StdError, Send, Sync; Error, RefreshFailure, ProviderError, InvalidCredential, InvalidPolicy, StoredError, StoreError);
    assert_is!(Into<BoxError>; Error, RefreshFailure, ProviderError);
}

#[test]
fn an_error_is_one_word_so_that_a_result_costs_no_more_than_its_value() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    assert_eq!(size_of::<RefreshFailure>(), size_of::<usize>());
    assert!(size_of::<ProviderError>() <= 128);
}

#[tokio::test]
async fn an_error_of_the_inner_service_is_its_own_source_and_comes_back_unchanged() {
    let world = World::new();
    let failing = service_fn(|_: Request<Body>| ready(Err::<Response<Body>, _>(Broken(7))));
    let client = AuthRefreshLayer::new(session(&world, TestProvider::new())).layer(failing);

    let error = send(&client, get("/")).await.unwrap_err();

    assert!(error.is_service() && error.kind() == ErrorKind::Service && !error.is_session());
    assert_eq!(error.source().and_then(|source| source.downcast_ref()), Some(&Broken(7)));
    assert_eq!(error.to_string(), "the wrapped service failed");
    assert_eq!(*error.downcast::<Broken>().unwrap(), Broken(7));
}

#[tokio::test]
async fn a_boxed_error_of_the_inner_service_is_not_boxed_again() {
    let world = World::new();
    world.script_api(|_| Some(Err(Broken(7).into())));
    let client = client(&world, &session(&world, TestProvider::new()));

    let error = send(&client, get("/")).await.unwrap_err();

    assert_eq!(*error.downcast::<Broken>().unwrap(), Broken(7));
}

#[tokio::test]
async fn an_error_of_a_replay_comes_back_unchanged() {
    let world = World::new();
    world.script_api(|request| match request.headers()[header::AUTHORIZATION].to_str() {
        Ok("Bearer access-1") => None,
        _ => Some(Err(Broken(7).into())),
    });
    let session = session(&world, TestProvider::new());
    session.set(TestProvider::token(1, Duration::from_secs(1000), world.clock.wall())).unwrap();
    world.grant(1);
    world.revoke_access();

    let error = send(&client(&world, &session), get("/")).await.unwrap_err();

    assert_eq!(world.counts(), Counts { api: 2, rejected: 1, refreshes: 1, ..Counts::default() });
    assert_eq!(*error.downcast::<Broken>().unwrap(), Broken(7));
}

#[tokio::test]
async fn an_error_asked_for_as_another_type_is_handed_back_whole() {
    let world = World::new();
    world.script_api(|_| Some(Err(Broken(7).into())));
    let client = client(&world, &session(&world, TestProvider::new()));
    let error = send(&client, get("/")).await.unwrap_err();

    let error = error.downcast::<fmt::Error>().unwrap_err();

    assert_eq!(*error.downcast::<Broken>().unwrap(), Broken(7));
}

#[tokio::test]
async fn an_error_of_the_layer_itself_is_no_error_of_the_inner_service() {
    let world = World::new();
    world.script_idp(|_| Some(Err(Broken(7).into())));
    let client = client(&world, &session(&world, TestProvider::new()));

    let error = send(&client, get("/")).await.unwrap_err();

    assert!(error.is_session() && !error.is_service());
    assert_eq!(error.downcast::<Broken>().unwrap_err().kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn through_two_layers_the_inner_layers_error_is_the_source_of_the_outer_ones() {
    let world = World::new();
    let inner = session(&world, TestProvider::new().with_origin("https://inner.test".parse().unwrap()));
    let outer = client(&world, &inner);
    inner.sign_out();
    let client = AuthRefreshLayer::new(session(&world, TestProvider::new())).layer(outer);
    let request = Request::get("https://inner.test/").body(Body::default()).unwrap();

    let error = send(&client, request).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Service);
    assert_eq!(error.downcast::<Error>().unwrap().kind(), ErrorKind::SignedOut);
}

#[test]
fn the_error_of_a_response_body_is_that_of_the_inner_body() {
    fn same<B: http_body::Body>(error: <InspectBody<B> as http_body::Body>::Error) -> B::Error {
        error
    }
    assert_eq!(same::<LocalBody>(Broken(7)), Broken(7));
}

// ===== providers as objects =====

const _: fn(&dyn Provider, &dyn Clock) = |_, _| {};

#[tokio::test]
async fn a_session_whose_provider_is_chosen_at_run_time_logs_in_refreshes_and_replays() {
    let world = World::new();
    let provider: Arc<dyn Provider> = Arc::new(TestProvider::new());
    let session = Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).build().unwrap();
    let client = AuthRefreshLayer::new(session).layer(world.api());

    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    world.revoke_access();
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);

    assert_eq!(world.tokens(), ["Bearer access-1", "Bearer access-1", "Bearer access-2"]);
    assert_eq!(world.counts(), Counts { api: 3, rejected: 1, logins: 1, refreshes: 1, ..Counts::default() });
}

#[tokio::test]
async fn a_boxed_provider_signs_and_judges_bodies() {
    let world = World::new();
    world.script_api(|request| {
        let is_old = request.headers()[header::AUTHORIZATION].to_str().unwrap().starts_with("Signed access-1 ");
        let mut answer = Response::new(Body::from(if is_old { r#"{"rejected":true}"# } else { "{}" }));
        answer.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        Some(Ok(answer))
    });
    let provider: Box<dyn Provider> = Box::new(TestProvider::placed(Place::Signed).with_judged_body(true));
    let session = Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).build().unwrap();
    let client = AuthRefreshLayer::new(session).layer(world.api());

    let answer = send(&client, get("/")).await.unwrap();

    assert_eq!(text(answer).await, "{}");
    assert_eq!(world.counts(), Counts { api: 2, logins: 1, refreshes: 1, ..Counts::default() });
}

#[test]
fn a_pointer_to_a_provider_answers_every_question_as_the_provider_does() {
    let provider = TestProvider::placed(Place::Cookie).with_single_use(false).with_judged_body(true);
    let boxed: Box<dyn Provider> = Box::new(provider.clone());
    let shared: Arc<dyn Provider> = Arc::new(provider);
    let (accepted, ()) = Response::new(()).into_parts();
    let token = TokenSet::new("access");
    let now = SystemClock::new().now().wall;
    for pointer in [&boxed as &dyn Provider, &shared] {
        assert!(!pointer.single_use());
        assert_eq!(pointer.name(), "test");
        assert_eq!(pointer.origin().unwrap(), "https://api.test/");
        assert_eq!(pointer.next_grant(None, Reason::NoToken, now), Some(GrantKind::Login));
        assert_eq!(pointer.judge(&accepted), Verdict::ReadBody);
        assert!(pointer.judge_body(&accepted, br#"{"rejected":true}"#));
        assert!(!pointer.credential(&token).unwrap().is_signed());
    }
}

// ===== what does not leave its thread =====

#[tokio::test]
async fn a_service_that_stays_on_its_thread_is_renewed_and_replayed_like_any_other() {
    let world = World::new();
    world.script_api(|request| {
        let is_new = request.headers()[header::AUTHORIZATION] == "Bearer access-2";
        (!is_new).then(|| {
            let mut answer = Response::new(Body::default());
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            Ok(answer)
        })
    });
    let client = AuthRefreshLayer::new(session(&world, TestProvider::new())).layer(Local(Rc::new(world.clone())));

    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);

    assert_eq!(world.counts(), Counts { api: 2, rejected: 1, logins: 1, refreshes: 1, ..Counts::default() });
}

// ===== scenes =====

/// A service all of whose parts go everywhere.
type Steady = Answering<(), Body>;

/// Goes everywhere itself; its future holds an `F`, and its answers have a `T` for their body.
struct Answering<F, T>(PhantomData<fn() -> (F, T)>);

impl<F, T> Clone for Answering<F, T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<F, T> fmt::Debug for Answering<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

impl<F: Default + Unpin, T: Default, B> Service<Request<B>> for Answering<F, T> {
    type Response = Response<T>;
    type Error = Infallible;
    type Future = Holding<F, T>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        Holding(ready(Ok(Response::default())), F::default())
    }
}

struct Holding<F, T>(Ready<Result<Response<T>, Infallible>>, F);

impl<F: Unpin, T> Future for Holding<F, T> {
    type Output = Result<Response<T>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Nothing of it leaves its thread: neither the service, nor its future, nor the body of its answers.
#[derive(Clone)]
struct Local(Rc<World>);

impl Service<Request<Body>> for Local {
    type Response = Response<LocalBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<LocalBody>, BoxError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let world = Rc::clone(&self.0);
        Box::pin(async move { Ok(world.api().call(request).await?.map(|_| LocalBody::default())) })
    }
}

#[derive(Default)]
struct LocalBody(PhantomData<Rc<()>>);

impl http_body::Body for LocalBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(None)
    }
}

/// There is only one of it.
struct Unique;

#[derive(Debug, PartialEq, Eq)]
struct Broken(u8);

impl StdError for Broken {}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken {}", self.0)
    }
}

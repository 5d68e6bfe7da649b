//! The first token: C1 to C6.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, request, response};
use secrecy::{ExposeSecret, SecretString};
use tower::{Layer, Service};
use tower_auth_refresh::{
    AuthRefreshLayer, Error, Provider, Session,
    credential::Credential,
    error::ErrorKind,
    provider::{Context as Cx, Grant, GrantKind, ProviderError, Reason, Verdict},
    token::{Expiry, TokenSet},
};

use crate::{
    scene::{idp_answers, no_jitter, poll_once, seconds, session_with, signed_in},
    support::{Body, Place, TestProvider, World, client, get, send, send_all, session},
};

#[tokio::test]
async fn a_hundred_requests_without_a_token_make_one_login_and_all_carry_its_token() {
    let world = World::new();
    let client = client(&world, &session(&world, TestProvider::new()));

    let answers = send_all(&client, 100).await;

    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
    let counts = world.counts();
    assert_eq!((counts.logins, counts.refreshes, counts.api), (1, 0, 100));
    assert!(world.tokens().iter().all(|token| token == "Bearer access-1"));
}

#[tokio::test]
async fn requests_and_callers_of_token_share_one_login() {
    let world = World::new();
    let session = session(&world, TestProvider::new());
    let client = client(&world, &session);

    let callers = futures::future::join_all((0..50).map(|_| session.token()));
    let (answers, tokens) = futures::future::join(send_all(&client, 50), callers).await;

    assert!(answers.iter().all(Result::is_ok));
    assert!(tokens.iter().all(|token| expose(token.as_ref().unwrap().access_token()) == "access-1"));
    assert_eq!((world.counts().token_calls(), world.counts().api), (1, 50));
}

#[tokio::test]
async fn a_hundred_requests_share_one_failed_login_and_nothing_reaches_the_api() {
    let world = World::new();
    idp_answers(&world, StatusCode::INTERNAL_SERVER_ERROR);
    let client = client(&world, &session(&world, TestProvider::new()));

    let answers = send_all(&client, 100).await;

    let errors: Vec<Error> = answers.into_iter().map(Result::unwrap_err).collect();
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Unavailable && error.is_session()));
    assert!(errors.iter().all(|error| error.retry_at() == errors[0].retry_at()));
    assert!(errors.iter().all(|error| format!("{error} {error:?}") == format!("{0} {0:?}", errors[0])));
    assert_eq!((world.counts().token_calls(), world.counts().api), (1, 0));
}

#[tokio::test]
async fn a_failed_login_is_not_kept_as_a_token() {
    let world = World::new();
    idp_answers(&world, StatusCode::INTERNAL_SERVER_ERROR);
    // Without jitter the backoff is over at once.
    let session = session_with(&world, TestProvider::new(), no_jitter());
    let client = client(&world, &session);
    send(&client, get("/")).await.unwrap_err();
    world.unscript();

    let answer = send(&client, get("/")).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.tokens(), ["Bearer access-1"]);
    assert_eq!(world.counts().logins, 2);
}

/// Neither a runtime nor a second poll is needed, so nothing was spawned, timed or awaited.
#[test]
fn with_a_valid_token_the_first_poll_outside_of_any_runtime_is_the_answer() {
    let world = World::new();
    let mut client = client(&world, &signed_in(&world, TestProvider::new(), no_jitter()));
    let ready = Service::<Request<Body>>::poll_ready(&mut client, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(ready, Poll::Ready(Ok(()))));

    let response = pin!(client.call(get("/")));
    let Poll::Ready(answer) = response.poll(&mut Context::from_waker(Waker::noop())) else { panic!("not ready") };

    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    assert_eq!((world.counts().api, world.counts().token_calls()), (1, 0));
    assert_eq!(world.tokens(), ["Bearer access-7"]);
}

#[test]
fn a_thousand_requests_with_a_valid_token_make_no_call_to_the_provider() {
    let world = World::new();
    let client = client(&world, &signed_in(&world, TestProvider::new(), no_jitter()));

    for _ in 0..1000 {
        assert!(poll_once(&mut Box::pin(send(&client, get("/")))).is_ready());
    }

    assert_eq!((world.counts().api, world.counts().token_calls()), (1000, 0));
}

#[test]
fn token_is_ready_at_once_while_the_token_is_valid() {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());

    let Poll::Ready(token) = poll_once(&mut Box::pin(session.token())) else { panic!("not ready") };

    assert_eq!(expose(token.unwrap().access_token()), "access-7");
    assert_eq!(world.counts().token_calls(), 0);
}

#[tokio::test]
async fn a_token_of_unknown_expiry_is_used_until_it_is_rejected() {
    is_used_until_it_is_rejected(Expiry::Unknown).await;
}

#[tokio::test]
async fn a_token_that_never_expires_is_used_until_it_is_rejected() {
    is_used_until_it_is_rejected(Expiry::Never).await;
}

async fn is_used_until_it_is_rejected(expiry: Expiry) {
    let world = World::new();
    let session = signed_in(&world, TestProvider::new(), no_jitter());
    session.set(TokenSet::new("access-7").with_refresh_token("refresh-7").with_expiry(expiry)).unwrap();
    let client = client(&world, &session);

    for _ in 0..10 {
        world.clock.advance(seconds(366 * 24 * 60 * 60));
        send(&client, get("/")).await.unwrap();
    }
    assert_eq!((world.counts().api, world.counts().token_calls()), (10, 0));
    assert_eq!(session.token().await.unwrap().expiry(), expiry);

    world.revoke_access();
    assert_eq!(send(&client, get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!((world.counts().api, world.counts().refreshes), (12, 1));
}

#[tokio::test]
async fn a_granted_token_without_an_expiry_is_unknown_and_not_expired() {
    let world = World::new().lifetime(None);
    let session = session(&world, TestProvider::new());

    assert_eq!(session.token().await.unwrap().expiry(), Expiry::Unknown);
    world.clock.advance(seconds(366 * 24 * 60 * 60));
    session.token().await.unwrap();

    assert_eq!(world.counts().token_calls(), 1);
}

#[tokio::test]
async fn a_token_that_is_already_expired_is_renewed_before_anything_is_sent() {
    for age in [Duration::ZERO, Duration::from_millis(1), seconds(1_000_000)] {
        let world = World::new();
        let session = signed_in(&world, TestProvider::without_login(), no_jitter());
        let ended = TestProvider::token(7, Duration::ZERO, world.clock.wall() - age);
        session.set(ended).unwrap();

        send(&client(&world, &session), get("/")).await.unwrap();

        assert_eq!(world.tokens(), ["Bearer access-8"], "ended {age:?} ago");
        assert_eq!((world.counts().refreshes, world.counts().double_spent), (1, 0), "ended {age:?} ago");
    }
}

#[test]
fn every_read_sees_the_fields_of_one_generation_while_another_thread_sets_token_sets() {
    const SETS: u64 = 3000;
    let world = World::new();
    let start = world.clock.wall() + seconds(1_000_000);
    let session = Session::builder(Telling(TestProvider::placed(Place::Signed)))
        .transport(world.idp())
        .clock(world.clock.clone())
        .token(numbered(1, start))
        .build()
        .unwrap();
    let client = AuthRefreshLayer::new(session.clone()).layer(world.api());
    world.script_api(|_| Some(crate::scene::reply(StatusCode::OK, "welcome")));
    let done = AtomicBool::new(false);

    std::thread::scope(|threads| {
        threads.spawn(|| {
            (2..=SETS).for_each(|number| session.set(numbered(number, start)).unwrap());
            done.store(true, Ordering::Release);
        });
        threads.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let Poll::Ready(token) = poll_once(&mut Box::pin(session.token())) else { panic!("not ready") };
                let (text, token) = (told(token.as_ref().unwrap()), token.unwrap());
                assert!(is_of_one_generation(&text), "{text}");
                assert!(text.starts_with(&format!("access-{} ", number(token.expiry(), start))));
            }
        });
        threads.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let status = session.status();
                let expires_at = status.expires_at.map_or(Expiry::Unknown, Expiry::At);
                assert_eq!(status.generation.get(), number(expires_at, start));
            }
        });
        threads.spawn(|| {
            while !done.load(Ordering::Acquire) {
                assert!(poll_once(&mut Box::pin(send(&client, get("/")))).is_ready());
            }
        });
    });

    assert!(world.tokens().iter().all(|text| is_of_one_generation(text)));
    assert_eq!(world.counts().token_calls(), 0);
    assert_eq!(told(&session_token(&session)), told(&numbered(SETS, start)));
}

/// A token set each of whose fields carries `number`; the session counts the same numbers.
fn numbered(number: u64, start: SystemTime) -> TokenSet {
    TokenSet::new(format!("access-{number}"))
        .with_refresh_token(format!("refresh-{number}"))
        .with_signing_key(format!("key-{number}"))
        .with_extra("number", number.into())
        .with_expiry(Expiry::At(start + seconds(number)))
}

fn number(expiry: Expiry, start: SystemTime) -> u64 {
    expiry.time().unwrap().duration_since(start).unwrap().as_secs()
}

fn session_token(session: &Session<Telling>) -> TokenSet {
    match poll_once(&mut Box::pin(session.token())) {
        Poll::Ready(token) => token.unwrap(),
        Poll::Pending => panic!("not ready"),
    }
}

/// All fields of a token set in one line.
fn told(token: &TokenSet) -> String {
    let [refresh, key] = [token.refresh_token(), token.signing_key()].map(|secret| secret.map_or("", expose));
    format!("{} {refresh} {key} extra-{}", expose(token.access_token()), token.extra()["number"])
}

fn is_of_one_generation(text: &str) -> bool {
    let numbers: Vec<&str> = text.split(' ').filter_map(|field| Some(field.split_once('-')?.1)).collect();
    numbers.len() == 4 && numbers.iter().all(|number| *number == numbers[0])
}

#[allow(clippy::disallowed_methods, reason = "the test compares what is secret")]
fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
}

/// Signs requests with all fields of the token set.
struct Telling(TestProvider);

impl Provider for Telling {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        self.0.next_grant(token, why, now)
    }

    fn request(&self, grant: Grant<'_>, cx: &Cx) -> Result<Request<Bytes>, ProviderError> {
        self.0.request(grant, cx)
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Cx) -> Result<TokenSet, ProviderError> {
        self.0.parse(grant, answer, cx)
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        self.0.credential(token)
    }

    fn sign(&self, token: &TokenSet, request: &mut request::Parts, _: &Cx) -> Result<(), ProviderError> {
        request.headers.insert(http::header::AUTHORIZATION, told(token).parse().unwrap());
        Ok(())
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        self.0.judge(answer)
    }

    fn origin(&self) -> Option<&Uri> {
        self.0.origin()
    }
}

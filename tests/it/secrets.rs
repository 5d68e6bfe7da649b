//! No secret in any error, log line or `Debug`: C22.
//!
//! Every secret of these tests, and every text that a server sends, begins with one word. The tests collect all that a
//! run logs, at the finest level, and all that its values print, and look for that word.

#![allow(clippy::type_complexity, reason = "each case of a table shows its parts in full")]

use std::{
    error::Error as StdError,
    fmt::{self, Write as _},
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tower::{BoxError, Layer, Service, service_fn};
use tower_auth_refresh::{
    AuthRefreshLayer, Error, Provider, Session,
    credential::{Credential, InvalidCredential},
    error::{ErrorKind, RefreshFailure},
    provider::{Context, Grant},
    providers::{Action, FashionWorld, Quectel, UserDomain},
    session::RefreshPolicy,
    token::{Expiry, SecretString, TokenSet},
};
use tracing::{Dispatch, dispatcher::DefaultGuard, level_filters::LevelFilter};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

use crate::{
    scene::{Reply, full_jitter, let_the_flight_run, reply, seconds, session_with},
    support::{Place, TestProvider, World, client, get, send, session},
};

const WORD: &str = "hush";
/// How a base64 text that begins with it begins.
const WORD_IN_BASE64: &str = "aHVza";
/// The characters after the word tell an encoded secret from a verbatim one.
const ACCESS: &str = "hush+access/=";
const GRANT: &str = "hush+access/= hush+refresh/= 1000000";
const PLACES: [Place; 4] = [Place::Bearer, Place::Query, Place::Cookie, Place::Signed];

// ===== what is collected =====

/// Everything that somebody could read. Clones share it.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<String>>);

impl Paper {
    fn print(&self, value: &impl fmt::Debug) {
        let mut paper = self.0.lock().unwrap();
        writeln!(paper, "{value:?}\n{value:#?}").unwrap();
    }

    /// The error and all that it names as its cause.
    fn print_error(&self, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.print(&error);
            writeln!(self.0.lock().unwrap(), "{error}\n{error:#}").unwrap();
            next = error.source();
        }
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn assert_no_secret(&self) {
        let text = self.text();
        for line in text.lines() {
            assert!(!line.to_lowercase().contains(WORD), "a secret in: {line}");
            assert!(!line.contains(WORD_IN_BASE64), "a secret in: {line}");
        }
    }
}

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Collects the log lines of this thread, and with it of the runtime that runs on it.
fn collect(paper: &Paper) -> (DefaultGuard, Dispatch) {
    let subscriber = || {
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_writer(paper.clone())
            .finish()
    };
    // With one subscriber alone, a place in the code that is first reached on another thread would count as
    // uninteresting to all; with two it is looked at for each of them.
    let second = Dispatch::new(subscriber());
    (tracing::subscriber::set_default(subscriber()), second)
}

fn print_session<P: Provider>(paper: &Paper, session: &Session<P>) {
    paper.print(session);
    paper.print(&session.status());
    paper.print(&AuthRefreshLayer::new(session.clone()));
}

/// The answer's error, or the failure in its extensions.
fn print_outcome<B>(paper: &Paper, outcome: &Result<Response<B>, Error>) {
    match outcome {
        Err(error) => paper.print_error(error),
        Ok(answer) => {
            paper.print(answer.headers());
            if let Some(failure) = answer.extensions().get::<RefreshFailure>() {
                paper.print_error(failure);
                paper.print_error(&Error::from(failure.clone()));
            }
        }
    }
}

// ===== the runs =====

/// What an HTTP client's own error likes to say.
fn telltale(request: &Request<Bytes>) -> BoxError {
    let (uri, headers, body) = (request.uri(), request.headers(), request.body());
    let told = format!("{WORD}: error sending request for url ({uri}) with {headers:?} and {body:?}");
    Box::new(io::Error::new(io::ErrorKind::ConnectionReset, told))
}

/// A name, how a login that is answered so ends, and the answer.
type Case = (&'static str, Option<ErrorKind>, fn(&Request<Bytes>) -> Reply);

/// The token endpoint's answers, each full of secrets.
fn answers() -> Vec<Case> {
    fn with_headers(status: StatusCode) -> Reply {
        let mut answer = reply(status, "hush: your password is hush-password")?;
        answer.headers_mut().insert(header::RETRY_AFTER, "hush".parse()?);
        answer.headers_mut().insert(header::LOCATION, "https://id.test/?token=hush".parse()?);
        answer.headers_mut().insert(header::CONTENT_TYPE, "hush/hush".parse()?);
        Ok(answer)
    }
    vec![
        ("granted", None, |_| reply(StatusCode::OK, GRANT)),
        ("fails", Some(ErrorKind::Unavailable), |_| with_headers(StatusCode::INTERNAL_SERVER_ERROR)),
        ("asks for patience", Some(ErrorKind::Unavailable), |_| with_headers(StatusCode::TOO_MANY_REQUESTS)),
        ("points elsewhere", Some(ErrorKind::Malformed), |_| with_headers(StatusCode::FOUND)),
        ("HTML", Some(ErrorKind::Malformed), |_| reply(StatusCode::OK, "<html>hush hush hush</html>")),
        ("empty", Some(ErrorKind::Malformed), |_| reply(StatusCode::OK, "")),
        ("already expired", Some(ErrorKind::Malformed), |_| reply(StatusCode::OK, "hush+access/= hush+refresh/= 0")),
        ("too large", Some(ErrorKind::Malformed), |_| reply(StatusCode::OK, WORD.repeat(1 << 19))),
        ("unreachable", Some(ErrorKind::Transport), |request| Err(telltale(request))),
        ("unreachable in words", Some(ErrorKind::Transport), |request| Err(telltale(request).to_string().into())),
        ("refused", Some(ErrorKind::Refused), |_| with_headers(StatusCode::BAD_REQUEST)),
    ]
}

fn token(world: &World) -> TokenSet {
    TokenSet::new(ACCESS)
        .with_refresh_token("hush+refresh/=")
        .with_signing_key("hush+key/=")
        .with_issued_at(world.clock.wall())
        .with_expiry(Expiry::At(world.clock.wall() + seconds(1_000_000)))
        .with_extra("user", "hush, Mr. Hush".into())
}

#[tokio::test]
async fn a_session_without_a_token_tells_nothing_whatever_its_token_endpoint_answers() {
    for place in PLACES {
        for (name, kind, answer) in answers() {
            let paper = Paper::default();
            let _collecting = collect(&paper);
            let world = World::new();
            world.script_idp(move |request| Some(answer(request)));
            let session = session_with(&world, TestProvider::placed(place), full_jitter());
            let mut events = session.subscribe();
            let client = client(&world, &session);

            let outcome = send(&client, get("/?q=1")).await;
            print_outcome(&paper, &outcome);
            print_outcome(&paper, &send(&client, get("/")).await);
            match session.token().await {
                Ok(token) => paper.print(&token),
                Err(error) => paper.print_error(&error),
            }
            if let Err(error) = session.sign_in().await {
                paper.print_error(&error);
            }
            paper.print(&events.recv().await);
            print_session(&paper, &session);

            assert_eq!(outcome.err().map(|error| error.kind()), kind, "{name}");
            assert!(paper.text().contains("asking the token endpoint"), "the log is collected");
            paper.assert_no_secret();
        }
    }
}

#[tokio::test]
async fn a_session_with_a_token_tells_nothing_whatever_its_two_servers_answer() {
    for place in PLACES {
        for (name, kind, answer) in answers() {
            let paper = Paper::default();
            let _collecting = collect(&paper);
            let world = World::new();
            world.script_idp(move |request| Some(answer(request)));
            world.script_api(|_| Some(reply(StatusCode::UNAUTHORIZED, "hush: rejected")));
            let session = session_with(&world, TestProvider::placed(place), full_jitter());
            session.set(token(&world)).unwrap();
            let mut events = session.subscribe();
            let layer = AuthRefreshLayer::new(session.clone());

            // The rejected answer is handed back with the failure in its extensions, or raised as an error.
            let handed_back = send(&layer.layer(world.api()), get("/")).await;
            let raised = send(&layer.error_after_failed_refresh(true).layer(world.api()), get("/")).await;
            let_the_flight_run().await;

            let granted = kind.is_none();
            let failure = handed_back.as_ref().unwrap().extensions().get::<RefreshFailure>();
            assert_eq!(failure.is_none(), granted, "{name}");
            assert_eq!(raised.is_ok(), granted, "{name}");
            print_outcome(&paper, &handed_back);
            print_outcome(&paper, &raised);
            paper.print(&events.recv().await);
            print_session(&paper, &session);
            assert!(paper.text().contains("asking the token endpoint"), "the log is collected");
            paper.assert_no_secret();
        }
    }
}

#[tokio::test]
async fn an_error_of_the_api_client_that_prints_the_credential_in_the_url_loses_it() {
    let failures: [fn(&Request<Bytes>) -> BoxError; 4] = [
        |request| format!("error sending request for url ({})", request.uri()).into(),
        |request| Box::new(io::Error::other(format!("connecting to {:?}", request.uri()))),
        |request| Box::new(Wrapped(request.uri().to_string().into())),
        // Decoded, as some clients print a URL.
        |_| format!("no route to https://api.test/?token={ACCESS}").into(),
    ];
    for failure in failures {
        for is_replay in [false, true] {
            let paper = Paper::default();
            let _collecting = collect(&paper);
            let world = World::new();
            world.script_idp(|_| Some(reply(StatusCode::OK, GRANT)));
            world.script_api(move |request| {
                let is_old = request.uri().query() == Some("token=old");
                Some(if is_old { reply(StatusCode::UNAUTHORIZED, "") } else { Err(failure(request)) })
            });
            let session = session(&world, TestProvider::placed(Place::Query));
            session.set(if is_replay { TokenSet::new("old") } else { token(&world) }).unwrap();

            let outcome = send(&client(&world, &session), get("/")).await;

            let error = outcome.as_ref().unwrap_err();
            assert!(error.is_service() && error.source().is_some());
            assert_eq!(world.counts().api, if is_replay { 2 } else { 1 });
            print_outcome(&paper, &outcome);
            paper.assert_no_secret();
        }
    }
}

#[tokio::test]
async fn an_error_of_the_api_client_that_prints_no_credential_stays_as_it_is() {
    for place in PLACES {
        let world = World::new();
        world.script_api(|_| Some(Err(Box::new(io::Error::other("connecting to api.test")))));
        let session = session(&world, TestProvider::placed(place));
        session.set(token(&world)).unwrap();

        let error = send(&client(&world, &session), get("/")).await.unwrap_err();

        assert!(error.is_service());
        assert_eq!(error.downcast::<io::Error>().unwrap().to_string(), "connecting to api.test");
    }
}

/// An error whose own text is harmless, unlike its cause's.
#[derive(Debug)]
struct Wrapped(BoxError);

impl StdError for Wrapped {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request failed")
    }
}

#[tokio::test]
async fn a_header_that_carries_the_credential_is_marked_sensitive() {
    for (place, name) in [(Place::Bearer, header::AUTHORIZATION), (Place::Cookie, header::COOKIE)] {
        let paper = Paper::default();
        let world = World::new();
        world.script_api(|_| Some(reply(StatusCode::OK, "")));
        let session = session(&world, TestProvider::placed(place));
        session.set(token(&world)).unwrap();

        send(&client(&world, &session), get("/")).await.unwrap();

        let head = &world.seen()[0];
        assert!(head.headers[name].as_bytes().windows(4).any(|part| part == WORD.as_bytes()));
        paper.print(head);
        paper.assert_no_secret();
    }
}

#[test]
fn no_public_value_that_holds_a_secret_prints_it() {
    let paper = Paper::default();
    let world = World::new();
    let token = token(&world);
    let secret = SecretString::from(ACCESS);
    let session = session(&world, TestProvider::new());
    session.set(token.clone()).unwrap();

    paper.print(&secret);
    paper.print(&token);
    paper.print(&Grant::Refresh(&token));
    paper.print(&Credential::bearer(&secret).unwrap());
    paper.print(&Credential::header(header::AUTHORIZATION, &secret).unwrap());
    paper.print(&Credential::query("token", &secret).unwrap());
    paper.print(&Credential::cookie("token", &secret).unwrap());
    for refused in [
        Credential::bearer(&"hush\r\n".into()),
        Credential::query("token", &"hush\r\n".into()),
        Credential::cookie("token", &"hush\r\n".into()),
    ] {
        let error: InvalidCredential = refused.unwrap_err();
        paper.print_error(&error);
    }
    paper.print(&Session::builder(TestProvider::new()).transport(world.idp()).token(token.clone()));
    paper.print_error(&session.set(TokenSet::new("hush\r\nx: y")).unwrap_err());
    let unbuilt = Session::builder(TestProvider::new()).transport(world.idp()).token(TokenSet::new("hush\r\n")).build();
    paper.print_error(&unbuilt.unwrap_err());
    paper.print(&RefreshPolicy::new());
    print_session(&paper, &session);

    let mut service = AuthRefreshLayer::new(session.clone()).layer(service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
    }));
    paper.print(&service);
    paper.print(&service.call(get("/")));

    assert!(paper.text().contains("AuthRefreshLayer") && paper.text().contains("ResponseFuture"));
    paper.assert_no_secret();
}

// ===== the documented providers =====

fn quectel() -> Quectel {
    Quectel::europe().email_login("me@example.com", "hush-password", UserDomain::new("E.DM", "hush-domain-secret"))
}

fn fashion_world() -> FashionWorld {
    FashionWorld::new("https://api.example.com".parse().unwrap()).login("13800000000", "hush-password")
}

const QUECTEL_GRANT: &str = r#"{"code":200,"msg":"hush","data":{"accessToken":{"token":"Bearer hush-access"},"refreshToken":{"token":"Bearer hush-refresh"}}}"#;
const FASHION_WORLD_GRANT: &str = r#"{"apiKey":"hush-key","secretKey":"hush-secret","userId":"hush-user","expireIn":1800000000000,"user":{"name":"hush-name"}}"#;

/// Logs in, uses the token, has it refreshed, and answers each call with whatever a bad day brings.
async fn run<P: Provider + fmt::Debug + Clone>(provider: P, grant: &'static str, old: TokenSet, api: &'static str) {
    let mut answers: Vec<fn(&Request<Bytes>) -> Reply> = vec![
        |_| reply(StatusCode::BAD_REQUEST, r#"{"code":5147,"msg":"hush","message":"hush"}"#),
        |_| reply(StatusCode::BAD_REQUEST, r#"{"code":"hush","msg":"hush","message":"invalid signature"}"#),
        |_| reply(StatusCode::NOT_FOUND, r#"{"code":5115,"msg":"hush","message":"hush not found"}"#),
        |_| reply(StatusCode::OK, r#"{"code":"hush","apiKey":["hush"],"data":"hush"}"#),
        |_| {
            reply(
                StatusCode::OK,
                r#"{"code":200,"data":{"accessToken":{"token":"hush\r\n"}},"apiKey":"hush:hush","secretKey":"hush"}"#,
            )
        },
        |_| reply(StatusCode::OK, r#"{"hush":1,"hush":2}"#),
        |_| reply(StatusCode::OK, r#"{"hush": hush"#),
        |_| reply(StatusCode::OK, "<html>hush</html>"),
        |_| reply(StatusCode::BAD_GATEWAY, "hush"),
        |_| Err(BoxError::from("hush")),
        |request| Err(telltale(request)),
    ];
    answers.push(if grant == QUECTEL_GRANT {
        |_| reply(StatusCode::OK, QUECTEL_GRANT)
    } else {
        |_| reply(StatusCode::OK, FASHION_WORLD_GRANT)
    });

    for answer in answers {
        for token in [None, Some(old.clone())] {
            let paper = Paper::default();
            let _collecting = collect(&paper);
            let world = World::new();
            world.script_idp(move |request| Some(answer(request)));
            world.script_api(|_| Some(reply(StatusCode::OK, "hush")));
            let builder = Session::builder(provider.clone()).transport(world.idp()).clock(world.clock.clone());
            paper.print(&builder);
            let session = builder.policy(full_jitter()).build().unwrap();
            if let Some(token) = token {
                session.set(token).unwrap();
                world.clock.advance(seconds(999));
            }
            paper.print(&provider);
            for _ in 0..2 {
                match session.token().await {
                    Ok(token) => {
                        paper.print(&token);
                        paper.print(
                            &provider.request(Grant::Refresh(&token), &Context::new(world.clock.wall(), 7)).map(
                                // The URL of a refresh carries the refresh token; nothing but the wire may show it.
                                |request| request.headers().clone(),
                            ),
                        );
                    }
                    Err(error) => paper.print_error(&error),
                }
                session.settled().await;
            }
            let mut request = Request::get(api).body(Full::<Bytes>::default()).unwrap();
            request.extensions_mut().insert(Action::new("client:my:fetch-my-profile"));
            let outcome = send(&AuthRefreshLayer::new(session.clone()).layer(world.api()), request).await;
            print_outcome(&paper, &outcome);
            for head in world.seen() {
                paper.print(&head.headers);
            }
            if let Err(error) = session.sign_in().await {
                paper.print_error(&error);
            }
            print_session(&paper, &session);
            assert!(paper.text().contains("asking the token endpoint"), "the log is collected");
            paper.assert_no_secret();
        }
    }
}

#[tokio::test]
async fn quectels_passwords_tokens_and_texts_appear_nowhere() {
    let world = World::new();
    let old = TestProvider::token(7, seconds(1000), world.clock.wall());
    let old = TokenSet::new("Bearer hush-old").with_refresh_token("Bearer hush-old-refresh").with_expiry(old.expiry());
    run(quectel(), QUECTEL_GRANT, old, "https://iot-api.acceleronix.io/v2/device").await;
}

#[tokio::test]
async fn fashion_worlds_passwords_keys_and_texts_appear_nowhere() {
    let ends = World::new().clock.wall() + seconds(1000);
    let old = TokenSet::new("hush-old-key").with_signing_key("hush-old-secret").with_expiry(Expiry::At(ends));
    run(fashion_world(), FASHION_WORLD_GRANT, old, "https://api.example.com/api/my").await;
}

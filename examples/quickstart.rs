//! Four APIs, 500 requests at once, and days that pass in seconds: what the layer does when tokens end.
//!
//! `cargo run --example quickstart` needs nothing but this machine. It starts a server for each API, sends rounds of
//! requests while tokens fall due, expire and are revoked, and prints what the servers counted. It ends with a
//! failure if a single figure is not the expected one.
//!
//! How an application uses the crate stands in [`drive`]; how each API is configured stands in [`scenes`].

#[path = "loopback/mod.rs"]
mod loopback;
#[path = "quickstart/report.rs"]
mod report;
#[path = "quickstart/rounds.rs"]
mod rounds;

use std::{process::ExitCode, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{BoxError, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit};
use tower_auth_refresh::{
    AuthRefreshLayer, Provider, Session,
    clock::{Clock, SystemClock},
    providers::{Accuat, FashionWorld, Kanfang, Quectel, RefreshIn, UserDomain},
};

use loopback::{AccuatApi, Api, DemoClock, FashionWorldApi, KanfangApi, Loopback, QuectelApi};
use report::Row;
use rounds::{AT_ONCE, ROUNDS, Round, Seen};

/// One API, one way to use it.
struct Scene {
    name: &'static str,
    protocol: Protocol,
    /// What the server speaks.
    api: Box<dyn Api>,
    /// What the crate speaks, given the server's base URL.
    provider: fn(Uri) -> Box<dyn Provider>,
    lifetime: Duration,
    /// A token past its end can be renewed; otherwise only a login helps.
    renews_expired: bool,
    /// The server ends the old token when it renews it, so that requests under way with it are refused.
    renewal_ends_old: bool,
    path: &'static str,
    /// What the server received, if the envelope says that all went well: the HTTP status alone says little.
    echo: fn(&Value) -> Option<&Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// Over at most [`CONNECTIONS`] of them, one request at a time on each.
    Http1,
    /// Over one connection, all requests at once.
    Http2,
}

const CONNECTIONS: usize = 64;

type Client = ConcurrencyLimit<loopback::HttpClient>;

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let mut rows = Vec::new();
    for scene in scenes() {
        rows.push(drive(scene).await?);
    }
    report::print(&rows);
    Ok(if rows.iter().all(Row::is_right) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends all rounds of requests to one API.
#[allow(clippy::disallowed_methods, reason = "a demonstration that hangs would demonstrate nothing")]
async fn drive(scene: Scene) -> Result<Row, BoxError> {
    let clock = DemoClock::new();
    let api = Loopback::boxed(scene.api, clock.clone());
    let server = loopback::serve(api.clone()).await?;
    let client = scene.protocol.client();

    // This is all that an application writes: a session, which holds the tokens, and the layer around its client.
    let session = Session::builder((scene.provider)(server.uri()))
        .transport(client.clone()) // the way to the token endpoint
        .clock(clock.clone()) // so that days pass in seconds
        .allow_http(true) // the server is on this machine
        .build()?;
    let service = ServiceBuilder::new().layer(AuthRefreshLayer::new(session.clone())).service(client);

    let mut row = Row::begin(scene.name, scene.protocol);
    let uri: Uri = format!("{}{}", server.uri(), scene.path).parse()?;
    let started = clock.wall();
    let mut granted_at = started;
    for round in ROUNDS {
        let due = granted_at + round.age(scene.lifetime);
        clock.advance(due.duration_since(clock.wall())?);
        if round == Round::Revoked {
            api.revoke();
        }
        api.gather(scene.protocol.requests_at_once());

        let (before, stopwatch) = (api.counts(), SystemClock::new().now().monotonic);
        let answers = join_all((0..AT_ONCE).map(|number| {
            let text = format!("request {number}");
            let answer = service.clone().oneshot(post(&uri, &text));
            async move { Ok::<_, BoxError>(received(answer.await?, scene.echo).await? == text) }
        }));
        let answers = tokio::time::timeout(Duration::from_secs(60), answers).await?;
        session.settled().await; // a refresh in the background may still be under way

        let seen = Seen {
            answered: answers.iter().filter(|answer| matches!(answer, Ok(true))).count() as u64,
            counts: api.counts() - before,
            error: answers.into_iter().find_map(Result::err),
            took: SystemClock::new().now().monotonic - stopwatch,
            age: clock.wall().duration_since(started)?,
        };
        if seen.counts.logins + seen.counts.refreshes > 0 {
            granted_at = clock.wall();
        }
        row.add(
            round,
            &seen,
            &round.expected(scene.renews_expired, scene.renewal_ends_old, scene.protocol.requests_at_once()),
        );
    }
    Ok(row)
}

fn scenes() -> [Scene; 5] {
    let refreshed_by_query = Scene {
        name: "Quectel (query)",
        protocol: Protocol::Http1,
        api: Box::new(QuectelApi::new()),
        provider: |api| Box::new(quectel(api)),
        lifetime: QuectelApi::LIFETIME,
        renews_expired: true,
        renewal_ends_old: false,
        path: "v2/devices",
        echo: |answer| answer.get("data").filter(|_| has(answer, "code", 200)),
    };
    let refreshed_by_form = Scene {
        name: "Quectel (form)",
        protocol: Protocol::Http2,
        api: Box::new(QuectelApi::new().refreshing_by_form().refusing_by_status()),
        provider: |api| Box::new(quectel(api).refresh_in(RefreshIn::Form)),
        ..refreshed_by_query
    };
    [
        Scene {
            name: "Kanfang",
            protocol: Protocol::Http2,
            api: Box::new(KanfangApi::new()),
            provider: |api| Box::new(Kanfang::new().base_url(api).login(KanfangApi::AUTH_KEY, KanfangApi::AUTH_VALUE)),
            lifetime: KanfangApi::LIFETIME,
            renews_expired: true,
            renewal_ends_old: false,
            path: "v2/patients",
            echo: |answer| answer.get("payload").filter(|_| has(answer, "state", 200)),
        },
        Scene {
            name: "FashionWorld",
            protocol: Protocol::Http2,
            api: Box::new(FashionWorldApi::new()),
            provider: |api| {
                let provider = FashionWorld::new(api).login(FashionWorldApi::MOBILE, FashionWorldApi::PASSWORD);
                // Every attempt is signed with the name of its route's action, which is never sent.
                Box::new(provider.actions(|method, path| match (method, path) {
                    (&Method::POST, "/api/orders") => Some("client:order:create".into()),
                    _ => None,
                }))
            },
            lifetime: FashionWorldApi::LIFETIME,
            renews_expired: false,
            renewal_ends_old: true,
            path: "api/orders",
            echo: |answer| answer.get("echo"),
        },
        refreshed_by_query,
        refreshed_by_form,
        Scene {
            name: "Accuat",
            protocol: Protocol::Http1,
            api: Box::new(AccuatApi::new()),
            provider: |api| Box::new(Accuat::new(api).login(AccuatApi::APP_ID, AccuatApi::SECRET_KEY)),
            lifetime: AccuatApi::LIFETIME,
            renews_expired: true,
            renewal_ends_old: false,
            path: "stores",
            echo: |answer| answer.get("Data").filter(|_| has(answer, "Result", 200)),
        },
    ]
}

fn quectel(api: Uri) -> Quectel {
    let domain = UserDomain::new(QuectelApi::USER_DOMAIN, QuectelApi::USER_DOMAIN_SECRET);
    Quectel::europe().base_url(api).email_login(QuectelApi::EMAIL, QuectelApi::PASSWORD, domain)
}

impl Protocol {
    fn client(self) -> Client {
        match self {
            Self::Http1 => ConcurrencyLimit::new(loopback::http1_client(CONNECTIONS), CONNECTIONS),
            // One more, for the token request.
            Self::Http2 => ConcurrencyLimit::new(loopback::http2_client(), AT_ONCE + 1),
        }
    }

    /// How many of a round's requests are on the wire at the same time.
    fn requests_at_once(self) -> usize {
        match self {
            Self::Http1 => CONNECTIONS,
            Self::Http2 => AT_ONCE,
        }
    }
}

fn post(uri: &Uri, text: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from(text.to_owned()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    request
}

/// The body that the server received, if it says that all went well.
async fn received<B>(response: Response<B>, echo: fn(&Value) -> Option<&Value>) -> Result<String, BoxError>
where
    B: Body<Error: Into<BoxError>>,
{
    let status = response.status();
    let body = response.into_body().collect().await.map_err(Into::into)?.to_bytes();
    let answer: Value = serde_json::from_slice(&body)?;
    let received = echo(&answer).filter(|_| status.is_success()).and_then(|echo| echo.get("body")?.as_str());
    Ok(received.unwrap_or_default().to_owned())
}

fn has(answer: &Value, name: &str, code: u64) -> bool {
    answer.get(name).and_then(Value::as_u64) == Some(code)
}

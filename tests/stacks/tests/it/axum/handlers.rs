//! Handlers that call an API through one client, each for the user of its request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Extension, Router,
    extract::{Path, Request, State},
    http::{StatusCode, Version},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures::future::{join, join_all};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::{Layer, ServiceExt};
use tower_auth_refresh::{
    AuthRefresh, AuthRefreshLayer, Session, inspect::InspectBody, provider::GrantKind, test_util::TestProvider,
};

use crate::support::upstream::{BOTH, HttpClient, Listening, Tally, Upstream, User, http_client, listen, until};

/// How many requests each user makes at once: over HTTP/1.1 every one has two connections, and each of these two ends here.
const MANY: usize = 20;

/// A service of one's own in front of the API. It knows its users by a header.
struct Front {
    upstream: Upstream,
    server: Listening,
    client: HttpClient,
    /// How many handlers have been dropped before they had an answer.
    dropped: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct App {
    client: AuthRefresh<HttpClient, TestProvider>,
    users: [Session<TestProvider>; 2],
    api: String,
    dropped: Arc<AtomicUsize>,
}

struct Guard(Option<Arc<AtomicUsize>>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Puts the session of the user into the extensions, as an application's own sign-in does.
async fn sign_in(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let [ann, bob] = app.users;
    match request.headers().get("x-user").map(|user| user.as_bytes()) {
        Some(b"ann") => request.extensions_mut().insert(ann),
        Some(b"bob") => request.extensions_mut().insert(bob),
        _ => return StatusCode::FORBIDDEN.into_response(),
    };
    next.run(request).await
}

/// The answer of the API, as it came.
async fn data(
    Path(path): Path<String>,
    State(app): State<App>,
    Extension(session): Extension<Session<TestProvider>>,
) -> Result<http::Response<InspectBody<Incoming>>, StatusCode> {
    let mut guard = Guard(Some(app.dropped));
    let request = http::Request::get(format!("{}/{path}", app.api)).extension(session);
    let answer = app.client.oneshot(request.body(Full::default()).unwrap()).await;
    guard.0 = None;
    answer.map_err(|error| if error.needs_sign_in() { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_GATEWAY })
}

impl Front {
    async fn start(version: Version) -> Self {
        let upstream = Upstream::start(version).await;
        let dropped = Arc::default();
        let app = App {
            client: AuthRefreshLayer::per_request().layer(http_client(version)),
            users: [upstream.ann.session.clone(), upstream.bob.session.clone()],
            api: upstream.at("/api"),
            dropped: Arc::clone(&dropped),
        };
        let router = Router::new()
            .route("/data/{*path}", get(data))
            .layer(from_fn_with_state(app.clone(), sign_in))
            .with_state(app);
        Self { server: listen(router).await, client: http_client(version), upstream, dropped }
    }

    /// Asks the service for data of this user, as this user.
    async fn ask(&self, user: &str, number: usize) -> (StatusCode, Bytes) {
        let request = http::Request::get(self.server.at(&format!("/data/{user}/{number}"))).header("x-user", user);
        let answer = self.client.request(request.body(Full::default()).unwrap()).await.unwrap();
        (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
    }

    async fn ask_many(&self) -> Vec<((StatusCode, Bytes), (StatusCode, Bytes))> {
        join_all((0..MANY).map(|number| join(self.ask("ann", number), self.ask("bob", number)))).await
    }
}

fn welcome() -> (StatusCode, Bytes) {
    (StatusCode::OK, Bytes::from("welcome"))
}

fn users(upstream: &Upstream) -> [&User; 2] {
    [&upstream.ann, &upstream.bob]
}

#[tokio::test]
async fn a_handler_calls_the_api_as_the_user_of_its_request() {
    for version in BOTH {
        let front = Front::start(version).await;

        assert_eq!(front.ask_many().await, vec![(welcome(), welcome()); MANY], "{version:?}");

        for user in users(&front.upstream) {
            assert_eq!(user.tally(), Tally { api: MANY, logins: 1, flights: 1, ..Tally::NOTHING }, "{version:?}");
            assert_eq!(user.carried(0), MANY);
        }
    }
}

#[tokio::test]
async fn the_tokens_of_two_users_are_renewed_once_each_and_every_request_is_sent_again() {
    for version in BOTH {
        let front = Front::start(version).await;
        for (user, name) in users(&front.upstream).into_iter().zip(["ann", "bob"]) {
            assert_eq!(front.ask(name, MANY).await, welcome());
            user.idp.end_access();
            user.api.gate().hold();
        }

        let all_rejected = async {
            let arrived = |user: &User| user.api.counts().requests == MANY + 1;
            until(|| users(&front.upstream).into_iter().all(arrived)).await;
            for user in users(&front.upstream) {
                user.api.gate().release();
            }
        };
        let (answers, ()) = join(front.ask_many(), all_rejected).await;

        assert_eq!(answers, vec![(welcome(), welcome()); MANY], "{version:?}");
        let (api, replays) = (1 + 2 * MANY, MANY.try_into().unwrap());
        for user in users(&front.upstream) {
            let tally = Tally { api, rejected: MANY, logins: 1, refreshes: 1, flights: 2, replays };
            assert_eq!(user.tally(), tally, "{version:?}");
            assert_eq!((user.carried(0), user.carried(1)), (MANY + 1, MANY));
        }
    }
}

#[tokio::test]
async fn one_users_failed_login_is_no_failure_of_the_other() {
    for version in BOTH {
        let front = Front::start(version).await;
        front.upstream.ann.idp.refuse(GrantKind::Login);

        for (ann, bob) in front.ask_many().await {
            assert_eq!((ann.0, bob), (StatusCode::UNAUTHORIZED, welcome()), "{version:?}");
        }

        assert_eq!(front.upstream.ann.tally(), Tally { logins: 1, flights: 1, ..Tally::NOTHING });
        assert_eq!(front.upstream.bob.tally(), Tally { api: MANY, logins: 1, flights: 1, ..Tally::NOTHING });
    }
}

#[tokio::test]
async fn a_user_who_waits_for_a_token_does_not_make_the_other_wait() {
    for version in BOTH {
        let front = Front::start(version).await;
        front.upstream.ann.idp.gate().hold();

        let bob = async {
            until(|| front.upstream.ann.idp.counts().logins == 1).await;
            let answer = front.ask("bob", 1).await;
            assert_eq!(front.upstream.ann.tally().api, 0);
            front.upstream.ann.idp.gate().release();
            answer
        };

        assert_eq!(join(front.ask("ann", 1), bob).await, (welcome(), welcome()), "{version:?}");
    }
}

#[tokio::test]
async fn a_handler_whose_client_goes_away_takes_no_rotated_token_with_it() {
    for version in BOTH {
        let front = Front::start(version).await;
        let ann = &front.upstream.ann;
        assert_eq!(front.ask("ann", 1).await, welcome());
        ann.idp.end_access();
        ann.idp.gate().hold();

        // The server has rotated the token, and its answer is on the way: now the client of the handler goes away.
        tokio::select! {
            _ = front.ask("ann", 2) => panic!("answered without a token"),
            () = until(|| ann.idp.counts().refreshes == 1) => {}
        }
        until(|| front.dropped.load(Ordering::SeqCst) == 1).await;
        ann.idp.gate().release();
        ann.session.settled().await;

        assert_eq!(front.ask("ann", 3).await, welcome(), "{version:?}");
        let tally = Tally { api: 3, rejected: 1, logins: 1, refreshes: 1, flights: 2, replays: 0 };
        assert_eq!(ann.tally(), tally, "{version:?}");
        assert_eq!((ann.carried(0), ann.carried(1)), (2, 1));
    }
}

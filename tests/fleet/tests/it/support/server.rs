//! The authorization server and its API on a port of this machine, in the protocol of the crate's own `TestProvider`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::watch;
use tower::{BoxError, service_fn};
use tower_auth_refresh::token::{Generation, Stored, TokenSet};

use super::{
    ledger::{Counts, Granted, Ledger},
    process::patiently,
    serve,
};

/// How long a token answer takes: a flight must last for a while, or no kill hits it.
const LATENCY: Duration = Duration::from_millis(5);

/// Dropping it closes the port and all connections.
pub struct Server {
    shared: Arc<Shared>,
    listening: serve::Server,
}

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    /// How many token requests are under way; whoever waits for that subscribes.
    at_once: watch::Sender<usize>,
    held: watch::Sender<bool>,
}

impl Server {
    /// A server that has granted nothing. Its access tokens are good until [`expire`](Self::expire).
    pub async fn start() -> Self {
        Self::granting(None).await
    }

    /// A server whose access tokens are good for so many whole seconds.
    pub async fn granting(lifetime: impl Into<Option<Duration>>) -> Self {
        let shared = Arc::<Shared>::default();
        shared.ledger().lifetime = lifetime.into();
        let serving = Arc::clone(&shared);
        let service = service_fn(move |request| Arc::clone(&serving).serve(request));
        Self { listening: serve::serve(service).await, shared }
    }

    pub fn url(&self) -> String {
        self.listening.url("/")
    }

    /// The API takes no access token that was granted before.
    pub fn expire(&self) {
        self.shared.ledger().expire(Instant::now());
    }

    /// A token set that somebody has signed in for elsewhere, in the stored form.
    pub fn signed_in(&self) -> Stored {
        let granted = self.shared.ledger().log_in(Instant::now());
        let token = TokenSet::new(granted.access_token()).with_refresh_token(granted.refresh_token());
        Stored::new(token, Generation::from(1))
    }

    /// Acts on token requests, and holds the answers.
    pub fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Lets them go.
    pub fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Waits until it has acted on a token request whose answer is held.
    pub async fn has_one(&self) {
        let mut at_once = self.shared.at_once.subscribe();
        patiently("a token request", at_once.wait_for(|at_once| *at_once > 0)).await.unwrap();
    }

    /// Waits until it has done so much, and the last answer is gone.
    pub async fn has_done(&self, is_enough: impl Fn(Counts) -> bool) {
        let mut at_once = self.shared.at_once.subscribe();
        let done = at_once.wait_for(|at_once| *at_once == 0 && is_enough(self.counts()));
        patiently("enough token requests", done).await.unwrap();
    }

    pub fn counts(&self) -> Counts {
        self.shared.ledger().counts
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let granted = match head.uri.path() {
            "/idp/login" => self.grant(|ledger| Some(ledger.log_in(Instant::now()))).await,
            "/idp/refresh" => {
                let token = String::from_utf8_lossy(&body);
                self.grant(|ledger| ledger.refresh(&token, Instant::now())).await
            }
            _ => {
                let token = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
                let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
                let accepts = self.ledger().accepts(token, Instant::now());
                return Ok(answer(if accepts { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, String::new()));
            }
        };
        let lifetime = self.ledger().lifetime.map_or("-".to_owned(), |lifetime| lifetime.as_secs().to_string());
        Ok(match granted {
            Some(granted) => {
                answer(StatusCode::OK, format!("{} {} {lifetime}", granted.access_token(), granted.refresh_token()))
            }
            None => answer(StatusCode::BAD_REQUEST, String::new()),
        })
    }

    /// Acts at once. The answer takes its time, and is held for as long as all are.
    async fn grant(&self, act: impl FnOnce(&mut Ledger) -> Option<Granted>) -> Option<Granted> {
        let _under_way = UnderWay::new(self);
        let granted = act(&mut self.ledger());
        tokio::time::sleep(LATENCY).await;
        // The sender is `self`'s.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        granted
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a token request for as long as somebody waits for its answer.
struct UnderWay<'a>(&'a Shared);

impl<'a> UnderWay<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.at_once.send_modify(|at_once| *at_once += 1);
        let mut ledger = shared.ledger();
        ledger.counts.most_at_once = ledger.counts.most_at_once.max(*shared.at_once.borrow());
        drop(ledger);
        Self(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.at_once.send_modify(|at_once| *at_once -= 1);
    }
}

fn answer(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer
}

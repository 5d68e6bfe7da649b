//! One request as a caller makes it, and as a caller drops it.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::sync::watch;
use tower::{BoxError, Service, ServiceExt};
use tower_auth_refresh::{
    AuthRefresh, Error, Provider,
    error::{ErrorKind, RefreshFailure},
};

use crate::{
    line::text,
    sentry::Sentry,
    trip::{Stage, Trip},
};

pub(crate) type Authorized = AuthRefresh<Sentry, Box<dyn Provider>>;

/// What a caller saw.
#[derive(Debug)]
pub(crate) enum Seen {
    /// 2xx, an envelope that says success, and the caller's own request in it.
    Accepted,
    /// 500.
    Failed,
    /// The connection broke.
    Broken,
    /// The rejection of the token, and why the token could not be renewed, if it could not.
    Rejected(Option<ErrorKind>),
    /// No usable token.
    NoToken(ErrorKind),
    /// Nothing: the caller went away.
    Cancelled { stage: Stage, together: bool },
    /// Nothing that a caller should see.
    Odd(String),
}

/// When a caller goes away, if at all.
pub(crate) struct Patience {
    /// After so many polls.
    pub(crate) polls: Option<u32>,
    /// As soon as the server has granted a token.
    pub(crate) granted: Option<watch::Receiver<bool>>,
}

/// Sends a request, unless the caller goes away before. It is dropped right then.
pub(crate) async fn drive(
    service: Authorized,
    trip: Arc<Trip>,
    uri: Uri,
    echo: fn(&Value) -> Option<&Value>,
    patience: Patience,
) -> Seen {
    let mut asking = pin!(ask(service, Arc::clone(&trip), uri, echo));
    let mut polls = patience.polls;
    let mut granted = pin!(async {
        match patience.granted {
            Some(mut granted) => drop(granted.wait_for(|granted| *granted).await),
            None => pending().await,
        }
    });
    poll_fn(|cx| {
        let together = granted.as_mut().poll(cx).is_ready();
        if together || polls == Some(0) {
            return Poll::Ready(Seen::Cancelled { stage: trip.stage(), together });
        }
        trip.poll_begins();
        let polled = asking.as_mut().poll(cx);
        trip.poll_ends();
        polls = polls.map(|polls| polls - 1);
        if polled.is_pending() && polls == Some(0) {
            return Poll::Ready(Seen::Cancelled { stage: trip.stage(), together });
        }
        polled
    })
    .await
}

async fn ask(mut service: Authorized, trip: Arc<Trip>, uri: Uri, echo: fn(&Value) -> Option<&Value>) -> Seen {
    let text = text(trip.number);
    let mut request = Request::new(Full::from(text.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    request.extensions_mut().insert(Arc::clone(&trip));
    let answer = match service.ready().await {
        Ok(service) => {
            trip.reaches(Stage::Waiting);
            service.call(request).await
        }
        Err(error) => Err(error),
    };
    let seen = match answer {
        Ok(answer) => received(answer, &text, echo).await,
        Err(error) => Ok(without_answer(&error)),
    };
    seen.unwrap_or(Seen::Broken)
}

fn without_answer(error: &Error) -> Seen {
    match error.kind() {
        ErrorKind::Service => Seen::Broken,
        kind if error.is_session() => Seen::NoToken(kind),
        _ => Seen::Odd(error.to_string()),
    }
}

/// # Errors
/// When the body breaks off.
async fn received<B>(answer: Response<B>, text: &str, echo: fn(&Value) -> Option<&Value>) -> Result<Seen, BoxError>
where
    B: Body<Error: Into<BoxError>>,
{
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    if head.status == StatusCode::INTERNAL_SERVER_ERROR {
        return Ok(Seen::Failed);
    }
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(match echo(&answer).filter(|_| head.status.is_success()) {
        Some(echo) if echo.get("body").and_then(Value::as_str) == Some(text) => Seen::Accepted,
        Some(_) => Seen::Odd("the answer to another request".into()),
        None => Seen::Rejected(head.extensions.get::<RefreshFailure>().map(RefreshFailure::kind)),
    })
}

//! The line between the connections and a server, on which the planned faults happen.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use tower::BoxError;

use crate::{
    fault::Fault,
    loopback::{Faults, Loopback, Outcome, Reply, Sent},
    witness::{Fate, Witness},
};

/// One server's line.
pub(crate) struct Line(pub(crate) Arc<Witness>);

type Answer = Result<Response<Reply>, BoxError>;

impl Faults for Line {
    fn send(&self, server: Loopback, request: Request<Bytes>) -> Sent {
        let witness = Arc::clone(&self.0);
        Box::pin(async move {
            if server.is_business(request.uri().path()) {
                business(&witness, &server, request).await
            } else {
                token(&witness, &server, request).await
            }
        })
    }
}

async fn business(witness: &Witness, server: &Loopback, request: Request<Bytes>) -> Answer {
    let number = number(request.body()).ok_or("a request without a number")?;
    let fault = witness.next_send(number);
    let struck = |fault| witness.sent(number, Fate::Struck(fault));
    match fault {
        Some(Fault::ApiError) => {
            struck(Fault::ApiError);
            return Ok(html(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Some(Fault::ApiLostRequest) => {
            struck(Fault::ApiLostRequest);
            return Err(dropped());
        }
        Some(Fault::ApiLate) => pause(Duration::from_millis(2)).await,
        _ => {}
    }
    let (outcome, answer) = server.handle(request);
    if fault == Some(Fault::ApiLostAnswer) {
        struck(Fault::ApiLostAnswer);
        return Err(dropped());
    }
    witness.sent(number, Fate::Answered(outcome));
    Ok(answer.map(Reply::whole))
}

async fn token(witness: &Witness, server: &Loopback, request: Request<Bytes>) -> Answer {
    let (fault, latency) = witness.next_token_call();
    pause(latency).await;
    if let Some(fault) = fault {
        let instead = match fault {
            Fault::LostCall => Some(Err(dropped())),
            Fault::TooMany => Some(Ok(busy(StatusCode::TOO_MANY_REQUESTS, 2))),
            Fault::Unavailable => Some(Ok(busy(StatusCode::SERVICE_UNAVAILABLE, 5))),
            Fault::BadGateway => Some(Ok(html(StatusCode::BAD_GATEWAY))),
            _ => None,
        };
        if let Some(instead) = instead {
            witness.strike(fault);
            return instead;
        }
    }
    let (outcome, answer) = server.handle(request);
    // A refusal arrives: were it lost, the spent token would have to be presented once more.
    let fault = fault.filter(|_| matches!(outcome, Outcome::Login | Outcome::Refresh));
    if let Some(fault) = fault {
        witness.strike(fault);
    }
    if matches!(outcome, Outcome::Login | Outcome::Refresh) {
        witness.grant();
        pause(latency / 2).await;
    }
    match fault {
        Some(Fault::LostAnswer) => Err(dropped()),
        Some(Fault::ServerError) => Ok(html(StatusCode::INTERNAL_SERVER_ERROR)),
        Some(Fault::Truncated) => Ok(answer.map(Reply::truncated)),
        Some(Fault::Dripping) => Ok(answer.map(|body| Reply::dripping(body, 64, Duration::from_millis(1)))),
        _ => Ok(answer.map(Reply::whole)),
    }
}

/// What a request says: its number.
pub(crate) fn text(number: u64) -> String {
    format!("request {number}")
}

fn number(body: &Bytes) -> Option<u64> {
    std::str::from_utf8(body).ok()?.strip_prefix("request ")?.parse().ok()
}

fn dropped() -> BoxError {
    "the line is cut".into()
}

fn html(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(Bytes::from_static(b"<html><body>Please try again.</body></html>")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// `seconds` by the demonstration's clock.
fn busy(status: StatusCode, seconds: u64) -> Response<Reply> {
    let mut response = html(status);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[allow(clippy::disallowed_methods, reason = "a line takes real time, some milliseconds of it")]
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

//! What the servers' answers look like on the wire.

use std::{
    io,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::{
    sequence::{Api, Endpoint, RetryAfter, Set},
    server::Reply,
};

pub fn of_the_api(answer: Api) -> Reply {
    match answer {
        Api::Welcomes => plain(StatusCode::OK, ""),
        Api::Rejects => plain(StatusCode::UNAUTHORIZED, ""),
        Api::Fails => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        Api::HangsUp => Err("the API hangs up".into()),
    }
}

/// `number` names the tokens that it grants, if it does; `now` is what an HTTP date is reckoned from.
pub fn of_the_endpoint(answer: Endpoint, number: u64, now: SystemTime) -> Reply {
    match answer {
        Endpoint::Grants(Set { lifetime, refresh_token }) => {
            let refresh = if refresh_token { format!("refresh-{number}") } else { "-".into() };
            let lifetime = lifetime.map_or("-".into(), |lifetime| lifetime.to_string());
            plain(StatusCode::OK, format!("access-{number} {refresh} {lifetime}"))
        }
        Endpoint::IsNotReached => Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
        Endpoint::AnswersInVain => Err("the answer is lost".into()),
        Endpoint::Refuses => plain(StatusCode::BAD_REQUEST, ""),
        Endpoint::Forbids => plain(StatusCode::FORBIDDEN, ""),
        Endpoint::Says(status, after) => {
            let after = after.map(|after| (header::RETRY_AFTER, retry_after(after, now)));
            reply(StatusCode::from_u16(status).unwrap(), after.into_iter().collect(), "")
        }
        Endpoint::Babbles => plain(StatusCode::OK, ""),
    }
}

fn retry_after(after: RetryAfter, now: SystemTime) -> HeaderValue {
    let value = match after {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Date(ahead) => {
            let far = Duration::from_millis(ahead.unsigned_abs());
            httpdate::fmt_http_date(if ahead < 0 { now - far } else { now + far })
        }
    };
    value.try_into().unwrap()
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    reply(status, HeaderMap::new(), body)
}

fn reply(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Reply {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

//! The body of a request on its way through the middleware, and how it is copied.

use std::fmt;

use bytes::Bytes;
use http::Request;
use reqwest::Body;

use crate::{
    integrations::reqwest::at_once,
    replay::{Buffered, CloneBody, Replay, ReplayBody},
};

/// The body of a request on its way through the middleware: what a replay strategy copies.
///
/// [`CloneBody`] copies what is in memory, at no cost; [`Buffered`] takes streams down as well, up to 64 KiB;
/// [`Never`](crate::replay::Never) copies nothing.
pub struct RequestBody(Kind);

enum Kind {
    /// Kept as what reqwest itself can send again, and clone for a retry.
    InMemory(Option<Bytes>),
    /// Boxed, because most requests have none.
    Stream(Box<ReplayBody<Body>>),
}

impl RequestBody {
    pub(super) fn from_reqwest(mut request: reqwest::Request) -> reqwest::Result<Request<Self>> {
        let body = request.body_mut().take();
        let head: Request<Body> = request.try_into()?;
        Ok(head.map(|_| Self(Kind::of(body))))
    }

    pub(super) fn into_reqwest(request: Request<Self>) -> reqwest::Result<reqwest::Request> {
        let (head, Self(kind)) = request.into_parts();
        let mut request = reqwest::Request::try_from(Request::from_parts(head, Body::default()))?;
        *request.body_mut() = match kind {
            Kind::InMemory(bytes) => bytes.map(Body::from),
            Kind::Stream(stream) => Some(Body::wrap(*stream)),
        };
        Ok(request)
    }
}

impl Kind {
    fn of(body: Option<Body>) -> Self {
        match body {
            Some(body) if body.as_bytes().is_none() => Self::Stream(Box::new(ReplayBody::new(body))),
            body => Self::InMemory(body.map(|mut body| at_once(&mut body).unwrap_or_default())),
        }
    }
}

impl Replay<RequestBody> for CloneBody {
    fn backup(body: &RequestBody) -> Option<RequestBody> {
        match &body.0 {
            Kind::InMemory(bytes) => Some(RequestBody(Kind::InMemory(bytes.clone()))),
            Kind::Stream(_) => None,
        }
    }
}

impl Replay<RequestBody> for Buffered {
    fn backup(body: &RequestBody) -> Option<RequestBody> {
        match &body.0 {
            Kind::InMemory(_) => CloneBody::backup(body),
            Kind::Stream(stream) => Self::backup(&**stream).map(|copy| RequestBody(Kind::Stream(Box::new(copy)))),
        }
    }

    fn is_replayable(copy: &RequestBody) -> bool {
        match &copy.0 {
            Kind::InMemory(_) => true,
            Kind::Stream(copy) => Self::is_replayable(&**copy),
        }
    }
}

/// Says nothing of what it holds: a body may hold anything.
impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

//! The rest of a middleware chain as a tower service.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{Extensions, Request, Response};
use reqwest::Body;
use reqwest_middleware::{Error, Next};
use tower_service::Service;

use super::RequestBody;
use crate::{error::BoxError, integrations::reqwest::into_http_from_anywhere};

/// The rest of a middleware chain. Clones run the same one, with the same extensions, one after the other.
#[derive(Clone)]
pub(super) struct Chain<'a> {
    next: Next<'a>,
    extensions: &'a Mutex<Extensions>,
}

/// The caller's extensions for the time of a call. However it ends, they are given back with all that was put in.
pub(super) struct Borrowed<'a> {
    extensions: &'a mut Extensions,
    shared: Mutex<Extensions>,
}

/// The same for the time of one run.
struct Lent<'a> {
    extensions: Extensions,
    shared: &'a Mutex<Extensions>,
}

// ===== impl Chain =====

impl<'a> Chain<'a> {
    pub(super) fn new(next: Next<'a>, extensions: &'a Borrowed<'_>) -> Self {
        Self { next, extensions: &extensions.shared }
    }

    async fn run(self, request: Request<RequestBody>) -> Result<Response<Body>, BoxError> {
        let request = RequestBody::into_reqwest(request)?;
        let mut lent = Lent::new(self.extensions);
        let answer = self.next.run(request, &mut lent.extensions).await.map_err(cause)?;
        Ok(into_http_from_anywhere(answer))
    }
}

impl<'a> Service<Request<RequestBody>> for Chain<'a> {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send + 'a>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(self.clone().run(request))
    }
}

/// An error of reqwest as what it is, so that it is known as one.
fn cause(error: Error) -> BoxError {
    match error {
        Error::Reqwest(error) => error.into(),
        error => error.into(),
    }
}

// ===== impl Borrowed, Lent =====

impl<'a> Borrowed<'a> {
    pub(super) fn new(extensions: &'a mut Extensions) -> Self {
        let shared = Mutex::new(mem::take(extensions));
        Self { extensions, shared }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        *self.extensions = mem::take(self.shared.get_mut().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<'a> Lent<'a> {
    fn new(shared: &'a Mutex<Extensions>) -> Self {
        let extensions = mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
        Self { extensions, shared }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = mem::take(&mut self.extensions);
    }
}

//! The rest of a middleware chain as a tower service.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use http::{Extensions, Response};
use reqwest::Body;
use reqwest_middleware::{Error, Next};
use tower_service::Service;

use super::payload::Payload;
use crate::{error::BoxError, integrations::reqwest::into_http};

/// The rest of a middleware chain. Clones run the same one, with the same extensions, one after the other.
#[derive(Clone)]
pub(super) struct Chain<'a> {
    next: Next<'a>,
    extensions: &'a Mutex<Extensions>,
}

/// Extensions on loan, so that whoever has them for a while need not hold a lock or a reference. They are given back
/// when this is dropped, with all that was put in.
pub(super) struct Lent<'a> {
    owner: &'a mut Extensions,
    shared: Mutex<Extensions>,
}

type Future<'a> = reqwest_middleware::middleware::BoxFuture<'a, Result<Response<Body>, BoxError>>;

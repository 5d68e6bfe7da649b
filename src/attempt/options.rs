//! How a service uses its session.

use std::sync::Arc;

use http::Request;

use crate::{
    extensions::Credentials,
    grpc::{self, Judging},
    session::Session,
};

/// How a service uses its session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// What the session's policy says, if nothing else.
    pub(crate) replays: Option<u8>,
    pub(crate) error_after_failed_refresh: bool,
    pub(crate) fixed_peer: bool,
    /// What becomes of a request that does not say so itself.
    pub(crate) credentials: Credentials,
    /// The service speaks gRPC; the names of its unary methods.
    pub(crate) grpc: Option<Arc<[Box<str>]>>,
}

impl Options {
    /// How often a rejected request is sent again.
    pub(crate) fn replays<P>(&self, session: &Session<P>) -> u8 {
        self.replays.unwrap_or(session.policy().replays)
    }

    /// How the answers to `request` are judged.
    pub(crate) fn judging<B>(&self, request: &Request<B>) -> Judging {
        match &self.grpc {
            None => Judging::Http,
            Some(unary) if grpc::is_named(request.uri().path(), unary) => Judging::Unary,
            Some(_) => Judging::Head,
        }
    }
}

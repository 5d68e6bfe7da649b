//! The middleware in chains of reqwest-middleware.

mod auto_traits;
mod bodies;
mod chain;
mod errors;
mod redirects;
mod requests;
mod retry;
pub mod support;

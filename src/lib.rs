// The README speaks of every client and server that the crate fits to; its examples are compiled in `tests/stacks`.
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
mod challenge;
pub mod clock;
pub mod credential;
mod decide;
pub mod error;
#[cfg(test)]
mod explore;
pub mod extensions;
pub mod future;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod http_service;
pub mod inspect;
pub mod integrations;
mod json;
pub mod layer;
mod origin;
pub mod provider;
pub mod providers;
mod redact;
pub mod replay;
mod rt;
pub mod service;
pub mod session;
pub mod store;
#[cfg(feature = "test-util")]
pub mod test_util;
pub mod token;
mod transport;

pub use error::Error;
pub use layer::AuthRefreshLayer;
pub use provider::Provider;
pub use service::AuthRefresh;
pub use session::Session;

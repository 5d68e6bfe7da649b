//! `reqwest::Client` as the wrapped service and as the transport.

mod auto_traits;
mod errors;
mod redirects;
mod refused_streams;
mod requests;
mod streams;
mod transport;

//! tonic's channels and generated clients, against tonic's own server over HTTP/2.

mod auto_traits;
pub mod codec;
mod deadlines;
mod errors;
mod health;
mod proxies;
mod replays;
pub mod scene;
mod scope;
pub mod server;
mod streams;
mod trailers;

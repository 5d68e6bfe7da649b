//! tonic's channels and generated clients, against tonic's own server over HTTP/2.

mod auto_traits;
mod codec;
mod deadlines;
mod errors;
mod health;
mod proxies;
mod replays;
mod scene;
mod scope;
mod server;
mod streams;
mod trailers;

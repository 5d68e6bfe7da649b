//! The gateway: the program itself, between real clients, real upstreams and real token endpoints.

mod admission;
mod draft;
mod failures;
mod framing;
mod headers;
mod keys;
mod life;
mod load;
mod patience;
mod program;
mod providers;
mod proxying;
mod redis;
mod secrets;
mod sharing;
mod start;
mod status;
mod store;
mod streaming;
mod token_endpoint;
mod upstream;
mod values;
mod wire;

use tokio::task::{self, JoinHandle};

#[allow(clippy::disallowed_methods, reason = "the rule is the library's")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    task::spawn(future)
}

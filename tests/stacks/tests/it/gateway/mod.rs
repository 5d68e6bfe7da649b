//! The gateway: the program itself, between real clients, real upstreams and real token endpoints.

mod admission;
mod configuration;
mod failures;
mod life;
mod load;
mod program;
mod providers;
mod proxying;
mod secrets;
mod status;
mod store;
mod streaming;
mod token_endpoint;
mod upstream;
mod wire;

use tokio::task::{self, JoinHandle};

#[allow(clippy::disallowed_methods, reason = "the rule is the library's")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    task::spawn(future)
}

//! For tests: a clock, servers in process, and the proof that a provider or a store conforms.
//!
//! All of it needs the feature `test-util`, which no program should have outside of its `[dev-dependencies]`. Its types
//! hold tokens in the open.
//!
//! - [`conformance`](fn@conformance) checks a provider of your own in a few lines.
//! - [`store_conformance`](fn@store_conformance) does the same for a store.
//! - [`AuthServer`] and its [`Api`] are the two servers that a session talks to, with exact counters, [gates](Gate) to
//!   hold their answers and [faults](Fault) to spoil them; [`TestProvider`] speaks their protocol.
//! - [`TestClock`] has two hands, which are moved together or apart.
//!
//! A token that expires while a hundred requests are on their way, in no time:
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt};
//! use tower_auth_refresh::{
//!     AuthRefreshLayer, Session,
//!     test_util::{AuthServer, TestClock, TestProvider},
//! };
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let clock = TestClock::new();
//! let server = AuthServer::new(&clock);
//! let api = server.api();
//! let session = Session::builder(TestProvider::new()).transport(server.clone()).clock(clock.clone()).build().unwrap();
//! let client = AuthRefreshLayer::new(session).layer(api.clone());
//!
//! for _ in 0..2 {
//!     let request = || Request::get("https://api.test/").body(Full::<Bytes>::default()).unwrap();
//!     futures::future::join_all((0..100).map(|_| client.clone().oneshot(request()))).await;
//!     clock.advance(Duration::from_secs(1000));
//! }
//! let (asked, answered) = (server.counts(), api.counts());
//! assert_eq!((asked.logins, asked.refreshes, answered.requests, answered.rejected), (1, 1, 200, 0));
//! # }
//! ```

mod api;
mod authorization;
mod body;
mod clock;
mod conformance;
mod counts;
mod fault;
mod gate;
mod ledger;
mod provider;
mod report;
mod store_conformance;
mod wire;

pub use api::Api;
pub use authorization::{AuthServer, Scripted};
pub use body::ServerBody;
pub use clock::TestClock;
pub use conformance::{Samples, conformance};
pub use counts::{ApiCounts, TokenCounts};
pub use fault::Fault;
pub use gate::Gate;
pub use provider::{Place, TestProvider};
pub use report::{Check, NonConformance, Outcome, Report};
pub use store_conformance::store_conformance;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a panicking test leaves behind is whole: nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

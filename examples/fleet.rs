//! Four processes share one session: one of them fetches the next token set, and the others take it over.
//!
//! `cargo run --example fleet` needs nothing but this machine: what they share is a file. With a server to share it by,
//! `cargo run --example fleet --features redis -- redis://127.0.0.1`. It starts an API whose tokens live for four seconds
//! and itself four times, tells which process does what, and ends with a failure if a single figure is wrong: a call for
//! tokens too many, a refresh token spent twice, a failed request.
//!
//! `--seconds N` makes it work for so long; without it, 20. How an application uses the crate stands in [`process`].

#[path = "fleet/args.rs"]
mod args;
#[path = "fleet/crew.rs"]
mod crew;
#[path = "fleet/folder.rs"]
mod folder;
#[path = "loopback/mod.rs"]
mod loopback;
#[path = "fleet/news.rs"]
mod news;
#[path = "fleet/process.rs"]
mod process;
#[path = "fleet/report.rs"]
mod report;

use std::{process::ExitCode, time::Duration};

use tower::BoxError;
use tower_auth_refresh::clock::SystemClock;

use args::Args;
use crew::Crew;
use folder::Folder;
use loopback::{Loopback, QuectelApi};

const PROCESSES: usize = 4;
const LIFETIME: Duration = Duration::from_secs(4);
const REFRESH_LIFETIME: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    match Args::read(std::env::args().skip(1))? {
        Args::Process { api, store, name } => process::run(api, &store, &name).await.map(|()| ExitCode::SUCCESS),
        Args::Fleet { time, redis } => run(time, redis).await,
    }
}

#[allow(clippy::disallowed_methods, reason = "a demonstration takes its time")]
async fn run(time: Duration, redis: Option<String>) -> Result<ExitCode, BoxError> {
    let api = Loopback::new(QuectelApi::with_lifetimes(LIFETIME, REFRESH_LIFETIME), SystemClock::new());
    let server = loopback::serve(api.clone()).await?;
    let folder = Folder::new()?;
    // The URL may hold a password: it is not printed.
    let place = if redis.is_some() { "Redis" } else { "a file" };
    let store = redis.unwrap_or_else(|| folder.path_of("token.json"));
    // A session of its own, on a server that others may use.
    let name = format!("fleet-{}", std::process::id());
    println!("{PROCESSES} processes share a session by {place} for {} s\n", time.as_secs());
    let crew = Crew::start(PROCESSES, [server.uri().to_string(), store, name])?;
    tokio::time::sleep(time).await;
    let tallies = crew.finish()?;
    // By the defaults none is renewed in the first half of its life, though its end is in whole seconds.
    let most = time.as_secs() / (LIFETIME / 2).as_secs();
    let is_right = report::print(&tallies, &api.counts(), most);
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

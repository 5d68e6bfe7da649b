//! A million requests while everything goes wrong: connections drop before and after a rotation, token endpoints fail,
//! drip and stall, tokens are revoked and expire, and callers go away at any moment.
//!
//! `cargo run --release --example soak` takes some minutes and needs nothing but this machine. It sends them through real
//! clients to servers of all four APIs, accounts for each of them, and ends with a failure if a single figure is wrong:
//! a request that nothing explains, a lost session, a refresh token spent twice, memory that grows.
//!
//! `--requests N` (or just `N`) sends as many, `--seed N` repeats the draws of a run.

#[path = "soak/account.rs"]
mod account;
#[path = "soak/args.rs"]
mod args;
#[path = "soak/fault.rs"]
mod fault;
#[path = "soak/line.rs"]
mod line;
#[path = "loopback/mod.rs"]
mod loopback;
#[path = "soak/memory.rs"]
mod memory;
#[path = "soak/plan.rs"]
mod plan;
#[path = "soak/report.rs"]
mod report;
#[path = "soak/request.rs"]
mod request;
#[path = "soak/run.rs"]
mod run;
#[path = "soak/scenes.rs"]
mod scenes;
#[path = "soak/sentry.rs"]
mod sentry;
#[path = "soak/trip.rs"]
mod trip;
#[path = "soak/witness.rs"]
mod witness;

use std::{process::ExitCode, time::Duration};

use fastrand::Rng;
use tower::BoxError;

use args::Args;
use memory::Memory;
use plan::Batch;
use report::Progress;
use run::Run;

/// How long a batch may take; they take a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
#[allow(clippy::disallowed_methods, reason = "a run that hangs has failed")]
async fn main() -> Result<ExitCode, BoxError> {
    let Args { requests, seed } = Args::read(std::env::args().skip(1))?;
    println!("{requests} requests; --seed {seed} repeats what is drawn");
    let mut rng = Rng::with_seed(seed);
    let mut runs = Vec::new();
    for scene in scenes::scenes() {
        runs.push(Run::start(scene, rng.u64(..)).await?);
    }
    // Small enough that a short run sees everything, too.
    let size = (requests / 2_000).clamp(50, 500);
    let (mut next, mut memory, mut progress) = (0, Memory::default(), Progress::begin());
    while next < requests {
        for run in &mut runs {
            let batch = Batch::draw(&mut rng, size);
            tokio::time::timeout(PATIENCE, run.batch(&batch, &mut rng, &mut next)).await??;
            memory.sample(next as f64 / requests as f64);
            progress.tell(next, requests);
        }
    }
    for run in &mut runs {
        tokio::time::timeout(PATIENCE, run.last(&mut next)).await??;
    }
    let right = report::print(&runs, &memory, progress.passed());
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

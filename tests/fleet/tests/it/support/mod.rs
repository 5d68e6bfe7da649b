//! A fleet, its servers, its stores, and the figures of a test.

mod disk;
mod figures;
mod fleet;
mod folder;
mod hearing;
mod ledger;
mod process;
mod redis;
#[allow(dead_code, reason = "shared with the tests of other stacks, which need more of it")]
#[path = "../../../../stacks/tests/it/support/serve.rs"]
mod serve;
mod server;
mod store;
mod tally;
mod trace;

pub use self::{
    figures::{Figures, figures, scale},
    fleet::{Fleet, Limits, Login},
    ledger::Counts,
    redis::Outage,
    server::Server,
    store::Store,
    trace::Call,
};

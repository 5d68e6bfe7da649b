//! Several processes on one store, against a real authorization server. Each test prints one line of figures.
//!
//! `FLEET=full` runs 200 expiries and 100 kills in the place of 20 and 10.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and clippy knows only the test functions themselves, not their helpers"
)]
#![allow(clippy::disallowed_methods, reason = "the rules are the library's; real processes live in real time")]
#![allow(unreachable_pub, reason = "nothing outside of a test binary reaches anything in it")]

mod defaults;
mod disks;
mod flushes;
mod kills;
mod outages;
mod stalls;
mod steady;
mod support;
mod syncs;

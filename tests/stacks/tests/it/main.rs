//! The layer between real clients and real servers.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and clippy knows only the test functions themselves, not their helpers"
)]
#![allow(unreachable_pub, reason = "nothing outside of a test binary reaches anything in it")]

mod axum;
mod gateway;
mod hardening;
mod redis_store;
mod reqwest;
mod reqwest_middleware;
mod support;
mod tonic;

//! The contract.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and clippy knows only the test functions themselves, not their helpers"
)]
#![allow(unreachable_pub, reason = "nothing outside of a test binary reaches anything in it")]

mod auto_traits;
mod bad_nights;
mod cancellation;
mod clocks;
mod conformance;
mod contract_table;
mod corrections;
mod early_ends;
mod elsewhere;
mod failure_classes;
mod failures;
mod file_store;
mod first_token;
mod flights;
mod hardening;
mod keeper;
#[path = "../../examples/loopback/mod.rs"]
mod loopback;
mod loopback_servers;
mod memory_store;
mod model;
mod nested;
mod opting;
mod origins;
mod outside;
mod per_request;
mod policy;
mod providers;
mod redirects;
mod rejection;
mod replay_body;
mod scene;
mod secrets;
mod serve_expired;
mod spending;
mod store_conformance;
mod stores;
mod streams;
mod support;
mod test_util;
mod tower_contract;
mod two_users;
mod windows;
mod wire;

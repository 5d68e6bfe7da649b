//! The contract.

#[path = "../../examples/loopback/mod.rs"]
mod loopback;
mod loopback_servers;

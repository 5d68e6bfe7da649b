//! The store for fleets, each test with a Redis server of its own: a private process on a free port.

mod access;
mod encryption;
mod failover;
mod foreign;
mod hostile;
mod leases;
mod lifetimes;
mod news;
mod outages;
pub mod scene;
pub mod server;
mod sharing;
mod swaps;
mod switch;

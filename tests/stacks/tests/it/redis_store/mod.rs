//! The store for fleets, each test with a Redis server of its own: a private process on a free port.

mod access;
mod dropped;
mod encryption;
mod failover;
mod foreign;
mod hostile;
mod leases;
mod lifetimes;
mod many;
mod news;
mod outages;
pub mod scene;
pub mod server;
mod sharing;
mod slow;
mod swaps;
mod switch;

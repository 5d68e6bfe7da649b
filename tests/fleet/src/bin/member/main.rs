//! One process of the fleet: a session on a shared store, and requests to the API all the time.
//!
//! ```text
//! member <server> login|no-login <settings> file <path>
//! member <server> login|no-login <settings> redis <url> <name> [<lease>]
//! ```
//!
//! The settings are `defaults`, or `within <flight deadline> <store timeout>`. Times are in milliseconds. It does what its standard input tells it, says on its standard output what happens, and ends with its standard input.

#![allow(clippy::disallowed_methods, reason = "the rules are the library's; this is an application, in real time")]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a process of a test ends with its message")]

mod args;
mod attach;
mod points;
mod stdio;
mod store;
mod traffic;
mod transport;

use fleet::{Command, Event};
use tower::{BoxError, Layer};
use tower_auth_refresh::AuthRefreshLayer;

use crate::{args::Args, points::Points, traffic::Traffic};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut commands = stdio::commands();
    let args = Args::read()?;
    let api = args.server.clone();
    let points = Points::default();
    let session = attach::session(args, &points)?;
    let client = AuthRefreshLayer::new(session.clone()).layer(transport::timed());
    tokio::spawn(stdio::follow(session.subscribe()));
    let traffic = Traffic::start(client, api);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Serve => traffic.serve(),
            Command::Arm(point) => points.arm(point),
            Command::Disarm => points.disarm(),
            Command::Report => stdio::say(&Event::Report(traffic.report())),
        }
    }
    Ok(())
}

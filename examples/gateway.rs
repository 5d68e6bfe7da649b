//! A reverse proxy that signs its upstream calls in: put it beside a program in any language, and the program calls the
//! API as if it needed no login.
//!
//! `cargo run --release --example gateway --features gateway -- --config gateway.toml`; the README's section "Gateway" has
//! the keys of the configuration, and how to try it without an account.
//!
//! **The listener acts with somebody's rights.** Whoever can connect to it can do at the API what the configured account
//! can. Let it listen on a loopback address, or behind something that knows its callers. What a browser sends from another
//! site is refused, and so is a `Host` that is neither the listener's address nor `localhost` nor in `hosts`: without that,
//! any web page could call the API through it.
//!
//! # What passes, and how
//! - Method, path, query, headers and body go to the upstream as they came, streamed; its answer comes back the same way.
//!   A path in `upstream` goes before each request's own. `Host` becomes the upstream's, hop-by-hop headers stay behind,
//!   `Via` is added, both ways, and a cookie that HTTP/2 brings in pieces is put together. Nothing is decompressed, followed
//!   or cached.
//! - A client that goes away ends its upstream call, and never a login or refresh.
//! - A request that brings the header in which the token would travel (`Authorization`, mostly) keeps its own.
//! - A rejected request is sent again once, if no more of its body than `replay_body` had to be kept. If no new token can be
//!   had, the upstream's own answer stays as it is.
//! - `CONNECT` and WebSockets are refused (501). Other upgrades are passed over, as offers may be.
//! - `/-/status` is the gateway's own, by GET and HEAD; everything else behind `/-/` is 404.
//!
//! # What outlives it
//! Nothing, with `kind = "memory"` in `[store]`. With `file` and `redis` the token set does, and gateways with the same file, or
//! the same `key` on a Redis server, are signed in once: one of them logs in or refreshes, and the others take its token
//! set. What is stored wins over `token`. A set that could not be stored is used all the same, and tried again; until
//! then `unsaved` is `true` in `/-/status`, and no single-use refresh token is spent.
//!
//! # How it ends
//! SIGTERM and SIGINT drain: no new connections, the rest is served to its end, a running login or refresh is waited for,
//! and its token set is stored. A store that goes on failing is given up after some seconds. A second signal ends it at once.
//! Exit codes: 0, 1 for a failure or a token set that could not be stored, and 2 with one line on stderr that names the
//! key for a configuration that will not do, or a store that it names.

#[path = "gateway/mod.rs"]
mod gateway;

use std::process::ExitCode;

use gateway::{Config, Failure, args, log};

fn main() -> ExitCode {
    let failure = match args::read() {
        Ok(None) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Some(path)) => log::start().and_then(|()| Config::read(&path)).map_err(Failure::from).and_then(run).err(),
        Err(bad) => Some(bad.into()),
    };
    match failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            eprintln!("gateway: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// On all processors: the proxy is the whole program.
fn run(config: Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::Io("no runtime", error))?.block_on(gateway::run(config))
}

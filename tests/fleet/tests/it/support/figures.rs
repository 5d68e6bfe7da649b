//! How much is done, and what came of it.

use std::{env, fmt, time::Duration};

use super::{Counts, Fleet, Server, tally::Requests};

/// How often things happen.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub processes: usize,
    pub expiries: usize,
    pub kills: usize,
}

/// A part of the full figures, or all of them with `FLEET=full`.
pub fn scale() -> Scale {
    match env::var("FLEET").as_deref() {
        Ok("full") => Scale { processes: 8, expiries: 200, kills: 100 },
        Ok(other) => panic!("FLEET is `full` or absent, not {other}"),
        Err(_) => Scale { processes: 8, expiries: 20, kills: 10 },
    }
}

/// What is left to count when a test is done.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub counts: Counts,
    pub ok: u64,
    pub failed: u64,
    /// For how long a process had no token at a time, and over the whole test: the one that lacked it the most, and all.
    pub longest: Duration,
    pub most: Duration,
    pub lacked: Duration,
}

/// Counts, and prints the line.
pub async fn figures(what: &str, server: &Server, fleet: &mut Fleet) -> Figures {
    fleet.report().await;
    let Requests { ok, failed, longest, lacked, .. } = fleet.total().sum();
    let figures = Figures { counts: server.counts(), ok, failed, longest, most: fleet.total().most(), lacked };
    println!("{what}: {figures}");
    figures
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, ok, failed, longest, most, lacked } = self;
        let Counts { logins, refreshes, refused, double_spent, rejected, .. } = counts;
        write!(
            f,
            "{} token calls ({logins} logins, {refreshes} refreshes), {refused} refused, {double_spent} double-spent; \
             {ok} requests, {rejected} rejected, {failed} failed; {:.3} s without a token at a time at most, {:.3} s in all \
             by one process at most, {:.3} s by all of them",
            logins + refreshes,
            longest.as_secs_f64(),
            most.as_secs_f64(),
            lacked.as_secs_f64(),
        )
    }
}

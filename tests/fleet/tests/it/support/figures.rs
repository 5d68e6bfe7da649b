//! How much is done, and what came of it.

use std::{env, fmt, time::Duration};

use fleet::Report;

use super::{Counts, Fleet, Server};

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
    /// The longest time without a token.
    pub longest: Duration,
}

/// Counts, and prints the line.
pub async fn figures(what: &str, server: &Server, fleet: &mut Fleet) -> Figures {
    fleet.report().await;
    let Report { ok, failed, longest, .. } = fleet.total();
    let figures = Figures { counts: server.counts(), ok, failed, longest };
    println!("{what}: {figures}");
    figures
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, ok, failed, longest } = self;
        let Counts { logins, refreshes, refused, double_spent, rejected, .. } = counts;
        write!(
            f,
            "{} token calls ({logins} logins, {refreshes} refreshes), {refused} refused, {double_spent} double-spent; \
             {ok} requests, {rejected} rejected, {failed} failed; {:.3} s without a token at most",
            logins + refreshes,
            longest.as_secs_f64(),
        )
    }
}

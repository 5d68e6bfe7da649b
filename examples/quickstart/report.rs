//! The lines and the table on the terminal.

use std::time::Duration;

use tower::BoxError;

use crate::{
    Protocol,
    loopback::Counts,
    rounds::{AT_ONCE, Expected, Round, Seen},
};

/// One line of the table: what became of one API in all rounds.
pub(crate) struct Row {
    name: &'static str,
    protocol: &'static str,
    requests: usize,
    answered: u64,
    logins: u64,
    refreshes: u64,
    replays: u64,
    double_spent: u64,
    took: Duration,
    is_right: bool,
}

impl Row {
    pub(crate) fn new(name: &'static str, protocol: Protocol) -> Self {
        let protocol = match protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        };
        println!("\n{name} over {protocol}");
        Self {
            name,
            protocol,
            requests: 0,
            answered: 0,
            logins: 0,
            refreshes: 0,
            replays: 0,
            double_spent: 0,
            took: Duration::ZERO,
            is_right: true,
        }
    }

    /// Adds a round, and tells about it.
    pub(crate) fn add(
        &mut self,
        round: Round,
        seen: Seen,
        expected: &Expected,
        error: Option<BoxError>,
        took: Duration,
    ) {
        let Counts { logins, refreshes, double_spent, .. } = seen.counts;
        self.requests += AT_ONCE;
        self.answered += seen.answered;
        self.logins += logins;
        self.refreshes += refreshes;
        self.replays += seen.replays();
        self.double_spent += double_spent;
        self.took += took;
        println!(
            "  {:<21}  {} of {AT_ONCE} answered, {logins} logins, {refreshes} refreshes, {:>3} replays, {:>4} ms",
            round.name(),
            seen.answered,
            seen.replays(),
            took.as_millis(),
        );
        for wrong in seen.wrong(expected) {
            self.is_right = false;
            println!("    WRONG: {wrong}");
        }
        if let Some(error) = error {
            println!("    the first error: {error}");
        }
    }

    pub(crate) fn is_right(&self) -> bool {
        self.is_right
    }
}

/// Prints the table, and what each of its columns proves.
pub(crate) fn print(rows: &[Row]) {
    const RULE: &str =
        "----------------------------------------------------------------------------------------------------";
    println!("\n{RULE}");
    println!(
        "{:<16} {:<8} {:>8} {:>12} {:>6} {:>9} {:>7} {:>12} {:>8}  ",
        "API", "over", "requests", "answered 2xx", "logins", "refreshes", "replays", "double-spent", "time"
    );
    println!("{RULE}");
    for row in rows {
        println!(
            "{:<16} {:<8} {:>8} {:>12} {:>6} {:>9} {:>7} {:>12} {:>5} ms  {}",
            row.name,
            row.protocol,
            row.requests,
            row.answered,
            row.logins,
            row.refreshes,
            row.replays,
            row.double_spent,
            row.took.as_millis(),
            if row.is_right { "" } else { "WRONG" },
        );
    }
    println!("{RULE}");
    println!("{PROOF}");
    match rows.iter().filter(|row| !row.is_right).count() {
        0 => println!("All figures are exactly as expected."),
        wrong => println!("{wrong} of {} APIs have a wrong figure; see above.", rows.len()),
    }
}

const PROOF: &str = "
requests      what the callers sent, 500 at once: none of them knows anything about tokens.
answered 2xx  each caller got 2xx, an envelope that says success, and its own request back: no token's end was seen.
logins        one for the first token, and one for each end after which an API renews nothing: 500 callers share it.
refreshes     one for each token that fell due, expired or was revoked, not one for each request that noticed.
replays       requests that the server refused and the layer sent again, once each: none unless a token ended early.
double-spent  refresh tokens presented a second time: a single one would have ended the whole session.
time          of this machine, for days of the servers' clocks.
";

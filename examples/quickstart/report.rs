//! The lines and the table on the terminal.

use std::time::Duration;

use crate::{
    Protocol,
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
    age: Duration,
    took: Duration,
    is_right: bool,
}

impl Row {
    /// Announces an API.
    pub(crate) fn begin(name: &'static str, protocol: Protocol) -> Self {
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
            age: Duration::ZERO,
            took: Duration::ZERO,
            is_right: true,
        }
    }

    /// Adds a round, and tells about it.
    pub(crate) fn add(&mut self, round: Round, seen: &Seen, expected: &Expected) {
        self.requests += AT_ONCE;
        self.answered += seen.answered;
        self.logins += seen.counts.logins;
        self.refreshes += seen.counts.refreshes;
        self.replays += seen.replays();
        self.double_spent += seen.counts.double_spent;
        self.age = seen.age;
        self.took += seen.took;
        println!(
            "  {:>9}  {:<21}  {} of {AT_ONCE} answered   logins {}   refreshes {}   replays {:>3}   {:>5} ms",
            passed(seen.age),
            round.name(),
            seen.answered,
            seen.counts.logins,
            seen.counts.refreshes,
            seen.replays(),
            seen.took.as_millis(),
        );
        for wrong in seen.wrong(expected) {
            self.is_right = false;
            println!("    WRONG: {wrong}");
        }
        if let Some(error) = &seen.error {
            println!("    the first error: {error}");
        }
    }

    pub(crate) fn is_right(&self) -> bool {
        self.is_right
    }
}

/// Prints the table, and what each of its columns proves.
pub(crate) fn print(rows: &[Row]) {
    println!("\n{HEAD}");
    for row in rows {
        println!(
            "{:<16} {:<8} {:>8} {:>12} {:>6} {:>9} {:>7} {:>12} {:>9} {:>5} ms{}",
            row.name,
            row.protocol,
            row.requests,
            row.answered,
            row.logins,
            row.refreshes,
            row.replays,
            row.double_spent,
            passed(row.age),
            row.took.as_millis(),
            if row.is_right { "" } else { "  WRONG" },
        );
    }
    println!("{PROOF}");
    match rows.iter().filter(|row| !row.is_right).count() {
        0 => println!("All figures are as they must be."),
        wrong => println!("{wrong} of {} APIs have a wrong figure; see above.", rows.len()),
    }
}

/// Days, hours and minutes.
fn passed(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    format!("{}d {:02}:{:02}", minutes / (24 * 60), minutes / 60 % 24, minutes % 60)
}

const HEAD: &str = "\
API              over     requests answered 2xx logins refreshes replays double-spent     clock     time
---------------- -------- -------- ------------ ------ --------- ------- ------------ --------- --------";

const PROOF: &str = "
requests      What callers who know nothing about tokens sent, 500 at once. The server answers none before all of them
              have arrived; over HTTP/1.1, before there is one on each of the 64 connections.
answered 2xx  Each got 2xx, an envelope that says success, and its own request back: nobody saw a token end.
logins        One for the first token, and one for each end after which the API renews nothing: 500 callers share it.
refreshes     One for each token that fell due, expired or was revoked, not one for each request that noticed.
replays       Requests that the server refused and the layer sent again, once each: as many as it refused, and none
              unless a token ended early: revoked, or (FashionWorld) ended by its own renewal.
double-spent  Refresh tokens or key pairs that were spent twice. A single one could have ended the session.
clock, time   What passed on the server's clock, and how long this machine took for it.

Past the soft point of its life a token is still used while its successor is fetched; past the hard point requests wait
for the successor.
";

//! The lines and the table on the terminal.

use std::{
    io::{IsTerminal, Write},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tower_auth_refresh::clock::{Clock, SystemClock};

use crate::{
    fault::Fault,
    memory::{BOUND, Memory},
    run::Run,
    trip::Stage,
};

/// How far the run is, at most once a second and only where somebody looks.
pub(crate) struct Progress {
    started: Instant,
    told: Duration,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        Self { started: now(), told: Duration::ZERO }
    }

    pub(crate) fn tell(&mut self, done: u64, all: u64) {
        let passed = self.passed();
        if passed < self.told + Duration::from_secs(1) || !std::io::stdout().is_terminal() {
            return;
        }
        self.told = passed;
        print!("\r{done} of {all} requests after {} s ", passed.as_secs());
        let _ = std::io::stdout().flush();
    }

    pub(crate) fn passed(&self) -> Duration {
        now() - self.started
    }
}

fn now() -> Instant {
    SystemClock::new().now().monotonic
}

/// Prints the tables and the verdict; whether all is right.
pub(crate) fn print(runs: &[Run], memory: &Memory, took: Duration) -> bool {
    println!("\r{HEAD}");
    for run in runs {
        row(run);
    }
    println!("{PROOF}");
    println!("injected at the token endpoints:");
    faults(runs, &Fault::TOKEN);
    println!("injected at the APIs:");
    faults(runs, &Fault::API);
    println!("cancelled:");
    for stage in Stage::ALL {
        let all: u64 = runs.iter().filter_map(|run| run.account.cancelled.get(&stage)).sum();
        println!("  {:<30} {all:>8}", stage.name());
    }
    let together: u64 = runs.iter().map(|run| run.account.together).sum();
    println!("  {:<30} {together:>8}", "of these, right after a grant");
    let held: u64 = runs.iter().map(|run| run.watch.held.load(Ordering::Relaxed)).sum();
    println!("held: {held} requests came while a rejected token was being replaced; none may leave with it.");
    let flat = print_memory(memory);
    let requests: u64 = runs.iter().map(|run| run.account.requests).sum();
    println!("\n{requests} requests in {} s", took.as_secs());

    let wrong: Vec<_> = runs.iter().flat_map(|run| run.account.wrong.iter().map(move |text| (run, text))).collect();
    for (run, text) in wrong.iter().take(20) {
        println!("WRONG: {}, {}: {text}", run.scene.name, login(run));
    }
    match wrong.len() {
        0 if flat => println!("All figures are as they must be."),
        0 => println!("The memory is not flat."),
        wrong => println!("{wrong} figures are wrong."),
    }
    wrong.is_empty() && flat
}

fn row(run: &Run) {
    let (account, counts) = (&run.account, run.api.counts());
    let passed = run.clock.wall().duration_since(run.started).unwrap_or_default();
    println!(
        "{:<12} {:<8} {:<7} {:>8} {:>8} {:>6} {:>7} {:>8} {:>8} {:>9} {:>6} {:>9} {:>7} {:>5} {:>6} {:>8} {:>6}d{}",
        run.scene.name,
        run.scene.protocol.name(),
        login(run),
        account.requests,
        account.accepted,
        account.failed,
        account.broken,
        account.rejected,
        account.no_token,
        account.cancelled(),
        counts.logins,
        counts.refreshes,
        account.replays,
        account.ended,
        counts.double_spent,
        run.watch.sent_bad.load(Ordering::Relaxed),
        passed.as_secs() / (24 * 3600),
        if account.wrong.is_empty() { "" } else { "  WRONG" },
    );
}

fn login(run: &Run) -> &'static str {
    if run.scene.logs_in { "login" } else { "no login" }
}

fn faults(runs: &[Run], kinds: &[Fault]) {
    for fault in kinds {
        let all: u64 = runs.iter().map(|run| run.witness.faults(*fault)).sum();
        println!("  {:<30} {all:>8}", fault.name());
    }
}

fn print_memory(memory: &Memory) -> bool {
    let Some((warm, end)) = memory.measured() else {
        println!("memory: not measured");
        return true;
    };
    let flat = end <= warm + BOUND;
    let verdict = if flat { "" } else { "  WRONG" };
    println!("memory: {warm} KiB after the warm-up, {end} KiB at the end, at most {BOUND} KiB more{verdict}");
    flat
}

const HEAD: &str = "
                                                                              no
API          over     session   requests      2xx    500  broken rejected    token cancelled logins refreshes replays ended  twice sent bad   clock
------------ -------- -------- --------- -------- ------ ------- -------- -------- --------- ------ --------- ------- ----- ------ -------- -------";

const PROOF: &str = "
requests   What callers asked for, each accounted for by itself: what its caller saw is what its server did.
2xx        2xx, an envelope that says success, and the caller's own request in it.
500        The API's own errors, handed through: as many as were injected and not cancelled.
broken     Likewise connections that the API dropped.
rejected   Rejections handed back: the token could not be renewed in an outage, or was revoked again before the replay.
no token   Errors of the session, each in an outage of the kind that the error names.
cancelled  Dropped by their callers, who are told nothing and must harm nobody.
logins     With \"no login\" they are the user's, who signs in first and after each end of a session.
ended      Sessions that only a user's sign-in brings back. With a login: none. Without: one for each rotation whose
           answer was lost, when its token has been presented once more and refused; that is the one under \"twice\".
sent bad   Requests that left with a token known to be bad while its successor was fetched.
";

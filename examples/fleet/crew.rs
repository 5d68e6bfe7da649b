//! The processes, seen from the one that starts them.

use std::{
    io::{self, BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    thread::JoinHandle,
    time::Instant,
};

use tower::BoxError;
use tower_auth_refresh::clock::{Clock, SystemClock};

use crate::{args::PROCESS, news::News};

pub(crate) struct Crew(Vec<(Child, JoinHandle<Result<Tally, String>>)>);

/// What one process has told.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) fetched: u64,
    pub(crate) taken_over: u64,
    /// The last token set that it knows of.
    pub(crate) generation: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
}

impl Crew {
    /// Starts this program so many times, with these words.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(processes: usize, words: [String; 3]) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let began = SystemClock::new().now().monotonic;
        let members = (1..=processes).map(|number| {
            let mut command = Command::new(&program);
            // Whose input ends with this process, and it with that.
            command.arg(PROCESS).args(&words).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut process = command.spawn()?;
            let lines = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            Ok((process, std::thread::spawn(move || listen(number, lines, began))))
        });
        Ok(Self(members.collect::<io::Result<_>>()?))
    }

    /// Has them end, and says what they have told.
    ///
    /// # Errors
    /// When one of them has failed.
    pub(crate) fn finish(mut self) -> Result<Vec<Tally>, BoxError> {
        for (process, _) in &mut self.0 {
            drop(process.stdin.take());
        }
        let ended = self.0.into_iter().map(|(mut process, listening)| {
            let tally = listening.join().map_err(|_| "a thread has panicked")??;
            if process.wait()?.success() { Ok(tally) } else { Err("a process has failed".into()) }
        });
        ended.collect()
    }
}

/// Prints what a process tells, and counts.
fn listen(number: usize, lines: ChildStdout, began: Instant) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let news: News = line.parse()?;
        let passed = SystemClock::new().now().monotonic - began;
        println!("{:5.1} s  process {number} {news}", passed.as_secs_f64());
        match news {
            News::Fetched { generation } => (tally.fetched, tally.generation) = (tally.fetched + 1, generation),
            News::TookOver { generation } => (tally.taken_over, tally.generation) = (tally.taken_over + 1, generation),
            News::Done { answered, failed } => (tally.answered, tally.failed) = (answered, failed),
        }
    }
    Ok(tally)
}

//! What the processes say, in one row.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use fleet::Event;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::ChildStdout,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

use super::{
    process::{Process, patiently},
    tally::{Requests, Tally},
};

pub struct Hearing {
    /// `None` when a process says no more.
    lines: UnboundedReceiver<(usize, Option<Event>)>,
    said: UnboundedSender<(usize, Option<Event>)>,
    /// The requests since the last report, and all of them.
    recent: Tally,
    all: Tally,
    /// The number of the last lease of each process.
    leases: BTreeMap<usize, u64>,
    /// What they have said, and when: a test that fails prints the end of it, and before it the first failures.
    log: VecDeque<(Duration, usize, Event)>,
    failures: Vec<(Duration, usize, Event)>,
    began: Instant,
}

/// How many events are kept.
const LONGEST_LOG: usize = 100;
const MOST_FAILURES: usize = 20;

impl Hearing {
    pub fn new() -> Self {
        let (said, lines) = mpsc::unbounded_channel();
        Self {
            lines,
            said,
            recent: Tally::default(),
            all: Tally::default(),
            leases: BTreeMap::new(),
            log: VecDeque::new(),
            failures: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Listens to one more process.
    pub fn follow(&self, number: usize, stdout: ChildStdout) {
        let (mut lines, said) = (BufReader::new(stdout).lines(), self.said.clone());
        // It ends with the process's output.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if said.send((number, Some(line.parse().unwrap()))).is_err() {
                    return;
                }
            }
            // The receiver is gone only when the test is over.
            let _ = said.send((number, None));
        });
    }

    pub async fn next(&mut self) -> (usize, Event) {
        loop {
            if let (number, Some(event)) = self.line().await {
                return (number, event);
            }
        }
    }

    /// Hears a process that is gone to its end.
    pub async fn hear_out(&mut self, number: usize) {
        let heard_out = async { while self.line().await != (number, None) {} };
        patiently("the end of what a process has said", heard_out).await;
    }

    /// The number of a process's last lease, as far as it has said so.
    pub fn lease(&self, number: usize) -> Option<u64> {
        self.leases.get(&number).copied()
    }

    /// The requests since the last time.
    pub fn recent(&mut self) -> Requests {
        std::mem::take(&mut self.recent).sum()
    }

    /// All of them.
    pub fn all(&self) -> &Tally {
        &self.all
    }

    async fn line(&mut self) -> (usize, Option<Event>) {
        // `said` keeps the channel open.
        let (number, event) = self.lines.recv().await.unwrap();
        if let Some(event) = &event {
            self.note(number, event);
        }
        (number, event)
    }

    fn note(&mut self, number: usize, event: &Event) {
        self.recent.note(number, event);
        self.all.note(number, event);
        if let Event::Lease(lease) = event {
            self.leases.insert(number, *lease);
        }
        if self.log.len() == LONGEST_LOG {
            self.log.pop_front();
        }
        let said = (self.began.elapsed(), number, event.clone());
        if matches!(event, Event::Failed(_)) && self.failures.len() < MOST_FAILURES {
            self.failures.push(said.clone());
        }
        self.log.push_back(said);
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (when, number, event) in self.failures.iter().chain(&self.log) {
                eprintln!("{:8.3} {number}: {event}", when.as_secs_f64());
            }
        }
    }
}

#[tokio::test]
async fn what_a_process_has_said_before_it_was_killed_is_heard() {
    let script = r"printf 'failed one\nfailed other\nlacked 7\nlease 8\nreport 3 0\n'; exec sleep 60";
    let (mut process, mut hearing) = (Process::start(["sh", "-c", script]), Hearing::new());
    hearing.follow(0, process.stdout());
    // What is written at once is there at once.
    assert_eq!(hearing.next().await, (0, Event::Failed("one".to_owned())));
    process.kill().await;
    hearing.hear_out(0).await;
    let Requests { ok, failed, lacked, longest, .. } = hearing.recent();
    let seven = Duration::from_millis(7);
    assert_eq!((ok, failed, lacked, longest, hearing.lease(0)), (3, 2, seven, seven, Some(8)));
    assert_eq!((hearing.recent().failed, hearing.all().sum().failed), (0, 2));
}

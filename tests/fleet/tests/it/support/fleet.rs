//! Several processes on one store.

use std::{collections::BTreeSet, time::Duration};

use fleet::{Command, Event, Point, Report};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::ChildStdin,
    sync::{
        Mutex, MutexGuard,
        mpsc::{self, UnboundedReceiver, UnboundedSender},
    },
};

use super::{
    Server, Store,
    process::{Process, patiently},
};

/// The processes, by numbers that are not used again.
pub struct Fleet {
    args: Vec<String>,
    members: Vec<Member>,
    started: usize,
    events: UnboundedReceiver<(usize, Event)>,
    said: UnboundedSender<(usize, Event)>,
    total: Report,
    /// Why requests have failed, for the message of a test that fails.
    failures: Vec<String>,
    _turn: MutexGuard<'static, ()>,
}

/// Whether the provider can log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    Can,
    Cannot,
}

struct Member {
    number: usize,
    process: Process,
    stdin: ChildStdin,
    is_stopped: bool,
}

/// One fleet at a time: what they measure is time.
static TURN: Mutex<()> = Mutex::const_new(());

impl Fleet {
    /// Starts so many processes; back when each of them has a token.
    pub async fn start(size: usize, server: &Server, store: &Store, login: Login) -> Self {
        let login = if login == Login::Can { "login" } else { "no-login" };
        let args = [server.url(), login.to_owned()].into_iter().chain(store.args()).collect();
        let (said, events) = mpsc::unbounded_channel();
        let mut fleet = Self {
            args,
            members: Vec::new(),
            started: 0,
            events,
            said,
            total: Report::default(),
            failures: Vec::new(),
            _turn: TURN.lock().await,
        };
        for _ in 0..size {
            fleet.join();
        }
        fleet.serve().await;
        fleet
    }

    /// Starts one more process.
    pub fn join(&mut self) {
        let number = self.started;
        self.started += 1;
        let mut process = Process::start(env!("CARGO_BIN_EXE_member"), &self.args);
        let mut lines = BufReader::new(process.stdout()).lines();
        let said = self.said.clone();
        // It ends with the process's output.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if said.send((number, line.parse().unwrap())).is_err() {
                    return;
                }
            }
        });
        let stdin = process.stdin();
        self.members.push(Member { number, process, stdin, is_stopped: false });
    }

    /// Waits until every process that is not stopped has had good answers to requests that began after this.
    pub async fn serve(&mut self) {
        let mut missing = self.tell(Command::Serve).await;
        while !missing.is_empty() {
            if let (number, Event::Served) = self.next("every process has a token").await {
                missing.remove(&number);
            }
        }
    }

    /// Ends the access token; back when every process has the next one.
    pub async fn expire(&mut self, server: &Server) {
        server.expire();
        self.serve().await;
    }

    /// Ends the access token, and lets whoever renews it get as far as `point`. It stands there.
    pub async fn catch(&mut self, server: &Server, point: Point) -> usize {
        self.tell(Command::Arm(point)).await;
        server.expire();
        let caught = self.reached(&Event::At(point)).await;
        for member in self.members.iter_mut().filter(|member| member.number != caught) {
            member.tell(Command::Disarm).await;
        }
        caught
    }

    /// Waits until a process says this.
    pub async fn reached(&mut self, awaited: &Event) -> usize {
        loop {
            let (number, event) = self.next(&awaited.to_string()).await;
            if event == *awaited {
                return number;
            }
        }
    }

    /// SIGKILL. What is known of its requests is kept.
    pub async fn kill(&mut self, number: usize) {
        let at = self.members.iter().position(|member| member.number == number).unwrap();
        self.members.remove(at).process.kill().await;
    }

    /// SIGSTOP.
    pub async fn stop(&mut self, number: usize) {
        let member = self.member(number);
        member.is_stopped = true;
        member.process.stop().await;
    }

    /// SIGCONT, and it stands at no point any more.
    pub async fn go_on(&mut self, number: usize) {
        let member = self.member(number);
        member.is_stopped = false;
        member.process.go_on().await;
        member.tell(Command::Disarm).await;
    }

    /// What has become of the requests since the last report, the processes that are stopped left out.
    pub async fn report(&mut self) -> Report {
        let mut sum = Report::default();
        let mut missing = self.tell(Command::Report).await;
        while !missing.is_empty() {
            if let (number, Event::Report(report)) = self.next("reports").await {
                missing.remove(&number);
                add(&mut sum, report);
            }
        }
        add(&mut self.total, sum);
        sum
    }

    /// The sum of all reports so far.
    pub fn total(&self) -> Report {
        self.total
    }

    /// Why requests have failed.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    async fn tell(&mut self, command: Command) -> BTreeSet<usize> {
        let mut told = BTreeSet::new();
        for member in self.members.iter_mut().filter(|member| !member.is_stopped) {
            member.tell(command).await;
            told.insert(member.number);
        }
        told
    }

    async fn next(&mut self, awaited: &str) -> (usize, Event) {
        // `said` keeps the channel open.
        let (number, event) = patiently(awaited, self.events.recv()).await.unwrap();
        if let Event::Failed(why) = &event {
            self.failures.push(format!("{number}: {why}"));
        }
        (number, event)
    }

    fn member(&mut self, number: usize) -> &mut Member {
        self.members.iter_mut().find(|member| member.number == number).unwrap()
    }
}

impl Member {
    async fn tell(&mut self, command: Command) {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }
}

fn add(sum: &mut Report, more: Report) {
    sum.ok += more.ok;
    sum.failed += more.failed;
    sum.longest = Duration::max(sum.longest, more.longest);
}

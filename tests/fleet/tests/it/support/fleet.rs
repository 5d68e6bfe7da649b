//! Several processes on one store.

use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

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
    /// By way of which programs a process is started, and with which words.
    command: (Vec<String>, Vec<String>),
    members: Vec<Member>,
    started: usize,
    events: UnboundedReceiver<(usize, Event)>,
    said: UnboundedSender<(usize, Event)>,
    total: Report,
    /// What the processes have said, and when: a test that fails prints the end of it, and before it the first failures.
    log: VecDeque<(Duration, usize, Event)>,
    failures: Vec<(Duration, usize, Event)>,
    began: Instant,
    _turn: MutexGuard<'static, ()>,
}

/// Whether the provider can log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    Can,
    Cannot,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A login or refresh.
    pub flight: Duration,
    /// A call of the store.
    pub store: Duration,
}

struct Member {
    number: usize,
    process: Process,
    stdin: ChildStdin,
    /// By SIGSTOP: it can be told nothing.
    is_stopped: bool,
    /// It stands at a point, and its requests may wait for that.
    is_caught: bool,
}

/// How many events are kept.
const LONGEST_LOG: usize = 100;
const MOST_FAILURES: usize = 20;

/// One fleet at a time: what they measure is time.
static TURN: Mutex<()> = Mutex::const_new(());

impl Fleet {
    /// Starts so many processes; back when each of them has a token.
    pub async fn start(size: usize, server: &Server, store: &Store, login: Login) -> Self {
        Self::start_within(Limits::default(), size, server, store, login).await
    }

    /// The same with limits of the test's own.
    pub async fn start_within(limits: Limits, size: usize, server: &Server, store: &Store, login: Login) -> Self {
        let login = if login == Login::Can { "login" } else { "no-login" };
        let [flight, call] = [limits.flight, limits.store].map(|limit| limit.as_millis().to_string());
        let words = [env!("CARGO_BIN_EXE_member").to_owned(), server.url(), login.to_owned(), flight, call];
        let words = words.into_iter().chain(store.args()).collect();
        let (said, events) = mpsc::unbounded_channel();
        let mut fleet = Self {
            command: (store.way_in(), words),
            members: Vec::new(),
            started: 0,
            events,
            said,
            total: Report::default(),
            log: VecDeque::new(),
            failures: Vec::new(),
            began: Instant::now(),
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
        let mut process = Process::start_by(&self.command.0, &self.command.1);
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
        self.members.push(Member { number, process, stdin, is_stopped: false, is_caught: false });
    }

    /// Waits until every process that runs has had good answers to requests that began after this.
    pub async fn serve(&mut self) {
        let told = self.tell(Command::Serve, |member| !member.is_caught).await;
        self.answered(told, |event| *event == Event::Served).await;
    }

    /// The same for one process alone.
    pub async fn serve_by(&mut self, number: usize) {
        let told = self.tell(Command::Serve, |member| member.number == number).await;
        self.answered(told, |event| *event == Event::Served).await;
    }

    /// Waits until a request of every process that runs has failed, and says this among the reasons.
    pub async fn all_fail(&mut self, why: &str) {
        let running = self.members.iter().filter(|member| !member.is_stopped && !member.is_caught);
        let running = running.map(|member| member.number).collect();
        self.answered(running, |event| matches!(event, Event::Failed(reasons) if reasons.contains(why))).await;
    }

    /// Ends the access token; back when every process has the next one.
    pub async fn expire(&mut self, server: &Server) {
        server.expire();
        self.serve().await;
    }

    /// Ends the access token, and lets whoever renews it get as far as `point`. It stands there.
    pub async fn catch(&mut self, server: &Server, point: Point) -> usize {
        let armed = self.tell(Command::Arm(point), |_| true).await;
        self.answered(armed, |event| *event == Event::Obeyed).await;
        server.expire();
        let caught = self.reached(&Event::At(point)).await;
        // Nobody else gets there meanwhile: the one that stands there has the lease.
        for other in self.numbers().into_iter().filter(|number| *number != caught) {
            self.disarm(other).await;
        }
        self.member(caught).is_caught = true;
        caught
    }

    /// Lets it go on from where it stands.
    pub async fn disarm(&mut self, number: usize) {
        let member = self.member(number);
        member.is_caught = false;
        member.tell(Command::Disarm).await;
        self.answered(BTreeSet::from([number]), |event| *event == Event::Obeyed).await;
    }

    /// Waits until a process says this.
    pub async fn reached(&mut self, awaited: &Event) -> usize {
        let reached = async {
            loop {
                let (number, event) = self.next().await;
                if event == *awaited {
                    return number;
                }
            }
        };
        patiently(&awaited.to_string(), reached).await
    }

    /// SIGKILL. What is known of its requests is kept.
    pub async fn kill(&mut self, number: usize) {
        let at = self.members.iter().position(|member| member.number == number).unwrap();
        self.members.remove(at).process.kill().await;
    }

    /// Lets it end by itself.
    pub async fn leave(&mut self, number: usize) {
        let at = self.members.iter().position(|member| member.number == number).unwrap();
        let Member { mut process, stdin, .. } = self.members.remove(at);
        drop(stdin);
        process.ends().await;
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
        self.disarm(number).await;
    }

    /// What has become of the requests since the last report, the processes that are stopped left out.
    pub async fn report(&mut self) -> Report {
        let mut sum = Report::default();
        let told = self.tell(Command::Report, |_| true).await;
        self.answered(told, |event| match event {
            Event::Report(report) => {
                add(&mut sum, *report);
                true
            }
            _ => false,
        })
        .await;
        add(&mut self.total, sum);
        sum
    }

    /// The sum of all reports so far.
    pub fn total(&self) -> Report {
        self.total
    }

    async fn tell(&mut self, command: Command, is_meant: impl Fn(&Member) -> bool) -> BTreeSet<usize> {
        let mut told = BTreeSet::new();
        for member in self.members.iter_mut().filter(|member| !member.is_stopped && is_meant(member)) {
            member.tell(command).await;
            told.insert(member.number);
        }
        told
    }

    /// Waits until each of them has said something that is an answer.
    async fn answered(&mut self, mut missing: BTreeSet<usize>, mut is_answer: impl FnMut(&Event) -> bool) {
        let answered = async {
            while !missing.is_empty() {
                let (number, event) = self.next().await;
                if is_answer(&event) {
                    missing.remove(&number);
                }
            }
        };
        patiently("each process says what is awaited", answered).await;
    }

    async fn next(&mut self) -> (usize, Event) {
        // `said` keeps the channel open.
        let (number, event) = self.events.recv().await.unwrap();
        if self.log.len() == LONGEST_LOG {
            self.log.pop_front();
        }
        let said = (self.began.elapsed(), number, event.clone());
        if matches!(event, Event::Failed(_)) && self.failures.len() < MOST_FAILURES {
            self.failures.push(said.clone());
        }
        self.log.push_back(said);
        (number, event)
    }

    fn numbers(&self) -> BTreeSet<usize> {
        self.members.iter().map(|member| member.number).collect()
    }

    fn member(&mut self, number: usize) -> &mut Member {
        self.members.iter_mut().find(|member| member.number == number).unwrap()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (when, number, event) in self.failures.iter().chain(&self.log) {
                eprintln!("{:8.3} {number}: {event}", when.as_secs_f64());
            }
        }
    }
}

impl Default for Limits {
    /// Those of the crate.
    fn default() -> Self {
        Self { flight: Duration::from_secs(30), store: Duration::from_secs(3) }
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

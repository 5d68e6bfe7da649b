//! Several processes on one store.

use std::{collections::BTreeSet, time::Duration};

use fleet::{Command, Event, Point};
use tokio::{
    io::AsyncWriteExt,
    process::ChildStdin,
    sync::{Semaphore, SemaphorePermit},
};

use super::{
    Server, Store,
    hearing::Hearing,
    process::{Process, patiently},
    tally::{Requests, Tally},
};

/// The processes, by numbers that are not used again.
pub struct Fleet {
    /// By way of which programs a process is started, and with which words.
    command: (Vec<String>, Vec<String>),
    members: Vec<Member>,
    started: usize,
    heard: Hearing,
    _room: Option<SemaphorePermit<'static>>,
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

/// How many processes run at a time, for what they measure is time: one large fleet, or two small ones that mostly wait. But for
/// those that have nothing to do for most of their time.
const PLACES: u32 = 8;
static ROOM: Semaphore = Semaphore::const_new(PLACES as usize);

impl Fleet {
    /// Starts so many processes; back when each of them has a token.
    pub async fn start(size: usize, server: &Server, store: &Store, login: Login) -> Self {
        Self::start_within(Limits::default(), size, server, store, login).await
    }

    /// The same with limits of the test's own.
    pub async fn start_within(limits: Limits, size: usize, server: &Server, store: &Store, login: Login) -> Self {
        let [flight, call] = [limits.flight, limits.store].map(|limit| limit.as_millis().to_string());
        let room = ROOM.acquire_many(PLACES.min(size.try_into().unwrap())).await.unwrap();
        Self::start_with(vec!["within".to_owned(), flight, call], Some(room), size, server, store, login).await
    }

    /// The same with the settings that a session has by default, beside other fleets: whoever waits for a lease of the
    /// default length is in nobody's way.
    pub async fn start_with_defaults(size: usize, server: &Server, store: &Store, login: Login) -> Self {
        Self::start_with(vec!["defaults".to_owned()], None, size, server, store, login).await
    }

    async fn start_with(
        settings: Vec<String>,
        room: Option<SemaphorePermit<'static>>,
        size: usize,
        server: &Server,
        store: &Store,
        login: Login,
    ) -> Self {
        let login = if login == Login::Can { "login" } else { "no-login" };
        let words = [env!("CARGO_BIN_EXE_member").to_owned(), server.url(), login.to_owned()];
        let words = words.into_iter().chain(settings).chain(store.args()).collect();
        let command = (store.way_in(), words);
        let mut fleet = Self { command, members: Vec::new(), started: 0, heard: Hearing::new(), _room: room };
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
        self.heard.follow(number, process.stdout());
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
                let (number, event) = self.heard.next().await;
                if event == *awaited {
                    return number;
                }
            }
        };
        patiently(&awaited.to_string(), reached).await
    }

    /// SIGKILL; back when all that it has said is known.
    pub async fn kill(&mut self, number: usize) {
        let mut member = self.take(number);
        member.process.kill().await;
        self.heard.hear_out(number).await;
    }

    /// Lets it end by itself.
    pub async fn leave(&mut self, number: usize) {
        let Member { mut process, stdin, .. } = self.take(number);
        drop(stdin);
        process.ends().await;
        self.heard.hear_out(number).await;
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

    /// The number of its last lease, be it alive or not.
    pub fn lease(&self, number: usize) -> Option<u64> {
        self.heard.lease(number)
    }

    /// What has become of the requests since the last report. A process that is stopped says so later.
    pub async fn report(&mut self) -> Requests {
        let told = self.tell(Command::Report, |_| true).await;
        self.answered(told, |event| matches!(event, Event::Report(_))).await;
        self.heard.recent()
    }

    /// What has become of all requests by the last report.
    pub fn total(&self) -> &Tally {
        self.heard.all()
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
                let (number, event) = self.heard.next().await;
                if is_answer(&event) {
                    missing.remove(&number);
                }
            }
        };
        patiently("each process says what is awaited", answered).await;
    }

    fn numbers(&self) -> BTreeSet<usize> {
        self.members.iter().map(|member| member.number).collect()
    }

    fn take(&mut self, number: usize) -> Member {
        let at = self.members.iter().position(|member| member.number == number).unwrap();
        self.members.remove(at)
    }

    fn member(&mut self, number: usize) -> &mut Member {
        self.members.iter_mut().find(|member| member.number == number).unwrap()
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

//! A process that nothing outlives: dropped, it is killed, and so it is when this process ends in whatever way.

use std::{fs, process::Stdio, time::Duration};

use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub struct Process(Child);

/// Between two looks at its threads.
const PAUSE: Duration = Duration::from_millis(1);

/// After what time a wait for anything is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

impl Process {
    /// Starts a program, its first word, from a thread that must live as long as the process may: it is this thread whose
    /// end the kernel answers with SIGKILL.
    pub fn start<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::start_by(&[], words)
    }

    /// The same by way of other programs, each of which starts what follows it in its own place.
    pub fn start_by<W: AsRef<str>>(by: &[String], words: impl IntoIterator<Item = W>) -> Self {
        // It comes last: the kernel forgets it where a program changes who it runs as.
        let tied = ["setpriv", "--pdeathsig", "KILL", "--"].map(str::to_owned);
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        let mut words = by.iter().cloned().chain(tied).chain(words);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Self(command.spawn().expect("the programs of util-linux"))
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }

    pub fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.0.id().expect("alive")
    }

    /// SIGKILL; back when it is gone.
    pub async fn kill(&mut self) {
        self.0.kill().await.unwrap();
    }

    /// Waits until it has ended by itself.
    pub async fn ends(&mut self) {
        assert!(patiently("its end", self.0.wait()).await.unwrap().success());
    }

    /// SIGSTOP: its sockets stay open. Back when all of its threads stand still.
    pub async fn stop(&self) {
        self.signal("STOP").await;
        let stands_still = async {
            while !self.stands_still() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        patiently("a process stands still", stands_still).await;
    }

    /// SIGCONT.
    pub async fn go_on(&self) {
        self.signal("CONT").await;
    }

    fn stands_still(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        // Its name stands in brackets, and its state behind them: `T` for stopped.
        threads
            .map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")))
            .all(|stat| stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))))
    }

    async fn signal(&self, signal: &str) {
        let pid = self.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap().success());
    }
}

/// Waits for it, but not for ever.
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(reached) => reached,
        Err(_) => panic!("never: {what}"),
    }
}

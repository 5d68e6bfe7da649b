//! A process that nothing outlives: dropped, it is killed, and so it is when this process ends in whatever way.

use std::{process::Stdio, time::Duration};

use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub struct Process(Child);

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

    /// SIGSTOP: it stands still, and its sockets stay open.
    pub async fn stop(&self) {
        self.signal("STOP").await;
    }

    /// SIGCONT.
    pub async fn go_on(&self) {
        self.signal("CONT").await;
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

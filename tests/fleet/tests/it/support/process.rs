//! A process that nothing outlives: dropped, it is killed, and so it is when this process ends in whatever way.

use std::{process::Stdio, time::Duration};

use tokio::process::{Child, ChildStdout, Command};

pub struct Process(Child);

/// After what time a wait for anything is a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

impl Process {
    /// Starts `program`. It must be called on a thread that lives as long as the process may: the kernel looks at the
    /// thread that started it.
    pub fn start(program: &str, args: &[String]) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Self(command.spawn().expect("setpriv, which is util-linux's"))
    }

    pub fn stdin(&mut self) -> tokio::process::ChildStdin {
        self.0.stdin.take().unwrap()
    }

    pub fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }

    /// SIGKILL; back when it is gone.
    pub async fn kill(&mut self) {
        self.0.kill().await.unwrap();
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
        let pid = self.0.id().expect("alive").to_string();
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

//! A server of a test's own, and a second pair of eyes on it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, aio::MultiplexedConnection};
use tower_auth_refresh::store::RedisStore;

use super::scene::until_async;

/// A running server; dropping it kills the process.
pub struct Redis {
    pub port: u16,
    /// How the test itself signs in.
    password: Option<String>,
    folder: PathBuf,
    arguments: Vec<String>,
    process: Process,
}

struct Process(Child);

impl Redis {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further arguments; `--requirepass` is heeded by the test as well.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let password = arguments.iter().skip_while(|argument| *argument != "--requirepass").nth(1).cloned();
        let folder = new_folder();
        loop {
            let port = free_port();
            let process = spawn(port, &folder, &arguments);
            let mut redis = Self {
                port,
                password: password.clone(),
                folder: folder.clone(),
                arguments: arguments.clone(),
                process,
            };
            // Somebody else may have taken the port in between.
            if redis.is_up().await {
                return redis;
            }
        }
    }

    /// Where a server would be, if it ran.
    pub async fn stopped() -> Self {
        let mut redis = Self::start().await;
        redis.kill();
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn store(&self, name: &str) -> RedisStore {
        RedisStore::new(&self.url(), name).unwrap()
    }

    pub fn kill(&mut self) {
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
    }

    /// Starts it again where it was, with nothing in it.
    pub async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.arguments);
        assert!(self.is_up().await, "the port is taken");
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.process.0.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    pub async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        // The crate's own timeouts are too short for a machine that is busy.
        let patient = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        self.client().get_multiplexed_async_connection_with_config(&patient).await
    }

    pub fn client(&self) -> Client {
        let password = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        Client::open(format!("redis://{password}127.0.0.1:{}", self.port)).unwrap()
    }

    /// One command, its words between spaces.
    pub async fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        self.try_ask(command).await.unwrap()
    }

    pub async fn try_ask<T: FromRedisValue>(&self, command: &str) -> RedisResult<T> {
        let mut words = command.split(' ');
        let mut line = redis::cmd(words.next().unwrap());
        for word in words {
            line.arg(word);
        }
        line.query_async(&mut self.connection().await?).await
    }

    /// Whether it is this process that answers: `false` where it has ended instead. Whoever else has the port may say nothing.
    #[allow(clippy::disallowed_methods, reason = "another process needs real time; it is a deadline and not a pause")]
    async fn is_up(&mut self) -> bool {
        loop {
            if self.process.0.try_wait().unwrap().is_some() {
                return false;
            }
            let info = tokio::time::timeout(Duration::from_secs(1), self.try_ask::<String>("INFO server"));
            if let Ok(Ok(info)) = info.await {
                return info.contains(&format!("process_id:{}\r", self.process.0.id()));
            }
            tokio::task::yield_now().await;
        }
    }

    /// Until no more than the test itself is connected.
    pub async fn until_alone(&self) {
        until_async(async || self.connections().await == 0).await;
    }

    /// How many are connected, without the test itself.
    pub async fn connections(&self) -> usize {
        self.ask::<String>("CLIENT LIST TYPE normal").await.lines().count()
            + self.ask::<String>("CLIENT LIST TYPE pubsub").await.lines().count()
            - 1
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder).args(arguments);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Process(child.expect("these tests need redis-server"))
}

fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("redis-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

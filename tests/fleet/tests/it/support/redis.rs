//! A Redis server of one test's own.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{
    folder::Folder,
    process::{Process, patiently},
};

pub struct Redis {
    process: Process,
    port: u16,
    folder: Folder,
}

impl Redis {
    /// A server that is sure to have on disk what it has said yes to.
    pub async fn start() -> Self {
        let folder = Folder::new();
        for _ in 0..10 {
            // Free for now. Whoever takes it first has it, and the next one is tried.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            if let Some(process) = listening(port, &folder).await {
                return Self { process, port, folder };
            }
        }
        panic!("redis-server does not start: is it installed?");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL, and a new process in its place. What was stored is there again; all connections are gone.
    pub async fn restart(&mut self) {
        self.process.kill().await;
        self.process = listening(self.port, &self.folder).await.expect("nobody has taken its port meanwhile");
    }

    /// SIGSTOP.
    pub async fn stop(&self) {
        self.process.stop().await;
    }

    /// SIGCONT.
    pub async fn go_on(&self) {
        self.process.go_on().await;
    }

    /// Sends one command, and gives the first line of the answer.
    pub async fn ask(&self, command: &str) -> String {
        let asked = async {
            let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?);
            stream.write_all(format!("{command}\r\n").as_bytes()).await?;
            stream.lines().next_line().await
        };
        patiently(command, asked).await.unwrap().expect("an answer")
    }
}

/// Starts it; `None` where the port is taken.
async fn listening(port: u16, folder: &Folder) -> Option<Process> {
    let (port, dir) = (port.to_string(), folder.text(""));
    let words = ["redis-server", "--bind", "127.0.0.1", "--port", &port, "--dir", &dir, "--save", ""];
    let on_disk = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut process = Process::start(words.into_iter().chain(on_disk));
    let mut log = BufReader::new(process.stdout()).lines();
    let ready = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("Ready to accept connections") {
                return true;
            }
        }
        false
    };
    let is_ready = patiently("Redis listens", ready).await;
    // A log that nobody reads would hold it up.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    is_ready.then_some(process)
}

#[tokio::test]
async fn what_redis_has_stored_outlives_it() {
    let mut redis = Redis::start().await;
    assert_eq!(redis.ask("SET key value").await, "+OK");
    redis.restart().await;
    assert_eq!(redis.ask("EXISTS key").await, ":1");
    assert_eq!(redis.ask("FLUSHALL").await, "+OK");
    redis.restart().await;
    assert_eq!(redis.ask("EXISTS key").await, ":0");
}

#[tokio::test]
async fn a_redis_that_stands_still_answers_when_it_goes_on() {
    let redis = Redis::start().await;
    redis.stop().await;
    let mut asked = Box::pin(redis.ask("PING"));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut asked).await.is_err());
    redis.go_on().await;
    assert_eq!(asked.await, "+PONG");
}

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

/// In which way it does not answer.
#[derive(Clone, Copy, Debug)]
pub enum Outage {
    /// Its process is killed: connections break, and no new ones are made.
    Killed,
    /// Its process is stopped: connections are made, and nothing is answered until it goes on. Then all of it is.
    Stopped,
    /// `CLIENT PAUSE`: it answers whoever reads, and nobody who writes.
    Paused,
}

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

    pub async fn begin(&mut self, outage: Outage) {
        match outage {
            Outage::Killed => self.process.kill().await,
            Outage::Stopped => self.process.stop().await,
            Outage::Paused => assert_eq!(self.ask("CLIENT PAUSE 3600000 WRITE").await, "+OK"),
        }
    }

    /// What was stored before it is there again.
    pub async fn end(&mut self, outage: Outage) {
        match outage {
            Outage::Killed => {
                let process = listening(self.port, &self.folder).await;
                self.process = process.expect("nobody has taken its port meanwhile");
            }
            Outage::Stopped => self.process.go_on().await,
            Outage::Paused => assert_eq!(self.ask("CLIENT UNPAUSE").await, "+OK"),
        }
    }

    /// Sends one command, and gives the answer, one line of it.
    pub async fn ask(&self, command: &str) -> String {
        let asked = async {
            let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?);
            stream.write_all(format!("{command}\r\n").as_bytes()).await?;
            let mut lines = stream.lines();
            match lines.next_line().await? {
                // How many bytes follow.
                Some(length) if length.starts_with('$') && length != "$-1" => lines.next_line().await,
                line => Ok(line),
            }
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
    redis.begin(Outage::Killed).await;
    redis.end(Outage::Killed).await;
    assert_eq!(redis.ask("GET key").await, "value");
    assert_eq!(redis.ask("FLUSHALL").await, "+OK");
    redis.begin(Outage::Killed).await;
    redis.end(Outage::Killed).await;
    assert_eq!(redis.ask("GET key").await, "$-1");
}

#[tokio::test]
async fn a_redis_that_is_stopped_answers_nobody_and_a_paused_one_whoever_reads() {
    for (outage, reads) in [(Outage::Stopped, false), (Outage::Paused, true)] {
        let mut redis = Redis::start().await;
        redis.begin(outage).await;
        assert_eq!(is_answered(&redis, "GET key").await, reads, "{outage:?}");
        assert!(!is_answered(&redis, "SET key value").await, "{outage:?}");
        redis.end(outage).await;
        assert_eq!(redis.ask("SET key value").await, "+OK", "{outage:?}");
    }
}

async fn is_answered(redis: &Redis, command: &str) -> bool {
    tokio::time::timeout(Duration::from_millis(100), redis.ask(command)).await.is_ok()
}

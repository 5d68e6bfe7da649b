//! The program as people run it: a configuration file, its arguments, its output and its end.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    redis_store::scene::within,
    support::loopback::{HttpClient, http1_client},
};

/// A running gateway; dropping it kills the process.
pub struct Gateway {
    pub addr: SocketAddr,
    pub client: HttpClient,
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Read all the time: a log that nobody reads would hold the program up.
    stderr: watch::Receiver<String>,
    reading: JoinHandle<()>,
}

/// What a gateway that has ended leaves behind.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// A folder of one test's own.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gateway-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        folder.make("");
        folder
    }

    /// A folder that nobody else can write to, whatever the umask is.
    pub fn make(&self, name: &str) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.path(name)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program with that configuration, and with nothing else in its environment but `env`.
pub fn command(folder: &Folder, config: &str, env: &[(&str, &str)]) -> Command {
    let mut command = bare_command(env);
    command.arg("--config").arg(folder.write("gateway.toml", config));
    command
}

/// The same without arguments.
pub fn bare_command(env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.env_clear().envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

impl Gateway {
    pub async fn start(config: &str) -> Self {
        Self::start_with(&Folder::new(), config, &[]).await
    }

    pub async fn start_with(folder: &Folder, config: &str, env: &[(&str, &str)]) -> Self {
        let mut child = command(folder, config, env).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let (written, stderr) = watch::channel(String::new());
        let reading = super::spawn(async move {
            while let Some(line) = errors.next_line().await.unwrap() {
                written.send_modify(|stderr| *stderr += &format!("{line}\n"));
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).await.unwrap();
        let Some(addr) = line.trim_end().strip_prefix("listening on http://") else {
            reading.await.unwrap();
            panic!("the gateway did not start: {line}{}", *stderr.borrow());
        };
        Self { addr: addr.parse().unwrap(), client: http1_client(1_000), child, stdout, stderr, reading }
    }

    pub fn uri(&self, path: &str) -> Uri {
        format!("http://{}{path}", self.addr).parse().unwrap()
    }

    pub async fn get(&self, path: &str) -> Response<Bytes> {
        self.send(Request::get(self.uri(path)).body(Full::default()).unwrap()).await
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    pub async fn status(&self) -> Value {
        let answer = self.get("/-/status").await;
        assert_eq!(answer.status(), StatusCode::OK);
        json(&answer)
    }

    /// Asks for the status until `reached` says that it is there.
    pub async fn until(&self, reached: impl Fn(&Value) -> bool) -> Value {
        within(async {
            loop {
                let status = self.status().await;
                if reached(&status) {
                    return status;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Waits until that has been logged once more.
    pub async fn until_logged(&self, text: &str) {
        let mut stderr = self.stderr.clone();
        let times = stderr.borrow().matches(text).count();
        within(stderr.wait_for(|stderr| stderr.matches(text).count() > times)).await.unwrap();
    }

    pub async fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap().success());
    }

    pub async fn terminate(self) -> Ended {
        self.signal("TERM").await;
        self.end().await
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Ended {
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).await.unwrap();
        self.reading.await.unwrap();
        Ended { status: self.child.wait().await.unwrap(), stdout, stderr: self.stderr.borrow().clone() }
    }
}

/// Runs a program that ends by itself: a gateway that starts instead is the failure.
pub async fn run(mut command: Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).await.unwrap();
    assert!(!first.starts_with("listening"), "the gateway started");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    Ended { status: output.status, stdout: first + &rest, stderr: String::from_utf8(output.stderr).unwrap() }
}

pub fn json(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_else(|_| panic!("no JSON: {:?}", answer.body()))
}

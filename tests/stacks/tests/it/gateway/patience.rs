//! How long the listener bears with clients that say nothing, in its own process, where the time is the test's.

#![allow(clippy::disallowed_methods, reason = "the time is the test's")]

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time,
};

#[path = "../../../../../examples/gateway/serve.rs"]
mod serve;

/// What no client is borne with.
const EVER: Duration = Duration::from_secs(3_600);

/// A listener whose answers wait for a permit, and a connection to it.
struct Scene {
    client: TcpStream,
    asked: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Scene {
    async fn new() -> Self {
        let (asked, answers) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let router = Router::new().fallback({
            let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
            move || async move {
                asked.add_permits(1);
                answers.acquire_owned().await.unwrap().forget();
                "answered"
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = super::spawn(serve::serve(listener, router, async { drop(stopped.await) }));
        Self { client, asked, answers, stop, serving }
    }

    /// Sends `bytes`, and waits until something was asked with them.
    async fn ask(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
        self.asked.acquire().await.unwrap().forget();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_what_it_speaks_is_let_go() {
    for beginning in ["", "PRI * HTTP/2.0\r\n"] {
        let mut scene = Scene::new().await;
        scene.client.write_all(beginning.as_bytes()).await.unwrap();
        let mut byte = [0];
        let mut end = pin!(scene.client.read(&mut byte));
        let end = match time::timeout(EVER, &mut end).await {
            Ok(end) => end,
            // Its timers are over by now; what the kernel has to carry takes real time.
            Err(_) => {
                time::resume();
                let end = time::timeout(Duration::from_secs(10), &mut end).await.unwrap();
                time::pause();
                end
            }
        };
        // An end, or a reset where something was left unread.
        assert!(matches!(end, Ok(0) | Err(_)), "{beginning:?}");
    }
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_request() {
    let mut scene = Scene::new().await;
    scene.ask(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    time::pause();
    time::advance(EVER).await;
    scene.answers.add_permits(1);
    let mut answer = String::new();
    scene.client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("answered"), "{answer}");
}

#[tokio::test]
async fn an_http2_client_that_is_gone_without_a_word_does_not_hold_up_the_end() {
    let mut scene = Scene::new().await;
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    // GET, http and / of the static table, and the end of the stream.
    let request = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
    scene.ask(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), settings, request].concat()).await;
    scene.answers.add_permits(1);
    time::pause();
    scene.stop.send(()).unwrap();
    time::timeout(EVER, scene.serving).await.expect("the listener waits for a client that is gone").unwrap();
}

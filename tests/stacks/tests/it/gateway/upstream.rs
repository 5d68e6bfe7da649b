//! An upstream that does what a test says, and a gateway in front of it that holds a token without an end.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::program::{Folder, Gateway};

pub type Reply = UnsyncBoxBody<Bytes, Infallible>;

/// A server whose connections end when it is dropped.
pub struct Upstream {
    pub addr: SocketAddr,
    _accepting: JoinSet<()>,
}

impl Upstream {
    pub async fn start<F>(handle: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Reply>> + Send + 'static,
    {
        let handle: Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, _> + Send + Sync> =
            Arc::new(move |request| Box::pin(handle(request)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let handle = Arc::clone(&handle);
                let service = service_fn(move |request| {
                    let answer = handle(request);
                    async { Ok::<_, Infallible>(answer.await) }
                });
                connections.spawn(async move {
                    let mut server = auto::Builder::new(TokioExecutor::new());
                    server.http1().auto_date_header(false);
                    server.http2().auto_date_header(false);
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { addr, _accepting: accepting }
    }

    /// Answers each request with what it was: its head as JSON lines of `name: value`, then its body.
    pub async fn mirror() -> Self {
        Self::start(|request| async {
            let (head, body) = request.into_parts();
            let mut text = format!("{} {}\n", head.method, head.uri);
            for (name, value) in &head.headers {
                text += &format!("{name}: {}\n", value.to_str().unwrap());
            }
            let body = body.collect().await.unwrap().to_bytes();
            text += &format!("\n{}", String::from_utf8_lossy(&body));
            whole(text)
        })
        .await
    }

    pub async fn gateway(&self) -> Gateway {
        self.gateway_with("").await
    }

    /// `more` are further keys at the top of the configuration.
    pub async fn gateway_with(&self, more: &str) -> Gateway {
        self.gateway_for(&format!("http://{}", self.addr), more).await
    }

    pub async fn gateway_for(&self, upstream: &str, more: &str) -> Gateway {
        let folder = Folder::new();
        Gateway::start_with(&folder, &with_token(&folder, upstream, more), &[]).await
    }
}

/// A configuration with a token that never ends, and no login.
pub fn with_token(folder: &Folder, upstream: &str, more: &str) -> String {
    let token = folder.write("initial.json", r#"{"version":1,"access_token":"Bearer steady"}"#);
    format!(
        "listen = \"127.0.0.1:0\"\nupstream = \"{upstream}\"\nallow_http = true\n{more}\n\
         [provider]\nkind = \"quectel\"\nbase_url = \"{upstream}\"\n[token]\nfile = \"{token}\"\n"
    )
}

pub fn whole(body: impl Into<Bytes>) -> Response<Reply> {
    Response::new(Full::new(body.into()).boxed_unsync())
}

/// An upstream that answers its first connection with `answer`, as it stands; and what it was sent.
pub async fn raw_upstream(answer: &'static [u8]) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let serving = super::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            head.push(byte[0]);
        }
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        String::from_utf8(head).unwrap()
    });
    (uri, serving)
}

/// The header lines that the mirror got.
pub fn lines(mirrored: &str) -> Vec<&str> {
    mirrored.split("\r\n\r\n").nth(1).unwrap_or(mirrored).split("\n\n").next().unwrap().lines().collect()
}

pub async fn gateway_to(uri: &str) -> Gateway {
    let folder = Folder::new();
    Gateway::start_with(&folder, &with_token(&folder, uri, ""), &[]).await
}

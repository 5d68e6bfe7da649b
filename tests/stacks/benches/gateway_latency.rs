//! What the layer adds to a request's way through the gateway: the same proxy with the layer and without it, in front of the
//! same upstream, asked in turn within one run.
//!
//! `cargo bench -p stacks --bench gateway_latency`; with `-- --test` a short run that shows no more than that it works.

#![allow(clippy::disallowed_methods, reason = "a bench reads the time")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench fails by panicking"
)]

#[path = "../../../examples/gateway/mod.rs"]
mod gateway;

use std::{
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gateway::{Admission, Outgoing, Proxy, router, serve, upstream};
use http::{Request, Response, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinSet};
use tower::Layer;
use tower_auth_refresh::{AuthRefreshLayer, Session, providers::Quectel, replay::Buffered, token::TokenSet};

/// An answer that the provider looks into, as those of its API.
const ANSWER: &str = r#"{"code":200,"data":{"deviceName":"a device","status":1},"extMsg":"","msg":""}"#;
const BODY: &[u8] = &[b'x'; 1_024];

/// The ways that are compared.
const WAYS: [&str; 2] = ["without the layer", "with the layer"];

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let ways = Ways::start().await;
        for (connections, requests) in [(1, 40_000), (32, 4_000)] {
            let (requests, warm_up) = if is_test { (50, 5) } else { (requests, requests / 10) };
            ways.ask(connections, warm_up).await;
            report(connections, ways.ask(connections, requests).await);
        }
    });
}

/// Two gateways in front of one upstream.
struct Ways {
    gateways: [SocketAddr; 2],
    _serving: JoinSet<()>,
}

impl Ways {
    async fn start() -> Self {
        let mut serving = JoinSet::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        serving.spawn(accept(listener));

        let session = Session::builder(Quectel::europe().base_url(api.clone()))
            .transport(upstream::transport(upstream::client(upstream::plain(), false)))
            .allow_http(true)
            .token(TokenSet::new("Bearer token"))
            .build()
            .unwrap();
        let layer = AuthRefreshLayer::new(session.clone()).replay::<Buffered>();
        let client = || -> Client<HttpConnector, Outgoing> { upstream::client(upstream::plain(), false) };
        let status = move || session.status();

        let [plain, layered] = [listen().await, listen().await];
        let gateways = [plain.1, layered.1];
        let (proxy, admission) = (Proxy::new(client(), api.clone(), None, 64 << 10), Admission::new(plain.1, &[]));
        serving.spawn(serve(plain.0, router(admission, proxy, status.clone()), pending()));
        let (proxy, admission) =
            (Proxy::new(layer.layer(client()), api, None, 64 << 10), Admission::new(layered.1, &[]));
        serving.spawn(serve(layered.0, router(admission, proxy, status), pending()));
        Self { gateways, _serving: serving }
    }

    /// Has so many connections send so many requests each way, in turn, and tells how long each took.
    async fn ask(&self, connections: usize, requests: usize) -> [Vec<Duration>; 2] {
        let mut asking = JoinSet::new();
        for number in 0..connections {
            let gateways = self.gateways;
            asking.spawn(async move {
                let client = Client::builder(TokioExecutor::new()).build_http();
                let mut took = [Vec::with_capacity(requests), Vec::with_capacity(requests)];
                for round in 0..requests {
                    // Each goes first in every other round, so that neither always follows the other.
                    let first = (round + number) % 2;
                    for way in [first, 1 - first] {
                        took[way].push(timed(&client, gateways[way]).await);
                    }
                }
                took
            });
        }
        let mut all = [Vec::new(), Vec::new()];
        while let Some(took) = asking.join_next().await {
            for (all, took) in all.iter_mut().zip(took.unwrap()) {
                all.extend(took);
            }
        }
        all
    }
}

async fn timed(client: &Client<HttpConnector, Full<Bytes>>, gateway: SocketAddr) -> Duration {
    let uri = format!("http://{gateway}/v2/devices?page=1");
    let request = Request::post(uri).body(Full::from(BODY)).unwrap();
    let begin = Instant::now();
    let answer = client.request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let took = begin.elapsed();
    assert_eq!(body, ANSWER);
    took
}

fn report(connections: usize, mut took: [Vec<Duration>; 2]) {
    println!("{connections} connection(s), {} requests each way", took[0].len());
    for took in &mut took {
        took.sort_unstable();
    }
    let micros = |way: usize, percent: usize| {
        let took = &took[way];
        took[took.len() * percent / 100].as_nanos() as f64 / 1_000.0
    };
    for (way, name) in WAYS.into_iter().enumerate() {
        println!("  {name:<18} p50 {:>8.1} µs   p99 {:>8.1} µs", micros(way, 50), micros(way, 99));
    }
    let added = |percent| micros(1, percent) - micros(0, percent);
    println!("  {:<18} p50 {:>+8.1} µs   p99 {:>+8.1} µs", "added", added(50), added(99));
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// The upstream: it reads each request to its end, and answers the same.
async fn accept(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let service = service_fn(|request: Request<Incoming>| async {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body.len(), BODY.len());
            let answer = Response::builder().header(CONTENT_TYPE, "application/json");
            Ok::<_, Infallible>(answer.body(Full::new(Bytes::from_static(ANSWER.as_bytes()))).unwrap())
        });
        connections.spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

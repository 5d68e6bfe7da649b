//! How a gateway ends: it drains, waits for a flight, and says by its exit code how it went.

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::{net::TcpStream, sync::mpsc, task};

use super::{
    program::{Folder, Gateway},
    token_endpoint::{Gate, Served, quectel},
    upstream::{Reply, Upstream, whole},
};

/// Waits until nobody listens any more: the signal has been heard.
async fn until_closed(addr: std::net::SocketAddr) {
    while TcpStream::connect(addr).await.is_ok() {
        task::yield_now().await;
    }
}

#[tokio::test]
async fn a_signal_ends_an_idle_gateway_without_a_word_on_stdout() {
    let upstream = Upstream::mirror().await;
    for signal in ["TERM", "INT"] {
        let gateway = upstream.gateway().await;
        // A connection that is kept alive, and one that says nothing, hold nothing up.
        gateway.get("/").await;
        let _silent = TcpStream::connect(gateway.addr).await.unwrap();
        gateway.signal(signal).await;
        let ended = gateway.end().await;
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(0), ""));
    }
}

#[tokio::test]
async fn what_is_under_way_is_served_to_its_end() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |_| {
        let (release, released) = tokio::sync::oneshot::channel();
        arrived.send(release).unwrap();
        async { Response::<Reply>::new(Full::from(released.await.unwrap()).boxed_unsync()) }
    })
    .await;
    let gateway = upstream.gateway().await;
    let request = gateway.client.request(Request::get(gateway.uri("/")).body(Full::default()).unwrap());
    let request = super::spawn(request);
    let release = arrivals.recv().await.unwrap();
    gateway.signal("TERM").await;
    until_closed(gateway.addr).await;
    release.send("late").unwrap();
    let answer = request.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "late");
    assert_eq!(gateway.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_flight_that_nobody_waits_for_is_waited_for_and_stored() {
    let gate = Gate::new();
    let server = Served::behind(quectel(), Some(gate.clone())).await;
    let folder = Folder::new();
    let path = folder.path("token.json");
    let config = server.quectel(&format!("[store]\nkind = \"file\"\npath = {path:?}"));
    let gateway = Gateway::start_with(&folder, &config, &[]).await;
    let client = crate::support::loopback::http1_client(1);
    let request = super::spawn(client.request(Request::get(gateway.uri("/v2/devices")).body(Full::default()).unwrap()));
    gate.arrivals(1).await;
    request.abort();
    drop(client);
    gateway.signal("TERM").await;
    until_closed(gateway.addr).await;
    assert!(!path.exists());
    gate.let_through(1);
    assert_eq!(gateway.end().await.status.code(), Some(0));
    assert!(path.exists());
    assert_eq!((server.api.counts().logins, server.api.counts().api_requests), (1, 0));
}

#[tokio::test]
async fn a_request_that_waits_for_a_flight_is_served_after_the_signal() {
    let gate = Gate::new();
    let server = Served::behind(quectel(), Some(gate.clone())).await;
    let gateway = Gateway::start(&server.quectel("")).await;
    let request = Request::get(gateway.uri("/v2/devices")).body(Full::default()).unwrap();
    let request = super::spawn(gateway.client.request(request));
    gate.arrivals(1).await;
    gateway.signal("TERM").await;
    until_closed(gateway.addr).await;
    gate.let_through(1);
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(gateway.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |_| {
        arrived.send(()).unwrap();
        async {
            std::future::pending::<()>().await;
            whole("")
        }
    })
    .await;
    let gateway = upstream.gateway().await;
    let request = super::spawn(gateway.client.request(Request::get(gateway.uri("/")).body(Full::default()).unwrap()));
    arrivals.recv().await.unwrap();
    gateway.signal("TERM").await;
    until_closed(gateway.addr).await;
    gateway.signal("INT").await;
    assert_eq!(gateway.end().await.status.code(), Some(1));
    assert!(request.await.unwrap().is_err());
}

#[tokio::test]
async fn help_is_given_and_starts_nothing() {
    for flag in ["--help", "-h"] {
        let mut command = super::program::bare_command(&[]);
        command.arg(flag);
        let ended = super::program::run(command).await;
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains("--config FILE"), "{}", ended.stdout);
    }
}

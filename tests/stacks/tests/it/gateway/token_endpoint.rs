//! The loopback servers as upstream and token endpoint of a gateway, and ways on which token calls wait or fail.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::{Semaphore, watch};
use tower_auth_refresh::clock::SystemClock;

use crate::support::loopback::{Api, Faults, Loopback, QuectelApi, Reply, Sent, Server, serve};

pub const QUECTEL_LOGIN: &str = "email = \"demo+device@example.com\"\npassword = \"china1234\"\n\
    user_domain = \"C.DM.5903.1\"\nuser_domain_secret = \"demo-user-domain-secret\"\n";

/// A loopback server on a port, on this machine's clock.
pub struct Served {
    pub api: Loopback,
    server: Server,
}

impl Served {
    pub async fn new(api: impl Api) -> Self {
        Self::behind(api, None::<Always>).await
    }

    pub async fn behind(api: impl Api, faults: Option<impl Faults>) -> Self {
        let mut api = Loopback::new(api, SystemClock::new());
        if let Some(faults) = faults {
            api = api.behind(faults);
        }
        Self { server: serve(api.clone()).await.unwrap(), api }
    }

    /// A configuration in which it is both upstream and token endpoint.
    pub fn config(&self, kind: &str, provider: &str, rest: &str) -> String {
        let uri = format!("http://{}", self.server.addr);
        format!(
            "listen = \"127.0.0.1:0\"\nupstream = \"{uri}\"\nallow_http = true\n\
             [provider]\nkind = \"{kind}\"\nbase_url = \"{uri}\"\n{provider}\n{rest}\n"
        )
    }

    pub fn quectel(&self, rest: &str) -> String {
        self.config("quectel", QUECTEL_LOGIN, rest)
    }
}

/// Token calls wait until they are let through; what arrives is told.
#[derive(Clone)]
pub struct Gate {
    permits: Arc<Semaphore>,
    arrived: watch::Sender<u32>,
}

impl Gate {
    pub fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), arrived: watch::Sender::new(0) }
    }

    pub async fn arrivals(&self, count: u32) {
        self.arrived.subscribe().wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    pub fn let_through(&self, calls: usize) {
        self.permits.add_permits(calls);
    }
}

impl Faults for Gate {
    fn send(&self, server: Loopback, request: Request<Bytes>) -> Sent {
        let gate = self.clone();
        Box::pin(async move {
            if !server.is_business(request.uri().path()) {
                gate.arrived.send_modify(|arrived| *arrived += 1);
                gate.permits.acquire().await.unwrap().forget();
            }
            Ok(server.answer(request).map(Reply::whole))
        })
    }
}

/// Token calls get an answer that the server has not given.
pub struct Always(pub fn() -> Response<Bytes>);

impl Faults for Always {
    fn send(&self, server: Loopback, request: Request<Bytes>) -> Sent {
        let answer = if server.is_business(request.uri().path()) { server.answer(request) } else { (self.0)() };
        Box::pin(async { Ok(answer.map(Reply::whole)) })
    }
}

pub fn quectel() -> QuectelApi {
    QuectelApi::new()
}

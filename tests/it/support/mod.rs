//! The scene of most tests: one API and one authorization server, in process, with exact counters; a provider that
//! speaks their plain protocol; a clock whose two hands are moved one by one.

mod bare;
pub mod by_hand;
pub mod duplex;
pub mod faulty;
pub mod folder;
pub mod frames;
pub mod judges;
pub mod users;
mod world;

pub use bare::Bare;
pub use tower_auth_refresh::test_util::{Api, AuthServer as Idp, Place, ServerBody, TestClock, TestProvider};
pub use world::{Counts, World};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};
use tower_auth_refresh::{AuthRefresh, AuthRefreshLayer, Error, Session, inspect::InspectBody};

pub type Body = Full<Bytes>;
pub type Client = AuthRefresh<Api, TestProvider>;
pub type Answer = Result<Response<InspectBody<ServerBody>>, Error>;

/// A session for `provider` in `world`, by the world's clock.
pub fn session(world: &World, provider: TestProvider) -> Session<TestProvider> {
    Session::builder(provider).transport(world.idp()).clock(world.clock.clone()).build().expect("a valid session")
}

/// The world's API behind the layer.
pub fn client(world: &World, session: &Session<TestProvider>) -> Client {
    use tower::Layer;
    AuthRefreshLayer::new(session.clone()).layer(world.api())
}

pub fn get(path: &str) -> Request<Body> {
    Request::get(format!("https://api.test{path}")).body(Body::default()).expect("a valid request")
}

pub fn post(path: &str, body: &'static str) -> Request<Body> {
    Request::post(format!("https://api.test{path}")).body(Body::from(body)).expect("a valid request")
}

/// Sends one request through a fresh clone.
pub async fn send<S, B>(client: &S, request: Request<B>) -> Result<S::Response, S::Error>
where
    S: Service<Request<B>> + Clone,
{
    client.clone().oneshot(request).await
}

/// Sends `count` requests at once: each is polled before any of them gets its answer.
pub async fn send_all(client: &Client, count: usize) -> Vec<Answer> {
    futures::future::join_all((0..count).map(|number| send(client, get(&format!("/{number}"))))).await
}

/// The whole body of an answer.
pub async fn text<B>(answer: Response<B>) -> String
where
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

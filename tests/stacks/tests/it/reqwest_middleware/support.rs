//! Clients with the middleware, and middlewares to look at what passes.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use tower_auth_refresh::{Session, integrations::reqwest_middleware::AuthRefreshMiddleware, test_util::TestProvider};

use crate::support::reqwest_scene::Scene;

pub type BoxFuture<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;

/// A client without middlewares, whose redirects are off.
pub fn builder(scene: &Scene) -> ClientBuilder {
    ClientBuilder::new(scene.http.service().into_inner())
}

/// A client with nothing but the middleware.
pub fn client(scene: &Scene, session: &Session<TestProvider>) -> ClientWithMiddleware {
    builder(scene).with(AuthRefreshMiddleware::new(session.clone())).build()
}

/// Names the type of a closure that is a middleware.
pub fn middleware<F>(handle: F) -> impl Middleware
where
    F: for<'a> Fn(Request, &'a mut Extensions, Next<'a>) -> BoxFuture<'a> + Send + Sync + 'static,
{
    handle
}

/// What a middleware sees of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub url: String,
    /// Where its body lies in memory, and how long it is.
    pub body: Option<(usize, usize)>,
}

/// Takes down what passes, and counts it in the extensions.
#[derive(Clone, Default)]
pub struct Witness(Arc<Mutex<Vec<Seen>>>);

/// How many requests a [`Witness`] has counted in these extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed(pub usize);

impl Witness {
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    pub fn middleware(&self) -> impl Middleware {
        let seen = Arc::clone(&self.0);
        middleware(move |request, extensions, next| {
            let bytes = request.body().map(|body| body.as_bytes().unwrap());
            let body = bytes.map(|bytes| (bytes.as_ptr() as usize, bytes.len()));
            seen.lock().unwrap().push(Seen { url: request.url().to_string(), body });
            let passed = extensions.get().map_or(0, |Passed(passed)| *passed);
            extensions.insert(Passed(passed + 1));
            next.run(request, extensions)
        })
    }
}

/// Status and body of an answer.
pub async fn read(answer: Result<Response>) -> (StatusCode, String) {
    let answer = answer.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// The error of reqwest that a chain ended with.
pub fn reqwest_error(error: reqwest_middleware::Error) -> reqwest::Error {
    match error {
        reqwest_middleware::Error::Reqwest(error) => error,
        reqwest_middleware::Error::Middleware(error) => panic!("an error of a middleware: {error:?}"),
    }
}

/// What a middleware of the chain said.
pub fn middleware_error<E: std::error::Error + Send + Sync + 'static>(error: reqwest_middleware::Error) -> E {
    match error {
        reqwest_middleware::Error::Middleware(error) => error.downcast().unwrap(),
        reqwest_middleware::Error::Reqwest(error) => panic!("an error of reqwest: {error:?}"),
    }
}

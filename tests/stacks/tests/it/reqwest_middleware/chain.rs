//! The middleware among others: the extensions that they share, and who sees the token.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
};

use futures::FutureExt;
use http::Extensions;
use tokio::sync::Notify;
use tower_auth_refresh::{integrations::reqwest_middleware::AuthRefreshMiddleware, test_util::Place};

use super::support::{Passed, Witness, builder, middleware};
use crate::support::reqwest_scene::{Http, Scene, over_both};

over_both!(
    the_extensions_of_a_call_reach_each_send_and_come_back,
    the_extensions_come_back_when_the_call_is_dropped,
    the_extensions_come_back_when_a_middleware_panics,
    only_those_behind_the_middleware_see_the_token,
);

/// What the caller puts into the extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mine(&'static str);

async fn the_extensions_of_a_call_reach_each_send_and_come_back(http: Http) {
    let scene = Scene::new(http).await;
    let looking = middleware(|request, extensions, next| {
        assert_eq!(extensions.get(), Some(&Mine("put in by the caller")));
        next.run(request, extensions)
    });
    let session = scene.signed_in(Place::Bearer);
    let chain = builder(&scene).with(AuthRefreshMiddleware::new(session)).with(looking);
    let client = chain.with(Witness::default().middleware()).build();
    scene.auth.end_access();
    let mut extensions = Extensions::new();
    extensions.insert(Mine("put in by the caller"));
    let request = client.get(scene.url("/")).build().unwrap();
    client.execute_with_extensions(request, &mut extensions).await.unwrap();
    assert_eq!(extensions.get(), Some(&Mine("put in by the caller")));
    // The rejected send and the replay.
    assert_eq!(extensions.get(), Some(&Passed(2)));
}

async fn the_extensions_come_back_when_the_call_is_dropped(http: Http) {
    let scene = Scene::new(http).await;
    let arrived = Arc::new(Notify::new());
    let arriving = Arc::clone(&arrived);
    let stuck = middleware(move |_, extensions, _| {
        extensions.insert(Mine("put in behind the middleware"));
        arriving.notify_one();
        Box::pin(std::future::pending())
    });
    let session = scene.signed_in(Place::Bearer);
    let client = builder(&scene).with(AuthRefreshMiddleware::new(session)).with(stuck).build();
    let mut extensions = Extensions::new();
    let request = client.get(scene.url("/")).build().unwrap();
    tokio::select! {
        _ = client.execute_with_extensions(request, &mut extensions) => panic!("it never answers"),
        () = arrived.notified() => {}
    }
    assert_eq!(extensions.get(), Some(&Mine("put in behind the middleware")));
}

async fn the_extensions_come_back_when_a_middleware_panics(http: Http) {
    let scene = Scene::new(http).await;
    let panicking = middleware(|_, extensions, _| {
        extensions.insert(Mine("put in before the panic"));
        Box::pin(async { resume_unwind(Box::new("a mistake")) })
    });
    let session = scene.signed_in(Place::Bearer);
    let client = builder(&scene).with(AuthRefreshMiddleware::new(session)).with(panicking).build();
    let request = client.get(scene.url("/")).build().unwrap();
    let mut extensions = Extensions::new();
    let call = AssertUnwindSafe(client.execute_with_extensions(request, &mut extensions));
    assert!(call.catch_unwind().await.is_err());
    assert_eq!(extensions.get(), Some(&Mine("put in before the panic")));
}

async fn only_those_behind_the_middleware_see_the_token(http: Http) {
    let scene = Scene::new(http).await;
    let (before, behind) = (Witness::default(), Witness::default());
    let chain = builder(&scene).with(before.middleware());
    let chain = chain.with(AuthRefreshMiddleware::new(scene.signed_in(Place::Query))).with(behind.middleware());
    chain.build().get(scene.url("/a?b=c")).send().await.unwrap();
    let urls = [before, behind].map(|witness| witness.seen()[0].url.clone());
    assert_eq!(urls, [scene.url("/a?b=c"), scene.url("/a?b=c&token=access-7")]);
}

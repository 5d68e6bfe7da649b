//! What the adapter's types promise by themselves.

use std::{fmt, future::Future};

use bytes::Bytes;
use http::Request;
use http_body_util::{Empty, Full};
use tower::{BoxError, Service, util::BoxCloneSyncService};
use tower_auth_refresh::{
    AuthRefresh,
    integrations::reqwest::{ReqwestService, ResponseFuture},
    replay::ReplayBody,
    test_util::TestProvider,
};

fn is_shared<T: Send + Sync + Unpin + Clone + fmt::Debug + 'static>() {}
fn is_spawnable<T: Future + Send + fmt::Debug + 'static>() {}
fn takes<S: Service<Request<B>, Error = BoxError, Future = ResponseFuture>, B>() {}

#[test]
fn the_service_can_be_cloned_and_shared_between_threads() {
    is_shared::<ReqwestService>();
    is_shared::<AuthRefresh<ReqwestService, TestProvider>>();
}

#[test]
fn the_future_has_a_name_and_can_be_spawned() {
    is_spawnable::<ResponseFuture>();
}

#[test]
fn any_body_that_reqwest_can_wrap_will_do() {
    takes::<ReqwestService, Full<Bytes>>();
    takes::<ReqwestService, Empty<Bytes>>();
    takes::<ReqwestService, String>();
    takes::<ReqwestService, reqwest::Body>();
    takes::<ReqwestService, ReplayBody<reqwest::Body>>();
}

#[test]
fn a_layered_service_can_be_boxed() {
    fn boxed(service: AuthRefresh<ReqwestService, TestProvider>) {
        let _: BoxCloneSyncService<Request<Full<Bytes>>, _, _> = BoxCloneSyncService::new(service);
    }
    let _ = boxed;
}

/// A request with a timeout registers a timer, which takes a runtime; a service may be called before there is one.
#[test]
fn a_request_may_be_made_outside_of_a_runtime() {
    let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(1));
    let mut service = ReqwestService::new(client).unwrap();
    let future = service.call(Request::get("http://127.0.0.1/secret").body(Full::<Bytes>::default()).unwrap());
    assert!(!format!("{future:?}").contains("secret"));
}

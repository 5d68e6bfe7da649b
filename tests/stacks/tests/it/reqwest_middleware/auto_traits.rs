//! What the middleware's types promise by themselves.

use std::{fmt, sync::Arc};

use reqwest_middleware::Middleware;
use tower_auth_refresh::{
    Provider,
    integrations::reqwest_middleware::{AuthRefreshMiddleware, RequestBody},
    replay::{Buffered, Never},
    test_util::TestProvider,
};

fn is_shared<T: Middleware + Unpin + Clone + fmt::Debug>() {}
fn is_sent<T: Send + Sync + Unpin + fmt::Debug>() {}

#[test]
fn the_middleware_can_be_cloned_and_shared_between_threads() {
    is_shared::<AuthRefreshMiddleware<TestProvider>>();
    is_shared::<AuthRefreshMiddleware<TestProvider, Buffered>>();
    is_shared::<AuthRefreshMiddleware<TestProvider, Never>>();
    is_shared::<AuthRefreshMiddleware<Arc<dyn Provider>>>();
    is_sent::<RequestBody>();
}

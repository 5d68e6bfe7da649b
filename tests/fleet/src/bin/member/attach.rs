//! The session on the store that the command line names.

use std::{sync::Arc, time::Duration};

use tower::BoxError;
use tower_auth_refresh::{Session, session::RefreshPolicy, test_util::TestProvider};

use crate::{
    args::{Args, StoreArgs},
    points::Points,
    stand_in::{File, StandIn},
    store::Watched,
    transport,
};

pub(crate) fn session(args: Args, points: &Points) -> Result<Session<TestProvider>, BoxError> {
    let provider = TestProvider::new()
        .with_login(args.can_log_in)
        .with_origin(args.server.clone())
        .with_token_endpoint(format!("{}idp", args.server));
    let store = match args.store {
        StoreArgs::File(path) => Watched { inner: File::new(path), points: points.clone() },
    };
    let transport = StandIn::new(Arc::new(store), args.can_log_in).around(transport::watched(points));
    Ok(Session::builder(provider).transport(transport).policy(policy()?).allow_http(true).build()?)
}

/// The defaults, but that a test ends every token many times a minute, and kills whoever comes to know it.
fn policy() -> Result<RefreshPolicy, BoxError> {
    let (first, longest) = (Duration::from_millis(50), Duration::from_millis(500));
    Ok(RefreshPolicy::new().guard(10_000, Duration::from_secs(1))?.backoff(first, longest)?)
}

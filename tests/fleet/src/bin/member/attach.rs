//! The session on the store that the command line names.

use std::{sync::Arc, time::Duration};

use tower::BoxError;
use tower_auth_refresh::{Session, session::RefreshPolicy, store::TokenStore, test_util::TestProvider};

use crate::{
    args::{Args, StoreArgs},
    points::Points,
    stand_in::{File, StandIn},
    store::Watched,
    transport,
};

pub(crate) async fn session(args: Args, points: &Points) -> Result<Session<TestProvider>, BoxError> {
    let provider = TestProvider::new()
        .with_login(args.can_log_in)
        .with_origin(args.server.clone())
        .with_token_endpoint(format!("{}idp", args.server));
    let store = match args.store {
        StoreArgs::File(path) => Watched { inner: File::new(path, None), points: points.clone() },
        StoreArgs::Leased(path, lease) => Watched { inner: File::new(path, Some(lease)), points: points.clone() },
    };
    let token = store.load().await?.and_then(|stored| stored.token);
    let transport = StandIn::new(Arc::new(store), args.can_log_in).around(transport::watched(points));
    let session = Session::builder(provider).transport(transport).policy(policy()?).allow_http(true).build()?;
    if let Some(token) = token {
        session.set(token)?;
    }
    Ok(session)
}

/// The defaults, but that a test ends every token many times a minute, and kills whoever comes to know it.
fn policy() -> Result<RefreshPolicy, BoxError> {
    let (first, longest) = (Duration::from_millis(50), Duration::from_millis(500));
    Ok(RefreshPolicy::new().guard(10_000, Duration::from_secs(1))?.backoff(first, longest)?)
}

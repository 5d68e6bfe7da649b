//! The session on the store that the command line names.

use std::time::Duration;

use tower::BoxError;
use tower_auth_refresh::{
    Session,
    session::RefreshPolicy,
    store::{FileStore, RedisStore},
    test_util::TestProvider,
};

use crate::{
    args::{Args, Limits, StoreArgs},
    points::Points,
    store::Watched,
    transport,
};

pub(crate) fn session(args: Args, points: &Points) -> Result<Session<TestProvider>, BoxError> {
    let policy = args.limits.as_ref().map_or_else(|| Ok(RefreshPolicy::new()), policy)?;
    let provider = TestProvider::new()
        .with_login(args.can_log_in)
        .with_origin(args.server.clone())
        .with_token_endpoint(format!("{}idp", args.server));
    let session = Session::builder(provider).transport(transport::watched(points)).policy(policy).allow_http(true);
    let points = points.clone();
    let session = match args.store {
        StoreArgs::File(path) => {
            let store = FileStore::new(path);
            session.store(Watched { inner: if args.limits.is_some() { store.poll(POLL) } else { store }, points })
        }
        StoreArgs::Redis(url, name, lease) => {
            let store = RedisStore::new(&url, &name)?;
            session.store(Watched { inner: lease.map_or(Ok(store.clone()), |lease| store.lease(lease))?, points })
        }
    };
    Ok(session.build()?)
}

/// How often a process looks whether the file has changed.
const POLL: Duration = Duration::from_millis(50);

/// The defaults within limits, and but that a test ends every token many times a minute, and kills whoever comes to know it; and that one
/// which ends by itself is renewed long before, so that a machine that is busy makes nobody late.
fn policy(limits: &Limits) -> Result<RefreshPolicy, BoxError> {
    let (first, longest) = (Duration::from_millis(50), Duration::from_millis(500));
    Ok(RefreshPolicy::new()
        .guard(10_000, Duration::from_secs(1))?
        .backoff(first, longest)?
        .soft_margin_share(Duration::from_secs(60), 75)?
        .flight_deadline(limits.flight)?
        .store_timeout(limits.call)?)
}

//! Whoever renews the token stands still for longer than its lease.

use std::time::Duration;

use fleet::Point;

use crate::support::{Figures, Fleet, Login, Server, Store, figures};

#[tokio::test]
async fn on_redis_a_holder_that_stalls_overwrites_nothing_newer() {
    a_holder_that_stalls_overwrites_nothing_newer(&Store::redis().await).await;
}

async fn a_holder_that_stalls_overwrites_nothing_newer(store: &Store) {
    let server = Server::start().await;
    let mut fleet = Fleet::start(4, &server, store, Login::Can).await;
    for point in Point::ALL {
        let stalled = fleet.catch(&server, point).await;
        fleet.stop(stalled).await;
        // The others go on after the lease has ended.
        fleet.serve().await;
        let waited = fleet.report().await.longest;
        assert!(waited <= store.lease() + Duration::from_secs(1), "{point}: {waited:?} without a token");
        let granted = server.counts().granted;
        fleet.go_on(stalled).await;
        fleet.serve().await;
        // What the stalled one brought with it, if anything, has replaced nothing: the next refresh is of what the others had.
        fleet.expire(&server).await;
        let late = usize::from(point == Point::Sending);
        assert_eq!(server.counts().granted, granted + late + 1, "{point}");
        fleet.report().await;
    }
    let what = format!("a stall at each point on a {}", store.name());
    let Figures { counts, failed, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.refused, counts.double_spent, counts.most_at_once, failed), (0, 0, 1, 0));
}

//! Redis forgets everything.

use fleet::Point;

use crate::support::{Figures, Fleet, Login, Server, Store, figures};

#[tokio::test]
async fn a_flush_while_nothing_is_renewed_costs_one_login() {
    let (server, mut store) = (Server::start().await, Store::redis().await);
    let mut fleet = Fleet::start(4, &server, &store, Login::Can).await;
    flush(&mut store).await;
    fleet.serve().await;
    assert_eq!(server.counts().granted, 1);
    fleet.expire(&server).await;
    let Figures { counts, failed, .. } = figures("a flush", &server, &mut fleet).await;
    assert_eq!((counts.logins, counts.refreshes, counts.refused, counts.double_spent, failed), (2, 0, 0, 0, 0));
    assert_eq!(store.generation().await, 2);
}

#[tokio::test]
async fn a_flush_without_a_login_costs_no_more_than_the_refresh_that_was_due() {
    let (server, mut store) = (Server::start().await, Store::redis().await);
    store.put(&server.signed_in()).await;
    let mut fleet = Fleet::start(4, &server, &store, Login::Cannot).await;
    flush(&mut store).await;
    fleet.expire(&server).await;
    let Figures { counts, failed, .. } = figures("a flush without a login", &server, &mut fleet).await;
    assert_eq!((counts.logins, counts.refreshes, counts.refused, counts.double_spent, failed), (1, 1, 0, 0, 0));
    assert_eq!(store.generation().await, 2);
}

#[tokio::test]
async fn a_flush_during_a_flight_costs_one_login_and_what_it_brings_late_is_dropped() {
    let (server, mut store) = (Server::start().await, Store::redis().await);
    let mut fleet = Fleet::start(4, &server, &store, Login::Can).await;
    // What is written may be taken over before it is flushed: that is a flush while nothing is renewed.
    for point in [Point::Leased, Point::Marked, Point::Sending, Point::Rotated, Point::Writing] {
        let before = server.counts();
        let caught = fleet.catch(&server, point).await;
        flush(&mut store).await;
        // The others know that something is missing, and that it may have been a mark.
        fleet.serve().await;
        // By its own clock the lease of the one that was caught is over, too.
        tokio::time::sleep(store.lease()).await;
        fleet.disarm(caught).await;
        fleet.serve().await;
        let after = server.counts();
        let asked = (after.logins - before.logins, after.refreshes - before.refreshes);
        assert_eq!(asked, logins_and_refreshes(point), "{point}");
        fleet.expire(&server).await;
        assert_eq!(server.counts().granted, after.granted + 1, "{point}");
    }
    let Figures { counts, failed, .. } = figures("a flush at each point of a flight", &server, &mut fleet).await;
    assert_eq!((counts.refused, counts.double_spent, failed), (0, 0, 0));
}

async fn flush(store: &mut Store) {
    assert_eq!(store.server().ask("FLUSHALL").await, "+OK");
}

/// What the others and the one that was caught ask the server for.
fn logins_and_refreshes(caught_at: Point) -> (usize, usize) {
    match caught_at {
        // It looks before it sends.
        Point::Leased | Point::Marked => (1, 0),
        // It was about to send, or has: what comes of it is not what the others have by now.
        Point::Sending | Point::Rotated | Point::Writing | Point::Written => (1, 1),
    }
}

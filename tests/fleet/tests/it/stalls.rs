//! Whoever renews the token stands still for longer than its lease, or keeps its lock.

use std::time::{Duration, Instant};

use fleet::Point;

use crate::support::{Counts, Figures, Fleet, Limits, Login, Server, Store, figures};

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
        assert!(waited <= store.longest_wait(), "{point}: {waited:?} without a token");
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

#[tokio::test]
async fn on_redis_without_a_login_a_holder_that_stalls_before_it_looks_at_its_lease_spends_nothing_twice() {
    let (server, store) = (Server::start().await, Store::redis().await);
    store.put(&server.signed_in()).await;
    let mut fleet = Fleet::start(4, &server, &store, Login::Cannot).await;
    for point in [Point::Leased, Point::Marked] {
        let before = server.counts();
        stall(&mut fleet, &server, &store, point).await;
        assert_eq!(server.counts().refreshes, before.refreshes + 1, "{point}");
    }
    let what = "stalls without a login that spend nothing twice";
    let Figures { counts, failed, .. } = figures(what, &server, &mut fleet).await;
    assert_eq!((counts.refreshes, counts.refused, counts.double_spent, failed), (2, 0, 0, 0));
}

/// The one thing that no fencing prevents: the holder has looked at its lease, and sends when that is over.
#[tokio::test]
async fn on_redis_without_a_login_a_holder_that_stalls_between_its_last_look_and_its_request_spends_one_token_twice() {
    let (server, store) = (Server::start().await, Store::redis().await);
    store.put(&server.signed_in()).await;
    let mut fleet = Fleet::start(4, &server, &store, Login::Cannot).await;
    let stalled = fleet.catch(&server, Point::Sending).await;
    fleet.stop(stalled).await;
    // Nothing was spent, and nobody can know: after the lease and a pause it is sent, and nobody has lost anything yet.
    fleet.serve().await;
    let Counts { refreshes, refused, .. } = server.counts();
    assert_eq!((refreshes, refused, fleet.report().await.failed), (1, 0, 0));
    fleet.go_on(stalled).await;
    // Servers end the session of whoever presents a token for the second time: one of all asks for the next one, is refused,
    // and tells the others. Somebody must sign in.
    server.has_done(|counts| counts.refreshes == 3).await;
    fleet.all_fail("status 401").await;
    fleet.join();
    fleet.all_fail("status 401").await;
    let what = "a stall without a login between the last look and the request";
    let Figures { counts, .. } = figures(what, &server, &mut fleet).await;
    assert_eq!((counts.refreshes, counts.refused, counts.double_spent), (3, 2, 1));
}

/// The holder has spent the token, and stalls with the answer: the others must try it, as if the holder had been killed.
#[tokio::test]
async fn on_redis_without_a_login_a_token_whose_holder_stalls_with_the_answer_is_sent_once_more_and_by_nobody_twice() {
    for point in [Point::Rotated, Point::Writing] {
        let (server, store) = (Server::start().await, Store::redis().await);
        store.put(&server.signed_in()).await;
        let mut fleet = Fleet::start(4, &server, &store, Login::Cannot).await;
        let stalled = fleet.catch(&server, point).await;
        fleet.stop(stalled).await;
        fleet.all_fail("status 401").await;
        fleet.go_on(stalled).await;
        // It brings what it has been granted, which is newer than what was refused. It has ended with the session.
        server.has_done(|counts| counts.refreshes == 3).await;
        fleet.all_fail("status 401").await;
        let what = format!("a stall without a login at the point {point}");
        let Figures { counts, .. } = figures(&what, &server, &mut fleet).await;
        assert_eq!((counts.refreshes, counts.refused, counts.double_spent), (3, 2, 1), "{point}");
    }
}

/// Stops whoever renews the token at `point` until the others have one, which they have after its lease; back when it has one, too.
async fn stall(fleet: &mut Fleet, server: &Server, store: &Store, point: Point) {
    let stalled = fleet.catch(server, point).await;
    fleet.stop(stalled).await;
    fleet.serve().await;
    let waited = fleet.report().await.longest;
    assert!(waited <= store.longest_wait(), "{point}: {waited:?} without a token");
    fleet.go_on(stalled).await;
    fleet.serve().await;
    fleet.report().await;
}

#[tokio::test]
async fn on_a_file_a_holder_that_stands_still_holds_up_only_those_without_a_token_and_until_their_deadline() {
    let (server, store) = (Server::start().await, Store::file());
    let limits = Limits { flight: DEADLINE, ..Limits::default() };
    let mut fleet = Fleet::start_within(limits, 4, &server, &store, Login::Can).await;
    // It has stored the next token set, and keeps the lock.
    let stopped = fleet.catch(&server, Point::Written).await;
    fleet.stop(stopped).await;
    fleet.serve().await;
    fleet.report().await;
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        fleet.serve().await;
    }
    let noticed = fleet.report().await;
    assert_eq!(noticed.failed, 0);
    assert!(noticed.longest < DEADLINE, "{:?} for a token that was there", noticed.longest);
    let before = server.counts();
    server.expire();
    fleet.all_fail("another process holds the lease").await;
    let waited = fleet.report().await.longest;
    assert!(waited >= DEADLINE && waited <= DEADLINE + Duration::from_secs(1), "{waited:?} until the deadline");
    assert_eq!(server.counts().granted, before.granted);
    fleet.go_on(stopped).await;
    fleet.serve().await;
    let Figures { counts, .. } = figures("a stopped holder of a file's lock", &server, &mut fleet).await;
    assert_eq!((counts.logins, counts.refreshes, counts.refused, counts.double_spent), (1, 2, 0, 0));
    assert_eq!(store.generation().await, 3);
}

/// How long a login or refresh may take where it waits in vain.
const DEADLINE: Duration = Duration::from_secs(1);

//! Whoever renews the token is killed.

use std::time::Duration;

use fleet::{Event, Point};
use tower_auth_refresh::token::FencingToken;

use crate::support::{Figures, Fleet, Login, Server, Store, figures, scale};

#[tokio::test]
async fn on_a_file_a_kill_at_any_point_costs_no_more_than_one_login() {
    a_kill_at_any_point_costs_no_more_than_one_login(&Store::file()).await;
}

#[tokio::test]
async fn on_redis_a_kill_at_any_point_costs_no_more_than_one_login() {
    a_kill_at_any_point_costs_no_more_than_one_login(&Store::redis().await).await;
}

async fn a_kill_at_any_point_costs_no_more_than_one_login(store: &Store) {
    let server = Server::start().await;
    let mut fleet = Fleet::start(4, &server, store, Login::Can).await;
    for point in Point::ALL {
        let before = server.counts();
        let caught = fleet.catch(&server, point).await;
        fleet.kill(caught).await;
        fleet.join();
        fleet.serve().await;
        let after = server.counts();
        let spent = (after.logins - before.logins, after.refreshes - before.refreshes);
        assert_eq!(spent, logins_and_refreshes(point), "{point}");
        let waited = fleet.report().await.longest;
        assert!(waited <= store.longest_wait(), "{point}: {waited:?} without a token");
    }
    let what = format!("a kill at each point on a {}", store.name());
    let Figures { counts, failed, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.refused, counts.double_spent, counts.most_at_once, failed), (0, 0, 1, 0));
}

#[tokio::test]
async fn on_a_file_a_kill_while_the_answer_is_on_its_way_costs_one_login() {
    a_kill_while_the_answer_is_on_its_way_costs_one_login(&Store::file()).await;
}

#[tokio::test]
async fn on_redis_a_kill_while_the_answer_is_on_its_way_costs_one_login() {
    a_kill_while_the_answer_is_on_its_way_costs_one_login(&Store::redis().await).await;
}

async fn a_kill_while_the_answer_is_on_its_way_costs_one_login(store: &Store) {
    let server = Server::start().await;
    let mut fleet = Fleet::start(4, &server, store, Login::Can).await;
    server.hold();
    server.expire();
    let caught = fleet.reached(&Event::Passed(Point::Sending)).await;
    server.has_one().await;
    fleet.kill(caught).await;
    server.release();
    fleet.serve().await;
    let what = format!("a kill while the answer is on its way on a {}", store.name());
    let Figures { counts, failed, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.logins, counts.refreshes, counts.refused, counts.double_spent, failed), (2, 1, 0, 0, 0));
}

#[tokio::test]
async fn on_a_file_without_a_login_what_was_lost_is_sent_once_more_and_by_nobody_twice() {
    without_a_login_what_was_lost_is_sent_once_more_and_by_nobody_twice(&Store::file()).await;
}

#[tokio::test]
async fn on_redis_without_a_login_what_was_lost_is_sent_once_more_and_by_nobody_twice() {
    without_a_login_what_was_lost_is_sent_once_more_and_by_nobody_twice(&Store::redis().await).await;
}

async fn without_a_login_what_was_lost_is_sent_once_more_and_by_nobody_twice(store: &Store) {
    let server = Server::start().await;
    store.put(&server.signed_in()).await;
    let mut fleet = Fleet::start(4, &server, store, Login::Cannot).await;
    // Nothing is lost: the refresh token was not sent, or what it bought is stored.
    for point in [Point::Leased, Point::Marked, Point::Sending, Point::Written] {
        let before = server.counts();
        let caught = fleet.catch(&server, point).await;
        fleet.kill(caught).await;
        fleet.join();
        fleet.serve().await;
        let after = server.counts();
        assert_eq!((after.refreshes - before.refreshes, after.refused), (1, 0), "{point}");
    }
    // The last lease has outlived its holder, and must not be in the way of the next kill.
    fleet.expire(&server).await;
    assert_eq!(fleet.report().await.failed, 0);
    // Now it is lost, and nothing but a person can mend that.
    let caught = fleet.catch(&server, Point::Rotated).await;
    fleet.kill(caught).await;
    fleet.all_fail("status 401").await;
    fleet.join();
    fleet.all_fail("status 401").await;
    let what = format!("kills without a login on a {}", store.name());
    let Figures { counts, longest, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.refreshes, counts.refused, counts.double_spent), (7, 1, 1));
    assert!(longest <= store.longest_wait(), "{longest:?} without a token");
}

#[tokio::test]
async fn on_a_file_no_random_kill_spends_a_token_twice() {
    no_random_kill_spends_a_token_twice(&Store::file()).await;
}

#[tokio::test]
async fn on_redis_no_random_kill_spends_a_token_twice() {
    no_random_kill_spends_a_token_twice(&Store::redis().await).await;
}

async fn no_random_kill_spends_a_token_twice(store: &Store) {
    let (scale, server) = (scale(), Server::start().await);
    let mut fleet = Fleet::start(scale.processes, &server, store, Login::Can).await;
    let (mut marks, mut answers) = (0, 0);
    for _ in 0..scale.kills {
        let before = server.counts();
        let (caught, place) = catch_at_random(&mut fleet, &server).await;
        // It stands still before it dies, so that what it leaves behind is known before anybody else acts on it.
        fleet.stop(caught).await;
        let (stored, at_death) = (store.stored().await, server.counts());
        fleet.kill(caught).await;
        // A mark is written under the lease of who sets it.
        let its_lease = fleet.lease(caught);
        let left_mark = stored.spending_since.is_some() && stored.fence.map(FencingToken::get) == its_lease;
        let lost_answer = left_mark && at_death.refreshes > before.refreshes;
        fleet.join();
        fleet.serve().await;
        let after = server.counts();
        let (logins, refreshes) = (after.logins - before.logins, after.refreshes - before.refreshes);
        let said = format!("{place}: {logins} logins, {refreshes} refreshes; {stored:?}");
        assert_eq!(logins, usize::from(left_mark), "{said}");
        match (left_mark, lost_answer) {
            // Nothing was sent, or what it bought was stored: somebody refreshes, be it the one that died or the next.
            (false, _) => assert_eq!(refreshes, 1, "{said}"),
            (true, true) => assert_eq!(refreshes, 1, "{said}"),
            // Its request may have been on its way when it died. Whether the server still takes that up nobody can know.
            (true, false) => assert!(refreshes <= 1, "{said}"),
        }
        marks += usize::from(left_mark);
        answers += usize::from(lost_answer);
        // A lease that has outlived its holder and was in nobody's way must not be in that of the next kill.
        fleet.expire(&server).await;
        assert_eq!(server.counts().logins, after.logins, "{place}");
        assert_eq!(server.counts().refreshes, after.refreshes + 1, "{place}");
        let waited = fleet.report().await.longest;
        assert!(waited <= store.longest_wait(), "{place}: {waited:?} without a token");
    }
    let kills = scale.kills;
    let what = format!("{kills} random kills on a {}, {marks} marks and {answers} answers of them lost", store.name());
    let Figures { counts, failed, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!(counts.logins, 1 + marks);
    assert_eq!((counts.refused, counts.double_spent, counts.most_at_once, failed), (0, 0, 1, 0));
}

/// Whoever renews the token: as often as not at one of the points, else wherever it is after a while.
async fn catch_at_random(fleet: &mut Fleet, server: &Server) -> (usize, String) {
    if fastrand::bool() {
        let point = fastrand::choice(Point::ALL).unwrap();
        return (fleet.catch(server, point).await, point.to_string());
    }
    server.expire();
    let caught = fleet.reached(&Event::Passed(Point::Leased)).await;
    let later = Duration::from_micros(fastrand::u64(..LONGEST_FLIGHT));
    tokio::time::sleep(later).await;
    (caught, format!("{later:?} after the lease"))
}

/// In microseconds: about what a flight takes.
const LONGEST_FLIGHT: u64 = 15_000;

/// What the killed process and the next one together ask the server for.
fn logins_and_refreshes(killed_at: Point) -> (usize, usize) {
    match killed_at {
        // Nobody has begun.
        Point::Leased => (0, 1),
        // The mark says that it may be spent, and nobody can know.
        Point::Marked | Point::Sending => (1, 0),
        // It was spent, and what it bought is lost.
        Point::Rotated | Point::Writing => (1, 1),
        // What it bought is there for the next one.
        Point::Written => (0, 1),
    }
}

//! Whoever renews the token is killed.

use fleet::Point;

use crate::support::{Figures, Fleet, Login, Server, Store, figures};

#[tokio::test]
async fn on_a_file_a_kill_at_any_point_costs_no_more_than_one_login() {
    a_kill_at_any_point_costs_no_more_than_one_login(&Store::file()).await;
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
    }
    let what = format!("a kill at each point on a {}", store.name());
    let Figures { counts, failed, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.refused, counts.double_spent, counts.most_at_once, failed), (0, 0, 1, 0));
}

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

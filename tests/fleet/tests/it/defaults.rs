//! How long a kill is felt with the settings that a session and a store have by default.

use std::time::{Duration, Instant};

use fleet::Point;

use crate::support::{Figures, Fleet, Login, Server, Store, figures};

#[tokio::test]
async fn on_a_file_one_login_serves_the_others_a_second_after_a_kill_and_where_none_is_possible_a_pause_of_a_second_later()
 {
    let (one, other) = (Store::file(), Store::file());
    tokio::join!(
        a_kill_is_felt_for_a_lease_and_a_second(&one, Login::Can),
        a_kill_is_felt_for_a_lease_and_a_second(&other, Login::Cannot)
    );
}

#[tokio::test]
async fn on_redis_one_login_serves_the_others_a_second_after_the_lease_and_where_none_is_possible_a_pause_of_a_second_later()
 {
    let (one, other) = (Store::redis_by_default().await, Store::redis_by_default().await);
    tokio::join!(
        a_kill_is_felt_for_a_lease_and_a_second(&one, Login::Can),
        a_kill_is_felt_for_a_lease_and_a_second(&other, Login::Cannot)
    );
}

async fn a_kill_is_felt_for_a_lease_and_a_second(store: &Store, login: Login) {
    let server = Server::start().await;
    if login == Login::Cannot {
        store.put(&server.signed_in()).await;
    }
    let mut fleet = Fleet::start_with_defaults(3, &server, store, login).await;
    let caught = fleet.catch(&server, Point::Marked).await;
    fleet.report().await;
    let killed = Instant::now();
    fleet.kill(caught).await;
    fleet.serve().await;
    let waited = killed.elapsed();
    let (pause, asked) = match login {
        Login::Can => (Duration::ZERO, (2, 0)),
        Login::Cannot => (BACKOFF, (1, 1)),
    };
    let what = format!("by default, a kill on a {}, all served {:.3} s later", store.name(), waited.as_secs_f64());
    let Figures { counts, failed, longest, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.logins, counts.refreshes), asked);
    assert_eq!((counts.refused, counts.double_spent, counts.most_at_once, failed), (0, 0, 1, 0));
    let most = store.longest_wait() + pause;
    assert!(waited <= most && longest <= most, "{waited:?} since the kill, {longest:?} without a token");
    // It had that lease, and there is that pause; nobody has renewed the lease, which was new.
    assert!(waited >= store.lease().mul_f64(0.9) + pause, "{waited:?} since the kill");
}

/// How long a token that may have been spent is left alone, by default.
const BACKOFF: Duration = Duration::from_secs(1);

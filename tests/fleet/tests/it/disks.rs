//! A disk that is full, or takes no writes.

use fleet::Point;

use crate::support::{Figures, Fleet, Login, Server, Store, figures};

#[tokio::test]
async fn on_a_full_disk_no_token_is_spent_and_room_mends_it() {
    let mut store = Store::on_disk().await;
    let server = Server::start().await;
    let mut fleet = Fleet::start(4, &server, &store, Login::Can).await;
    store.disk().fill().await;
    nothing_is_spent("no storage space", &server, &mut fleet).await;
    store.disk().free().await;
    is_mended("a full disk", &server, &store, &mut fleet).await;
}

#[tokio::test]
async fn on_a_read_only_disk_no_token_is_spent_and_writes_mend_it() {
    let mut store = Store::on_disk().await;
    let server = Server::start().await;
    let mut fleet = Fleet::start(4, &server, &store, Login::Can).await;
    store.disk().read_only().await;
    nothing_is_spent("read-only filesystem", &server, &mut fleet).await;
    store.disk().writable().await;
    is_mended("a read-only disk", &server, &store, &mut fleet).await;
}

#[tokio::test]
async fn what_a_full_disk_did_not_take_is_used_and_stored_when_there_is_room() {
    let mut store = Store::on_disk().await;
    let server = Server::start().await;
    let mut fleet = Fleet::start(1, &server, &store, Login::Can).await;
    let caught = fleet.catch(&server, Point::Rotated).await;
    store.disk().fill().await;
    fleet.disarm(caught).await;
    fleet.serve().await;
    assert_eq!(store.generation().await, 1);
    store.disk().free().await;
    store.reaches(|| 2).await;
    // Whoever comes finds it.
    fleet.join();
    fleet.serve().await;
    let Figures { counts, failed, .. } = figures("a full disk before a write", &server, &mut fleet).await;
    assert_eq!((counts.logins, counts.refreshes, counts.refused, counts.double_spent, failed), (1, 1, 0, 0, 0));
}

/// While the token is good nobody notices. When it has ended there is no other, and no request for one.
async fn nothing_is_spent(why: &str, server: &Server, fleet: &mut Fleet) {
    fleet.serve().await;
    let before = server.counts();
    assert_eq!(fleet.report().await.failed, 0);
    server.expire();
    fleet.all_fail(why).await;
    let after = server.counts();
    assert_eq!((after.logins, after.refreshes), (before.logins, before.refreshes));
}

async fn is_mended(what: &str, server: &Server, store: &Store, fleet: &mut Fleet) {
    fleet.serve().await;
    let Figures { counts, .. } = figures(what, server, fleet).await;
    assert_eq!((counts.logins, counts.refreshes, counts.refused, counts.double_spent), (1, 1, 0, 0));
    assert_eq!(store.generation().await, 2);
}

//! Nothing goes wrong but that tokens end.

use crate::support::{Figures, Fleet, Login, Server, Store, figures, scale};

#[tokio::test]
async fn on_a_file_each_expiry_costs_one_call() {
    each_expiry_costs_one_call(&Store::file()).await;
}

#[tokio::test]
async fn on_redis_each_expiry_costs_one_call() {
    each_expiry_costs_one_call(&Store::redis().await).await;
}

async fn each_expiry_costs_one_call(store: &Store) {
    let (scale, server) = (scale(), Server::start().await);
    let mut fleet = Fleet::start(scale.processes, &server, store, Login::Can).await;
    for _ in 0..scale.expiries {
        fleet.expire(&server).await;
    }
    let what = format!("{} processes on a {}, {} expiries", scale.processes, store.name(), scale.expiries);
    let Figures { counts, failed, .. } = figures(&what, &server, &mut fleet).await;
    assert_eq!((counts.logins, counts.refreshes, counts.granted), (1, scale.expiries, 1 + scale.expiries));
    assert_eq!((counts.refused, counts.double_spent, counts.most_at_once, failed), (0, 0, 1, 0));
}

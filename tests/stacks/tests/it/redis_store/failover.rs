//! A replica takes over, with or without the last writes.

use tower_auth_refresh::store::{StoreErrorKind, Swap, TokenStore};

use super::{
    scene::{json, lease, loaded, stored, until_async, within, write},
    server::Redis,
    switch::Switch,
};

/// A primary, its replica, and the address that leads to the primary.
struct Pair {
    primary: Redis,
    replica: Redis,
    switch: Switch,
}

impl Pair {
    async fn new() -> Self {
        let (primary, replica) = (Redis::start().await, Redis::start_with(&["--repl-diskless-sync-delay", "0"]).await);
        let () = primary.ask("CONFIG SET repl-diskless-sync-delay 0").await;
        let () = replica.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port)).await;
        until_async(async || replica.ask::<String>("INFO replication").await.contains("master_link_status:up")).await;
        let switch = Switch::to(primary.port).await;
        Self { primary, replica, switch }
    }

    /// Until the replica has all that the primary has.
    async fn until_equal(&self) {
        within(async {
            let offset = async |redis: &Redis| {
                let info: String = redis.ask("INFO replication").await;
                info.lines().find_map(|line| line.strip_prefix("master_repl_offset:").map(str::to_owned)).unwrap()
            };
            while offset(&self.primary).await != offset(&self.replica).await {}
        })
        .await;
    }

    /// From now on the replica hears nothing of what the primary writes.
    async fn part(&self) {
        self.until_equal().await;
        let () = self.replica.ask("REPLICAOF NO ONE").await;
    }

    /// The primary is gone, and the address leads to what was its replica.
    fn fail_over(&mut self) {
        self.switch.lead_to(self.replica.port);
        self.primary.kill();
    }
}

#[tokio::test]
async fn what_has_reached_the_replica_is_still_there() {
    let mut pair = Pair::new().await;
    let store = pair.switch.store("a");
    let set = write(&store, 1).await;
    let held = lease(&store).await;
    pair.part().await;
    pair.fail_over();
    until_async(async || store.load().await.is_ok()).await;
    assert_eq!(loaded(&store).await, Some(json(&set)));
    held.renew().await.unwrap();
    assert!(pair.replica.store("a").try_lease(None).await.unwrap().is_none());
    let next = stored(2, &*held);
    assert_eq!(held.save(Some(set.version()), &next).await.unwrap(), Swap::Done);
    held.release().await.unwrap();
    assert!(lease(&store).await.fence() > next.fence.unwrap());
}

#[tokio::test]
async fn a_lost_lease_is_noticed_and_its_holder_overwrites_nothing() {
    let mut pair = Pair::new().await;
    let store = pair.switch.store("a");
    let set = write(&store, 1).await;
    pair.part().await;
    let lost = lease(&store).await;
    pair.fail_over();
    let other = pair.replica.store("a");
    let held = other.try_lease(Some(lost.fence())).await.unwrap().unwrap();
    until_async(async || store.load().await.is_ok()).await;
    assert_eq!(lost.renew().await.unwrap_err().kind(), StoreErrorKind::Lost);
    let next = stored(2, &*held);
    assert_eq!(held.save(Some(set.version()), &next).await.unwrap(), Swap::Done);
    assert_eq!(lost.save(Some(set.version()), &stored(2, &*lost)).await.unwrap(), Swap::Conflict);
    lost.release().await.unwrap();
    held.renew().await.unwrap();
    assert_eq!(loaded(&store).await, Some(json(&next)));
}

#[tokio::test]
async fn after_a_lost_write_the_set_before_it_is_there_with_its_mark() {
    let mut pair = Pair::new().await;
    let store = pair.switch.store("a");
    let held = lease(&store).await;
    let mut marked = stored(1, &*held);
    marked.spending_since = Some(std::time::UNIX_EPOCH);
    assert_eq!(held.save(None, &marked).await.unwrap(), Swap::Done);
    pair.part().await;
    let lost = stored(2, &*held);
    assert_eq!(held.save(Some(marked.version()), &lost).await.unwrap(), Swap::Done);
    pair.fail_over();
    until_async(async || store.load().await.is_ok()).await;
    assert_eq!(loaded(&store).await, Some(json(&marked)));
    // Whoever goes on from what is lost is told so.
    assert_eq!(held.save(Some(lost.version()), &stored(3, &*held)).await.unwrap(), Swap::Conflict);
}

#[tokio::test]
async fn a_primary_that_has_become_a_replica_costs_one_call() {
    let pair = Pair::new().await;
    let store = pair.switch.store("a");
    write(&store, 1).await;
    pair.part().await;
    pair.switch.lead_to(pair.replica.port);
    let () = pair.primary.ask(&format!("REPLICAOF 127.0.0.1 {}", pair.replica.port)).await;
    let error = store.try_lease(None).await.err().unwrap();
    assert_eq!(error.to_string(), "cannot lease redis tower-auth-refresh:{a}: READONLY");
    lease(&store).await;
}

/// What the documentation calls worse: nobody can tell from within.
#[tokio::test]
async fn while_two_primaries_answer_both_holders_renew_and_write_and_one_of_them_loses_it() {
    let pair = Pair::new().await;
    let (one, other) = (pair.primary.store("a"), pair.replica.store("a"));
    let set = write(&one, 1).await;
    let ours = lease(&one).await;
    pair.part().await;
    let () = pair.replica.ask("DEL tower-auth-refresh:{a}:lease").await;
    let theirs = lease(&other).await;
    let mut sets = Vec::new();
    for held in [&ours, &theirs] {
        held.renew().await.unwrap();
        let next = stored(2, &**held);
        assert_eq!(held.save(Some(set.version()), &next).await.unwrap(), Swap::Done);
        sets.push(json(&next));
    }
    assert_eq!([loaded(&one).await.unwrap(), loaded(&other).await.unwrap()], *sets);
    let () = pair.primary.ask(&format!("REPLICAOF 127.0.0.1 {}", pair.replica.port)).await;
    until_async(async || one.load().await.is_ok_and(|is| is.as_ref().map(json) == sets.last().cloned())).await;
    let why = ours.renew().await.unwrap_err().to_string();
    assert_eq!(why, "the lease of redis tower-auth-refresh:{a} is lost");
}

#[tokio::test]
async fn a_primary_that_may_not_write_alone_neither_renews_nor_writes_once_it_is_cut_off() {
    let pair = Pair::new().await;
    let store = pair.switch.store("a");
    let set = write(&store, 1).await;
    let held = lease(&store).await;
    pair.part().await;
    let () = pair.primary.ask("CONFIG SET min-replicas-to-write 1").await;
    until_async(async || pair.primary.ask::<String>("INFO replication").await.contains("connected_slaves:0")).await;
    let refused = "redis tower-auth-refresh:{a}: NOREPLICAS";
    assert_eq!(held.renew().await.unwrap_err().to_string(), format!("cannot renew the lease of {refused}"));
    let next = held.save(Some(set.version()), &stored(2, &*held)).await;
    assert_eq!(next.unwrap_err().to_string(), format!("cannot write {refused}"));
    assert_eq!(loaded(&store).await, Some(json(&set)));
}

#[tokio::test]
async fn a_failover_wakes_whoever_waits() {
    let mut pair = Pair::new().await;
    let store = pair.switch.store("a").poll(super::scene::AN_HOUR).unwrap();
    within(store.changed()).await;
    store.load().await.unwrap();
    let changed = store.changed();
    pair.part().await;
    pair.fail_over();
    within(changed).await;
}

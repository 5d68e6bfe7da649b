//! Sequences of events that nobody plans for, and what is promised all the same.

mod changes;
mod doubts;
mod hostile;
mod looks;
mod odd;
mod second;
mod turns;
mod writes;

use std::time::Duration;

use tower_auth_refresh::{
    Session,
    session::{Event, Events, RefreshPolicy},
    store::MemoryStore,
};

use crate::support::{
    Client, Counts, TestProvider, World, client,
    fleet::{Process, builder, set, write},
    get, send,
};
use odd::Odd;

const LIFE: Duration = Duration::from_secs(1000);

fn calls(counts: Counts) -> (usize, usize, usize) {
    (counts.logins, counts.refreshes, counts.double_spent)
}

/// A process that has sent a request with token set 7, which lives for a `LIFE`.
async fn signed_in(world: &World, store: &MemoryStore, provider: TestProvider, policy: RefreshPolicy) -> Process {
    world.grant(7);
    write(store, set(world, 7, LIFE)).await;
    let process = Process::with(world, store, builder(world, provider).policy(policy.jitter(|| 1.0)));
    send(&process.client, get("/")).await.unwrap();
    process
}

/// A session over an odd store.
fn over(world: &World, store: &Odd, provider: TestProvider, policy: RefreshPolicy) -> (Session<TestProvider>, Client) {
    let policy = policy.jitter(|| 1.0);
    let session = builder(world, provider).policy(policy).store(store.clone()).build().unwrap();
    let client = client(world, &session);
    (session, client)
}

/// The events that are there by now: how many times another token set was in place, and how many that the store holds it.
async fn told(events: &mut Events) -> (usize, usize) {
    let mut told = (0, 0);
    loop {
        match std::pin::pin!(crate::support::by_hand::ByHand::new(events.recv())).poll() {
            std::task::Poll::Ready(Some(Event::TokenChanged { .. })) => told.0 += 1,
            std::task::Poll::Ready(Some(Event::Saved { .. })) => told.1 += 1,
            std::task::Poll::Ready(Some(_)) => {}
            std::task::Poll::Ready(None) | std::task::Poll::Pending => return told,
        }
    }
}

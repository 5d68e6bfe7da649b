//! What was read of a store, and is told when it does not hold any more.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use http::StatusCode;
use tokio::{
    join,
    sync::{Semaphore, watch},
};
use tower_auth_refresh::{
    session::Event,
    store::{Lease, MemoryStore, StoreFuture, TokenStore},
    token::{FencingToken, Stored},
};

use crate::support::{
    TestProvider, World, client,
    fleet::{builder, eventually},
    get, send,
};

/// A store that takes its time to tell of a token set that is being spent.
#[derive(Clone)]
struct Slow {
    inner: MemoryStore,
    /// How often it has read one, and told of one.
    read: watch::Sender<usize>,
    told: watch::Sender<usize>,
    may_tell: Arc<Semaphore>,
}

impl TokenStore for Slow {
    fn load(&self) -> StoreFuture<'_, Option<Stored>> {
        Box::pin(async {
            let stored = self.inner.load().await?;
            if stored.as_ref().is_some_and(|stored| stored.spending_since.is_some()) {
                self.read.send_modify(|read| *read += 1);
                drop(self.may_tell.acquire().await);
                self.told.send_modify(|told| *told += 1);
            }
            Ok(stored)
        })
    }

    fn try_lease(&self, above: Option<FencingToken>) -> StoreFuture<'_, Option<Box<dyn Lease>>> {
        self.inner.try_lease(above)
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.inner.changed()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_refresh_does_not_come_back_after_it() {
    let world = World::new().lifetime(Duration::from_secs(1000));
    let store = Slow {
        inner: MemoryStore::new(),
        read: watch::Sender::new(0),
        told: watch::Sender::new(0),
        may_tell: Arc::new(Semaphore::new(0)),
    };
    let session = builder(&world, TestProvider::new()).store(store.clone()).build().unwrap();
    let (client, mut events) = (client(&world, &session), session.subscribe());
    send(&client, get("/")).await.unwrap();

    world.revoke_access();
    world.hold_idp();
    let (answer, ()) = join!(send(&client, get("/")), async {
        // The session's own watcher sees the mark.
        eventually(|| *store.read.borrow() == 1).await;
        world.release_idp();
    });
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    store.may_tell.add_permits(Semaphore::MAX_PERMITS);
    eventually(|| *store.told.borrow() == 1).await;
    send(&client, get("/")).await.unwrap();
    drop((client, session));
    let mut changes = Vec::new();
    while let Some(event) = events.recv().await {
        if let Event::TokenChanged { generation } = event {
            changes.push(generation.get());
        }
    }
    assert_eq!((changes, world.counts().rejected), (vec![1, 2], 1));
}

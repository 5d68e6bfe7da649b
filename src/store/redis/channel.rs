//! The channel of one session, on which it is told that something has changed, and not what.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::connection::Connection;
use crate::rt;

/// What comes in on one channel, counted. The last store of its name takes it away.
pub(super) struct Channel {
    name: String,
    connection: Weak<Connection>,
    notifications: watch::Sender<u64>,
    /// On which connection the server is asked for it; 0 before the first.
    asked_on: AtomicU64,
}

/// The channels that somebody waits on, by their names.
#[derive(Default)]
pub(super) struct Channels(Mutex<HashMap<String, Weak<Channel>>>);

/// A subscription that is under way: where it comes to nothing, the next one asks again.
pub(super) struct Asking {
    channel: Arc<Channel>,
    number: u64,
    pub(super) is_done: bool,
}

// ===== impl Channel =====

impl Channel {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How much has come in.
    pub(super) fn count(&self) -> u64 {
        *self.notifications.borrow()
    }

    /// Waits until there is more, or less, than that.
    pub(super) async fn other_than(&self, count: u64) {
        // It cannot end: the sender is here.
        let _ = self.notifications.subscribe().wait_for(|is| *is != count).await;
    }

    pub(super) fn is_asked_for_on(&self, connection: u64) -> bool {
        self.asked_on.load(Ordering::Acquire) == connection
    }

    /// `None` where it has been already.
    pub(super) fn ask_on(self: &Arc<Self>, connection: u64) -> Option<Asking> {
        let before = self.asked_on.swap(connection, Ordering::AcqRel);
        (before != connection).then(|| Asking { channel: Arc::clone(self), number: connection, is_done: false })
    }

    fn is_no_longer_asked_for_on(&self, connection: u64) -> bool {
        self.asked_on.compare_exchange(connection, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn wake(&self) {
        self.notifications.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let Some(connection) = self.connection.upgrade() else { return };
        let name = mem::take(&mut self.name);
        connection.channels().remove(&name);
        let asked_on = *self.asked_on.get_mut();
        if asked_on != 0 {
            // Where no runtime is left to say so, the connection will not live long either.
            rt::spawn(async move { connection.unsubscribe(name, asked_on).await });
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.is_done {
            self.channel.is_no_longer_asked_for_on(self.number);
        }
    }
}

// ===== impl Channels =====

impl Channels {
    /// The channel of this name, the same for all who ask.
    pub(super) fn get(&self, name: &str, connection: &Arc<Connection>) -> Arc<Channel> {
        let mut channels = self.lock();
        if let Some(channel) = channels.get(name).and_then(Weak::upgrade) {
            return channel;
        }
        let channel = Arc::new(Channel {
            name: name.to_owned(),
            connection: Arc::downgrade(connection),
            notifications: watch::Sender::new(0),
            asked_on: AtomicU64::new(0),
        });
        channels.insert(name.to_owned(), Arc::downgrade(&channel));
        channel
    }

    pub(super) fn is_wanted(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(|channel| channel.strong_count() > 0)
    }

    /// From now on what is told there comes in on this connection; what came before was not heard.
    pub(super) fn begin(&self, name: &str, connection: u64) {
        if let Some(channel) = self.find(name) {
            channel.asked_on.store(connection, Ordering::Release);
            channel.wake();
        }
    }

    /// Something has come in.
    pub(super) fn wake(&self, name: &str) {
        if let Some(channel) = self.find(name) {
            channel.wake();
        }
    }

    /// Nothing comes in any more on this connection: whoever waits all the same has come too late, and asks again.
    pub(super) fn end(&self, name: &str, connection: u64) {
        if let Some(channel) = self.find(name)
            && channel.is_no_longer_asked_for_on(connection)
        {
            channel.wake();
        }
    }

    pub(super) fn wake_all(&self) {
        let channels: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        channels.iter().for_each(|channel| channel.wake());
    }

    /// The lock is not held any more when it is dropped, which asks for it.
    fn find(&self, name: &str) -> Option<Arc<Channel>> {
        self.lock().get(name).and_then(Weak::upgrade)
    }

    /// Takes it out, unless there is another of its name by now.
    fn remove(&self, name: &str) {
        let mut channels = self.lock();
        if channels.get(name).is_some_and(|channel| channel.strong_count() == 0) {
            channels.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Channel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

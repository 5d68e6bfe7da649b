//! The news of one session: that something has changed, and not what.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::connection::Connection;
use crate::rt;

/// What comes in on one channel, counted. The last store of its name takes it away.
pub(super) struct Topic {
    channel: String,
    connection: Weak<Connection>,
    news: watch::Sender<u64>,
    /// On which connection the server has been asked for it; 0 before the first.
    heard_on: AtomicU64,
}

/// The topics that somebody waits for, by their channels.
#[derive(Default)]
pub(super) struct Topics(Mutex<HashMap<String, Weak<Topic>>>);

// ===== impl Topic =====

impl Topic {
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// How much has come in.
    pub(super) fn count(&self) -> u64 {
        *self.news.borrow()
    }

    /// Waits until there is more, or less, than that.
    pub(super) async fn other_than(&self, count: u64) {
        // It cannot end: the sender is here.
        let _ = self.news.subscribe().wait_for(|is| *is != count).await;
    }

    pub(super) fn is_heard_on(&self, connection: u64) -> bool {
        self.heard_on.load(Ordering::Acquire) == connection
    }

    pub(super) fn set_heard_on(&self, connection: u64) {
        self.heard_on.store(connection, Ordering::Release);
    }

    fn wake(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let Some(connection) = self.connection.upgrade() else { return };
        let channel = std::mem::take(&mut self.channel);
        connection.topics().remove(&channel);
        let heard_on = *self.heard_on.get_mut();
        if heard_on != 0 {
            // Where no runtime is left to say so, the connection will not live long either.
            rt::spawn(async move { connection.unsubscribe(&channel, heard_on).await });
        }
    }
}

// ===== impl Topics =====

impl Topics {
    /// The topic of this channel, the same for all who ask.
    pub(super) fn get(&self, channel: &str, connection: &Arc<Connection>) -> Arc<Topic> {
        let mut topics = self.lock();
        if let Some(topic) = topics.get(channel).and_then(Weak::upgrade) {
            return topic;
        }
        let topic = Arc::new(Topic {
            channel: channel.to_owned(),
            connection: Arc::downgrade(connection),
            news: watch::Sender::new(0),
            heard_on: AtomicU64::new(0),
        });
        topics.insert(channel.to_owned(), Arc::downgrade(&topic));
        topic
    }

    pub(super) fn is_wanted(&self, channel: &str) -> bool {
        self.lock().get(channel).is_some_and(|topic| topic.strong_count() > 0)
    }

    pub(super) fn wake(&self, channel: &str) {
        // Not in one statement with the lock: a topic that is dropped here asks for it.
        let topic = self.lock().get(channel).and_then(Weak::upgrade);
        if let Some(topic) = topic {
            topic.wake();
        }
    }

    pub(super) fn wake_all(&self) {
        let topics: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        topics.iter().for_each(|topic| topic.wake());
    }

    /// Takes it out, unless there is another of its name by now.
    fn remove(&self, channel: &str) {
        let mut topics = self.lock();
        if topics.get(channel).is_some_and(|topic| topic.strong_count() == 0) {
            topics.remove(channel);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Topic>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

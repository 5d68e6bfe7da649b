//! The places in a flight at which this process stops when it is told to.

use fleet::{Event, Point};
use tokio::sync::watch;

use crate::stdio::say;

/// At which point to stop. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Points(watch::Sender<Option<Point>>);

impl Points {
    pub(crate) fn arm(&self, point: Point) {
        self.0.send_replace(Some(point));
        say(&Event::Obeyed);
    }

    pub(crate) fn disarm(&self) {
        say(&Event::Obeyed);
        self.0.send_replace(None);
    }

    /// Says that `point` is reached, and waits there for as long as it is armed.
    pub(crate) async fn reach(&self, point: Point) {
        let mut armed = self.0.subscribe();
        if *armed.borrow_and_update() != Some(point) {
            return say(&Event::Passed(point));
        }
        say(&Event::At(point));
        // The sender is `self`'s.
        let _ = armed.wait_for(|armed| *armed != Some(point)).await;
    }
}

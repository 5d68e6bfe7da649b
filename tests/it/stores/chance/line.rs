//! What a process reaches the outside by: its calls take their time, are lost on the way there or back, and end for good
//! when it is killed.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::support::fleet::{now, pass};

/// Dice that a whole run shares.
#[derive(Clone)]
pub struct Dice(Arc<Mutex<fastrand::Rng>>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Whether something happens that happens `percent` times in a hundred.
    pub fn says(&self, percent: u64) -> bool {
        self.0.lock().unwrap().u64(..100) < percent
    }

    pub fn below(&self, end: usize) -> usize {
        self.0.lock().unwrap().usize(..end)
    }

    pub fn millis(&self, end: u64) -> Duration {
        Duration::from_millis(self.0.lock().unwrap().u64(..end))
    }
}

#[derive(Clone)]
pub struct Line {
    dice: Dice,
    state: Arc<Mutex<State>>,
    /// How many calls in a hundred are spoilt.
    faults: watch::Sender<u64>,
}

struct State {
    cut_until: Instant,
    is_dead: bool,
}

/// A call that came to nothing; it may have been carried out.
pub struct Lost;

impl Line {
    pub fn new(dice: &Dice, faults: &watch::Sender<u64>) -> Self {
        let state = State { cut_until: now(), is_dead: false };
        Self { dice: dice.clone(), state: Arc::new(Mutex::new(state)), faults: faults.clone() }
    }

    /// Nothing goes out any more, and nobody hears what comes.
    pub fn kill(&self) {
        self.state.lock().unwrap().is_dead = true;
    }

    /// The process cannot be reached, and reaches nobody, for so long.
    pub fn cut(&self, time: Duration) {
        self.state.lock().unwrap().cut_until = now() + time;
    }

    pub fn is_cut(&self) -> bool {
        now() < self.state.lock().unwrap().cut_until
    }

    /// Whether this call is spoilt.
    pub fn is_spoilt(&self) -> bool {
        self.dice.says(*self.faults.borrow())
    }

    pub fn dice(&self) -> &Dice {
        &self.dice
    }

    /// Ends only while the process lives.
    pub async fn lives(&self) {
        let is_dead = self.state.lock().unwrap().is_dead;
        if is_dead {
            pending().await
        }
    }

    /// One way, there or back.
    pub async fn travel(&self, longest: u64) {
        pass(self.dice.millis(longest)).await;
        self.lives().await;
    }

    /// A call whose `work` is done at once when it has arrived, however long ago the caller has given it up.
    pub async fn call<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
        self.lives().await;
        if self.is_cut() {
            pass(Duration::from_secs(1)).await;
            return Err(Lost);
        }
        // Most take some milliseconds, and a few longer than anybody waits.
        let longest = if self.dice.says(2) && self.is_spoilt() { 6000 } else { 30 };
        let (spoilt, there, back) = (self.is_spoilt(), self.dice.millis(longest), self.dice.millis(longest));
        let is_lost_on_its_way = spoilt && self.dice.says(50);
        let arrival = detached(async move {
            pass(there).await;
            (!is_lost_on_its_way).then(work)
        });
        let done = arrival.await;
        pass(back).await;
        self.lives().await;
        done.filter(|_| !spoilt).ok_or(Lost)
    }
}

/// Goes on where nobody waits for it any more.
#[allow(clippy::disallowed_methods, reason = "what has been sent cannot be taken back")]
async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(work).await.unwrap()
}

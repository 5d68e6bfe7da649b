//! What is drawn: when the clock moves and how far, what goes wrong and who goes away.

use std::time::Duration;

use fastrand::Rng;

use crate::fault::Fault;

/// A batch of requests and what happens meanwhile.
pub(crate) struct Batch {
    pub(crate) size: u64,
    /// How far the clock moves before.
    pub(crate) start: Jump,
    /// What happens right before the request of that number.
    pub(crate) events: Vec<(u64, Event)>,
    /// What goes wrong at the token endpoint, call by call. What is not reached is forgotten: the batch's end heals.
    pub(crate) outage: Vec<Fault>,
    /// How long each token call takes at least, in real time.
    pub(crate) latency: Duration,
    /// How many of a hundred requests go away together as soon as the server has granted.
    pub(crate) leave_together: u8,
}

/// To which point in the life of the token at hand.
#[derive(Clone, Copy)]
pub(crate) enum Jump {
    /// Half a minute to a minute on: all backoffs of a healed session are over, and the guard's window is past.
    Onward,
    Soft,
    Hard,
    End,
}

#[derive(Clone, Copy)]
pub(crate) enum Event {
    /// The server ends all access tokens.
    Revoke,
    /// Seconds pass, perhaps a backoff with them.
    Seconds(u64),
    /// Most of a lifetime passes, but not all of it: a grant under way must not have ended when it arrives.
    MostOfALife,
}

impl Batch {
    pub(crate) fn draw(rng: &mut Rng, size: u64) -> Self {
        let start = match rng.u8(..100) {
            0..40 => Jump::Onward,
            40..65 => Jump::Soft,
            65..80 => Jump::Hard,
            _ => Jump::End,
        };
        let mut events = Vec::new();
        for _ in 0..rng.choice([0, 0, 0, 1, 1, 2]).unwrap_or_default() {
            events.push((rng.u64(..size), Event::Revoke));
        }
        match rng.u8(..100) {
            0..40 => events.push((rng.u64(..size), Event::Seconds(rng.u64(1..12)))),
            40..55 => events.push((rng.u64(..size), Event::MostOfALife)),
            _ => {}
        }
        let faults = rng.choice([0, 0, 0, 0, 0, 0, 1, 1, 2, 3]).unwrap_or_default();
        let outage = (0..faults).filter_map(|_| rng.choice(Fault::TOKEN)).collect();
        let latency = Duration::from_millis(rng.u64(..=4));
        let leave_together = if rng.u8(..100) < 15 { 50 } else { 0 };
        Self { size, start, events, outage, latency, leave_together }
    }

    /// Nothing happens, and nothing goes wrong.
    pub(crate) fn quiet() -> Self {
        let (events, outage) = (Vec::new(), Vec::new());
        Self { size: 1, start: Jump::Onward, events, outage, latency: Duration::ZERO, leave_together: 0 }
    }
}

/// After how many polls a request is dropped by itself, if it is: 3 in 100 are.
pub(crate) fn patience(rng: &mut Rng) -> Option<u32> {
    (rng.u8(..100) < 3).then(|| rng.u32(..7))
}

/// What goes wrong with one send of one request: about 2 in 100.
pub(crate) fn api_fault(seed: u64, number: u64, send: u8) -> Option<Fault> {
    let mut rng = Rng::with_seed(seed ^ (number << 8) ^ u64::from(send));
    (rng.u8(..50) == 0).then(|| rng.choice(Fault::API)).flatten()
}

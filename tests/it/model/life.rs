//! The points in a token's life, as the table of the defaults and C14 put them.

use super::observed::Millis;

/// The longest default margins.
const HARD: Millis = 30_000;
const SOFT: Millis = 60 * 60_000;

/// What both clocks say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks {
    pub wall: Millis,
    pub monotonic: Millis,
}

/// A point that is reached when either clock says so.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub wall: Millis,
    pub monotonic: Millis,
}

#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub number: u64,
    pub has_refresh_token: bool,
    /// Nothing for a token of unknown expiry.
    pub life: Option<Life>,
}

#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub soft: Point,
    pub hard: Point,
    pub end: Point,
    /// When half of what was left is over.
    pub half: Point,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Fresh,
    Soft,
    Hard,
    Expired,
}

impl Clocks {
    pub fn after(self, wait: Millis) -> Point {
        Point { wall: self.wall + wait, monotonic: self.monotonic + wait }
    }

    /// How much time has passed since `earlier`, by the clock that says more.
    pub fn since(self, earlier: Self) -> Millis {
        (self.wall - earlier.wall).max(self.monotonic - earlier.monotonic)
    }
}

impl Token {
    pub fn age(&self, now: Clocks) -> Age {
        match self.life {
            Some(life) if life.end.is_reached(now) => Age::Expired,
            Some(life) if life.hard.is_reached(now) => Age::Hard,
            Some(life) if life.soft.is_reached(now) => Age::Soft,
            _ => Age::Fresh,
        }
    }

    /// How long it is until the token ends, by the clock that says less.
    pub fn left(&self, now: Clocks) -> Millis {
        self.life.map_or(Millis::MAX, |Life { end, .. }| (end.wall - now.wall).min(end.monotonic - now.monotonic))
    }

    pub fn is_half_over(&self, now: Clocks) -> bool {
        self.life.is_some_and(|life| life.half.is_reached(now))
    }
}

impl Life {
    /// A life of `whole` that began at `from` and is heard of at `now`. What has passed in between has passed, whichever
    /// clock says so, and both clocks are as they are now. `jitter` is in percent of the range.
    pub fn new(whole: Millis, from: Clocks, now: Clocks, jitter: Millis) -> Self {
        let passed = now.since(from);
        let at =
            |age: Millis| Point { wall: now.wall - passed + age, monotonic: now.monotonic + (age - passed).max(0) };
        let hard = HARD.min(whole / 20);
        // Of what is left, rounded up.
        let half = at(passed + ((whole - passed + 1) / 2).max(1000));
        let soft = SOFT.min(whole / 5) + whole / 10 * jitter / 100;
        Self { soft: at(whole - soft), hard: at(whole - hard), end: at(whole), half }
    }
}

impl Point {
    pub fn is_reached(self, now: Clocks) -> bool {
        now.wall >= self.wall || now.monotonic >= self.monotonic
    }
}

//! The session as a reader of the contract would write it down: one identity, at most one flight, plain numbers.

use std::collections::BTreeMap;

use tower_auth_refresh::{error::ErrorKind, session::Condition};

use super::{
    callers::Caller,
    flight::{Flight, Landing},
    life::{Age, Clocks, Life, Point, Token},
    observed::{Failure, Heard, Millis, Observed, Standing, Who},
    sequence::{Mark, Scene, Set},
};

/// The guard's window.
const WINDOW: Millis = 30_000;

pub struct Reference {
    pub(super) scene: Scene,
    pub(super) now: Clocks,
    /// Counts the changes of the token set.
    pub(super) generation: usize,
    pub(super) token: Option<Token>,
    pub(super) signed_out: bool,
    /// The API rejected this token.
    pub(super) rejected: bool,
    /// The token endpoint refused to refresh this set.
    pub(super) refresh_refused: bool,
    /// The refresh token was sent, and may have been spent.
    pub(super) in_doubt: bool,
    /// Whatever the token set: wrong passwords freeze accounts.
    pub(super) login_refused: bool,
    /// What a refresh brought when it had ended: its refresh token has taken the place of the one before.
    pub(super) ended: Option<u64>,
    /// The last failure for this token set.
    pub(super) trouble: Option<Trouble>,
    /// Transient failures in a row.
    pub(super) strikes: u32,
    /// When the flights that count were started, on the monotonic clock.
    counted: Vec<Millis>,
    pub(super) flight: Option<Flight>,
    /// How the flights before it ended, by number.
    pub(super) landings: Vec<Option<Landing>>,
    pub(super) callers: BTreeMap<Who, Caller>,
    pub(super) came: Who,
    pub(super) log: Observed,
}

#[derive(Clone, Copy)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    /// On the wall clock, for the status.
    pub(super) since: Millis,
    /// `None`: until somebody signs in.
    pub(super) until: Option<Point>,
    /// Trying again is pointless.
    pub(super) for_good: bool,
}

/// What a request without anything better to do does now.
pub(super) enum Route {
    Send,
    /// Send, and have the next token fetched.
    SendAndFetch,
    Wait,
    Refuse(Failure),
}

impl Reference {
    pub fn new(scene: Scene) -> Self {
        let mut reference = Self {
            scene,
            now: Clocks::default(),
            generation: 0,
            token: None,
            signed_out: false,
            rejected: false,
            refresh_refused: false,
            in_doubt: false,
            login_refused: false,
            ended: None,
            trouble: None,
            strikes: 0,
            counted: Vec::new(),
            flight: None,
            landings: Vec::new(),
            callers: BTreeMap::new(),
            came: 0,
            log: Observed::default(),
        };
        if let Some(first) = scene.first {
            reference.set(0, first);
        }
        // Nobody listens yet.
        reference.generation = 0;
        reference.log = Observed::default();
        reference
    }

    /// Another token set, from outside (C42).
    pub fn set(&mut self, number: u64, set: Set) {
        self.supersede();
        let life =
            set.lifetime.map(|lifetime| Life::new(lifetime as Millis * 1000, self.now, self.now, self.scene.jitter));
        self.install(Token { number, has_refresh_token: set.refresh_token, life });
    }

    pub fn sign_out(&mut self) {
        self.supersede();
        self.token = None;
        self.begin_generation();
        self.signed_out = true;
        self.log.heard.push(Heard::SignedOut(self.generation));
    }

    /// Whatever the flight brings is discarded, and who waits for it looks anew.
    fn supersede(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.landings[flight.number] = Some(Landing::Superseded);
        }
    }

    pub(super) fn install(&mut self, token: Token) {
        self.token = Some(token);
        self.begin_generation();
        self.log.heard.push(Heard::TokenChanged(self.generation));
    }

    /// What was known of the old set says nothing about the new one.
    fn begin_generation(&mut self) {
        self.generation += 1;
        self.signed_out = false;
        self.rejected = false;
        self.refresh_refused = false;
        self.in_doubt = false;
        self.ended = None;
        self.trouble = None;
        self.strikes = 0;
    }

    pub(super) fn age(&self) -> Option<Age> {
        self.token.map(|token| token.age(self.now))
    }

    pub(super) fn has_unexpired_token(&self) -> bool {
        self.age().is_some_and(|age| age != Age::Expired)
    }

    /// A rejected token is not sent while its successor is on the way (C35).
    pub(super) fn is_held(&self) -> bool {
        self.rejected && self.flight.is_some()
    }

    pub(super) fn route(&self) -> Route {
        // C42 leaves open what becomes of a request while somebody signs in again: it waits for that.
        if self.signed_out && !self.flight.as_ref().is_some_and(|flight| flight.sign_in) {
            return Route::Refuse(Failure { kind: ErrorKind::SignedOut, retry_at: None });
        }
        if self.is_held() {
            return Route::Wait;
        }
        let hindrance = || if self.flight.is_some() { None } else { self.hindrance() };
        match self.age() {
            Some(Age::Fresh) => Route::Send,
            Some(Age::Soft) if self.flight.is_some() || self.hindrance().is_some() => Route::Send,
            Some(Age::Soft) => Route::SendAndFetch,
            Some(Age::Hard) if hindrance().is_some() => Route::Send,
            Some(Age::Hard) => Route::Wait,
            Some(Age::Expired) | None => hindrance().map_or(Route::Wait, Route::Refuse),
        }
    }

    /// Why no flight may start now: C17, C18, C34, C42.
    pub(super) fn hindrance(&self) -> Option<Failure> {
        if self.signed_out {
            return Some(Failure { kind: ErrorKind::SignedOut, retry_at: None });
        }
        if let Some(trouble) = self.trouble
            && trouble.until.is_none_or(|until| !until.is_reached(self.now))
        {
            return Some(trouble.failure);
        }
        let too_many = |retry_at| Some(Failure { kind: ErrorKind::TooManyRefreshes, retry_at });
        match self.scene.guard {
            // Never refresh; a first login is no refresh.
            0 => self.token.and_then(|_| too_many(None)),
            most if self.counts() && self.within_the_window().count() >= most => {
                let oldest = self.within_the_window().min().unwrap_or_default();
                too_many(Some(self.now.wall + oldest + WINDOW - self.now.monotonic))
            }
            _ => None,
        }
    }

    /// Whether a flight that starts now counts: failures always, a token that served for half of its life never.
    fn counts(&self) -> bool {
        if self.trouble.is_some_and(|trouble| trouble.failure.kind == ErrorKind::SignInRequired) {
            return false;
        }
        self.strikes > 0 || !self.token.is_some_and(|token| token.is_half_over(self.now))
    }

    fn within_the_window(&self) -> impl Iterator<Item = Millis> + '_ {
        self.counted.iter().copied().filter(|start| self.now.monotonic - start < WINDOW)
    }

    /// Starts a login or refresh that the guard has let through, or a sign-in, which it does not count.
    pub(super) fn start(&mut self, sign_in: bool) -> usize {
        if !sign_in && self.counts() {
            self.counted.push(self.now.monotonic);
        }
        let number = self.landings.len();
        self.landings.push(None);
        self.flight = Some(Flight::new(number, sign_in));
        number
    }

    /// The flight in progress, or a new one.
    pub(super) fn join(&mut self) -> usize {
        match &self.flight {
            Some(flight) => flight.number,
            None => self.start(false),
        }
    }

    /// How far the monotonic clock may go until the flight has taken too long.
    pub fn until_deadline(&self) -> Option<Millis> {
        let deadline = self.flight.as_ref()?.deadline?;
        Some(deadline - self.now.monotonic)
    }

    /// How far away a mark is, by the wall clock or by the monotonic one.
    pub fn until(&self, mark: Mark, wall: bool) -> Option<Millis> {
        let life = self.token.and_then(|token| token.life);
        let point = match mark {
            Mark::SoftPoint => life?.soft,
            Mark::HardPoint => life?.hard,
            Mark::Expiry => life?.end,
            Mark::HalfLife => life?.half,
            Mark::BackoffEnd => self.trouble?.until?,
            Mark::GuardEnd => return Some(self.within_the_window().min()? + WINDOW - self.now.monotonic),
            Mark::Deadline => return self.until_deadline(),
        };
        Some(if wall { point.wall - self.now.wall } else { point.monotonic - self.now.monotonic })
    }

    pub fn pass(&mut self, wall: Millis, monotonic: Millis) {
        self.now.wall += wall;
        self.now.monotonic += monotonic;
    }

    fn standing(&self) -> Standing {
        let condition = match self.age() {
            _ if self.flight.is_some() => Condition::Refreshing,
            _ if self.signed_out => Condition::SignedOut,
            _ if self.trouble.is_some() || self.rejected => Condition::Failing,
            None => Condition::SignedOut,
            Some(Age::Fresh) => Condition::Fresh,
            Some(Age::Soft) => Condition::Soft,
            Some(Age::Hard | Age::Expired) => Condition::Expired,
        };
        Standing {
            condition,
            generation: self.generation,
            expires_at: self.token.and_then(|token| token.life).map(|life| life.end.wall),
            last_error: self.trouble.map(|trouble| trouble.failure.kind),
            failing_since: self.trouble.map(|trouble| trouble.since),
            retry_at: self.trouble.and_then(|trouble| trouble.failure.retry_at),
        }
    }

    /// Lets everybody do what there is to do, and says what can be seen of it.
    pub fn settle(&mut self) -> Observed {
        while self.fly() | self.poll_callers() {}
        let mut seen = std::mem::take(&mut self.log);
        seen.at_the_api = self.at_the_api();
        seen.waiting = self.waiting();
        seen.owed = self.flight.as_ref().is_some_and(|flight| flight.asked.is_some());
        seen.settled = self.flight.is_none();
        seen.status = Some(self.standing());
        seen
    }
}

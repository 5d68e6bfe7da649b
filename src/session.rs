//! The shared handle to one signed-in identity: its current token set, and at most one login or refresh in progress.

mod adoption;
mod builder;
mod driver;
mod failure;
pub(crate) mod flight;
mod guard;
mod keeper;
mod lifetime;
mod plan;
mod policy;
mod reading;
mod saver;
mod skew;
mod state;
mod status;
mod sync;
mod waiting;
mod watcher;

pub use crate::transport::NotSent;
pub use builder::SessionBuilder;
pub use policy::{InvalidPolicy, RefreshPolicy};
pub use status::{Condition, Event, Events, Status};

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use http::{HeaderMap, HeaderName, Uri};
use tokio::sync::{broadcast, watch};

use crate::{
    clock::{Clock, Now},
    error::Error,
    origin::Origin,
    provider::{Context, Provider, ProviderError},
    rt,
    store::TokenStore,
    token::{Generation, TokenSet},
    transport::Transport,
};
use driver::Driver;
#[cfg(fuzzing)]
pub(crate) use failure::{AnswerHead, Failed};
use lifetime::Lifetime;
pub(crate) use plan::Plan;
pub(crate) use state::{Issued, Joined, Snapshot};
use sync::Unsaved;

/// A signed-in identity, shared by every layer, client and task that acts for it.
///
/// Cloning is one reference count. Two sessions share nothing, no token, no flight, no guard and no backoff, unless they share
/// a [store](SessionBuilder::store).
///
/// # When things happen
/// - The first request (or [`token`](Self::token)) logs in where the provider can. Everybody else waits for that flight.
/// - From the soft point on, requests go out with the old token while one flight fetches the next.
/// - From the hard point on, requests wait for the flight. If it fails, the old token serves until its true end.
/// - A rejected request starts a flight, unless its token has been replaced meanwhile.
/// - Without traffic nothing happens, unless [`keep_fresh`](Session::keep_fresh) runs.
///
/// A flight, which is what the one login or refresh in progress is called here, is a task of its own, with its own
/// deadline: no request that goes away can take a rotated token with it.
pub struct Session<P>(Arc<Shared<P>>);

struct Shared<P> {
    current: ArcSwap<Snapshot>,
    /// Held for the microseconds of one transition, so that transitions follow one another.
    turn: Mutex<()>,
    events: broadcast::Sender<Event>,
    /// How many rejected requests have been sent again: nothing is decided by it.
    replays: AtomicU64,
    policy: RefreshPolicy,
    origins: Box<[Origin]>,
    /// The header that the credential travels in, if it does: a caller who brings it is left alone.
    own_header: Option<HeaderName>,
    allow_http: bool,
    transport: Transport,
    store: Option<Arc<dyn TokenStore>>,
    /// A task of its own tells when others change the store.
    is_watched: AtomicBool,
    /// How many leases are held, or on their way back.
    leases: watch::Sender<usize>,
    clock: Arc<dyn Clock>,
    provider: P,
}

impl<P: Provider> Session<P> {
    /// Starts the configuration of a session.
    #[must_use]
    pub fn builder(provider: P) -> SessionBuilder<P> {
        SessionBuilder::new(provider)
    }

    /// Replaces the token set. Whoever waits for a flight goes on with this set, as a new request would; the flight's own
    /// result is discarded.
    ///
    /// With a store it takes effect here at once, and is stored in the background over whatever is there;
    /// [`settled`](Self::settled) waits for that. Outside of a runtime the next flight stores it, or `settled`.
    ///
    /// # Errors
    /// [`InvalidToken`](crate::error::ErrorKind::InvalidToken) when no request can carry the token; nothing changes then.
    pub fn set(&self, token: TokenSet) -> Result<(), Error> {
        let issued = Arc::new(self.issue(token, self.policy().roll(), self.now()).map_err(Error::invalid_token)?);
        self.supersede(|state| {
            state.install(issued);
            Event::TokenChanged { generation: state.generation }
        });
        Ok(())
    }

    /// Forgets the token set. Requests get an error, and nothing is sent, until [`set`](Self::set) or
    /// [`sign_in`](Self::sign_in). Subscribers get [`Event::SignedOut`]. The server is not told: an API that knows a logout
    /// wants a request of yours first. With a store all who share it are signed out, and it keeps a tombstone.
    pub fn sign_out(&self) {
        self.supersede(|state| {
            state.sign_out();
            Event::SignedOut { generation: state.generation }
        });
    }

    /// Every change of the token set and every failed flight from now on. A token set that the builder was given has been
    /// put in place before anybody can subscribe; with a store that is the first flight's to do.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        Events::new(self.0.events.subscribe())
    }

    /// How the session stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let current = self.current();
        Status::of(&current, self.0.replays.load(Ordering::Relaxed), self.now_in(&current))
    }

    /// Keeps the token set fresh without traffic: fetches its successor at the soft point, and again when a backoff
    /// ends. Opt-in, because an idle program then calls the token endpoint for as long as it runs. Spawn it, or poll it
    /// wherever you like:
    ///
    /// ```no_run
    /// # fn spawn<P: tower_auth_refresh::Provider>(session: tower_auth_refresh::Session<P>) {
    /// tokio::spawn(session.keep_fresh());
    /// # }
    /// ```
    ///
    /// It never logs in a session that has no token: the first request, [`sign_in`](Self::sign_in) or
    /// [`set`](Self::set) does. After a refusal it rests until one of these brings another token set. It wakes every 30 s
    /// at the latest, so that it notices a machine that was suspended. It ends when it is dropped, when no other handle to
    /// the session is left (layers and clients hold one), and at once where there is no tokio runtime with a timer. Two
    /// keepers do no harm.
    pub fn keep_fresh(&self) -> impl Future<Output = ()> + Send + use<P> {
        keeper::keep_fresh(Arc::downgrade(&self.0), self.subscribe())
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> &P {
        &self.0.provider
    }

    // ===== for the layer and the driver =====

    /// The time, corrected by what the token endpoint's answers told.
    pub(crate) fn now(&self) -> Now {
        self.now_in(&self.current())
    }

    /// The same for whoever holds the current snapshot.
    pub(crate) fn now_in(&self, current: &Snapshot) -> Now {
        current.skew.correct(self.0.clock.now())
    }

    pub(crate) fn current(&self) -> Guard<Arc<Snapshot>> {
        self.0.current.load()
    }

    /// Whether the credential belongs to `uri`.
    pub(crate) fn covers(&self, uri: &Uri) -> bool {
        self.0.origins.iter().any(|origin| origin.covers(uri))
    }

    /// Whether the caller brought the header that the credential would travel in.
    pub(crate) fn is_overridden(&self, headers: &HeaderMap) -> bool {
        match &self.0.own_header {
            Some(name) => headers.contains_key(name),
            None => {
                let current = self.current();
                let name = current.token.as_ref().and_then(|issued| issued.credential.header_name());
                name.is_some_and(|name| headers.contains_key(name))
            }
        }
    }

    /// What a provider is told when it builds or signs a request.
    pub(crate) fn context(&self, now: Now) -> Context {
        Context::new(now.wall, fastrand::u128(..))
    }

    /// Asks for the successor of generation `seen`: joins the flight in progress, or starts one.
    pub(crate) fn join(&self, seen: Generation) -> Joined {
        self.join_because(seen, false)
    }

    /// The same after the API has rejected generation `seen`.
    pub(crate) fn reject(&self, seen: Generation) -> Joined {
        self.join_because(seen, true)
    }

    fn join_because(&self, seen: Generation, rejected: bool) -> Joined {
        let now = self.now();
        let (joined, departing) =
            self.depart(now, |state| state.join(seen, rejected, rt::is_there, now, self.policy()));
        if let Some(flight) = departing {
            Driver::launch(self, flight, false, now);
        }
        joined
    }

    /// A transition by which a flight may start, in the place of a lost one as well.
    fn depart<T>(&self, now: Now, join: impl FnOnce(&mut Snapshot) -> T) -> T {
        self.transition(|state| {
            let lost = state.give_up_lost(now, self.policy());
            let event = lost.map(|failure| Event::RefreshFailed { generation: state.generation, failure });
            (join(state), event)
        })
    }

    /// Gives up the flight that somebody has just waited for in vain, if it is that.
    fn give_up_lost(&self) {
        self.depart(self.now(), |_| ());
    }

    /// A token set with all that is computed once per generation.
    fn issue(&self, token: TokenSet, roll: f64, now: Now) -> Result<Issued, ProviderError> {
        let credential = self.0.provider.credential(&token)?;
        let lifetime = Lifetime::new(&token, self.policy(), roll, now);
        Ok(Issued { token, credential, lifetime })
    }

    /// A change from outside: the flight in progress, if any, no longer counts.
    fn supersede(&self, change: impl FnOnce(&mut Snapshot) -> Event) {
        let flight = self.transition(|state| {
            let flight = state.flight.take();
            let event = change(state);
            state.sync.initial = None;
            state.sync.unsaved = self.0.store.as_ref().map(|_| Unsaved::Changed { since: None });
            (flight, Some(event))
        });
        if let Some(flight) = flight {
            flight.land(Ok(None));
            flight.call_off();
        }
        self.save_soon();
    }

    /// Makes one transition: the next snapshot from the current one, published as a whole.
    fn transition<T>(&self, change: impl FnOnce(&mut Snapshot) -> (T, Option<Event>)) -> T {
        rt::interleave();
        // A panic cannot leave anything half done: the snapshot is published in one store.
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.0.current.load());
        let (result, event) = change(&mut next);
        self.0.current.store(Arc::new(next));
        if let Some(event) = event {
            // Nobody may be listening.
            let _ = self.0.events.send(event);
        }
        result
    }
}

impl<P> Session<P> {
    pub(crate) fn policy(&self) -> &RefreshPolicy {
        &self.0.policy
    }

    pub(crate) fn count_replay(&self) {
        self.0.replays.fetch_add(1, Ordering::Relaxed);
    }
}

impl<P> Clone for Session<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Provider> fmt::Debug for Session<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("provider", &self.0.provider.name())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

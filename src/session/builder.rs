//! The configuration of a session, checked before anything is sent.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use tokio::sync::{broadcast, watch};
use tower_service::Service;

use crate::{
    clock::{Clock, SystemClock},
    error::{BoxError, Error},
    origin::Origin,
    provider::Provider,
    session::{RefreshPolicy, Session, Shared, state::Snapshot},
    store::TokenStore,
    token::TokenSet,
    transport::Transport,
};

/// How far a subscriber may fall behind.
const EVENTS: usize = 64;

/// Configures a [`Session`].
pub struct SessionBuilder<P> {
    provider: P,
    token: Option<TokenSet>,
    transport: Option<Transport>,
    store: Option<Arc<dyn TokenStore>>,
    clock: Arc<dyn Clock>,
    policy: RefreshPolicy,
    origins: Vec<Uri>,
    allow_http: bool,
}

impl<P: Provider> SessionBuilder<P> {
    pub(crate) fn new(provider: P) -> Self {
        Self {
            provider,
            token: None,
            transport: None,
            store: None,
            clock: Arc::new(SystemClock::new()),
            policy: RefreshPolicy::new(),
            origins: Vec::new(),
            allow_http: false,
        }
    }

    /// The first token set. Without one the provider logs in when the first request comes. With a
    /// [`store`](Self::store) it is ignored once something is stored: what is stored has been rotated since.
    #[must_use]
    pub fn token(mut self, token: TokenSet) -> Self {
        self.token = Some(token);
        self
    }

    /// The way to the token endpoint: any HTTP client that is a tower service, also the one that the layer wraps.
    /// Required. It must not follow redirects: a token request is never sent to where an answer points. It can say by
    /// [`NotSent`](crate::session::NotSent) that a request never left.
    #[must_use]
    pub fn transport<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.transport = Some(Transport::new(service));
        self
    }

    /// Where the token set outlives this process, and is shared with others: all sessions over the same file or key are
    /// one, and of all their processes one refreshes. Default: the token set lives and ends with the session.
    ///
    /// The store is read when the first flight starts, before each login and refresh, and when it tells of a change; never
    /// for a request that has a token. While it cannot be used nothing is fetched, not even by a first login, unless
    /// [`refresh_without_store`](RefreshPolicy::refresh_without_store) says otherwise. What could not be stored keeps the session
    /// alive, and is tried again after rests of 1 s to 30 s, until it is stored or the runtime ends.
    ///
    /// The last process without a store must stop before the first one with it starts: both would spend the same refresh token.
    #[must_use]
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Where the time comes from. Default: the operating system.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// When to refresh, how long to wait, how often to try. Default: [`RefreshPolicy::new`].
    #[must_use]
    pub fn policy(mut self, policy: RefreshPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Another origin that the credential belongs to, beside the provider's own: scheme, host and port of `uri`.
    #[must_use]
    pub fn origin(mut self, uri: Uri) -> Self {
        self.origins.push(uri);
        self
    }

    /// Opts in to plain http, for the API and for the token endpoint: everybody on the way can read the tokens.
    /// Default: refused.
    #[must_use]
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// When there is no transport; when neither the provider nor [`origin`](Self::origin) names an API, or one is no
    /// absolute http or https URI; when plain http is named without the opt-in; when no request can carry the first
    /// token.
    pub fn build(self) -> Result<Session<P>, Error> {
        let transport = self.transport.ok_or_else(|| Error::fault("the session needs a transport"))?;
        let origins = self
            .provider
            .origin()
            .into_iter()
            .chain(&self.origins)
            .map(|uri| {
                Origin::of(uri).ok_or_else(|| Error::fault("an origin needs a scheme and a host, and no user info"))
            })
            .collect::<Result<Box<[_]>, _>>()?;
        if origins.is_empty() {
            return Err(Error::fault("the provider names no origin, so the session needs one"));
        }
        if !self.allow_http && !origins.iter().all(Origin::is_secure) {
            return Err(Error::plain_http("an origin is plain http, and nobody opted in"));
        }
        // Where the credential travels does not depend on the token, so a stand-in tells it before there is one.
        let stand_in = TokenSet::new("token").with_signing_key("key");
        let own_header =
            self.provider.credential(&stand_in).ok().and_then(|credential| credential.header_name().cloned());
        let mut beginning = Snapshot::default();
        beginning.sync.has_store = self.store.is_some();
        let session = Session(Arc::new(Shared {
            current: ArcSwap::from_pointee(beginning),
            turn: std::sync::Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
            replays: AtomicU64::new(0),
            policy: self.policy,
            origins,
            own_header,
            allow_http: self.allow_http,
            transport,
            store: self.store,
            is_watched: AtomicBool::new(false),
            leases: watch::Sender::new(0),
            clock: self.clock,
            provider: self.provider,
        }));
        match self.token {
            // What the store holds is newer. It is looked at when the first flight starts.
            Some(token) if session.0.store.is_some() => {
                session.issue(token.clone(), 0.0, session.now()).map_err(Error::invalid_token)?;
                session.transition(|state| {
                    state.sync.initial = Some(Arc::new(token));
                    ((), None)
                });
            }
            Some(token) => session.set(token)?,
            None => {}
        }
        Ok(session)
    }
}

impl<P: Provider> fmt::Debug for SessionBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("provider", &self.provider.name())
            .field("token", &self.token)
            .field("policy", &self.policy)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

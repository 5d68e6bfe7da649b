//! A gateway's life: from its configuration to the last write of its store.

use std::{
    fmt,
    io::{self, Write},
    net::{IpAddr, SocketAddr},
};

use http::Uri;
use hyper_util::client::legacy::connect::Connect;
use tokio::{join, net::TcpListener, select, sync::oneshot};
use tower::Layer;
use tower_auth_refresh::{
    AuthRefreshLayer, Provider, Session,
    clock::{Clock, SystemClock},
    provider::Reason,
    replay::Buffered,
};
use tracing::{info, warn};

use super::{
    admission::Admission,
    config::{BadConfig, Config},
    proxy::Proxy,
    routes,
    serve::serve,
    shutdown::Signals,
    store, upstream,
};

/// Why a gateway ends otherwise than it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something in the configuration will not do.
    Config(BadConfig),
    /// The settings do not go together.
    Session(tower_auth_refresh::Error),
    /// This machine has not what it takes.
    Io(&'static str, io::Error),
    /// The last token set could not be stored.
    Unsaved,
    /// A second signal came before the first one's work was done.
    Interrupted,
}

/// Runs a gateway until a signal ends it.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run(config: Config) -> Result<(), Failure> {
    if config.needs_tls() {
        let no_roots = |error| Failure::Io("no trusted certificates", error);
        let upstream = upstream::with_tls(config.upstream_http2).map_err(no_roots)?;
        run_with(config, upstream, upstream::with_tls(false).map_err(no_roots)?).await
    } else {
        run_with(config, upstream::plain(), upstream::plain()).await
    }
}

async fn run_with<C>(config: Config, upstream: C, token_endpoint: C) -> Result<(), Failure>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let signals = Signals::new().map_err(|error| Failure::Io("no signals", error))?;
    let is_stored = match &config.store {
        Some(store) => store.check(&*config.provider).await?,
        None => false,
    };
    let has_token = is_stored || config.token.is_some();
    // Without a store it is in place when the session is built.
    let is_to_be_fetched = has_token && config.store.is_some();
    let mut session = Session::builder(config.provider)
        .transport(upstream::transport(upstream::client(token_endpoint, false)))
        .origin(config.upstream.clone())
        .allow_http(config.allow_http)
        .policy(config.policy);
    if let Some(store) = config.store {
        session = session.store(store.into_tokens());
    }
    if let Some(token) = config.token {
        session = session.token(token);
    }
    let session = session.build().map_err(Failure::Session)?;
    let (listener, address) = listen(config.listen).await?;
    for (key, uri) in [("upstream", Some(&config.upstream)), ("provider.base_url", session.provider().origin())] {
        if uri.is_some_and(|uri| is_itself(uri, address)) {
            return Err(BadConfig::new(key, "is this gateway itself").into());
        }
    }
    if session.provider().next_grant(None, Reason::NoToken, SystemClock::new().now().wall).is_none() && !has_token {
        warn!("there is neither a token nor a login yet: requests will be refused");
    }

    let layer = AuthRefreshLayer::new(session.clone()).replay::<Buffered>();
    let client = layer.layer(upstream::client(upstream, config.upstream_http2));
    let proxy = Proxy::new(client, config.upstream, config.actions, config.replay_body);
    let status = {
        let session = session.clone();
        move || session.status()
    };
    let router = routes::router(Admission::new(address, &config.hosts), proxy, status);

    announce(address);
    until_drained(listener, router, is_to_be_fetched, signals, &session).await?;
    info!("ended");
    Ok(())
}

/// Serves until a signal, and then until nothing is under way any more: no request, no login or refresh, and no write.
async fn until_drained(
    listener: TcpListener,
    router: axum::Router,
    is_to_be_fetched: bool,
    mut signals: Signals,
    session: &Session<Box<dyn Provider>>,
) -> Result<(), Failure> {
    let (drain, draining) = oneshot::channel::<()>();
    let fetch = async {
        // The status tells of what is stored, and not only after the first request. What fails here is in the log.
        if is_to_be_fetched {
            let _ = session.token().await;
        }
    };
    let work = async {
        join!(fetch, serve(listener, router, async { drop(draining.await) }));
        if store::settled(session).await { Ok(()) } else { Err(Failure::Unsaved) }
    };
    let watch = async {
        signals.next().await;
        info!("draining; another signal ends it at once");
        drop(drain);
        signals.next().await;
    };
    select! {
        ended = work => ended,
        () = watch => Err(Failure::Interrupted),
    }
}

/// The address is the one that was bound, so that port 0 finds a free one.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bad = |error: io::Error| BadConfig::new("listen", format!("cannot be bound: {}", error.kind()));
    let listener = TcpListener::bind(address).await.map_err(bad)?;
    let address = listener.local_addr().map_err(bad)?;
    Ok((listener, address))
}

/// Whether requests to `uri` would come back here: again and again, or for a token to be had by them.
fn is_itself(uri: &Uri, address: SocketAddr) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = match host.parse::<IpAddr>() {
        Ok(ip) => ip == address.ip() || (address.ip().is_unspecified() && ip.is_loopback()),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    is_here && uri.port_u16() == Some(address.port())
}

/// The first line on stdout, for people and for programs that start a gateway.
fn announce(address: SocketAddr) {
    let mut stdout = io::stdout();
    // Nobody may be reading.
    let _ = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
}

impl Failure {
    /// What a program says with its exit: 2 is for the configuration.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Session(_) => 2,
            Self::Io(..) | Self::Unsaved | Self::Interrupted => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(bad) => bad.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Io(what, error) => write!(f, "{what}: {}", error.kind()),
            Self::Unsaved => f.write_str("the last token set could not be stored"),
            Self::Interrupted => f.write_str("ended before its work was done"),
        }
    }
}

impl From<BadConfig> for Failure {
    fn from(bad: BadConfig) -> Self {
        Self::Config(bad)
    }
}

//! A gateway's life: from its configuration to the last write of its store.

use std::{
    fmt,
    io::{self, Write},
    net::{IpAddr, SocketAddr},
};

use http::Uri;
use hyper_util::client::legacy::connect::Connect;
use tokio::{net::TcpListener, select, sync::oneshot, task::JoinSet};
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
    store::Store,
    upstream,
};

/// Why a gateway ends otherwise than it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something in the configuration will not do.
    Config(BadConfig),
    /// The settings do not go together.
    Session(tower_auth_refresh::Error),
    /// This machine has not what it takes, or the last token set could not be stored.
    Io(&'static str, io::Error),
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
    let (store, stored) = config.store.map(|path| Store::open(path, &*config.provider)).transpose()?.unzip();
    let mut session = Session::builder(config.provider)
        .transport(upstream::transport(upstream::client(token_endpoint, false)))
        .origin(config.upstream.clone())
        .allow_http(config.allow_http)
        .policy(config.policy);
    // The first token set may be spent by now: what was stored comes after it.
    let token = stored.flatten().or(config.token);
    let has_token = token.is_some();
    if let Some(token) = token {
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
        warn!("there is neither a token nor a login: every request will be refused");
    }

    let mut background = JoinSet::new();
    let (stop, stopped) = oneshot::channel();
    if let Some(store) = store {
        background.spawn(store.follow(session.clone(), session.subscribe(), stopped));
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
    until_drained(listener, router, signals, &session).await?;
    // Nobody is listening where there is no store.
    let _ = stop.send(());
    while let Some(ended) = background.join_next().await {
        let saved = ended.unwrap_or_else(|error| Err(error.into()));
        saved.map_err(|error| Failure::Io("the last token set could not be stored", error))?;
    }
    info!("ended");
    Ok(())
}

/// Serves until a signal, and then until nothing is under way any more: no request, and no login or refresh.
async fn until_drained(
    listener: TcpListener,
    router: axum::Router,
    mut signals: Signals,
    session: &Session<Box<dyn Provider>>,
) -> Result<(), Failure> {
    let (drain, draining) = oneshot::channel::<()>();
    let work = async {
        serve(listener, router, async { drop(draining.await) }).await;
        session.settled().await;
    };
    let watch = async {
        signals.next().await;
        info!("draining; another signal ends it at once");
        drop(drain);
        signals.next().await;
    };
    select! {
        () = work => Ok(()),
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
            Self::Io(..) | Self::Interrupted => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(bad) => bad.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Io(what, error) => write!(f, "{what}: {}", error.kind()),
            Self::Interrupted => f.write_str("ended before its work was done"),
        }
    }
}

impl From<BadConfig> for Failure {
    fn from(bad: BadConfig) -> Self {
        Self::Config(bad)
    }
}

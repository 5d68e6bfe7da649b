//! The configuration: a TOML file, checked as a whole before anything is opened or sent.

mod bad;
mod policy;
mod provider;
mod section;
mod store;
mod value;

use std::{fs, net::SocketAddr, path::Path};

use http::{Uri, uri::Scheme};
use secrecy::{ExposeSecret, SecretString};
use toml::Table;
use tower_auth_refresh::{Provider, session::RefreshPolicy, token::TokenSet};

pub(crate) use self::bad::BadConfig;
use self::section::Section;
use super::{actions::Actions, store::Store, token_file};

const KEYS: [&str; 10] = [
    "listen",
    "upstream",
    "allow_http",
    "upstream_http2",
    "replay_body",
    "hosts",
    "provider",
    "token",
    "store",
    "policy",
];

/// How much of a request's body is kept for a replay where the configuration does not say.
const REPLAY_BODY: usize = 64 << 10;

/// All that a gateway is told.
pub(crate) struct Config {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The API, with a path that goes before each request's own.
    pub(crate) upstream: Uri,
    /// Further names under which it may be called, in lower case.
    pub(crate) hosts: Vec<String>,
    pub(crate) allow_http: bool,
    /// Whether the API is spoken to in HTTP/2 from the first byte.
    pub(crate) upstream_http2: bool,
    /// How many bytes of a request's body are kept for a replay.
    pub(crate) replay_body: usize,
    pub(crate) provider: Box<dyn Provider>,
    /// Which action each route is signed with, where the provider wants one.
    pub(crate) actions: Option<Actions>,
    /// The token set to begin with, from `token.file`.
    pub(crate) token: Option<TokenSet>,
    /// What outlives the process, where something does.
    pub(crate) store: Option<Store>,
    pub(crate) policy: RefreshPolicy,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or a key is missing, not known, or has a value that will not do.
    pub(crate) fn read(path: &Path) -> Result<Self, BadConfig> {
        let source = fs::read_to_string(path).map(SecretString::from);
        let source = source.map_err(|error| BadConfig::new("--config", format!("cannot be read: {}", error.kind())))?;
        Self::parse(plain(&source))
    }

    fn parse(source: &str) -> Result<Self, BadConfig> {
        let table = source.parse::<Table>().map_err(|error| BadConfig::syntax(source, &error))?;
        let mut root = Section::root(table);
        root.only(None, &KEYS)?;

        let listen = root.need("listen", |value| {
            value::text(value)?.parse().map_err(|_| "must be an address and a port, such as \"127.0.0.1:8080\"".into())
        })?;
        let upstream = root.need("upstream", value::uri)?;
        let allow_http = root.take("allow_http", value::flag)?.unwrap_or(false);
        let upstream_http2 = root.take("upstream_http2", value::flag)?.unwrap_or(false);
        let replay_body = root.take("replay_body", value::size)?.unwrap_or(REPLAY_BODY);
        let hosts = root.take("hosts", value::hosts)?.unwrap_or_default();
        let provider = root.section("provider")?;
        let token = root.has("token").then(|| root.section("token")).transpose()?;
        let store = root.section("store")?;
        let policy = root.section("policy")?;

        let (provider, actions) = provider::read(provider)?;
        let (policy, store, token) = (policy::read(policy)?, store::read(store)?, first_token(token, &*provider)?);
        let config = Self {
            listen,
            upstream,
            hosts,
            allow_http,
            upstream_http2,
            replay_body,
            provider,
            actions,
            token,
            store,
            policy,
        };
        config.check_schemes()?;
        Ok(config)
    }

    /// Whether anything is spoken to over TLS.
    pub(crate) fn needs_tls(&self) -> bool {
        [Some(&self.upstream), self.provider.origin()].into_iter().flatten().any(|uri| !is_plain(uri))
    }

    fn check_schemes(&self) -> Result<(), BadConfig> {
        for (key, uri) in [("upstream", Some(&self.upstream)), ("provider.base_url", self.provider.origin())] {
            if !self.allow_http && uri.is_some_and(is_plain) {
                return Err(BadConfig::new(key, "is plain http, which needs allow_http = true"));
            }
        }
        Ok(())
    }
}

fn is_plain(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTP)
}

fn first_token(section: Option<Section>, provider: &dyn Provider) -> Result<Option<TokenSet>, BadConfig> {
    let Some(mut section) = section else { return Ok(None) };
    section.only(None, &["file"])?;
    let path = section.need("file", value::text)?;
    token_file::read(Path::new(&path), provider).map(Some)
}

#[allow(clippy::disallowed_methods, reason = "the file is parsed, and may hold secrets")]
fn plain(source: &SecretString) -> &str {
    source.expose_secret()
}

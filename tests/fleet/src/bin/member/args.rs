//! The command line.

use std::{path::PathBuf, time::Duration};

use http::Uri;
use tower::BoxError;

/// What a process is started with.
pub(crate) struct Args {
    /// The API, and below `/idp` the token endpoint.
    pub(crate) server: Uri,
    pub(crate) can_log_in: bool,
    /// Without it the session and its store are as the crate has them.
    pub(crate) limits: Option<Limits>,
    pub(crate) store: StoreArgs,
}

/// How long things may take.
pub(crate) struct Limits {
    /// A login or refresh.
    pub(crate) flight: Duration,
    /// A call of the store.
    pub(crate) call: Duration,
}

/// The store that the fleet shares.
pub(crate) enum StoreArgs {
    File(PathBuf),
    /// A server, the session's name on it, and how long a lease holds, where that is not the crate's to say.
    Redis(String, String, Option<Duration>),
}

impl Args {
    pub(crate) fn read() -> Result<Self, BoxError> {
        let words: Vec<_> = std::env::args().skip(1).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let [server, login, ref words @ ..] = words[..] else { return Err("which server?".into()) };
        let (limits, store) = match words {
            ["defaults", store @ ..] => (None, store),
            ["within", flight, call, store @ ..] => {
                (Some(Limits { flight: milliseconds(flight)?, call: milliseconds(call)? }), store)
            }
            _ => return Err("within which limits?".into()),
        };
        let store = match store {
            ["file", path] => StoreArgs::File(path.into()),
            ["redis", url, name] => StoreArgs::Redis((*url).to_owned(), (*name).to_owned(), None),
            ["redis", url, name, lease] => {
                StoreArgs::Redis((*url).to_owned(), (*name).to_owned(), Some(milliseconds(lease)?))
            }
            _ => return Err("which store?".into()),
        };
        Ok(Self { server: server.parse()?, can_log_in: login == "login", limits, store })
    }
}

fn milliseconds(word: &str) -> Result<Duration, BoxError> {
    Ok(Duration::from_millis(word.parse()?))
}

//! The command line.

use std::{path::PathBuf, time::Duration};

use http::Uri;
use tower::BoxError;

/// What a process is started with.
pub(crate) struct Args {
    /// The API, and below `/idp` the token endpoint.
    pub(crate) server: Uri,
    pub(crate) can_log_in: bool,
    /// How long a login or refresh may take.
    pub(crate) flight_deadline: Duration,
    /// How long a call of the store may take.
    pub(crate) store_timeout: Duration,
    pub(crate) store: StoreArgs,
}

/// The store that the fleet shares.
pub(crate) enum StoreArgs {
    File(PathBuf),
    /// A server, the session's name on it, and how long a lease holds.
    Redis(String, String, Duration),
}

impl Args {
    pub(crate) fn read() -> Result<Self, BoxError> {
        let words: Vec<_> = std::env::args().skip(1).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let [server, login, flight, call, ref store @ ..] = words[..] else { return Err("which server?".into()) };
        let store = match store {
            ["file", path] => StoreArgs::File(path.into()),
            ["redis", url, name, lease] => {
                StoreArgs::Redis((*url).to_owned(), (*name).to_owned(), milliseconds(lease)?)
            }
            _ => return Err("which store?".into()),
        };
        Ok(Self {
            server: server.parse()?,
            can_log_in: login == "login",
            flight_deadline: milliseconds(flight)?,
            store_timeout: milliseconds(call)?,
            store,
        })
    }
}

fn milliseconds(word: &str) -> Result<Duration, BoxError> {
    Ok(Duration::from_millis(word.parse()?))
}

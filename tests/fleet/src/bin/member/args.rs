//! The command line.

use std::{path::PathBuf, time::Duration};

use http::Uri;
use tower::BoxError;

/// What a process is started with.
pub(crate) struct Args {
    /// The API, and below `/idp` the token endpoint.
    pub(crate) server: Uri,
    pub(crate) can_log_in: bool,
    pub(crate) store: StoreArgs,
}

/// The store that the fleet shares.
pub(crate) enum StoreArgs {
    File(PathBuf),
    /// Stands in for one whose leases end by their time.
    Leased(PathBuf, Duration),
}

impl Args {
    pub(crate) fn read() -> Result<Self, BoxError> {
        let words: Vec<_> = std::env::args().skip(1).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let [server, login, ref store @ ..] = words[..] else { return Err("which server?".into()) };
        let store = match store {
            ["file", path] => StoreArgs::File(path.into()),
            ["leased", path, lease] => StoreArgs::Leased(path.into(), Duration::from_millis(lease.parse()?)),
            _ => return Err("which store?".into()),
        };
        Ok(Self { server: server.parse()?, can_log_in: login == "login", store })
    }
}

//! What the command line says.

use std::time::Duration;

use http::Uri;

pub(crate) enum Args {
    /// Start the processes, have them work for so long, and count.
    Fleet { time: Duration, redis: Option<String> },
    /// Be one of them: which API, the path or URL of which store, and the session's name there.
    Process { api: Uri, store: String, name: String },
}

/// What the processes are started with.
pub(crate) const PROCESS: &str = "--process";

const USAGE: &str = "usage: fleet [--seconds N] [redis://…]";

impl Args {
    /// # Errors
    /// With what is wrong, and the usage.
    pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = args.into_iter();
        let (mut time, mut redis) = (Duration::from_secs(20), None);
        while let Some(arg) = args.next() {
            let wrong = || format!("{arg}: not understood\n{USAGE}");
            match arg.as_str() {
                PROCESS => {
                    let mut word = || args.next().ok_or_else(wrong);
                    return Ok(Self::Process {
                        api: word()?.parse().map_err(|_| wrong())?,
                        store: word()?,
                        name: word()?,
                    });
                }
                "--seconds" => {
                    let seconds = args.next().and_then(|seconds| seconds.parse().ok());
                    time = Duration::from_secs(seconds.ok_or_else(wrong)?);
                }
                _ if is_redis(&arg) && !cfg!(feature = "redis") => {
                    return Err("Redis takes `--features redis`".to_owned());
                }
                _ if is_redis(&arg) => redis = Some(arg),
                _ => return Err(wrong()),
            }
        }
        Ok(Self::Fleet { time, redis })
    }
}

/// Whether it is the URL of a Redis server, and not the path of a file.
pub(crate) fn is_redis(store: &str) -> bool {
    ["redis://", "rediss://", "redis+unix://"].iter().any(|scheme| store.starts_with(scheme))
}

//! The log: on stderr, filtered as `RUST_LOG` says.

use std::{env, io};

use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::config::BadConfig;

const VARIABLE: &str = "RUST_LOG";

/// Starts the log, at `info` unless the environment says otherwise.
///
/// # Errors
/// When `RUST_LOG` is no list of targets and levels.
pub(crate) fn start() -> Result<(), BadConfig> {
    let bad = || BadConfig::new(VARIABLE, "must be a level, or a list such as \"info,hyper=debug\"");
    let targets = match env::var(VARIABLE) {
        Ok(targets) if !targets.is_empty() => targets.parse::<Targets>().map_err(|_| bad())?,
        Ok(_) | Err(env::VarError::NotPresent) => Targets::new().with_default(LevelFilter::INFO),
        Err(env::VarError::NotUnicode(_)) => return Err(bad()),
    };
    tracing_subscriber::registry().with(fmt::layer().with_writer(io::stderr).with_filter(targets)).init();
    Ok(())
}

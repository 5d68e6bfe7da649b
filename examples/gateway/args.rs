//! The command line.

use std::path::PathBuf;

use super::config::BadConfig;

pub(crate) const USAGE: &str = "\
Usage: gateway --config FILE

A reverse proxy that signs its upstream calls in. FILE is TOML; the README's section \"Gateway\" lists its keys.
RUST_LOG sets what is logged (default: info), on stderr.";

/// The path of the configuration, or `None` where help is asked for.
///
/// # Errors
/// When the arguments are others.
pub(crate) fn read() -> Result<Option<PathBuf>, BadConfig> {
    use lexopt::Arg::{Long, Short};

    let mut config = None;
    let mut arguments = lexopt::Parser::from_env();
    // It quotes the argument, and is to stay one line.
    let bad = |error: lexopt::Error| BadConfig::new("arguments", error.to_string().replace(char::is_control, "?"));
    while let Some(argument) = arguments.next().map_err(bad)? {
        match argument {
            Long("config") => config = Some(arguments.value().map_err(bad)?.into()),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(bad(other.unexpected())),
        }
    }
    config.map(Some).ok_or_else(|| BadConfig::new("--config", "is missing"))
}

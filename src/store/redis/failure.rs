//! What can go wrong with a call, and which words may be said about it.

use std::{error::Error, io, sync::Arc};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use rustls::CertificateError;

use super::keys::Keys;
use crate::store::{StoreError, StoreErrorKind};

/// Why a call has no answer that could be used.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Redis(RedisError),
    /// Nothing came in time.
    Silent,
    NoRuntime,
}

/// How long an error code of the server may be: anything longer is no code.
const LONGEST_CODE: usize = 20;

impl Failure {
    /// As an error of the store: what it was asked for, and why that failed. Of what the server said, its code alone is
    /// shown: the rest could be anything.
    pub(super) fn into_error(self, asked_for: &str, keys: &Keys) -> StoreError {
        let (kind, why) = match &self {
            Self::Silent => (StoreErrorKind::TimedOut, "no answer in time"),
            Self::NoRuntime => (StoreErrorKind::Unavailable, "there is no tokio runtime with a timer"),
            Self::Redis(error) => explain(error),
        };
        StoreError::new(kind, format!("cannot {asked_for} redis {keys}: {why}"))
    }
}

fn explain(error: &RedisError) -> (StoreErrorKind, &str) {
    let why = match error.kind() {
        _ if error.is_timeout() => return (StoreErrorKind::TimedOut, "no answer in time"),
        _ if error.is_connection_refusal() => "connection refused",
        _ if error.is_connection_dropped() => "connection lost",
        ErrorKind::Io => io_error(error).map_or("the network or the name", explain_io),
        ErrorKind::RESP3NotSupported => "the server is too old",
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => "an answer that makes no sense",
        ErrorKind::InvalidClientConfig => "no such address",
        ErrorKind::Server(_) | ErrorKind::Extension => error.code().filter(|code| is_code(code)).unwrap_or("an error"),
        _ => "the client",
    };
    let is_foreign = why == "WRONGTYPE";
    (if is_foreign { StoreErrorKind::Damaged } else { StoreErrorKind::Unavailable }, why)
}

fn io_error(error: &RedisError) -> Option<&io::Error> {
    // As the crate keeps it.
    error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?.downcast_ref()
}

fn explain_io(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(why)) => explain_certificate(why),
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS",
        Some(_) => "no TLS that both sides accept",
        None => match error.kind() {
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "the host cannot be reached",
            io::ErrorKind::NotFound => "there is no such socket",
            _ => "the network or the name",
        },
    }
}

fn explain_certificate(why: &CertificateError) -> &'static str {
    use CertificateError as Why;
    match why {
        Why::UnknownIssuer => "no authority that is trusted vouches for its certificate",
        Why::NotValidForName | Why::NotValidForNameContext { .. } => "its certificate is for another name",
        Why::Expired | Why::ExpiredContext { .. } => "its certificate has expired",
        Why::NotValidYet | Why::NotValidYetContext { .. } => "its certificate is not valid yet",
        _ => "its certificate is not accepted",
    }
}

fn is_code(code: &str) -> bool {
    code.len() <= LONGEST_CODE && code.bytes().all(|letter| letter.is_ascii_uppercase())
}

/// Whether a connection is of no more use after this: it is broken, or it leads to a server that has become a replica,
/// while its name may lead to another one by now.
pub(super) fn is_end_of_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => true,
        ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType => false,
        ErrorKind::Extension => error.code() == Some("NOAUTH"),
        _ => true,
    }
}

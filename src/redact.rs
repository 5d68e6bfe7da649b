//! Errors of the wrapped service that would print the credential: most HTTP clients name the URL in their errors.

use std::{error::Error as StdError, fmt, io};

use crate::{credential::Credential, error::BoxError, transport::io_kind};

/// Takes the place of an error that prints the credential. What is left of it is what no text can hide in.
#[derive(Debug)]
struct Redacted(Option<io::ErrorKind>);

/// `error` itself, unless it or one of its causes prints `credential`.
pub(crate) fn without(credential: &Credential, error: BoxError) -> BoxError {
    let mut next: Option<&(dyn StdError + 'static)> = Some(&*error);
    while let Some(cause) = next {
        if credential.is_shown_by(&format!("{cause} {cause:?}")) {
            return Box::new(Redacted(io_kind(&*error)));
        }
        next = cause.source();
    }
    error
}

impl StdError for Redacted {}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error that prints the credential")?;
        match self.0 {
            Some(kind) => write!(f, ": {kind}"),
            None => Ok(()),
        }
    }
}

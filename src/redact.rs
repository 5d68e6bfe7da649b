//! What would print a credential of the URL: errors of the wrapped service, most of which name it, and the URL of an
//! answer.

use std::{error::Error as StdError, fmt, io};

use http::Extensions;

#[cfg(feature = "reqwest")]
use crate::extensions::{AnswerUrl, name_url};
use crate::{
    credential::Credential,
    error::{BoxError, Error},
    extensions::TargetUri,
    transport::io_kind,
};

/// Takes the place of an error that prints the credential. What is left of it is what no text can hide in.
#[derive(Debug)]
struct Redacted(Option<io::ErrorKind>);

/// `error` itself, unless it or one of its causes prints `credential`. An error of reqwest then loses its URL and keeps
/// all else; of any other no more than the kind is left.
pub(crate) fn without(credential: &Credential, error: BoxError) -> BoxError {
    if !is_shown(credential, &*error) {
        return error;
    }
    let error = match error.downcast::<Error>() {
        // A layer within this one: what it wraps is what prints the credential.
        Ok(error) => {
            let error = error.map_service(|cause| without(credential, cause));
            if !is_shown(credential, &error) {
                return error.into();
            }
            error.into()
        }
        Err(error) => error,
    };
    #[cfg(feature = "reqwest")]
    let error = match error.downcast::<reqwest::Error>() {
        Ok(error) => {
            let error = error.without_url();
            if !is_shown(credential, &error) {
                return error.into();
            }
            error.into()
        }
        Err(error) => error,
    };
    Box::new(Redacted(io_kind(&*error)))
}

/// Takes `credential` out of what an answer says of where it came from: whoever has the answer may print that.
pub(crate) fn take_out_of(extensions: &mut Extensions, credential: &Credential) {
    if let Some(TargetUri(uri)) = extensions.get_mut()
        && let Some(bare) = credential.taken_out_of(uri)
    {
        *uri = bare;
    }
    #[cfg(feature = "reqwest")]
    if let Some(bare) = extensions.get().and_then(|AnswerUrl(uri)| credential.taken_out_of(uri))
        && let Ok(url) = bare.to_string().parse()
    {
        name_url(extensions, url);
    }
}

fn is_shown(credential: &Credential, error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if credential.is_shown_by(&format!("{cause} {cause:?}")) {
            return true;
        }
        next = cause.source();
    }
    false
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

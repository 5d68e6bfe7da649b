//! Why a store could not do what it was asked for.

use std::{borrow::Cow, error::Error as StdError, fmt, io};

use crate::token::StoredError;

/// Why a store could not do what it was asked for. It says which store, and shows nothing that is stored.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    what: Cow<'static, str>,
    source: Option<Source>,
}

/// What is wrong, and with it what the session does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, read or written. Tried again after a backoff.
    Unavailable,
    /// It did not answer in time. Tried again after a backoff.
    TimedOut,
    /// What it holds is not a token set of ours, or one of a later version. It is left as it is, and looked at again after
    /// a backoff.
    Damaged,
    /// Others could read or replace what is stored. Nothing is read or written until that is mended.
    Insecure,
    /// Another process holds the lease, and held it for too long.
    Busy,
    /// The lease is not ours any more.
    Lost,
    /// What the store was given makes no sense, such as a URL. Only what builds a store says so.
    Invalid,
}

#[derive(Clone, Debug)]
enum Source {
    Stored(StoredError),
    Io(io::ErrorKind),
}

impl StoreError {
    /// An error of a store. `what` says in a few words which store it is and what it was asked for, such as
    /// `cannot rename /var/lib/app/token.json`. It is printed, so it must not hold a secret: no URL with a password, and
    /// nothing that was stored.
    #[must_use]
    pub fn new(kind: StoreErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    /// The same for an error of the operating system. Its kind is kept; its own words are not, for they could be anything.
    #[must_use]
    pub fn io(what: impl Into<Cow<'static, str>>, error: &io::Error) -> Self {
        Self { source: Some(Source::Io(error.kind())), ..Self::new(StoreErrorKind::Unavailable, what) }
    }

    /// The same for what is stored and cannot be read.
    #[must_use]
    pub fn damaged(what: impl Into<Cow<'static, str>>, error: StoredError) -> Self {
        Self { source: Some(Source::Stored(error)), ..Self::new(StoreErrorKind::Damaged, what) }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.source.as_ref()? {
            Source::Stored(error) => Some(error),
            Source::Io(_) => None,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.source {
            Some(Source::Io(kind)) => write!(f, ": {kind}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Stored;

    #[test]
    fn an_error_of_the_system_shows_its_kind_and_not_its_words() {
        let error = StoreError::io("cannot read token.json", &io::Error::other("S3CR3T"));
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert_eq!(error.to_string(), "cannot read token.json: other error");
        assert!(!format!("{error:?}").contains("S3CR3T") && error.source().is_none());
    }

    #[test]
    fn what_is_damaged_is_told_by_the_source() {
        let unreadable = Stored::from_json(br#"{"version":1,"access_token":7}"#).unwrap_err();
        let error = StoreError::damaged("cannot read token.json", unreadable.clone());
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
        assert_eq!(error.to_string(), "cannot read token.json");
        assert_eq!(error.source().and_then(|source| source.downcast_ref()), Some(&unreadable));
    }

    #[test]
    fn an_error_without_a_cause_says_what_it_was_told() {
        let error = StoreError::new(StoreErrorKind::Busy, format!("{} holds the lease", "another"));
        assert_eq!((error.kind(), error.to_string().as_str()), (StoreErrorKind::Busy, "another holds the lease"));
        assert!(error.source().is_none());
    }
}

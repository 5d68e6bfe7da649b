//! Why a stored token set cannot be read or written.

use std::{borrow::Cow, fmt};

/// Why a stored token set cannot be read or written. It names the member that is wrong, and shows no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredError(Problem);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Whole(&'static str),
    Version(u64),
    Member { name: Cow<'static, str>, reason: Reason },
}

/// What is wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Missing,
    Unknown,
    Repeated,
    NotANumber,
    NotText,
    NotATime,
    NotAnEnd,
    NotAMark,
    BesideAToken,
    WithoutAToken,
    NotAnObject,
    TooDeep,
    NotWritable,
}

// ===== impl StoredError =====

impl StoredError {
    pub(super) fn whole(reason: &'static str) -> Self {
        Self(Problem::Whole(reason))
    }

    pub(super) fn unknown_version(version: u64) -> Self {
        Self(Problem::Version(version))
    }

    pub(super) fn member(name: &'static str, reason: Reason) -> Self {
        Self(Problem::Member { name: name.into(), reason })
    }

    /// A name that is not one of ours is shown only where it looks like one: it may be a secret in the wrong place.
    pub(super) fn unknown_member(name: &str) -> Self {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-".contains(&byte));
        let shown = if matches!(name.len(), 1..=32) && is_name(name) { name } else { "a member" };
        Self(Problem::Member { name: shown.to_owned().into(), reason: Reason::Unknown })
    }

    /// The name of the member that is wrong; `None` where the whole is, or where the version is one that is not known.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match &self.0 {
            Problem::Member { name, .. } => Some(name),
            Problem::Whole(_) | Problem::Version(_) => None,
        }
    }

    /// The version that is not known. A later program wrote it, so it is to be left as it is.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        match self.0 {
            Problem::Version(version) => Some(version),
            Problem::Whole(_) | Problem::Member { .. } => None,
        }
    }
}

impl std::error::Error for StoredError {}

impl fmt::Display for StoredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stored token set: ")?;
        match &self.0 {
            Problem::Whole(reason) => f.write_str(reason),
            Problem::Version(version) => write!(f, "version {version} is not known"),
            Problem::Member { name, reason } => write!(f, "{name} {}", reason.phrase()),
        }
    }
}

// ===== impl Reason =====

impl Reason {
    fn phrase(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Unknown => "is not known",
            Self::Repeated => "stands twice",
            Self::NotANumber => "is not a whole number",
            Self::NotText => "is empty or not a string",
            Self::NotATime => "is not a time in whole milliseconds since 1970",
            Self::NotAnEnd => "is neither \"never\" nor a time in whole milliseconds since 1970",
            Self::NotAMark => "is not a key and a hash of 64 hexadecimal digits each",
            Self::BesideAToken => "stands beside a token",
            Self::WithoutAToken => "stands without a token",
            Self::NotAnObject => "is not an object, repeats a member or is nested too deeply",
            Self::TooDeep => "is nested too deeply",
            Self::NotWritable => "cannot be written",
        }
    }
}

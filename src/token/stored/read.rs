//! Reads the stored form: first its version, then, if that is known, everything.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::error::Category;

use super::{
    Expiry, FencingToken, Reason, Stored, StoredError, TokenSet, VERSION, member,
    value::{End, Mark, Object, Text, Time},
};

pub(super) fn stored(json: &[u8]) -> Result<Stored, StoredError> {
    // What the other members mean, and which of them there are, depends on the version.
    let mut version = Version::default();
    read(json, &mut version).map_err(|error| told(&error, version.problem.take()))?;
    match version.number {
        None => return Err(StoredError::member(member::VERSION, Reason::Missing)),
        Some(VERSION) => {}
        Some(version) => return Err(StoredError::unknown_version(version)),
    }
    let mut members = Members::default();
    read(json, &mut members).map_err(|error| told(&error, members.problem.take()))?;
    members.stored()
}

/// Reads one object.
fn read<'de>(json: &'de [u8], members: impl DeserializeSeed<'de, Value = ()>) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    members.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// What `error` means, which never shows: its text may hold a value.
fn told(error: &serde_json::Error, problem: Option<StoredError>) -> StoredError {
    match (error.classify(), problem) {
        (Category::Eof, _) => StoredError::whole("is cut short"),
        (_, Some(problem)) => problem,
        (Category::Data, None) => StoredError::whole("is not a JSON object"),
        (Category::Syntax | Category::Io, None) => StoredError::whole("is not JSON"),
    }
}

/// Finds the version, and reads past everything else: whatever is behind a later version is its writer's.
#[derive(Default)]
struct Version {
    number: Option<u64>,
    /// What an error at this place means.
    problem: Option<StoredError>,
}

/// The members of version 1, as they are found.
#[derive(Default)]
struct Members {
    found: Vec<&'static str>,
    /// What an error at this place means.
    problem: Option<StoredError>,
    generation: Option<u64>,
    fence: Option<u64>,
    revision: Option<u64>,
    changed_under: Option<u64>,
    access_token: Option<Text>,
    refresh_token: Option<Text>,
    signing_key: Option<Text>,
    issued_at: Option<Time>,
    expiry: Option<End>,
    refresh_at: Option<Time>,
    refresh_expires_at: Option<Time>,
    spending_since: Option<Time>,
    refresh_refused_since: Option<Time>,
    signed_out_since: Option<Time>,
    login_refused: Option<Mark>,
    extra: Option<Object>,
}

// ===== impl Version =====

impl<'de> DeserializeSeed<'de> for &mut Version {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Version {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut is_found = false;
        while let Some(name) = members.next_key::<String>()? {
            if name != member::VERSION {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            if std::mem::replace(&mut is_found, true) {
                self.problem = Some(StoredError::member(member::VERSION, Reason::Repeated));
                return Err(A::Error::custom("repeated"));
            }
            self.problem = Some(StoredError::member(member::VERSION, Reason::NotANumber));
            self.number = members.next_value()?;
            self.problem = None;
        }
        Ok(())
    }
}

// ===== impl Members =====

impl Members {
    fn stored(self) -> Result<Stored, StoredError> {
        if self.access_token.is_none() {
            self.check_nothing_of_a_token()?;
        }
        let time = |time: Option<Time>| time.map(|time| time.0);
        let token = self.access_token.map(|access_token| TokenSet {
            access_token: access_token.0,
            refresh_token: self.refresh_token.map(|text| text.0),
            signing_key: self.signing_key.map(|text| text.0),
            issued_at: time(self.issued_at),
            expiry: self.expiry.map_or(Expiry::Unknown, |end| end.0),
            refresh_at: time(self.refresh_at),
            refresh_expires_at: time(self.refresh_expires_at),
            extra: self.extra.map(|object| object.0).unwrap_or_default().into(),
        });
        let stored = Stored {
            token,
            generation: self.generation.unwrap_or_default().into(),
            fence: self.fence.map(FencingToken::from),
            revision: self.revision.unwrap_or_default(),
            changed_under: self.changed_under.map(FencingToken::from),
            spending_since: time(self.spending_since),
            refresh_refused_since: time(self.refresh_refused_since),
            signed_out_since: time(self.signed_out_since),
            login_refused: self.login_refused.map(|mark| mark.0),
        };
        stored.check()?;
        Ok(stored)
    }

    fn check_nothing_of_a_token(&self) -> Result<(), StoredError> {
        let of_a_token = [
            (member::REFRESH_TOKEN, self.refresh_token.is_some()),
            (member::SIGNING_KEY, self.signing_key.is_some()),
            (member::ISSUED_AT, self.issued_at.is_some()),
            (member::EXPIRES_AT, self.expiry.is_some()),
            (member::REFRESH_AT, self.refresh_at.is_some()),
            (member::REFRESH_EXPIRES_AT, self.refresh_expires_at.is_some()),
            (member::EXTRA, self.extra.as_ref().is_some_and(|extra| !extra.0.is_empty())),
        ];
        match of_a_token.into_iter().find(|(_, is_there)| *is_there) {
            Some((name, _)) => Err(StoredError::member(name, Reason::WithoutAToken)),
            None => Ok(()),
        }
    }

    /// Our own name for the member of that name, and what an error in its value means. It stands once.
    fn enter(&mut self, name: &str) -> Result<&'static str, StoredError> {
        let (name, reason) =
            FORM.into_iter().find(|(known, _)| *known == name).ok_or_else(|| StoredError::unknown_member(name))?;
        if self.found.contains(&name) {
            return Err(StoredError::member(name, Reason::Repeated));
        }
        self.found.push(name);
        self.problem = Some(StoredError::member(name, reason));
        Ok(name)
    }
}

/// Each member, and what is wrong with a value of another form.
const FORM: [(&str, Reason); 17] = [
    (member::VERSION, Reason::NotANumber),
    (member::GENERATION, Reason::NotANumber),
    (member::FENCE, Reason::NotANumber),
    (member::REVISION, Reason::NotANumber),
    (member::CHANGED_UNDER, Reason::NotANumber),
    (member::ACCESS_TOKEN, Reason::NotText),
    (member::REFRESH_TOKEN, Reason::NotText),
    (member::SIGNING_KEY, Reason::NotText),
    (member::ISSUED_AT, Reason::NotATime),
    (member::EXPIRES_AT, Reason::NotAnEnd),
    (member::REFRESH_AT, Reason::NotATime),
    (member::REFRESH_EXPIRES_AT, Reason::NotATime),
    (member::SPENDING, Reason::NotATime),
    (member::REFRESH_REFUSED, Reason::NotATime),
    (member::SIGNED_OUT, Reason::NotATime),
    (member::LOGIN_REFUSED, Reason::NotAMark),
    (member::EXTRA, Reason::NotAnObject),
];

impl<'de> DeserializeSeed<'de> for &mut Members {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Members {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            let name = self.enter(&name).map_err(|problem| {
                self.problem = Some(problem);
                A::Error::custom("unknown or repeated")
            })?;
            match name {
                member::GENERATION => self.generation = members.next_value()?,
                member::FENCE => self.fence = members.next_value()?,
                member::REVISION => self.revision = members.next_value()?,
                member::CHANGED_UNDER => self.changed_under = members.next_value()?,
                member::ACCESS_TOKEN => self.access_token = members.next_value()?,
                member::REFRESH_TOKEN => self.refresh_token = members.next_value()?,
                member::SIGNING_KEY => self.signing_key = members.next_value()?,
                member::ISSUED_AT => self.issued_at = members.next_value()?,
                member::EXPIRES_AT => self.expiry = members.next_value()?,
                member::REFRESH_AT => self.refresh_at = members.next_value()?,
                member::REFRESH_EXPIRES_AT => self.refresh_expires_at = members.next_value()?,
                member::SPENDING => self.spending_since = members.next_value()?,
                member::REFRESH_REFUSED => self.refresh_refused_since = members.next_value()?,
                member::SIGNED_OUT => self.signed_out_since = members.next_value()?,
                member::LOGIN_REFUSED => self.login_refused = members.next_value()?,
                member::EXTRA => self.extra = members.next_value()?,
                // The version has been read.
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
            self.problem = None;
        }
        Ok(())
    }
}

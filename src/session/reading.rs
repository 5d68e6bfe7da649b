//! What a token answer brings, by which clock.

use std::time::SystemTime;

use bytes::Bytes;
use http::Response;

use crate::{
    clock::Now,
    provider::{Context, Grant, Provider, ProviderError, ProviderErrorKind},
    session::{
        skew::{Dated, Skew},
        state::Issued,
    },
    token::TokenSet,
};

/// A token answer that has come, to the request that was made at `asked`.
pub(super) struct Reading<'a, P> {
    pub(super) provider: &'a P,
    pub(super) grant: Grant<'a>,
    pub(super) cx: Context,
    /// By this machine's clock as it was at `answered`.
    pub(super) asked: Now,
    pub(super) answered: Now,
}

/// What an answer is by one clock.
pub(super) enum Read {
    Granted(Issued),
    /// A token set whose end has passed already.
    Ended(TokenSet),
}

impl<P: Provider> Reading<'_, P> {
    /// Reads `answer` by the clock as its `Date` corrects it, its lifetimes counted from the request. Where that brings
    /// nothing to use they are counted from the `Date`, in case the clock was set meanwhile; then it is read by the clock
    /// as it was `known`: nobody's token set is thrown away over a `Date` that is wrong.
    ///
    /// The correction to keep comes with it. It is learned from a grant, and from a provider that complains of this
    /// machine's clock: whatever else was answered may be a gateway's, and so may be its date.
    pub(super) fn read(
        &self,
        answer: Response<Bytes>,
        known: Skew,
        issue: impl Fn(TokenSet, Now) -> Result<Issued, ProviderError>,
    ) -> (Result<Read, ProviderError>, Skew) {
        let dated = Dated::of(answer.headers(), self.asked.wall, self.answered.wall, known);
        let skew = dated.map_or(known, |dated| dated.skew);
        let first = self.read_by(skew, None, answer.clone(), &issue);
        let mut ended = match first {
            Ok(Read::Ended(token)) => Ok(token),
            Err(error) if error.kind() == ProviderErrorKind::Malformed => Err(error),
            Err(error) if error.kind() == ProviderErrorKind::Fault => return (Err(error), skew),
            Err(error) => return (Err(error), known),
            granted => return (granted, skew),
        };
        let again = [(skew, dated.map(|dated| dated.date)), (known, None)];
        for (by, date) in again.into_iter().filter(|(by, date)| date.is_some() || *by != skew) {
            match self.read_by(by, date, answer.clone(), &issue) {
                Ok(Read::Ended(token)) if ended.is_err() => ended = Ok(token),
                Ok(Read::Ended(_)) | Err(_) => {}
                granted => return (granted, by),
            }
        }
        (ended.map(Read::Ended), known)
    }

    fn read_by(
        &self,
        skew: Skew,
        date: Option<SystemTime>,
        answer: Response<Bytes>,
        issue: impl Fn(TokenSet, Now) -> Result<Issued, ProviderError>,
    ) -> Result<Read, ProviderError> {
        let (asked, now) = (skew.correct(self.asked), skew.correct(self.answered));
        let granted = date.map_or(asked.wall, |date| date.min(now.wall).max(asked.wall));
        let token = self.provider.parse(self.grant, answer, &Context { now: granted, ..self.cx })?;
        if token.expiry().is_expired(now.wall) { Ok(Read::Ended(token)) } else { issue(token, now).map(Read::Granted) }
    }
}

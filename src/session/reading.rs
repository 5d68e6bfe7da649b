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
    /// Reads `answer` by the clock as its `Date` corrects it, and by the clock as it was `known` where that brings
    /// nothing to use: then the `Date` is what cannot be trusted, and nobody's token set is thrown away over it.
    ///
    /// The correction to keep comes with it. It is learned from a grant, and from a provider that complains of this
    /// machine's clock: whatever else was answered may be a gateway's, and so may be its date.
    pub(super) fn read(
        &self,
        answer: Response<Bytes>,
        known: Skew,
        issue: impl Fn(TokenSet, Now) -> Result<Issued, ProviderError>,
    ) -> (Result<Read, ProviderError>, Skew) {
        let Some(Dated { skew, date }) = Dated::of(answer.headers(), self.asked.wall, self.answered.wall) else {
            return (self.read_by(known, None, answer, &issue), known);
        };
        let read = self.read_by(skew, Some(date), answer.clone(), &issue);
        match &read {
            Ok(Read::Granted(_)) => return (read, skew),
            Err(error) if error.kind() == ProviderErrorKind::Fault => return (read, skew),
            _ => {}
        }
        match self.read_by(known, None, answer, &issue) {
            granted @ Ok(Read::Granted(_)) => (granted, known),
            _ => (read, known),
        }
    }

    fn read_by(
        &self,
        skew: Skew,
        date: Option<SystemTime>,
        answer: Response<Bytes>,
        issue: impl Fn(TokenSet, Now) -> Result<Issued, ProviderError>,
    ) -> Result<Read, ProviderError> {
        let (asked, now) = (skew.correct(self.asked), skew.correct(self.answered));
        // The grant was made between the two. Without a date it may have been at once.
        let granted = date.map_or(asked.wall, |date| date.clamp(asked.wall, now.wall));
        let token = self.provider.parse(self.grant, answer, &Context { now: granted, ..self.cx })?;
        if token.expiry().is_expired(now.wall) { Ok(Read::Ended(token)) } else { issue(token, now).map(Read::Granted) }
    }
}

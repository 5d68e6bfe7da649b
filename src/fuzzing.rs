//! What the fuzz targets in `fuzz/` reach of the inside. It is there under `--cfg fuzzing` alone, and no part of the API.

use std::{
    borrow::Cow,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode};
use http_body::Body;

use crate::{
    inspect::{InspectBody, Outcome, ReadAhead, ReadLimit, Reading},
    provider::{GrantKind, ProviderError},
    session::{AnswerHead, Failed, RefreshPolicy},
};

/// The time that a 503 with these headers asks for, and how long a session waits because of it, by the defaults.
#[must_use]
pub fn patience(headers: &HeaderMap, now: SystemTime, usable: bool) -> (Option<Duration>, Duration) {
    let head = AnswerHead::new(StatusCode::SERVICE_UNAVAILABLE, headers, now);
    let error = ProviderError::unavailable("fuzz", "the server asks for patience");
    let failed = Failed::answer(error, head, GrantKind::Refresh);
    (failed.retry_after, failed.backoff(0, usable.then_some(Duration::MAX), 1.0, &RefreshPolicy::default()))
}

/// A body that nobody looks into.
pub fn untouched<B: Body>(body: B) -> InspectBody<B> {
    InspectBody::untouched(body)
}

/// A body that is looked into.
pub struct Inspector<B: Body>(ReadAhead<B>);

impl<B: Body> Inspector<B> {
    /// To find a rejection in it; with `object`, only while it may be a JSON object.
    pub fn to_judge(body: B, object: bool) -> Self {
        Self(ReadAhead::to_judge(body, if object { Reading::Object } else { Reading::Any }, ReadLimit::default()))
    }

    /// To free its connection.
    pub fn to_drain(body: B) -> Self {
        Self(ReadAhead::to_drain(body, ReadLimit::default()))
    }

    /// Reads on; `true` when the whole body has been read.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.0.poll(cx).map(|outcome| outcome == Outcome::Whole)
    }

    /// What was read so far.
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        self.0.bytes()
    }

    /// The body as the caller gets it.
    #[must_use]
    pub fn into_body(self) -> InspectBody<B> {
        self.0.into_body()
    }
}

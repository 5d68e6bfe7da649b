//! Takes a body down while it is sent, within a bound.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// Where a recording appears once it is complete.
pub(super) type Tape = OnceLock<Recording>;

/// A whole body.
pub(super) struct Recording {
    pub(super) data: Bytes,
    pub(super) trailers: Option<HeaderMap>,
    /// The body declared its length. A replay does it then, and only then: HTTP/1 trailers need a body without.
    is_sized: bool,
}

/// The original's side of a tape.
pub(super) struct Recorder {
    limit: usize,
    /// Empty until somebody wants a copy: what nobody wants is not taken down.
    tape: OnceLock<Arc<Tape>>,
    state: State,
}

enum State {
    /// Nothing has been read.
    Idle,
    Recording {
        data: BytesMut,
        trailers: Option<HeaderMap>,
        /// The length that the body declared.
        declared: Option<u64>,
    },
    /// There is a recording, or there will be none.
    Over,
}

// ===== impl Recorder =====

impl Recorder {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, tape: OnceLock::new(), state: State::Idle }
    }

    /// The tape for one more copy, if it can become a whole one.
    pub(super) fn tape<B: Body>(&self, body: &B) -> Option<Arc<Tape>> {
        let hint = body.size_hint();
        if !matches!(self.state, State::Idle) || hint.lower() > to_u64(self.limit) {
            return None;
        }
        let tape = self.tape.get_or_init(Arc::default);
        if body.is_end_stream() {
            // A body that says so from the beginning is never read.
            let _ = tape.set(Recording { data: Bytes::new(), trailers: None, is_sized: hint.exact().is_some() });
        }
        Some(Arc::clone(tape))
    }

    /// To be called before `body` is read.
    pub(super) fn start<B: Body>(&mut self, body: &B) {
        if matches!(self.state, State::Idle) {
            self.state = match self.tape.get() {
                Some(_) => {
                    let declared = body.size_hint().exact();
                    State::Recording { data: BytesMut::new(), trailers: None, declared }
                }
                None => State::Over,
            };
        }
    }

    /// Whether as much as was declared has been taken down, and its end has not.
    pub(super) fn has_all_that_was_declared(&self) -> bool {
        let State::Recording { data, declared: Some(declared), .. } = &self.state else { return false };
        *declared == to_u64(data.len())
    }

    /// Takes down what was read; `ended` says whether that was the last of it.
    pub(super) fn record<E>(&mut self, frame: &Option<Result<Frame<Bytes>, E>>, ended: bool) {
        let State::Recording { data, trailers, .. } = &mut self.state else { return };
        let is_wanted = self.tape.get().is_some_and(|tape| Arc::strong_count(tape) > 1);
        let is_kept = is_wanted
            && match frame {
                Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                    (Some(part), _) if data.len().saturating_add(part.len()) <= self.limit => {
                        data.extend_from_slice(part);
                        true
                    }
                    (_, Some(part)) if trailers.is_none() && data.len().saturating_add(size_of(part)) <= self.limit => {
                        *trailers = Some(part.clone());
                        true
                    }
                    _ => false,
                },
                Some(Err(_)) => false,
                None => true,
            };
        if !is_kept {
            self.state = State::Over;
        } else if ended || !matches!(frame, Some(Ok(frame)) if frame.is_data()) {
            // Trailers are the last of a body, and clients do not ask for more behind them.
            self.finish();
        }
    }

    /// How many bytes of data are kept at present.
    pub(super) fn kept(&self) -> usize {
        match &self.state {
            State::Recording { data, .. } => data.len(),
            State::Idle | State::Over => 0,
        }
    }

    fn finish(&mut self) {
        let State::Recording { data, trailers, declared } = std::mem::replace(&mut self.state, State::Over) else {
            return;
        };
        // A body that breaks its word is an error of the client's, and not to be repeated.
        let is_true = declared.is_none_or(|declared| declared == to_u64(data.len()));
        if let Some(tape) = self.tape.get().filter(|_| is_true) {
            let _ = tape.set(Recording { data: data.freeze(), trailers, is_sized: declared.is_some() });
        }
    }
}

// ===== impl Recording =====

impl Recording {
    /// Data without trailers, and without a declared length.
    #[cfg(feature = "tonic")]
    pub(super) fn of(data: Bytes) -> Self {
        Self { data, trailers: None, is_sized: false }
    }

    pub(super) fn size_hint(&self, data_is_left: bool) -> SizeHint {
        let left = if data_is_left { to_u64(self.data.len()) } else { 0 };
        let mut hint = SizeHint::new();
        hint.set_lower(left);
        if self.is_sized {
            hint.set_upper(left);
        }
        hint
    }
}

fn size_of(trailers: &HeaderMap) -> usize {
    trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

//! Whether a request can be sent again: an independent, whole copy of its body, or none.

/// Makes the copy of a request's body that a replay sends.
///
/// The copy is made before the first send, so it must be whole and independent: reading one must not shorten the
/// other. A strategy is a type that is named and never made: `layer.replay::<Never>()`. One that cannot promise that says `None`; the request is then never replayed, and an empty body is
/// never sent in its place.
pub trait Replay<B> {
    /// A copy of `body`, or `None`.
    fn backup(body: &B) -> Option<B>;
}

/// Copies bodies by `Clone`: right for `Full`, `Empty` and others that own their data, cheap for `Full<Bytes>`.
///
/// Not for a body whose clones share one stream.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "has no values")]
pub enum CloneBody {}

/// Never copies. Any body will do; a rejected request causes the refresh, and its answer is handed back as it came.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "has no values")]
pub enum Never {}

impl<B: http_body::Body + Clone> Replay<B> for CloneBody {
    fn backup(body: &B) -> Option<B> {
        Some(body.clone())
    }
}

impl<B> Replay<B> for Never {
    fn backup(_: &B) -> Option<B> {
        None
    }
}

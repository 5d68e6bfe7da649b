//! Whether a request can be sent again: an independent, whole copy of its body, or none.

pub(crate) mod body;

pub use body::ReplayBody;

/// Makes the copy of a request's body that a replay sends.
///
/// The copy is made before the first send, so it must be independent: reading one must not shorten the other. It must
/// be whole when it [is sent](Self::is_replayable). A strategy that cannot promise that says `None`; the request is then
/// never replayed, and an empty body is never sent in its place. A strategy is a type that is named and never made:
/// `layer.replay::<Never>()`.
pub trait Replay<B> {
    /// A copy of `body`, or `None`.
    fn backup(body: &B) -> Option<B>;

    /// Whether the copy is whole, asked when the API has rejected the request that it is a copy of. A copy that is made at
    /// once is; one that is taken down while the body is sent is not before all of it has been.
    fn is_replayable(copy: &B) -> bool {
        let _ = copy;
        true
    }
}

/// Copies bodies by `Clone`: right for `Full`, `Empty` and others that own their data, cheap for `Full<Bytes>`.
///
/// Not for a body whose clones share one stream.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "has no values")]
pub enum CloneBody {}

/// Takes a streaming body down while it is sent, up to a bound: for requests whose body is a [`ReplayBody`].
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "has no values")]
pub enum Buffered {}

/// Never copies. Any body will do; a rejected request causes the refresh, and its answer is handed back as it came.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "has no values")]
pub enum Never {}

/// A strategy as values, so that a future need not name its type.
#[derive(Debug)]
pub(crate) struct Strategy<B> {
    pub(crate) backup: fn(&B) -> Option<B>,
    pub(crate) is_replayable: fn(&B) -> bool,
}

impl<B: http_body::Body + Clone> Replay<B> for CloneBody {
    fn backup(body: &B) -> Option<B> {
        Some(body.clone())
    }
}

impl<B: http_body::Body> Replay<ReplayBody<B>> for Buffered {
    fn backup(body: &ReplayBody<B>) -> Option<ReplayBody<B>> {
        body.copy()
    }

    fn is_replayable(copy: &ReplayBody<B>) -> bool {
        copy.whole().is_some()
    }
}

impl<B> Replay<B> for Never {
    fn backup(_: &B) -> Option<B> {
        None
    }
}

// ===== impl Strategy =====

impl<B> Strategy<B> {
    pub(crate) const fn of<R: Replay<B>>() -> Self {
        Self { backup: R::backup, is_replayable: R::is_replayable }
    }
}

impl<B> Clone for Strategy<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Strategy<B> {}

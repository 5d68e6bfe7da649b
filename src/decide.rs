//! What to do with a judged answer: pure.

/// What is known when an answer has been judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    /// The answer refused the token.
    pub(crate) rejected: bool,
    /// The answer is that of a replay, and no further replay is allowed.
    pub(crate) last_replay: bool,
    /// A copy of the request is at hand, and may be sent.
    pub(crate) replayable: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Hand the answer to the caller.
    Return,
    /// Have the token renewed, and hand the answer to the caller at once.
    RefreshAndReturn,
    /// Have the token renewed, then send the request again.
    RefreshAndReplay,
}

impl Judged {
    /// A replay that is rejected as well says more about the route than about the token, so it causes nothing.
    pub(crate) fn next(self) -> Next {
        match self {
            Self { rejected: false, .. } | Self { last_replay: true, .. } => Next::Return,
            Self { replayable: true, .. } => Next::RefreshAndReplay,
            Self { replayable: false, .. } => Next::RefreshAndReturn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_one_consequence() {
        for (rejected, last_replay, replayable, next) in [
            (false, false, false, Next::Return),
            (false, false, true, Next::Return),
            (false, true, false, Next::Return),
            (false, true, true, Next::Return),
            (true, true, false, Next::Return),
            (true, true, true, Next::Return),
            (true, false, false, Next::RefreshAndReturn),
            (true, false, true, Next::RefreshAndReplay),
        ] {
            let judged = Judged { rejected, last_replay, replayable };
            assert_eq!(judged.next(), next, "{judged:?}");
        }
    }
}

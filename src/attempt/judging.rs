//! What an answer says of the token that was sent.

use http::{Uri, response};
use http_body::{Body, SizeHint};

use super::Attempt;
use crate::{
    extensions::TargetUri,
    grpc::{self, Judging},
    inspect::{ReadAhead, Reading, eligible},
    provider::{Provider, Verdict},
    session::Session,
};

impl<S, P: Provider, B> Attempt<S, P, B> {
    /// What an answer's head says of the token.
    pub(crate) fn judge(&self, head: &response::Parts) -> Verdict {
        if self.is_from_elsewhere(head) {
            return Verdict::Accepted;
        }
        match (self.session.provider().judge(head), self.judging) {
            (verdict, Judging::Http) => verdict,
            (Verdict::Rejected, _) => Verdict::Rejected,
            _ if grpc::rejects(head) => Verdict::Rejected,
            _ => Verdict::Accepted,
        }
    }

    /// How to read an answer that its head does not judge, if at all.
    pub(crate) fn reading(&self, head: &response::Parts, body: &SizeHint, verdict: Verdict) -> Option<Reading> {
        let max_bytes = self.session.policy().judged_body.bytes;
        match self.judging {
            Judging::Http => eligible(self.has_content, head, body, verdict, max_bytes),
            Judging::Unary if grpc::is_open(head, body, max_bytes) && !self.is_from_elsewhere(head) => {
                Some(Reading::Any)
            }
            Judging::Unary | Judging::Head => None,
        }
    }

    /// Whether an answer that has been read whole refuses the token.
    pub(crate) fn judge_whole<T: Body>(&self, head: &response::Parts, body: &ReadAhead<T>) -> bool {
        match self.judging {
            Judging::Http => self.session.provider().judge_body(head, &body.bytes()),
            Judging::Unary | Judging::Head => body.trailers().is_some_and(grpc::is_unauthenticated),
        }
    }

    /// Whether the answer says that it came from where the credential does not belong.
    fn is_from_elsewhere(&self, head: &response::Parts) -> bool {
        let target = head.extensions.get::<TargetUri>();
        target.is_some_and(|TargetUri(uri)| !belongs(&self.session, self.fixed_peer, uri))
    }
}

/// Whether the credential may go to `uri`.
pub(crate) fn belongs<P: Provider>(session: &Session<P>, fixed_peer: bool, uri: &Uri) -> bool {
    session.covers(uri) || (fixed_peer && uri.authority().is_none())
}

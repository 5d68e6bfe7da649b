//! `WWW-Authenticate`: does a 401 speak of the token, or of something that another token cannot cure?

use http::{StatusCode, response};

/// Whether an answer's head rejects the token.
pub(crate) fn rejects(answer: &response::Parts) -> bool {
    answer.status == StatusCode::UNAUTHORIZED
}

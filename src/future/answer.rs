//! An answer that is being read, and can be handed on as it came at any time.

use http::{Response, response};
use http_body::Body;

use crate::{
    error::RefreshFailure,
    inspect::{InspectBody, ReadAhead},
};

/// An answer that is being read, and can be handed on as it came at any time.
pub(super) struct Answer<T: Body> {
    pub(super) head: response::Parts,
    pub(super) body: ReadAhead<T>,
}

impl<T: Body> Answer<T> {
    pub(super) fn is_read(&self) -> bool {
        self.body.is_whole()
    }

    pub(super) fn into_response(self) -> Response<InspectBody<T>> {
        Response::from_parts(self.head, self.body.into_body())
    }

    pub(super) fn into_response_after(mut self, failure: RefreshFailure) -> Response<InspectBody<T>> {
        self.head.extensions.insert(failure);
        self.into_response()
    }
}

//! What the layer needs of an HTTP client service, with a name for the body of its responses.

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

/// An HTTP client service as the layer needs it: implemented for every `Clone` service from `Request<B>` to
/// `Response<impl Body>`.
pub trait HttpService<B>:
    Service<Request<B>, Response = Response<Self::ResponseBody>> + Clone + sealed::Sealed<B>
{
    /// The body of its responses.
    type ResponseBody: Body;
}

impl<S, B, T> HttpService<B> for S
where
    S: Service<Request<B>, Response = Response<T>> + Clone,
    T: Body,
{
    type ResponseBody = T;
}

mod sealed {
    pub trait Sealed<B> {}

    impl<S, B, T> Sealed<B> for S where S: tower_service::Service<http::Request<B>, Response = http::Response<T>> {}
}

//! Which request goes where: what begins with `/-/` is the gateway's own, everything else the upstream's.

use std::sync::Arc;

use axum::{
    Router,
    body::HttpBody,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use bytes::Bytes;
use http::StatusCode;
use tower::{BoxError, Service};
use tower_auth_refresh::session::Status;

use super::{
    admission::Admission,
    answer::Answer,
    proxy::{Outgoing, Proxy},
    status,
};

const NOT_FOUND: Answer = Answer::new(StatusCode::NOT_FOUND, "not-found", "behind /-/ there is nothing but /-/status");
const METHOD_NOT_ALLOWED: Answer =
    Answer::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "the status is asked for by GET or HEAD");

/// The router of a gateway; `status` is asked for each page.
pub(crate) fn router<S, B>(
    admission: Admission,
    proxy: Proxy<S>,
    status: impl Fn() -> Status + Clone + Send + Sync + 'static,
) -> Router
where
    S: Service<http::Request<Outgoing>, Response = Response<B>, Future: Send> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (admission, proxy) = (Arc::new(admission), Arc::new(proxy));
    let page = get(move || std::future::ready(status::page(&status()))).fallback(|| async { METHOD_NOT_ALLOWED });
    Router::new()
        .route("/-/status", page)
        .route("/-/", any(|| async { NOT_FOUND }))
        .route("/-/{*rest}", any(|| async { NOT_FOUND }))
        .fallback(move |request: Request| {
            let proxy = Arc::clone(&proxy);
            async move { proxy.forward(request).await }
        })
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let admission = Arc::clone(&admission);
            async move { admit(&admission, request, next).await }
        }))
}

async fn admit(admission: &Admission, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match admission.check(&head) {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(refused) => {
            tracing::warn!(error = refused.error(), "refused");
            refused.into_response()
        }
    }
}

//! What a request and an answer can tell the layer, in their extensions.
//!
//! | extension of a request | what it does |
//! |---|---|
//! | [`Session<P>`](crate::Session) | takes the place of the layer's own session, and asks for its credential |
//! | [`Credentials`] | opts the request in, or out |
//!
//! A session is found by its type: `P` must be the layer's own. With `Session<Box<dyn Provider>>` one client serves users
//! of many APIs.
//!
//! ```
//! # use http_body_util::Full;
//! # use tower::{Layer, ServiceExt};
//! # use tower_auth_refresh::{AuthRefreshLayer, Session, test_util::{AuthServer, TestClock, TestProvider}};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! # let server = AuthServer::new(&TestClock::new());
//! # let api = server.api();
//! # let ann = Session::builder(TestProvider::new()).transport(server.clone()).build().unwrap();
//! // No session of its own: a request without one passes untouched.
//! let client = AuthRefreshLayer::<TestProvider>::per_request().layer(api);
//! let request = http::Request::get("https://api.test/").extension(ann.clone());
//! let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
//! assert!(client.oneshot(request).await.unwrap().status().is_success());
//! # }
//! ```

use http::Uri;

/// Whether a request is to carry the session's credential: an extension of that request, and what a layer does
/// [without one](crate::AuthRefreshLayer::credentials).
///
/// It never reaches further than the session's origins do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(clippy::exhaustive_enums, reason = "complete by definition: yes or no")]
pub enum Credentials {
    /// The request carries the credential, and is sent again when it is rejected.
    #[default]
    Include,
    /// The request passes untouched, and its answer causes nothing.
    Omit,
}

/// Where an answer came from: an extension of the answer, put in by an inner service that follows redirects.
///
/// The layer cannot see behind the service that it wraps. With this it knows that an answer came from an origin that the
/// credential does not belong to, and takes a 401 from there for what it is: none of its business.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "complete by definition")]
pub struct TargetUri(pub Uri);

/// Says where an answer came from, to whoever makes a `reqwest::Response` of it. The type that says so is reqwest's
/// secret: only its builder can make one.
#[cfg(feature = "reqwest")]
pub(crate) fn name_url(extensions: &mut http::Extensions, url: reqwest::Url) {
    use reqwest::ResponseBuilderExt;

    if let Some(named) = http::Response::builder().url(url).extensions_mut() {
        extensions.extend(std::mem::take(named));
    }
}

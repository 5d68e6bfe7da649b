//! What a request and an answer can tell the layer, in their extensions.
//!
//! | extension | of | what it does |
//! |---|---|---|
//! | [`Session<P>`](crate::Session) | a request | takes the place of the layer's own session, and asks for its credential |
//! | [`Credentials`] | a request | opts it in, or out |
//! | [`TargetUri`] | an answer | says where it came from, when a service behind the layer follows redirects |
//!
//! A session is found by its type: `P` must be the layer's own, and a session of another type is not looked at. With
//! `Session<Box<dyn Provider>>` one client serves users of many APIs. Everything goes by the request's own session then:
//! its origins, its policy, its provider's judgement, its flights and failures. Extensions reach the wrapped service
//! unchanged, with every replay; so they count for each layer that a request passes, one within another.
//!
//! What sends a request on by another one must take its extensions along. A redirect follower around the layer may not
//! (tower-http's drops them, version 0.6 at each hop, 0.7 on the way to another origin): its next request has no session
//! but the layer's, and has not opted out. Put the extensions on behind it, with `map_request`; and give a client that acts
//! for many a layer [without a session of its own](crate::AuthRefreshLayer::per_request), so that nobody goes on as
//! somebody else.
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

use std::fmt;

use http::Uri;

/// Whether a request is to carry the session's credential: an extension of that request, and what a layer does
/// [without one](crate::AuthRefreshLayer::credentials).
///
/// Opting out wins over a session in the extensions. Opting in never reaches further than the session's origins do, nor
/// replaces a credential that the caller brings.
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
/// credential does not belong to, and takes a 401 from there for what it is: none of its business. Without it such a 401
/// is taken for the API's, and costs a refresh and a replay, within the refresh guard.
///
/// A follower inside also decides by its own rules where it takes the credential; tower-http 0.6 gives a header to the
/// second page of another origin. Let it stay with the API's origin, or put it around the layer.
///
/// ```
/// use http::Response;
/// use tower::{BoxError, ServiceBuilder};
/// use tower_auth_refresh::{AuthRefreshLayer, extensions::TargetUri};
/// use tower_http::follow_redirect::{FollowRedirectLayer, RequestUri, policy::{Limited, PolicyExt, SameOrigin}};
/// # use http_body_util::Full;
/// # use tower::ServiceExt;
/// # use tower_auth_refresh::{Session, test_util::{AuthServer, TestClock, TestProvider}};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// # type Body = Full<bytes::Bytes>;
/// # let server = AuthServer::new(&TestClock::new());
/// # let client = server.api();
/// # let session = Session::builder(TestProvider::new()).transport(server.clone()).build().unwrap();
///
/// let stay = PolicyExt::and::<_, Body, BoxError>(Limited::new(10), SameOrigin::new());
/// let client = ServiceBuilder::new()
///     .layer(AuthRefreshLayer::new(session))
///     .map_response(|mut answer: Response<_>| {
///         if let Some(RequestUri(uri)) = answer.extensions_mut().remove() {
///             answer.extensions_mut().insert(TargetUri(uri));
///         }
///         answer
///     })
///     .layer(FollowRedirectLayer::with_policy(stay))
///     .service(client);
/// # let request = http::Request::get("https://api.test/").body(Body::default()).unwrap();
/// # assert!(client.oneshot(request).await.unwrap().extensions().get::<TargetUri>().is_some());
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "complete by definition")]
pub struct TargetUri(pub Uri);

/// Names the origin alone: the rest may hold a credential.
impl fmt::Debug for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(authority) = self.0.authority() else { return f.write_str("TargetUri(relative)") };
        f.write_str("TargetUri(")?;
        if let Some(scheme) = self.0.scheme() {
            write!(f, "{scheme}://")?;
        }
        f.write_str(authority.host())?;
        if let Some(port) = authority.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(")")
    }
}

/// The URL of an answer, as the next function has named it.
#[cfg(feature = "reqwest")]
#[derive(Clone)]
pub(crate) struct AnswerUrl(pub(crate) Uri);

/// Names the URL of an answer, to whoever makes a `reqwest::Response` of it. The type that says so is reqwest's secret:
/// only its builder can make one, and nobody can read it.
#[cfg(feature = "reqwest")]
pub(crate) fn name_url(extensions: &mut http::Extensions, url: reqwest::Url) {
    use reqwest::ResponseBuilderExt;

    if let Ok(uri) = url.as_str().parse() {
        extensions.insert(AnswerUrl(uri));
    }
    if let Some(named) = http::Response::builder().url(url).extensions_mut() {
        extensions.extend(std::mem::take(named));
    }
}

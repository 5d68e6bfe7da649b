//! The name under which a request is signed.

use std::borrow::Cow;

/// The action of a request to FashionWorld, such as `client:my:fetch-my-profile`: put into the request's extensions,
/// it wins over [`FashionWorld::actions`](super::FashionWorld::actions).
///
/// It is part of what is signed and never sent, so a wrong one is answered with HTTP 400 `invalid signature`.
///
/// ```
/// use tower_auth_refresh::providers::Action;
///
/// let request = http::Request::get("https://api.example.com/api/my")
///     .extension(Action::new("client:my:fetch-my-profile"))
///     .body(())?;
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Action(Cow<'static, str>);

impl Action {
    /// The action of that name, which is signed as it stands.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

//! The actions under which FashionWorld's requests are signed: by route, or by a header of the request.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, Method, Uri};
use tower_auth_refresh::providers::Action;

use super::answer::Answer;

/// Names the action of one request. It is part of what is signed, and never forwarded.
const HEADER: HeaderName = HeaderName::from_static("x-caa-action");

/// A method and a path, as they come to the gateway.
pub(crate) type Route = (Method, String);

/// Which action each route is signed with.
#[derive(Debug)]
pub(crate) struct Actions(HashMap<Route, Action>);

impl Actions {
    pub(crate) fn new(routes: Vec<(Route, String)>) -> Self {
        Self(routes.into_iter().map(|(route, name)| (route, Action::new(name))).collect())
    }

    /// What `METHOD /path` stands for. A path is compared as it is, so nothing may be in it that no path can hold.
    pub(crate) fn route(text: &str) -> Option<Route> {
        let (method, path) = text.split_once(' ')?;
        let uri: Uri = path.parse().ok()?;
        // Methods are in upper case by convention, and compared exactly: `get` would be another one.
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        (is_method && path.starts_with('/') && uri.path() == path).then_some(())?;
        Some((method.parse().ok()?, path.to_owned()))
    }

    /// The action of a request: the header's, which is taken out, or else the route's. Where there is none the
    /// signature fails, and says so.
    pub(crate) fn take(&self, method: &Method, uri: &Uri, headers: &mut HeaderMap) -> Result<Option<Action>, Answer> {
        let mut named = headers.get_all(&HEADER).iter();
        let (first, second) = (named.next(), named.next());
        let action = match (first, second) {
            (None, _) => self.0.get(&(method.clone(), uri.path().to_owned())).cloned(),
            (Some(name), None) => {
                let name = name.to_str().ok().filter(|name| !name.is_empty());
                Some(Action::new(name.ok_or(BAD)?.to_owned()))
            }
            (Some(_), Some(_)) => return Err(BAD),
        };
        headers.remove(&HEADER);
        Ok(action)
    }
}

const BAD: Answer = Answer::bad_request("bad-action", "x-caa-action must stand once, and name an action in ASCII");

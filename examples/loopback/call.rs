//! A request as a server reads it, and the JSON that it answers with.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE},
    request::Parts,
};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// Names and values, decoded, in the order in which they came.
pub(crate) struct Pairs(Vec<(String, String)>);

/// One request, its query decoded.
pub(crate) struct Call {
    head: Parts,
    pub(crate) query: Pairs,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn read(request: Request<Bytes>) -> Self {
        let (head, body) = request.into_parts();
        let query = Pairs::decode(head.uri.query().unwrap_or_default(), '&');
        Self { head, query, body }
    }

    /// Method and path, as routes are written.
    pub(crate) fn route(&self) -> (&Method, &str) {
        (&self.head.method, self.head.uri.path())
    }

    /// The value of `Authorization`, if it came exactly once.
    pub(crate) fn authorization(&self) -> Option<&str> {
        let mut values = self.head.headers.get_all(AUTHORIZATION).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// All cookies of the request.
    pub(crate) fn cookies(&self) -> Pairs {
        let mut cookies = Vec::new();
        for header in self.head.headers.get_all(COOKIE) {
            cookies.extend(Pairs::decode(header.to_str().unwrap_or_default(), ';').0);
        }
        Pairs(cookies)
    }

    /// The fields of a form body; none if the body is no form.
    pub(crate) fn form(&self) -> Pairs {
        let form = if self.is_of_type("application/x-www-form-urlencoded") { &self.body[..] } else { b"" };
        Pairs::decode(std::str::from_utf8(form).unwrap_or_default(), '&')
    }

    /// The JSON body; `null` if the body is no JSON.
    pub(crate) fn json(&self) -> Value {
        let json = if self.is_of_type("application/json") { &self.body[..] } else { b"" };
        serde_json::from_slice(json).unwrap_or_default()
    }

    /// What arrived, without the credential: the query parameter `credential` is left out.
    pub(crate) fn echo(&self, credential: &str) -> Value {
        let query: Vec<_> = self.query.0.iter().filter(|(name, _)| name != credential).collect();
        json!({
            "method": self.head.method.as_str(),
            "path": self.head.uri.path(),
            "query": query,
            "body": String::from_utf8_lossy(&self.body),
        })
    }

    fn is_of_type(&self, essence: &str) -> bool {
        let value = self.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(essence)
    }
}

impl Pairs {
    fn decode(text: &str, separator: char) -> Self {
        let pairs = text.split(separator).map(str::trim_start).filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The value of `name`, if it came exactly once: whoever replaces a credential must not leave the old one behind.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|pair| pair.0 == name).map(|pair| pair.1.as_str());
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|pair| pair.0 == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// As servers decode queries and forms: a plus is a space.
fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// A JSON answer.
pub(crate) fn answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    response
}

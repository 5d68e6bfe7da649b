//! The loopback servers, asked by hand: neither the layer nor its providers take part here.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "these are tests")]

mod accuat;
mod fashion_world;
mod kanfang;
mod quectel;
mod transport;

use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::DATE};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use tower_auth_refresh::clock::Clock;

use crate::loopback::{
    AccuatApi, Api, Call, Counts, DemoClock, FashionWorldApi, KanfangApi, Loopback, QuectelApi, Refusal, http1_client,
    http2_client, in_process, serve, serve_connection,
};

const SECOND: Duration = Duration::from_secs(1);
const FORM: &str = "application/x-www-form-urlencoded";

/// A server, its clock, and somebody who calls it.
struct Scene {
    server: Loopback,
    clock: DemoClock,
}

impl Scene {
    fn new(api: impl Api) -> Self {
        let clock = DemoClock::new();
        Self { server: Loopback::new(api, clock.clone()), clock }
    }

    fn send(&self, request: Request<Bytes>) -> (StatusCode, Value) {
        let (head, body) = self.server.answer(request).into_parts();
        (head.status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn call(&self, method: Method, uri: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, Value) {
        self.send(request(method, uri, headers, body))
    }

    fn counts(&self) -> Counts {
        self.server.counts()
    }
}

fn request(method: Method, uri: &str, headers: &[(&str, &str)], body: &str) -> Request<Bytes> {
    let builder = Request::builder().method(method).uri(uri);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

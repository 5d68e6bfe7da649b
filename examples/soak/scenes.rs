//! Which APIs, and how a session signs in there.

use std::time::Duration;

use http::Uri;
use serde_json::Value;
use tower_auth_refresh::{
    Provider,
    providers::{Accuat, FashionWorld, Kanfang, Quectel, RefreshIn, UserDomain},
};

use crate::loopback::{
    AccuatApi, Api, FashionWorldApi, HttpClient, KanfangApi, QuectelApi, http1_client, http2_client,
};

/// One API, and one way to use it.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    /// The session can log in by itself; otherwise a user signs in, and again when the session has ended.
    pub(crate) logs_in: bool,
    pub(crate) lifetime: Duration,
    /// What the server speaks.
    pub(crate) api: fn(Lifetimes) -> Box<dyn Api>,
    /// What the crate speaks, given the server's base URL and whether there is a configured login.
    pub(crate) provider: fn(Uri, bool) -> Box<dyn Provider>,
    pub(crate) path: &'static str,
    /// What the server received, if the envelope says that all went well.
    pub(crate) echo: fn(&Value) -> Option<&Value>,
}

/// How long an access token lives; the refresh token lives twenty times as long, where there is one.
pub(crate) type Lifetimes = Duration;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Each API with a login, and without one where a session can live without: a key pair of FashionWorld that is revoked
/// leaves nothing to renew.
pub(crate) fn scenes() -> [Scene; 7] {
    let kanfang = Scene {
        name: "Kanfang",
        protocol: Protocol::Http2,
        logs_in: true,
        lifetime: KanfangApi::LIFETIME,
        api: |access| Box::new(KanfangApi::with_lifetimes(access, access * 20)),
        provider: |api, logs_in| {
            let provider = Kanfang::new().base_url(api);
            Box::new(if logs_in { provider.login(KanfangApi::AUTH_KEY, KanfangApi::AUTH_VALUE) } else { provider })
        },
        path: "v2/patients",
        echo: |answer| answer.get("payload").filter(|_| has(answer, "state")),
    };
    let quectel = Scene {
        name: "Quectel",
        protocol: Protocol::Http1,
        logs_in: true,
        lifetime: QuectelApi::LIFETIME,
        api: |access| Box::new(QuectelApi::with_lifetimes(access, access * 20)),
        provider: |api, logs_in| Box::new(quectel_at(api, logs_in)),
        path: "v2/devices",
        echo: |answer| answer.get("data").filter(|_| has(answer, "code")),
    };
    let accuat = Scene {
        name: "Accuat",
        protocol: Protocol::Http1,
        logs_in: true,
        lifetime: AccuatApi::LIFETIME,
        api: |access| Box::new(AccuatApi::with_lifetimes(access, access * 20)),
        provider: |api, logs_in| {
            let provider = Accuat::new(api);
            Box::new(if logs_in { provider.login(AccuatApi::APP_ID, AccuatApi::SECRET_KEY) } else { provider })
        },
        path: "stores",
        echo: |answer| answer.get("Data").filter(|_| has(answer, "Result")),
    };
    let fashion_world = Scene {
        name: "FashionWorld",
        protocol: Protocol::Http2,
        logs_in: true,
        // A request that was signed before the clock moved is still within the server's five minutes after it.
        lifetime: Duration::from_secs(200),
        api: |access| Box::new(FashionWorldApi::with_lifetime(access)),
        provider: |api, _| {
            let provider = FashionWorld::new(api).login(FashionWorldApi::MOBILE, FashionWorldApi::PASSWORD);
            Box::new(provider.actions(|method, path| FashionWorldApi::action(method, path).map(Into::into)))
        },
        path: "api/orders",
        echo: |answer| answer.get("echo"),
    };
    let quectel_by_form = Scene {
        protocol: Protocol::Http2,
        logs_in: false,
        api: |access| {
            let api = QuectelApi::with_lifetimes(access, access * 20);
            Box::new(api.refreshing_by_form().refusing_by_status())
        },
        provider: |api, logs_in| Box::new(quectel_at(api, logs_in).refresh_in(RefreshIn::Form)),
        ..quectel
    };
    let kanfang_alone = Scene { protocol: Protocol::Http1, logs_in: false, ..kanfang };
    let accuat_alone = Scene { logs_in: false, ..accuat };
    [kanfang, fashion_world, quectel, accuat, kanfang_alone, quectel_by_form, accuat_alone]
}

fn quectel_at(api: Uri, logs_in: bool) -> Quectel {
    let provider = Quectel::europe().base_url(api);
    let domain = UserDomain::new(QuectelApi::USER_DOMAIN, QuectelApi::USER_DOMAIN_SECRET);
    if logs_in { provider.email_login(QuectelApi::EMAIL, QuectelApi::PASSWORD, domain) } else { provider }
}

fn has(answer: &Value, name: &str) -> bool {
    answer.get(name).and_then(Value::as_u64) == Some(200)
}

impl Protocol {
    /// How many requests are on the wire at once.
    pub(crate) fn at_once(self) -> usize {
        match self {
            Self::Http1 => 64,
            Self::Http2 => 128,
        }
    }

    pub(crate) fn client(self) -> HttpClient {
        match self {
            Self::Http1 => http1_client(self.at_once()),
            Self::Http2 => http2_client(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

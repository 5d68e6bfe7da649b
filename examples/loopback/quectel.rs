//! Quectel: an envelope with `code`, tokens that bring their own `Bearer `, and an encrypted password.

use std::time::{Duration, SystemTime};

use aes::Aes128;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use http::{Method, Response, StatusCode};
use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Api, Call, Outcome, Refusal,
    call::{Pairs, answer},
    ledger::{Ledger, Lifetimes, NotRenewed, Pair, epoch_seconds, hex},
};

const BAD_SIGNATURE: i64 = 5010;
const EXPIRED: i64 = 5032;
const NO_PERMISSION: i64 = 5041;
const TOKEN_MISSING: i64 = 5106;
const NO_REFRESH_TOKEN: i64 = 5115;
const WRONG_PASSWORD: i64 = 5147;

/// The server of Quectel.
pub(crate) struct QuectelApi {
    ledger: Ledger,
    refusal: Refusal,
    refreshes_by_form: bool,
}

impl QuectelApi {
    pub(crate) const EMAIL: &str = "demo+device@example.com";
    pub(crate) const COUNTRY: &str = "86";
    pub(crate) const PHONE: &str = "13800000000";
    pub(crate) const PASSWORD: &str = "china1234";
    pub(crate) const USER_DOMAIN: &str = "C.DM.5903.1";
    pub(crate) const USER_DOMAIN_SECRET: &str = "demo-user-domain-secret";
    pub(crate) const LIFETIME: Duration = Duration::from_secs(7_200);
    const REFRESH_LIFETIME: Duration = Duration::from_secs(2_592_000);

    /// Takes the refresh token in the query, as the documents say.
    pub(crate) fn new() -> Self {
        Self::with_lifetimes(Self::LIFETIME, Self::REFRESH_LIFETIME)
    }

    pub(crate) fn with_lifetimes(access: Duration, refresh: Duration) -> Self {
        let ledger = Ledger::new(Lifetimes { access, refresh }, bearer_jwt);
        Self { ledger, refusal: Refusal::Envelope, refreshes_by_form: false }
    }

    /// Takes the refresh token in a form body and nowhere else, as working clients send it.
    pub(crate) fn refreshing_by_form(mut self) -> Self {
        self.refreshes_by_form = true;
        self
    }

    /// Refuses access tokens with HTTP 401 as well as in the envelope.
    pub(crate) fn refusing_by_status(mut self) -> Self {
        self.refusal = Refusal::Status;
        self
    }

    /// `account` is what the signature begins with, if it is the account of this server.
    fn log_in(&mut self, account: Option<&str>, form: &Pairs, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let field = |name| form.one(name).unwrap_or_default();
        let (pwd, random) = (field("pwd"), field("random"));
        let refused = |code| (Outcome::RefusedTokenCall, failed(code));
        let Some(account) = account.filter(|_| field("userDomain") == Self::USER_DOMAIN) else {
            return refused(WRONG_PASSWORD);
        };
        let signed = Sha256::digest(format!("{account}{pwd}{random}{}", Self::USER_DOMAIN_SECRET));
        if field("signature") != hex(&signed) {
            return refused(BAD_SIGNATURE);
        }
        if Self::decrypt(pwd, random).as_deref() != Some(Self::PASSWORD) {
            return refused(WRONG_PASSWORD);
        }
        (Outcome::Login, granted(&self.ledger.sign_in(now)))
    }

    fn refresh(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let form = call.form();
        let place = if self.refreshes_by_form { &form } else { &call.query };
        let Some(refresh) = place.one("refreshToken") else {
            return (Outcome::RefusedTokenCall, failed(NO_REFRESH_TOKEN));
        };
        // Live servers ask for the access token as well, and take an expired one.
        let session = |pair: &Pair| pair.session;
        let holder = call.authorization().and_then(|access| self.ledger.by_access(access)).map(session);
        if holder.is_none() || holder != self.ledger.by_refresh(refresh).map(session) {
            return (Outcome::RefusedTokenCall, failed(EXPIRED));
        }
        match self.ledger.renew(refresh, now) {
            Ok(pair) => (Outcome::Refresh, granted(&pair)),
            Err(NotRenewed::Dead) => (Outcome::RefusedTokenCall, failed(EXPIRED)),
            Err(NotRenewed::DoubleSpent) => (Outcome::DoubleSpent, failed(EXPIRED)),
        }
    }

    fn business(&self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let code = match call.authorization() {
            None => TOKEN_MISSING,
            Some(access) if !self.ledger.accepts(access, now) => EXPIRED,
            Some(_) if call.route().1.ends_with("/forbidden") => return (Outcome::Failed, failed(NO_PERMISSION)),
            Some(_) => return (Outcome::Accepted, succeeded(&call.echo(""))),
        };
        let mut response = failed(code);
        if self.refusal == Refusal::Status {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        (Outcome::Rejected, response)
    }

    /// The password in `pwd`: AES-128-CBC under a key that the MD5 of `random` yields.
    pub(crate) fn decrypt(pwd: &str, random: &str) -> Option<String> {
        if random.len() != 16 {
            return None;
        }
        let digest = hex(&Md5::digest(random)).to_uppercase();
        let key = digest.get(8..24)?;
        let (first, second) = key.split_at(8);
        let iv = format!("{second}{first}");
        let cipher = cbc::Decryptor::<Aes128>::new_from_slices(key.as_bytes(), iv.as_bytes()).ok()?;
        let plain = cipher.decrypt_padded_vec::<Pkcs7>(&STANDARD.decode(pwd).ok()?).ok()?;
        String::from_utf8(plain).ok()
    }
}

impl Api for QuectelApi {
    fn handle(&mut self, call: &Call, now: SystemTime) -> (Outcome, Response<Bytes>) {
        let form = call.form();
        match call.route() {
            (&Method::POST, "/v2/enduser/enduserapi/emailPwdLogin") => {
                let account = form.one("email").filter(|email| *email == Self::EMAIL);
                self.log_in(account, &form, now)
            }
            (&Method::POST, "/v2/enduser/enduserapi/phonePwdLogin") => {
                let phone = (form.one("internationalCode"), form.one("phone"));
                let account = format!("{}{}", Self::COUNTRY, Self::PHONE);
                let known = phone == (Some(Self::COUNTRY), Some(Self::PHONE));
                self.log_in(known.then_some(&account), &form, now)
            }
            (&Method::PUT, "/v2/enduser/enduserapi/refreshToken") => self.refresh(call, now),
            _ => self.business(call, now),
        }
    }

    fn is_business(&self, path: &str) -> bool {
        !path.starts_with("/v2/enduser/enduserapi/")
    }

    fn revoke(&mut self) {
        self.ledger.revoke();
    }
}

/// `Bearer `, and a JWT that names its expiry and is signed with a secret of this server.
fn bearer_jwt(serial: u64, expires: SystemTime) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = URL_SAFE_NO_PAD.encode(json!({ "exp": epoch_seconds(expires), "jti": serial }).to_string());
    let signature = URL_SAFE_NO_PAD.encode(Sha256::digest(format!("server secret {header}.{claims}")));
    format!("Bearer {header}.{claims}.{signature}")
}

fn granted(pair: &Pair) -> Response<Bytes> {
    succeeded(&json!({
        "accessToken": { "expirationTime": epoch_seconds(pair.access_expires), "token": pair.access },
        "refreshToken": { "expirationTime": epoch_seconds(pair.refresh_expires), "token": pair.refresh },
    }))
}

fn succeeded(data: &Value) -> Response<Bytes> {
    answer(StatusCode::OK, &json!({ "code": 200, "data": data, "extMsg": "", "msg": "" }))
}

fn failed(code: i64) -> Response<Bytes> {
    // The language of `msg` changes with the account; only the code is meant for programs.
    answer(StatusCode::OK, &json!({ "code": code, "data": null, "extMsg": "", "msg": "失败" }))
}

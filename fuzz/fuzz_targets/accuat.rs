#![no_main]
//! Accuat's answers.

use http::Uri;
use libfuzzer_sys::fuzz_target;
use tower_auth_refresh::providers::{Accuat, BodyFormat};
use tower_auth_refresh_fuzz::provider::{check, secret};

fuzz_target!(|data: &[u8]| {
    let format = [BodyFormat::Form, BodyFormat::Json][data.len() % 2];
    check(&Accuat::new(Uri::from_static("https://spark.example")).login("app", secret()).refresh_in(format), data);
});

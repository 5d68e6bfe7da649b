#![no_main]
//! FashionWorld's answers.

use http::Uri;
use libfuzzer_sys::fuzz_target;
use tower_auth_refresh::providers::FashionWorld;
use tower_auth_refresh_fuzz::provider::{check, secret};

fuzz_target!(|data: &[u8]| {
    check(&FashionWorld::new(Uri::from_static("https://api.example.com")).login("13800000000", secret()), data);
});

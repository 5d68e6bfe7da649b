#![no_main]
//! Quectel's answers.

use libfuzzer_sys::fuzz_target;
use tower_auth_refresh::providers::{Quectel, RefreshIn, UserDomain};
use tower_auth_refresh_fuzz::provider::{check, secret};

fuzz_target!(|data: &[u8]| {
    let place = [RefreshIn::Query, RefreshIn::Form][data.len() % 2];
    let domain = UserDomain::new("E.DM.1.1", secret());
    check(&Quectel::europe().email_login("me@example.com", secret(), domain).refresh_in(place), data);
});

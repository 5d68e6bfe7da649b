#![no_main]
//! Kanfang's answers.

use libfuzzer_sys::fuzz_target;
use tower_auth_refresh::providers::{Kanfang, Place};
use tower_auth_refresh_fuzz::provider::{check, secret};

fuzz_target!(|data: &[u8]| {
    let place = [Place::Header, Place::Query, Place::Cookie][data.len() % 3];
    check(&Kanfang::new().login("key", secret()).place(place).refresh_place(place), data);
});

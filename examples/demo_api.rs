//! An API of Quectel's kind on this machine, to try the gateway without an account: `cargo run --example demo_api` prints
//! the configuration that fits to it, and serves until it is stopped. Its tokens live for 20 seconds.

#[path = "loopback/mod.rs"]
mod loopback;

use std::{io::Write, time::Duration};

use loopback::{Loopback, QuectelApi};
use tower::BoxError;
use tower_auth_refresh::clock::SystemClock;

const ADDRESS: &str = "127.0.0.1:9001";
const LIFETIME: Duration = Duration::from_secs(20);
const REFRESH_LIFETIME: Duration = Duration::from_secs(3_600);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let api = Loopback::new(QuectelApi::with_lifetimes(LIFETIME, REFRESH_LIFETIME), SystemClock::new());
    let _server = loopback::serve_at(ADDRESS, api).await?;
    print!(
        r#"listen = "127.0.0.1:8080"
upstream = "http://{ADDRESS}"
allow_http = true # this machine only

[provider]
kind = "quectel"
base_url = "http://{ADDRESS}"
email = "{}"
password = "{}"
user_domain = "{}"
user_domain_secret = "{}"
"#,
        QuectelApi::EMAIL,
        QuectelApi::PASSWORD,
        QuectelApi::USER_DOMAIN,
        QuectelApi::USER_DOMAIN_SECRET,
    );
    std::io::stdout().flush()?;
    Ok(tokio::signal::ctrl_c().await?)
}

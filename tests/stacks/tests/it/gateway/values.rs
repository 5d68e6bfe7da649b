//! Values that will not do: exit code 2, one line that names the key, and nothing in it that could be a secret.

use super::draft::{Draft, SECRET};

#[tokio::test]
async fn a_value_of_a_wrong_type_is_named_and_not_shown() {
    for value in ["12345", "true", "[\"hunter2\"]", "1.5", "2020-01-01"] {
        let line =
            Draft::quectel(&format!("password = {value}\nemail=\"e\"\nuser_domain=\"d\"\nuser_domain_secret=\"s\""))
                .refusal()
                .await;
        assert!(line.starts_with("gateway: provider.password: "), "{line}");
        assert!(!line.contains(value), "{line}");
    }
    Draft::top("allow_http = \"yes\"").names("allow_http").await;
    Draft::top("upstream_http2 = 1").names("upstream_http2").await;
    Draft::top("hosts = \"one\"").names("hosts").await;
    Draft::top("hosts = [1]").names("hosts").await;
    Draft::provider("kind = 7").names("provider.kind").await;
    Draft { top: "store = \"file\"\n".to_owned() + &Draft::new().top, ..Draft::new() }.names("store").await;
    Draft::rest("[token]\nfile = 1").names("token.file").await;
}

#[tokio::test]
async fn an_empty_secret_is_refused() {
    Draft::provider("kind = \"kanfang\"\nauth_key = \"k\"\nauth_value = \"\"").names("provider.auth_value").await;
}

#[tokio::test]
async fn a_secret_from_an_environment_that_does_not_have_it_is_refused() {
    let kanfang = |value: &str| Draft::provider(&format!("kind = \"kanfang\"\nauth_key = \"k\"\nauth_value = {value}"));
    let line = kanfang("{ env = \"GATEWAY_NOT_SET\" }").refusal().await;
    assert!(line.contains("provider.auth_value") && line.contains("GATEWAY_NOT_SET"), "{line}");
    Draft { env: vec![("GATEWAY_EMPTY", "")], ..kanfang("{ env = \"GATEWAY_EMPTY\" }") }
        .names("provider.auth_value")
        .await;
    kanfang("{ env = 1 }").names("provider.auth_value").await;
    kanfang("{ environment = \"HOME\" }").names("provider.auth_value").await;
    // The secret itself in the place of a name.
    kanfang(&format!("{{ env = \"{SECRET}!\" }}")).names("provider.auth_value").await;
    let line = kanfang("{ env = \"HOME\", or = \"x\" }").refusal().await;
    assert!(line.contains("provider.auth_value") && line.contains("\"or\""), "{line}");
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    for listen in ["localhost", "127.0.0.1", ":80", "127.0.0.1:65536", ""] {
        Draft { top: format!("listen = {listen:?}\nupstream = \"https://api.test\"\n"), ..Draft::new() }
            .names("listen")
            .await;
    }
    for upstream in [
        "api.test",
        "/path",
        "ftp://api.test",
        "https://user:hunter2@api.test",
        "https://api.test?key=hunter2",
        "https://api.test#hunter2",
        "https://api.test:99999",
        "https://api.test:",
        "https://",
        "https://api test",
        "",
    ] {
        Draft { top: format!("listen = \"127.0.0.1:0\"\nupstream = {upstream:?}\n"), ..Draft::new() }
            .names("upstream")
            .await;
        Draft::provider(&format!("kind = \"quectel\"\nbase_url = {upstream:?}")).names("provider.base_url").await;
    }
    for host in ["", "a b", "*", "user@host", "host:", "host:99999", "host/path", "http://host"] {
        Draft::top(&format!("hosts = [\"good.test\", {host:?}]")).names("hosts").await;
    }
}

#[tokio::test]
async fn plain_http_needs_consent() {
    let upstream = "listen = \"127.0.0.1:0\"\nupstream = \"http://api.test\"\n";
    Draft { top: upstream.to_owned(), ..Draft::new() }.names("upstream").await;
    Draft { top: format!("{upstream}allow_http = false\n"), ..Draft::new() }.names("upstream").await;
    Draft::provider("kind = \"quectel\"\nbase_url = \"http://api.test\"").names("provider.base_url").await;
}

#[tokio::test]
async fn times_sizes_and_numbers_that_are_none_are_refused() {
    for time in
        ["\"30\"", "30", "\"s\"", "\"1.5s\"", "\"-1s\"", "\"30 s\"", "\"30S\"", "\"99999999999999999999s\"", "\"\""]
    {
        for key in ["soft_margin", "hard_margin", "flight_deadline", "backoff_min", "backoff_max", "guard_window"] {
            Draft::rest(&format!("[policy]\n{key} = {time}")).names(&format!("policy.{key}")).await;
        }
    }
    for size in ["\"64KB\"", "\"KiB\"", "\"-1\"", "-1", "1.5", "\"64 KiB\"", "\"99999999999GiB\"", "true", "\"\""] {
        Draft::top(&format!("replay_body = {size}")).names("replay_body").await;
    }
    for (key, number) in [
        ("guard_flights", "-1"),
        ("guard_flights", "10001"),
        ("guard_flights", "\"5\""),
        ("replays", "256"),
        ("replays", "1.0"),
    ] {
        Draft::rest(&format!("[policy]\n{key} = {number}")).names(&format!("policy.{key}")).await;
    }
}

#[tokio::test]
async fn times_that_make_no_policy_are_refused() {
    for key in ["flight_deadline", "backoff_min", "backoff_max", "guard_window"] {
        Draft::rest(&format!("[policy]\n{key} = \"0s\"")).names(&format!("policy.{key}")).await;
    }
    for key in ["soft_margin", "hard_margin", "flight_deadline", "backoff_max", "guard_window"] {
        Draft::rest(&format!("[policy]\n{key} = \"9000h\"")).names(&format!("policy.{key}")).await;
    }
    Draft::rest("[policy]\nsoft_margin = \"1m\"\nhard_margin = \"2m\"").names("policy.hard_margin").await;
    Draft::rest("[policy]\nbackoff_min = \"2m\"\nbackoff_max = \"1m\"").names("policy.backoff_min").await;
    Draft::rest("[policy]\nbackoff_max = \"1ms\"").names("policy.backoff_max").await;
}

#[tokio::test]
async fn words_that_are_not_among_the_choices_are_refused() {
    Draft::provider("kind = \"kanfang\"\nplace = \"body\"").names("provider.place").await;
    Draft::provider("kind = \"kanfang\"\nrefresh_with = \"both\"").names("provider.refresh_with").await;
    Draft::quectel("refresh_in = \"header\"").names("provider.refresh_in").await;
    Draft::provider("kind = \"accuat\"\nbase_url = \"https://api.test\"\nlanguage = \"de-DE\"")
        .names("provider.language")
        .await;
}

#[tokio::test]
async fn a_route_that_is_none_is_refused() {
    let fashion_world = "kind = \"fashion-world\"\nbase_url = \"https://api.test\"\n[provider.actions]\n";
    for (route, key) in [
        ("\"GET\" = \"a\"", "GET"),
        ("\"get /api\" = \"a\"", "\"get /api\""),
        ("\"GET api\" = \"a\"", "\"GET api\""),
        ("\"GET /api?x=1\" = \"a\"", "\"GET /api?x=1\""),
        ("\"GET  /api\" = \"a\"", "\"GET  /api\""),
        ("\"GET /api\" = \"\"", "\"GET /api\""),
        ("\"GET /api\" = 1", "\"GET /api\""),
    ] {
        Draft::provider(&format!("{fashion_world}{route}")).names(&format!("provider.actions.{key}")).await;
    }
}

/// With a store on Redis that would do, but for `keys`.
fn redis(keys: &str) -> Draft {
    Draft::rest(&format!("[store]\nkind = \"redis\"\n{keys}\n"))
}

#[tokio::test]
async fn a_url_of_no_redis_server_is_refused_and_not_shown() {
    for url in [
        "\"\"",
        "\"hunter2\"",
        "\"https://:hunter2@host\"",
        "\"redis://:hunter2@\"",
        "\"redis://:hunter2@host:port\"",
        "\"redis://:hunter2@host/first\"",
        "\"rediss://:hunter2@host/#insecure\"",
        "1",
        "{ env = \"GATEWAY_NOT_SET\" }",
    ] {
        redis(&format!("key = \"k\"\nurl = {url}")).names("store.url").await;
    }
    let draft = redis("key = \"k\"\nurl = { env = \"URL\" }");
    Draft { env: vec![("URL", "redis://:hunter2@host:99999")], ..draft }.names("store.url").await;
}

#[tokio::test]
async fn what_a_store_on_redis_does_not_take_is_refused() {
    let good = "key = \"k\"\nurl = \"redis://:hunter2@host\"";
    redis("key = \"\"\nurl = \"redis://host\"").names("store.key").await;
    for lease in ["\"99ms\"", "\"61m\"", "\"ten\"", "10", "\"\""] {
        redis(&format!("{good}\nlease = {lease}")).names("store.lease").await;
    }
    for prefix in ["\"\"", "\"{a}\"", "\"a\\n\"", "1"] {
        redis(&format!("{good}\nprefix = {prefix}")).names("store.prefix").await;
    }
}

#[tokio::test]
async fn an_encryption_key_that_is_none_is_refused_and_not_shown() {
    let (hex, base64) = ("07".repeat(32), format!("{}=", "BwcH".repeat(10) + "Bwc"));
    for key in [
        "",
        "hunter2",
        &hex[1..],
        &hex[2..],
        &format!("{hex}07"),
        &format!("+{}", &hex[1..]),
        &format!("{hex}\n"),
        &base64[1..],
        &base64[4..],
        &format!("BwcH{base64}"),
    ] {
        let good = "key = \"k\"\nurl = \"redis://:hunter2@host\"";
        let line = redis(&format!("{good}\nencryption_key = {key:?}")).refusal().await;
        assert!(line.starts_with("gateway: store.encryption_key: "), "{line}");
        assert!(key.is_empty() || !line.contains(key), "{line}");
    }
}

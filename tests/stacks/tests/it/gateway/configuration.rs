//! Bad configurations: exit code 2, one line that names the key, and no value that could be a secret.

use std::fs;

use tokio::net::TcpListener;

use super::program::{Folder, Gateway, bare_command, command, run};

const SECRET: &str = "hunter2-hunter2";

/// A good configuration, of which each test spoils a part.
struct Draft {
    top: String,
    provider: String,
    rest: String,
    env: Vec<(&'static str, &'static str)>,
    folder: Folder,
}

impl Draft {
    fn new() -> Self {
        Self {
            top: "listen = \"127.0.0.1:0\"\nupstream = \"https://api.test\"\n".to_owned(),
            provider: "kind = \"quectel\"\nbase_url = \"https://api.test\"\n".to_owned(),
            rest: String::new(),
            env: Vec::new(),
            folder: Folder::new(),
        }
    }

    fn top(top: &str) -> Self {
        let draft = Self::new();
        Self { top: format!("{}{top}\n", draft.top), ..draft }
    }

    fn provider(provider: &str) -> Self {
        Self { provider: format!("{provider}\n"), ..Self::new() }
    }

    fn quectel(keys: &str) -> Self {
        let draft = Self::new();
        Self { provider: format!("{}{keys}\n", draft.provider), ..draft }
    }

    fn rest(rest: &str) -> Self {
        Self { rest: rest.to_owned(), ..Self::new() }
    }

    fn text(&self) -> String {
        format!("{}[provider]\n{}{}\n", self.top, self.provider, self.rest)
    }

    /// The one line that the program says.
    async fn refusal(&self) -> String {
        let ended = run(command(&self.folder, &self.text(), &self.env)).await;
        let text = self.text();
        assert_eq!(ended.status.code(), Some(2), "{text}\n{}", ended.stderr);
        assert_eq!(ended.stdout, "", "{text}");
        assert_eq!(ended.stderr.lines().count(), 1, "{text}\n{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "a secret is printed: {}", ended.stderr);
        ended.stderr.trim_end().to_owned()
    }

    async fn names(&self, key: &str) {
        let line = self.refusal().await;
        assert!(line.starts_with(&format!("gateway: {key}: ")), "{key} is not named in {line:?} for\n{}", self.text());
    }
}

#[tokio::test]
async fn a_key_that_is_not_known_is_named_with_its_table() {
    Draft::top("prot = 1").names("prot").await;
    Draft::top("\"odd\\nkey\" = 1").names("\"odd\\nkey\"").await;
    Draft::quectel("pasword = \"hunter2\"").names("provider.pasword").await;
    Draft::rest("[token]\nfiles = \"x\"").names("token.files").await;
    Draft { top: "listen = \"127.0.0.1:0\"\nupstraem = \"https://api.test\"\n".to_owned(), ..Draft::new() }
        .names("upstraem")
        .await;
    Draft::rest("[store]\nkinds = \"file\"").names("store.kinds").await;
    Draft::rest("[policy]\nhard = \"1s\"").names("policy.hard").await;
    Draft::rest("[cache]\n").names("cache").await;
}

#[tokio::test]
async fn a_key_of_another_kind_is_named() {
    Draft::quectel("mobile = \"hunter2\"").names("provider.mobile").await;
    Draft::quectel("auth_value = \"hunter2\"").names("provider.auth_value").await;
    Draft::provider("kind = \"kanfang\"\nrefresh_in = \"form\"").names("provider.refresh_in").await;
    Draft::provider("kind = \"accuat\"\nbase_url = \"https://api.test\"\nplace = \"query\"")
        .names("provider.place")
        .await;
    Draft::provider("kind = \"fashion-world\"\nbase_url = \"https://api.test\"\nemail = \"hunter2\"")
        .names("provider.email")
        .await;
    Draft::rest("[store]\nkind = \"memory\"\npath = \"x\"").names("store.path").await;
    Draft::rest("[store]\npath = \"x\"").names("store.path").await;
}

#[tokio::test]
async fn a_lease_is_refused_where_nothing_is_shared() {
    Draft::rest("[store]\nlease = \"10s\"").names("store.lease").await;
    let folder = Folder::new();
    let path = folder.path("token.json");
    Draft::rest(&format!("[store]\nkind = \"file\"\npath = {path:?}\nlease = \"10s\"")).names("store.lease").await;
}

#[tokio::test]
async fn what_is_not_supported_yet_is_refused_by_name() {
    let line = Draft::provider("kind = \"oauth2\"\nclient_secret = \"hunter2\"").refusal().await;
    assert!(line.contains("provider.kind") && line.contains("oauth2"), "{line}");
    let line = Draft::rest("[store]\nkind = \"redis\"\nurl = \"redis://:hunter2@host\"").refusal().await;
    assert!(line.contains("store.kind") && line.contains("redis"), "{line}");
}

#[tokio::test]
async fn a_kind_that_there_is_not_is_refused() {
    Draft::provider("kind = \"Quectel\"").names("provider.kind").await;
    Draft::rest("[store]\nkind = \"disk\"").names("store.kind").await;
    Draft::rest("[store]\nkind = 1").names("store.kind").await;
}

#[tokio::test]
async fn a_key_that_is_missing_is_named() {
    Draft { top: "upstream = \"https://api.test\"\n".to_owned(), ..Draft::new() }.names("listen").await;
    Draft { top: "listen = \"127.0.0.1:0\"\n".to_owned(), ..Draft::new() }.names("upstream").await;
    Draft::provider("").names("provider.kind").await;
    for kind in ["fashion-world", "quectel", "accuat"] {
        Draft::provider(&format!("kind = \"{kind}\"")).names("provider.base_url").await;
    }
    Draft::rest("[store]\nkind = \"file\"").names("store.path").await;
    Draft::rest("[token]\n").names("token.file").await;
}

#[tokio::test]
async fn half_a_login_is_refused_and_names_what_is_missing() {
    Draft::provider("kind = \"kanfang\"\nauth_key = \"k\"").names("provider.auth_value").await;
    Draft::provider("kind = \"kanfang\"\nauth_value = \"hunter2\"").names("provider.auth_key").await;
    let fashion_world = "kind = \"fashion-world\"\nbase_url = \"https://api.test\"\n";
    Draft::provider(&format!("{fashion_world}mobile = \"1\"")).names("provider.password").await;
    Draft::quectel("email = \"a@b.c\"\npassword = \"hunter2\"\nuser_domain = \"d\"")
        .names("provider.user_domain_secret")
        .await;
    Draft::quectel("phone = \"1\"\npassword = \"hunter2\"").names("provider.international_code").await;
    Draft::quectel("email = \"a@b.c\"\nphone = \"1\"").names("provider.email").await;
    Draft::provider("kind = \"accuat\"\nbase_url = \"https://api.test\"\napp_id = \"a\"")
        .names("provider.secret_key")
        .await;
}

#[tokio::test]
async fn a_key_that_stands_twice_is_named() {
    Draft::top("listen = \"127.0.0.1:1\"").names("listen").await;
    Draft::quectel("password = \"hunter2\"\npassword = \"hunter2-hunter2\"").names("provider.password").await;
    Draft::rest("[policy]\nreplays = 1\nreplays = 2").names("policy.replays").await;
}

#[tokio::test]
async fn what_is_no_toml_is_named_by_its_line_and_not_shown() {
    let line = Draft::quectel("password = hunter2").refusal().await;
    assert!(line.contains("line 6"), "{line}");
    let line = Draft::quectel("password = \"hunter2").refusal().await;
    assert!(line.contains("line 6"), "{line}");
}

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

#[tokio::test]
async fn a_first_token_that_cannot_be_used_is_refused_and_its_file_stays_untouched() {
    for content in [
        "",
        "{",
        r#"{"version":2,"access_token":"hunter2"}"#,
        r#"{"version":1}"#,
        r#"{"version":1,"access_token":""}"#,
        r#"{"version":1,"access_token":"hunter2\r\nx: y"}"#,
        r#"{"version":1,"access_token":"hunter2","extra_member":1}"#,
        r#"{"version":1,"access_token":"hunter2","access_token":"hunter2"}"#,
        r#"{"version":1,"access_token":"hunter2","expires_at_ms":"soon"}"#,
    ] {
        let folder = Folder::new();
        let path = folder.write("initial.json", content);
        Draft::rest(&format!("[token]\nfile = {path:?}")).names("token.file").await;
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_first_token_that_is_not_there_is_refused() {
    let folder = Folder::new();
    Draft::rest(&format!("[token]\nfile = {:?}", folder.path("none.json"))).names("token.file").await;
    assert!(!folder.path("none.json").exists());
    Draft::rest(&format!("[token]\nfile = {:?}", folder.path(""))).names("token.file").await;
}

#[tokio::test]
async fn a_refresh_token_that_no_request_can_carry_is_refused_with_its_file() {
    let folder = Folder::new();
    let path = folder.write("initial.json", r#"{"version":1,"access_token":"a","refresh_token":"hunter2\n"}"#);
    let draft = Draft::provider("kind = \"kanfang\"");
    Draft { rest: format!("[token]\nfile = {path:?}"), ..draft }.names("token.file").await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_the_configurations_fault() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    Draft { top: format!("listen = \"{listen}\"\nupstream = \"https://api.test\"\n"), ..Draft::new() }
        .names("listen")
        .await;
}

#[tokio::test]
async fn an_upstream_that_is_the_gateway_itself_is_refused() {
    for host in ["127.0.0.1", "localhost"] {
        // Free a moment ago; whoever has taken it meanwhile makes `listen` the key, and another one is asked for.
        loop {
            let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
            let top =
                format!("listen = \"127.0.0.1:{port}\"\nupstream = \"http://{host}:{port}\"\nallow_http = true\n");
            let line = Draft { top, ..Draft::new() }.refusal().await;
            if !line.starts_with("gateway: listen: ") {
                assert_eq!(line, "gateway: upstream: is this gateway itself");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_log_filter_that_is_none_is_refused() {
    Draft { env: vec![("RUST_LOG", "hyper=loud")], ..Draft::new() }.names("RUST_LOG").await;
}

#[tokio::test]
async fn arguments_that_do_not_name_a_configuration_are_refused() {
    let folder = Folder::new();
    for (arguments, says) in [
        (vec![], "--config"),
        (vec!["--config"], "--config"),
        (vec!["--config", folder.path("none.toml").to_str().unwrap()], "--config"),
        (vec!["--port", "1"], "--port"),
        (vec!["gateway.toml"], "gateway.toml"),
    ] {
        let mut command = bare_command(&[]);
        command.args(&arguments);
        let ended = run(command).await;
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(ended.stderr.lines().count() == 1 && ended.stderr.contains(says), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn every_key_that_is_documented_is_taken() {
    let folder = Folder::new();
    let token =
        folder.write("initial.json", r#"{"version":1,"access_token":"t","refresh_token":"r","signing_key":"k"}"#);
    let rest = format!(
        "[token]\nfile = {token:?}\n[store]\nkind = \"file\"\npath = {:?}\n[policy]\nsoft_margin = \"10m\"\n\
         hard_margin = \"250ms\"\nflight_deadline = \"30s\"\nbackoff_min = \"1s\"\nbackoff_max = \"5m\"\n\
         guard_window = \"1h\"\nguard_flights = 0\nreplays = 2\n",
        folder.path("store.json")
    );
    let top = "listen = \"127.0.0.1:0\"\nupstream = \"http://api.test/base\"\nallow_http = true\nupstream_http2 = true\n\
               replay_body = 1024\nhosts = [\"gateway.test\", \"Other.test:8080\", \"[::1]:80\"]\n";
    for provider in [
        "kind = \"kanfang\"\nbase_url = \"http://api.test\"\nauth_key = \"k\"\nauth_value = { env = \"S\" }\n\
         client_edtion = \"ps_1.0.0\"\nplace = \"cookie\"\nrefresh_with = \"access-token\"",
        "kind = \"fashion-world\"\nbase_url = \"http://api.test\"\nmobile = { env = \"S\" }\npassword = { env = \"S\" }\n\
         [provider.actions]\n\"GET /api/my\" = \"client:my:fetch-my-profile\"",
        "kind = \"quectel\"\nbase_url = \"http://api.test\"\nemail = \"e\"\npassword = \"p\"\nuser_domain = \"d\"\n\
         user_domain_secret = { env = \"S\" }\nrefresh_in = \"form\"",
        "kind = \"quectel\"\nbase_url = \"http://api.test\"\nphone = \"1\"\ninternational_code = \"86\"\npassword = \"p\"\n\
         user_domain = \"d\"\nuser_domain_secret = \"s\"\nrefresh_in = \"query\"",
        "kind = \"accuat\"\nbase_url = \"http://api.test\"\napp_id = \"a\"\nsecret_key = { env = \"S\" }\n\
         grant_type = \"client_credential\"\nlanguage = \"en-US\"",
    ] {
        let config = format!("{top}[provider]\n{provider}\n{rest}");
        let gateway = Gateway::start_with(&folder, &config, &[("S", SECRET)]).await;
        assert_eq!(gateway.status().await["state"], "fresh");
        assert_eq!(gateway.terminate().await.status.code(), Some(0));
    }
}

#[tokio::test]
async fn the_readmes_configuration_is_taken() {
    let readme = include_str!("../../../../../README.md");
    let config = readme.split("```toml\n").find(|block| block.starts_with("listen")).unwrap();
    let folder = Folder::new();
    let config = config.split("```").next().unwrap().replace(":8080", ":0");
    let config = config.replace("\"token.json\"", &format!("{:?}", folder.path("token.json")));
    let env = [("QUECTEL_PASSWORD", SECRET), ("QUECTEL_DOMAIN_SECRET", SECRET)];
    let gateway = Gateway::start_with(&folder, &config, &env).await;
    assert_eq!(gateway.status().await["state"], "signed-out");
}

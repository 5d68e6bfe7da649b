//! What else keeps a gateway from its start, and what does not.

use std::fs;

use tokio::net::TcpListener;

use super::{
    draft::{Draft, SECRET},
    program::{Folder, Gateway, bare_command, run},
};

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
        r#"{"version":1,"signed_out_ms":1}"#,
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
    let rest = format!("[token]\nfile = {path:?}");
    Draft { rest: rest.clone(), ..draft }.names("token.file").await;
    // In a query it could travel, if only to be refused.
    Draft::rest(&rest).names("token.file").await;
}

#[tokio::test]
async fn a_first_token_in_a_file_without_an_end_is_refused() {
    let folder = Folder::new();
    let content = " ".repeat(9 << 20) + r#"{"version":1,"access_token":"a"}"#;
    for path in [folder.write("initial.json", content), "/dev/zero".to_owned()] {
        Draft::rest(&format!("[token]\nfile = {path:?}")).names("token.file").await;
    }
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
async fn an_upstream_or_token_endpoint_that_is_the_gateway_itself_is_refused() {
    for (key, host) in [("upstream", "127.0.0.1"), ("upstream", "localhost"), ("provider.base_url", "127.0.0.1")] {
        // Free a moment ago; whoever has taken it meanwhile makes `listen` the key, and another one is asked for.
        loop {
            let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
            let (itself, other) = (format!("http://{host}:{port}"), "https://api.test".to_owned());
            let (upstream, base_url) = if key == "upstream" { (itself, other) } else { (other, itself) };
            let top = format!("listen = \"127.0.0.1:{port}\"\nupstream = \"{upstream}\"\nallow_http = true\n");
            let provider = format!("kind = \"quectel\"\nbase_url = \"{base_url}\"\n");
            let line = Draft { top, provider, ..Draft::new() }.refusal().await;
            if !line.starts_with("gateway: listen: ") {
                assert_eq!(line, format!("gateway: {key}: is this gateway itself"));
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
        (vec!["--port\nlistening on"], "--port"),
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
        gateway.until(|status| status["state"] == "fresh").await;
        assert_eq!(gateway.terminate().await.status.code(), Some(0));
    }
}

#[tokio::test]
async fn the_readmes_configuration_is_taken() {
    let folder = Folder::new();
    let config = readme("listen").replace("\"token.json\"", &format!("{:?}", folder.path("token.json")));
    let gateway = Gateway::start_with(&folder, &config, &README_ENV).await;
    assert_eq!(gateway.status().await["state"], "signed-out");
}

#[tokio::test]
async fn the_readmes_store_on_redis_is_taken() {
    let lines = readme("listen");
    let lines: Vec<_> = lines.lines().filter(|line| !line.starts_with("store = ")).collect();
    let config = format!("{}\n{}", lines.join("\n"), readme("[store]"));
    let key = "07".repeat(32);
    let env = [&README_ENV[..], &[("REDIS_URL", "redis://127.0.0.1:1"), ("REDIS_KEY", &key)]].concat();
    let gateway = Gateway::start_with(&Folder::new(), &config, &env).await;
    let ended = gateway.terminate().await;
    assert!(ended.stderr.contains("tower-auth-refresh:{quectel}"), "{}", ended.stderr);
}

const README_ENV: [(&str, &str); 2] = [("QUECTEL_PASSWORD", SECRET), ("QUECTEL_DOMAIN_SECRET", SECRET)];

/// The configuration in the README that begins like that, with any port.
fn readme(begin: &str) -> String {
    let readme = include_str!("../../../../../README.md");
    let config = readme.split("```toml\n").find(|block| block.starts_with(begin)).unwrap();
    config.split("```").next().unwrap().replace(":8080", ":0")
}

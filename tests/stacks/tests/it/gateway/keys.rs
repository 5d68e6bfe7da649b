//! Keys that are not known, missing, double or another kind's: exit code 2, and one line that names them.

use super::{draft::Draft, program::Folder};

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
    Draft::rest("[store]\nkind = \"redis\"\npath = \"x\"").names("store.path").await;
    Draft::rest("[store]\nkind = \"file\"\npath = \"x\"\nurl = \"redis://:hunter2@host\"").names("store.url").await;
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
    Draft::rest("[store]\nkind = \"redis\"\nkey = \"k\"").names("store.url").await;
    Draft::rest("[store]\nkind = \"redis\"\nurl = \"redis://:hunter2@host\"").names("store.key").await;
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
    Draft::rest("[provider]\npassword = \"hunter2\"").names("provider").await;
    Draft::rest("[provider.actions]\n[ provider . actions ]").names("provider.actions").await;
    Draft::quectel("password = { env = \"A\", env = \"hunter2\" }").names("provider.password.env").await;
    Draft::rest("[store]\nurl = { env = \"A\", env = \"hunter2\" }").names("store.url.env").await;
    Draft::top("token = { file = \"a\", file = \"hunter2\" }").names("token.file").await;
    Draft::top("policy.replays = 1\npolicy.replays = 2").names("policy.replays").await;
    // A value that ends in the line is not taken for a key.
    Draft::quectel("x = { a = \"\"\"\nhunter2==\"\"\", a = 1 }").names("provider.a").await;
}

#[tokio::test]
async fn what_is_no_toml_is_named_by_its_line_and_not_shown() {
    let line = Draft::quectel("password = hunter2").refusal().await;
    assert!(line.contains("line 6"), "{line}");
    let line = Draft::quectel("password = \"hunter2").refusal().await;
    assert!(line.contains("line 6"), "{line}");
}

//! Who may come in, and by which words it is said that somebody may not.

use std::future::pending;

use tokio::io::AsyncWriteExt;
use tower_auth_refresh::store::{RedisStore, StoreErrorKind, Swap, TokenStore};

use super::{
    scene::{json, lease, loaded, stored, until_async, within, write},
    server::{Redis, free_port},
};

const CA: &[u8] = include_bytes!("tls/ca.pem");

async fn why(store: &RedisStore) -> String {
    let error = store.load().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let (said, debugged) = (error.to_string(), format!("{error:?} {store:?}"));
    for secret in ["hunter2", "hunter3", "app:"] {
        assert!(!said.contains(secret) && !debugged.contains(secret), "{said} {debugged}");
    }
    said.strip_prefix("cannot read redis tower-auth-refresh:{a}: ").unwrap().to_owned()
}

#[tokio::test]
async fn a_wrong_password_is_said_so_until_it_is_right() {
    let redis = Redis::start_with(&["--requirepass", "hunter2"]).await;
    let url = |password: &str| format!("redis://{password}127.0.0.1:{}", redis.port);
    let right = RedisStore::new(&url(":hunter2@"), "a").unwrap();
    let wrong = RedisStore::new(&url(":hunter3@"), "a").unwrap();
    assert_eq!(why(&RedisStore::new(&url(""), "a").unwrap()).await, "NOAUTH");
    assert_eq!(why(&wrong).await, "WRONGPASS");
    let set = write(&right, 1).await;
    let () = redis.ask("ACL SETUSER default >hunter3").await;
    assert_eq!(loaded(&wrong).await, Some(json(&set)));
}

#[tokio::test]
async fn what_the_documentation_allows_a_user_is_enough_and_nothing_less_is() {
    let redis = Redis::start().await;
    let rules = documented_rules();
    let () = redis.ask(&rules.join(" ")).await;
    let store = RedisStore::new(&format!("redis://app:password@127.0.0.1:{}", redis.port), "a").unwrap();
    within(all_of_it(&store)).await;

    let commands: Vec<_> = rules.iter().filter_map(|rule| rule.strip_prefix('+')).collect();
    let log: Vec<redis::Value> = redis.ask("ACL LOG").await;
    assert!(log.is_empty(), "{log:?}");
    // The last store of a name says goodbye in its own time.
    until_async(async || redis.ask::<String>("INFO commandstats").await.contains("cmdstat_unsubscribe:")).await;
    let called: String = redis.ask("INFO commandstats").await;
    for command in commands.iter().filter(|command| **command != "select") {
        assert!(called.contains(&format!("cmdstat_{command}:")), "{command} is never called");
    }
}

/// The words of that line.
fn documented_rules() -> Vec<String> {
    let source = include_str!("../../../../../src/store/redis.rs");
    let rules = source.lines().find_map(|line| line.strip_prefix("/// ACL SETUSER ")).unwrap();
    format!("ACL SETUSER {rules}").split(' ').map(str::to_owned).collect()
}

/// Everything that a store can be asked for.
async fn all_of_it(store: &RedisStore) {
    let () = store.changed().await;
    let set = write(store, 1).await;
    let held = lease(store).await;
    held.renew().await.unwrap();
    let ends = std::time::SystemTime::UNIX_EPOCH;
    let mut next = stored(2, &*held);
    next.token = next.token.map(|token| token.with_refresh_expires_at(ends));
    assert_eq!(held.save(Some(set.version()), &next).await.unwrap(), Swap::Done);
    held.release().await.unwrap();
    let other = store.another("b").unwrap();
    other.changed().await;
}

#[tokio::test]
async fn a_user_who_may_not_tell_anybody_still_writes() {
    let redis = Redis::start().await;
    let () = redis.ask("ACL SETUSER app on >hunter2 ~* +@all resetchannels").await;
    let store = RedisStore::new(&format!("redis://app:hunter2@127.0.0.1:{}", redis.port), "a").unwrap();
    let set = write(&store, 1).await;
    assert_eq!(loaded(&store).await, Some(json(&set)));
}

#[tokio::test]
async fn a_user_who_may_not_read_is_told_so() {
    let redis = Redis::start().await;
    let () = redis.ask("ACL SETUSER app on >hunter2 ~elsewhere:* +@all").await;
    let store = RedisStore::new(&format!("redis://app:hunter2@127.0.0.1:{}", redis.port), "a").unwrap();
    assert_eq!(why(&store).await, "NOPERM");
}

#[tokio::test]
async fn a_password_may_hold_any_characters() {
    let redis = Redis::start().await;
    let () = redis.ask("ACL SETUSER app on >p@ss/w:rd%# ~* &* +@all").await;
    let url = format!("redis://app:p%40ss%2Fw%3Ard%25%23@127.0.0.1:{}", redis.port);
    assert_eq!(loaded(&RedisStore::new(&url, "a").unwrap()).await, None);
}

#[tokio::test]
async fn a_server_with_a_certificate_of_an_authority_that_is_given_is_trusted() {
    let (_redis, url) = with_tls().await;
    let store = RedisStore::new(&url, "a").unwrap().root_certificates(CA).unwrap();
    let set = write(&store, 1).await;
    assert_eq!(loaded(&store.another("a").unwrap()).await, Some(json(&set)));
}

#[tokio::test]
async fn a_server_with_a_certificate_of_nobody_or_for_another_name_is_not() {
    let (_redis, url) = with_tls().await;
    let untrusted = "no authority that is trusted vouches for its certificate";
    assert_eq!(why(&RedisStore::new(&url, "a").unwrap()).await, untrusted);
    let named = url.replace("127.0.0.1", "localhost");
    let store = RedisStore::new(&named, "a").unwrap().root_certificates(CA).unwrap();
    assert_eq!(why(&store).await, "its certificate is for another name");
}

#[tokio::test]
async fn plain_text_is_not_spoken_in_the_place_of_tls() {
    let redis = Redis::start().await;
    let url = redis.url().replace("redis:", "rediss:");
    assert!(RedisStore::new(&url, "a").unwrap().load().await.is_err());
    assert_eq!(redis.ask::<u64>("DBSIZE").await, 0);
}

#[tokio::test]
async fn a_server_that_answers_tls_with_plain_text_is_said_so() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("rediss://{}", listener.local_addr().unwrap());
    let answering = async {
        let (mut client, _) = listener.accept().await.unwrap();
        client.write_all(b"-ERR Protocol error\r\n").await.unwrap();
        pending::<()>().await;
    };
    let store = RedisStore::new(&url, "a").unwrap();
    tokio::select! {
        why = why(&store) => assert_eq!(why, "it does not speak TLS"),
        () = answering => {}
    }
}

#[test]
fn what_makes_no_sense_is_refused_where_it_is_given_and_no_url_is_shown() {
    let urls = [
        "",
        "hunter2",
        "http://app:hunter2@host",
        "redis://",
        "redis://app:hunter2@",
        "redis://app:hunter2@host/x",
        "redis://app:hunter2@host:port",
        "redis://app:hunter2@0.0.0.0",
        "redis://app:hunter2@host?protocol=hunter2",
        "rediss://app:hunter2@host/#insecure",
        "rediss://app:hunter2@host/#hunter2",
    ];
    for url in urls {
        let error = RedisStore::new(url, "a").unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid, "{url}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}: {error:?}");
    }
    let plain = || RedisStore::new("redis://host", "a").unwrap();
    let invalid = |refused: Result<RedisStore, _>| match refused {
        Err::<_, tower_auth_refresh::store::StoreError>(error) => assert_eq!(error.kind(), StoreErrorKind::Invalid),
        Ok(store) => panic!("{store:?}"),
    };
    invalid(RedisStore::new("redis://host", ""));
    invalid(plain().another(""));
    invalid(plain().prefix("{a}"));
    invalid(plain().root_certificates(CA));
    let secure = || RedisStore::new("rediss://host", "a").unwrap();
    for pem in [&b""[..], b"none", b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"] {
        invalid(secure().root_certificates(pem));
    }
    for milliseconds in [0, 99, 3_600_001, u64::MAX] {
        let time = std::time::Duration::from_millis(milliseconds);
        invalid(plain().lease(time));
        invalid(plain().poll(time));
    }
    for milliseconds in [100, 3_600_000] {
        let time = std::time::Duration::from_millis(milliseconds);
        assert!(plain().lease(time).is_ok() && plain().poll(time).is_ok());
    }
}

/// A server that speaks TLS as well, and where it does.
async fn with_tls() -> (Redis, String) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/redis_store/tls");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (port, certificate, key, ca) =
        (free_port().to_string(), file("server.pem"), file("server.key"), file("ca.pem"));
    let redis = Redis::start_with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ])
    .await;
    (redis, format!("rediss://127.0.0.1:{port}"))
}

//! What stands under the key and is not ours is an error, and is left as it is.

use tower_auth_refresh::store::{StoreErrorKind, TokenStore};

use super::{
    scene::{lease, stored},
    server::Redis,
};

const TOKEN: &str = "tower-auth-refresh:{a}:token";

/// What an error must say of what these commands write, and that nothing but reading is possible until it is gone.
async fn refused(commands: &[&str], why: &str) {
    let redis = Redis::start().await;
    for command in commands {
        let () = redis.ask(&command.replace("TOKEN", TOKEN)).await;
    }
    let before: Vec<u8> = redis.ask(&format!("DUMP {TOKEN}")).await;
    let store = redis.store("a");
    let error = store.load().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (StoreErrorKind::Damaged, format!("cannot read redis tower-auth-refresh:{{a}}{why}"))
    );
    assert!(!format!("{error:?}").contains("hunter2"));
    // A lease needs to know the last number: of what is no hash it is not known.
    if let Ok(Some(held)) = store.try_lease(None).await {
        assert!(!matches!(held.save(None, &stored(1, &*held)).await, Ok(tower_auth_refresh::store::Swap::Done)));
        held.release().await.unwrap();
    }
    assert_eq!(redis.ask::<Vec<u8>>(&format!("DUMP {TOKEN}")).await, before);
}

#[tokio::test]
async fn a_key_of_another_kind() {
    refused(&["SET TOKEN hunter2"], ": WRONGTYPE").await;
    refused(&["RPUSH TOKEN hunter2"], ": WRONGTYPE").await;
}

#[tokio::test]
async fn a_hash_of_somebody_else() {
    refused(&["HSET TOKEN password hunter2"], ": a field is missing").await;
    refused(&["HSET TOKEN generation 1 fence 2"], ": a field is missing").await;
}

#[tokio::test]
async fn a_field_that_a_later_version_may_have_added() {
    let set =
        r#"HSET TOKEN generation 1 fence  value {"version":1,"generation":1,"access_token":"hunter2"} more hunter2"#;
    refused(&[set], ": there are fields that are not known").await;
}

#[tokio::test]
async fn fields_that_contradict_the_value() {
    for (generation, fence) in [("2", ""), ("1", "5"), ("01", ""), ("", "")] {
        let set = format!(
            r#"HSET TOKEN generation {generation} fence {fence} value {{"version":1,"generation":1,"access_token":"hunter2"}}"#
        );
        refused(&[&set], ": its fields contradict its value").await;
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_read() {
    for value in [
        "hunter2",
        "",
        r#"{"version":2,"access_token":"hunter2"}"#,
        r#"{"version":1,"access_token":"hunter2","later":1}"#,
    ] {
        refused(&[&format!("HSET TOKEN generation 1 fence  value {value}")], "").await;
    }
}

#[tokio::test]
async fn a_value_that_other_programs_have_written_is_ours() {
    let redis = Redis::start().await;
    let value = r#"{"version":1,"generation":1,"access_token":"by-hand"}"#;
    let () = redis.ask(&format!("HSET {TOKEN} generation 1 fence  value {value}")).await;
    let store = redis.store("a");
    let by_hand = store.load().await.unwrap().unwrap();
    let held = lease(&store).await;
    let next = stored(2, &*held);
    let swap = held.save(Some(by_hand.version()), &next).await.unwrap();
    assert_eq!(swap, tower_auth_refresh::store::Swap::Done);
}

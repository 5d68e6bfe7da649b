//! What a call ends with when it has no answer, or one that is an error.

use std::error::Error as _;

use tonic::{Code, Status, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer;
use tower_auth_refresh::{Error, error::ErrorKind, provider::GrantKind, test_util::Fault};

use super::{
    scene::{Scene, unary},
    server::Api,
};

/// The layer's own error behind a status.
fn cause(status: &Status) -> ErrorKind {
    status.source().unwrap().downcast_ref::<Error>().unwrap().kind()
}

#[tokio::test]
async fn no_other_status_causes_anything() {
    let scene = Scene::start().await;
    let codes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map(Code::from_i32);
    for code in codes {
        scene.api.answer(Status::new(code, "as it came").into_http());
        let status = unary(scene.client(), "hello").await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "as it came"));
    }
    scene.session.settled().await;
    assert_eq!(scene.counts(), (codes.len(), 0, 1, 0));
}

#[tokio::test]
async fn a_status_of_the_server_itself_causes_nothing() {
    let scene = Scene::start().await;
    let mut client = HealthClient::new(scene.client());
    let request = HealthCheckRequest { service: "unknown".into() };
    assert_eq!(client.check(request.clone()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.watch(request).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(scene.counts(), (2, 0, 1, 0));
}

#[tokio::test]
async fn a_refresh_that_is_refused_leaves_the_servers_own_status() {
    let scene = Scene::start().await;
    let client = scene.with_revoked_token().await;
    scene.idp.refuse(GrantKind::Login);
    scene.idp.refuse(GrantKind::Refresh);
    let status = unary(client, "hello").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the token has expired"));
    assert_eq!(status.metadata().get("x-reason").unwrap(), "expired");
    assert_eq!((scene.api.calls().len(), scene.session.status().replays), (1, 0));
}

#[tokio::test]
async fn a_failed_refresh_is_the_status_of_the_call_where_the_layer_is_told_so() {
    for (fault, code, kind) in [
        (None, Code::Unauthenticated, ErrorKind::Refused),
        (Some(Fault::DropBefore), Code::Unavailable, ErrorKind::Transport),
    ] {
        let scene = Scene::start().await;
        scene.with_revoked_token().await;
        match fault {
            Some(fault) => scene.idp.fail([fault]),
            None => {
                scene.idp.refuse(GrantKind::Login);
                scene.idp.refuse(GrantKind::Refresh);
            }
        }
        let client = scene.layer().error_after_failed_refresh(true).layer(scene.channel.clone());
        let status = unary(client, "hello").await.unwrap_err();
        assert_eq!((status.code(), cause(&status)), (code, kind));
        assert_eq!(scene.api.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_unauthenticated_and_nothing_is_sent() {
    let scene = Scene::start().await;
    scene.idp.refuse(GrantKind::Login);
    for _ in 0..2 {
        let status = unary(scene.client(), "hello").await.unwrap_err();
        assert_eq!((status.code(), cause(&status)), (Code::Unauthenticated, ErrorKind::Refused));
        assert_eq!(status.message(), "the token endpoint refused");
    }
    assert_eq!(scene.counts(), (0, 0, 1, 0));
}

#[tokio::test]
async fn a_session_that_is_signed_out_is_unauthenticated_and_nothing_is_sent() {
    let scene = Scene::start().await;
    scene.session.sign_out();
    let status = unary(scene.client(), "hello").await.unwrap_err();
    assert_eq!((status.code(), cause(&status)), (Code::Unauthenticated, ErrorKind::SignedOut));
    assert_eq!(scene.counts(), (0, 0, 0, 0));
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_is_unavailable_and_says_when_to_try_again() {
    let scene = Scene::start().await;
    scene.idp.fail([Fault::DropBefore]);
    let status = unary(scene.client(), "hello").await.unwrap_err();
    assert_eq!((status.code(), cause(&status)), (Code::Unavailable, ErrorKind::Transport));
    assert!(status.message().contains("next try after"), "{}", status.message());
    assert_eq!(scene.counts(), (0, 0, 1, 0));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_what_it_is_without_the_layer() {
    // Nobody listens on the port of a listener that is gone.
    let address = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let scene = Scene::of(Api::new(), channel.clone(), async {});
    let expected = unary(channel, "hello").await.unwrap_err();
    let status = unary(scene.client(), "hello").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!((status.code(), status.message()), (expected.code(), expected.message()));
    assert!(status.source().unwrap().is::<tonic::transport::Error>());
    assert_eq!(scene.counts(), (0, 0, 1, 0));
}

#[tokio::test]
async fn a_message_that_cannot_be_encoded_ends_as_it_does_without_the_layer() {
    let scene = Scene::start().await;
    let mut bare = HealthClient::new(scene.channel.clone()).max_encoding_message_size(3);
    let mut layered = HealthClient::new(scene.client()).max_encoding_message_size(3);
    let request = HealthCheckRequest { service: "too long".into() };
    let expected = bare.check(request.clone()).await.unwrap_err();
    let status = layered.check(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (expected.code(), expected.message()));
}

#[tokio::test]
async fn no_status_shows_a_token() {
    let scene = Scene::start().await;
    let client = scene.with_revoked_token().await;
    scene.idp.fail([Fault::BreakOff]);
    scene.api.accept(9);
    let rejected = unary(client, "hello").await.unwrap_err();
    scene.session.sign_out();
    let signed_out = unary(scene.client(), "hello").await.unwrap_err();
    for status in [rejected, signed_out] {
        let text = format!("{status} {status:?} {:?}", scene.client());
        assert!(!text.contains("access-") && !text.contains("refresh-"), "{text}");
    }
}

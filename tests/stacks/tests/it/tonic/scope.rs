//! Which calls carry the credential, and whose.

use bytes::Bytes;
use http::Uri;
use tonic::{Code, Request, client::Grpc};
use tower::Layer;
use tower_auth_refresh::{
    Session,
    extensions::Credentials,
    integrations::tonic::GrpcAuthLayer,
    test_util::{AuthServer, TestClock, TestProvider},
};

use super::{
    codec::Raw,
    scene::{Guarded, Scene, method, send, unary},
};

async fn from_origin(service: Guarded, origin: &'static str) -> Result<tonic::Response<Bytes>, tonic::Status> {
    let mut client = Grpc::with_origin(service, Uri::from_static(origin));
    client.ready().await?;
    client.unary(Request::new(Bytes::from("hello")), method("/scene.Echo/Unary"), Raw).await
}

/// The call carried nothing, and its refusal caused nothing.
async fn was_none_of_its_business(scene: &Scene, code: Code) {
    assert_eq!(code, Code::Unauthenticated);
    scene.session.settled().await;
    assert_eq!(scene.counts(), (1, 1, 0, 0));
    assert_eq!(scene.api.tokens(), [None]);
}

#[tokio::test]
async fn without_a_fixed_peer_a_call_of_no_origin_carries_no_credential() {
    let scene = Scene::start().await;
    let client = GrpcAuthLayer::new(scene.session.clone()).layer(scene.channel.clone());
    let status = unary(client, "hello").await.unwrap_err();
    was_none_of_its_business(&scene, status.code()).await;
}

#[tokio::test]
async fn with_the_origin_of_the_api_no_fixed_peer_is_needed() {
    let scene = Scene::start().await;
    let client = GrpcAuthLayer::new(scene.session.clone()).layer(scene.channel.clone());
    from_origin(client, "https://api.test").await.unwrap();
    assert_eq!(scene.counts(), (1, 0, 1, 0));
}

#[tokio::test]
async fn a_call_to_another_origin_carries_no_credential_whatever_the_peer() {
    let scene = Scene::start().await;
    let status = from_origin(scene.client(), "https://other.test").await.unwrap_err();
    was_none_of_its_business(&scene, status.code()).await;
}

#[tokio::test]
async fn a_call_that_opts_out_carries_no_credential() {
    let scene = Scene::start().await;
    let mut request = Request::new(Bytes::from("hello"));
    request.extensions_mut().insert(Credentials::Omit);
    let status = send(scene.client(), request).await.unwrap_err();
    was_none_of_its_business(&scene, status.code()).await;
}

#[tokio::test]
async fn where_calls_have_to_opt_in_only_those_that_do_carry_the_credential() {
    let scene = Scene::start().await;
    let client = scene.layer().credentials(Credentials::Omit).layer(scene.channel.clone());
    let status = unary(client.clone(), "hello").await.unwrap_err();
    was_none_of_its_business(&scene, status.code()).await;
    let mut request = Request::new(Bytes::from("hello"));
    request.extensions_mut().insert(Credentials::Include);
    send(client, request).await.unwrap();
    assert_eq!(scene.counts(), (2, 1, 1, 0));
}

#[tokio::test]
async fn a_callers_own_authorization_is_left_alone() {
    let scene = Scene::start().await;
    let mut request = Request::new(Bytes::from("hello"));
    request.metadata_mut().insert("authorization", "Bearer mine".parse().unwrap());
    assert_eq!(send(scene.client(), request).await.unwrap_err().code(), Code::Unauthenticated);
    scene.session.settled().await;
    assert_eq!(scene.api.tokens(), [Some("mine".into())]);
    assert_eq!(scene.counts(), (1, 1, 0, 0));
}

#[tokio::test]
async fn each_call_carries_the_credential_of_the_session_that_it_brings() {
    let scene = Scene::start().await;
    let other = AuthServer::new(&TestClock::new());
    other.grant(6);
    let others = Session::builder(TestProvider::new()).transport(other.clone()).build().unwrap();
    let client = GrpcAuthLayer::<TestProvider>::per_request().fixed_peer().layer(scene.channel.clone());
    let call = |session: Option<&Session<TestProvider>>| {
        let mut request = Request::new(Bytes::from("hello"));
        if let Some(session) = session {
            request.extensions_mut().insert(session.clone());
        }
        send(client.clone(), request)
    };
    call(Some(&scene.session)).await.unwrap();
    assert_eq!(scene.api.tokens(), [Some("access-1".into())]);

    scene.api.accept(7);
    call(Some(&others)).await.unwrap();
    assert_eq!(scene.api.tokens()[1..], [Some("access-7".into())]);

    assert_eq!(call(None).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(scene.api.tokens()[2..], [None]);
    assert_eq!((scene.idp.counts().calls(), other.counts().calls()), (1, 1));
}

#[tokio::test]
async fn the_refusal_of_a_session_that_a_call_brought_renews_that_session_alone() {
    let scene = Scene::start().await;
    let clients = GrpcAuthLayer::<TestProvider>::per_request().fixed_peer().layer(scene.channel.clone());
    scene.session.token().await.unwrap();
    scene.api.accept(2);
    let mut request = Request::new(Bytes::from("hello"));
    request.extensions_mut().insert(scene.session.clone());
    send(clients, request).await.unwrap();
    assert_eq!(scene.counts(), (2, 1, 2, 1));
}

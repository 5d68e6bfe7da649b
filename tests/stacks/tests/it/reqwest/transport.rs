//! reqwest as the way to the token endpoint: what never left has spent nothing.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tower::{Layer, ServiceExt};
use tower_auth_refresh::{
    AuthRefreshLayer, Session,
    error::{ErrorKind, FailureClass},
    integrations::reqwest::ReqwestService,
    session::RefreshPolicy,
    test_util::TestProvider,
};

use crate::support::{
    reqwest_scene::{Counts, Http, LIFE, Scene, TIMEOUT, over_both, redirect, shown, timeout_passes_after},
    serve::{Closed, serve_on},
};

over_both!(
    a_refused_connection_spends_no_refresh_token,
    a_name_that_cannot_be_resolved_spends_no_refresh_token,
    a_request_that_reqwest_does_not_send_spends_no_refresh_token,
    a_timeout_leaves_open_whether_the_refresh_token_is_spent,
    a_token_endpoint_that_redirects_is_not_followed,
    one_client_serves_as_transport_and_as_wrapped_service,
);

/// A session whose token set 7 has ended, by way of `service` to `idp`.
fn expired(scene: &Scene, service: ReqwestService, idp: String) -> Session<TestProvider> {
    let provider = TestProvider::new().with_origin(scene.api_server.uri()).with_token_endpoint(idp);
    let builder = Session::builder(provider).transport(service).clock(scene.clock.clone()).allow_http(true);
    let session = builder.policy(RefreshPolicy::new().jitter(|| 0.0)).build().unwrap();
    session.set(TestProvider::token(7, LIFE, scene.clock.wall())).unwrap();
    scene.auth.grant(7);
    scene.clock.advance(LIFE);
    session
}

async fn a_refused_connection_spends_no_refresh_token(http: Http) {
    let (scene, closed) = (Scene::new(http).await, Closed::new());
    let session = expired(&scene, http.service(), closed.url(""));
    let error = session.token().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Transport, Some(FailureClass::Transient)));

    let _server = serve_on(closed.listen(), scene.auth.clone());
    scene.clock.advance(Duration::from_secs(60));
    session.token().await.unwrap();
    assert_eq!((scene.counts(), scene.auth.counts().double_spent), (Counts { refreshes: 1, ..Counts::default() }, 0));
}

/// Resolves every name to this address, once there is one.
struct Names(Arc<Mutex<Option<SocketAddr>>>);

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let addr = *self.0.lock().unwrap();
        let addrs = addr.ok_or("no such name").map(|addr| -> Addrs { Box::new(std::iter::once(addr)) });
        Box::pin(std::future::ready(addrs.map_err(Into::into)))
    }
}

async fn a_name_that_cannot_be_resolved_spends_no_refresh_token(http: Http) {
    let scene = Scene::new(http).await;
    let addr = Arc::new(Mutex::new(None));
    let client = http.client().dns_resolver(Arc::new(Names(Arc::clone(&addr))));
    let idp = format!("http://id.test:{}", scene.idp_server.addr().port());
    let session = expired(&scene, ReqwestService::new(client).unwrap(), idp);
    let error = session.token().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Transport, Some(FailureClass::Transient)));

    *addr.lock().unwrap() = Some(scene.idp_server.addr());
    scene.clock.advance(Duration::from_secs(60));
    session.token().await.unwrap();
    assert_eq!(scene.counts(), Counts { refreshes: 1, ..Counts::default() });
}

async fn a_request_that_reqwest_does_not_send_spends_no_refresh_token(http: Http) {
    let scene = Scene::new(http).await;
    let service = ReqwestService::new(http.client().https_only(true)).unwrap();
    let error = expired(&scene, service, scene.idp_server.base()).token().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Transport, Some(FailureClass::Transient)));
    assert_eq!(scene.counts(), Counts::default());
}

async fn a_timeout_leaves_open_whether_the_refresh_token_is_spent(http: Http) {
    let scene = Scene::new(http).await;
    scene.auth.gate().hold();
    let service = ReqwestService::new(http.client().timeout(TIMEOUT)).unwrap();
    let session = expired(&scene, service, scene.idp_server.base());
    let has_arrived = || scene.auth.counts().refreshes == 1;
    let error = join(session.token(), timeout_passes_after(has_arrived)).await.0.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Transport, Some(FailureClass::UnknownFate)));
    assert!(!shown(&error).contains("refresh-7"));

    scene.auth.gate().release();
    scene.clock.advance(Duration::from_secs(60));
    session.token().await.unwrap();
    assert_eq!(scene.counts(), Counts { logins: 1, refreshes: 1, ..Counts::default() });
}

async fn a_token_endpoint_that_redirects_is_not_followed(http: Http) {
    let scene = Scene::new(http).await;
    let api = scene.url("/elsewhere");
    scene.auth.script(move |_| Some(Ok(redirect(&api))));
    let error = scene.session().token().await.unwrap_err();
    assert!(error.is_session());
    assert_eq!(scene.counts(), Counts { logins: 1, ..Counts::default() });
}

async fn one_client_serves_as_transport_and_as_wrapped_service(http: Http) {
    let scene = Scene::new(http).await;
    let service = http.service();
    let session = expired(&scene, service.clone(), scene.idp_server.base());
    let client = AuthRefreshLayer::new(session).layer(service);
    client.oneshot(scene.get("/")).await.unwrap();
    assert_eq!(scene.counts(), Counts { refreshes: 1, requests: 1, ..Counts::default() });
}

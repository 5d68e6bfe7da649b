//! Redirects are the layer's business: ours follows none, and a follower outside takes no credential along.

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode, Uri, header, request, response};
use tower::{Layer, ServiceExt};
use tower_auth_refresh::{
    AuthRefreshLayer, Provider,
    credential::Credential,
    provider::{Context, Grant, GrantKind, ProviderError, Reason, Verdict},
    test_util::{Api, AuthServer, Place, TestProvider},
    token::TokenSet,
};
use tower_http::follow_redirect::FollowRedirect;

use crate::support::{
    reqwest_scene::{Counts, Http, Scene, answer, over_both, redirect, text},
    serve::{Server, serve},
};

over_both!(
    a_redirect_is_not_followed,
    a_follower_outside_takes_a_bearer_token_nowhere_else,
    a_follower_outside_takes_a_query_token_nowhere_else,
    a_follower_outside_takes_a_cookie_nowhere_else,
    a_follower_outside_takes_a_token_in_a_header_of_its_own_nowhere_else,
    a_follower_outside_brings_the_credential_along_within_the_origin,
    a_rejection_by_the_second_origin_causes_nothing,
    a_builder_that_follows_redirects_follows_none,
);

/// Another origin, and what arrives there.
struct Elsewhere {
    api: Api,
    server: Server,
}

impl Elsewhere {
    /// `scene`'s API sends everybody there.
    async fn of(scene: &Scene, status: StatusCode) -> Self {
        let api = AuthServer::new(&scene.clock).api();
        api.script(move |_| Some(Ok(answer(status, "landed"))));
        let server = serve(api.clone()).await;
        let to = server.url("/landing");
        scene.api_answers(move |_| redirect(&to));
        Self { api, server }
    }
}

async fn a_redirect_is_not_followed(http: Http) {
    let scene = Scene::new(http).await;
    let elsewhere = Elsewhere::of(&scene, StatusCode::OK).await;
    let client = scene.client(&scene.signed_in(Place::Bearer));
    let answer = client.oneshot(scene.get("/")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()[header::LOCATION], elsewhere.server.url("/landing"));
    assert_eq!((scene.counts().requests, elsewhere.api.counts().requests), (1, 0));
}

/// Follows the redirect with `provider`'s token 7, and looks at what arrives elsewhere.
async fn follow<P: Provider>(scene: &Scene, provider: P) {
    let elsewhere = Elsewhere::of(scene, StatusCode::OK).await;
    let client = FollowRedirect::new(AuthRefreshLayer::new(scene.sign_in(provider)).layer(scene.http.service()));
    let answer = client.oneshot(scene.get("/from?a=b")).await.unwrap();
    assert_eq!((answer.status(), &*text(answer).await), (StatusCode::OK, "landed"));
    assert_eq!((scene.counts(), elsewhere.api.counts().requests), (Counts { requests: 1, ..Counts::default() }, 1));
    let [from, landing] = [&scene.api.seen()[0], &elsewhere.api.seen()[0]];
    assert!(carried(from).contains("access-7"));
    assert!(!carried(landing).contains("access-7"), "{}", carried(landing));
    assert!(landing.uri().query().is_none() && !landing.headers().contains_key(header::REFERER));
}

/// All of a request's head, sensitive values as well.
fn carried(request: &Request<Bytes>) -> String {
    let headers: Vec<_> = request.headers().iter().map(|(name, value)| (name, value.to_str().unwrap())).collect();
    format!("{} {headers:?}", request.uri())
}

async fn a_follower_outside_takes_a_bearer_token_nowhere_else(http: Http) {
    let scene = Scene::new(http).await;
    follow(&scene, scene.reach(TestProvider::placed(Place::Bearer))).await;
}

async fn a_follower_outside_takes_a_query_token_nowhere_else(http: Http) {
    let scene = Scene::new(http).await;
    follow(&scene, scene.reach(TestProvider::placed(Place::Query))).await;
}

async fn a_follower_outside_takes_a_cookie_nowhere_else(http: Http) {
    let scene = Scene::new(http).await;
    follow(&scene, scene.reach(TestProvider::placed(Place::Cookie))).await;
}

async fn a_follower_outside_takes_a_token_in_a_header_of_its_own_nowhere_else(http: Http) {
    let scene = Scene::new(http).await;
    follow(&scene, OwnHeader(scene.reach(TestProvider::new()))).await;
}

async fn a_follower_outside_brings_the_credential_along_within_the_origin(http: Http) {
    let scene = Scene::new(http).await;
    scene.api_answers(|request| match request.uri().path() {
        "/from" => redirect("/landing"),
        _ => answer(StatusCode::OK, "landed"),
    });
    for place in [Place::Bearer, Place::Query, Place::Cookie] {
        let service = AuthRefreshLayer::new(scene.signed_in(place)).layer(http.service());
        let answer = FollowRedirect::new(service).oneshot(scene.get("/from")).await.unwrap();
        assert_eq!(text(answer).await, "landed");
    }
    assert_eq!(scene.counts(), Counts { requests: 6, ..Counts::default() });
    assert!(scene.api.seen().iter().all(|sent| carried(sent).contains("access-7")));
}

async fn a_rejection_by_the_second_origin_causes_nothing(http: Http) {
    let scene = Scene::new(http).await;
    let elsewhere = Elsewhere::of(&scene, StatusCode::UNAUTHORIZED).await;
    let client = FollowRedirect::new(scene.client(&scene.signed_in(Place::Bearer)));
    let answer = client.oneshot(scene.get("/")).await.unwrap();
    assert_eq!((answer.status(), elsewhere.api.counts().requests), (StatusCode::UNAUTHORIZED, 1));
    assert_eq!(scene.counts(), Counts { requests: 1, ..Counts::default() });
}

async fn a_builder_that_follows_redirects_follows_none(http: Http) {
    let scene = Scene::new(http).await;
    let elsewhere = Elsewhere::of(&scene, StatusCode::OK).await;
    let builder = http.client().redirect(reqwest::redirect::Policy::limited(10)).referer(true);
    let client = tower_auth_refresh::integrations::reqwest::ReqwestService::new(builder).unwrap();
    for client in [client.get_ref().clone(), client.into_inner()] {
        assert_eq!(client.get(scene.url("/")).send().await.unwrap().status(), StatusCode::FOUND);
    }
    assert_eq!(elsewhere.api.counts().requests, 0);
}

/// The protocol of [`TestProvider`], with the token in a header that no client knows.
struct OwnHeader(TestProvider);

impl Provider for OwnHeader {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: std::time::SystemTime) -> Option<GrantKind> {
        self.0.next_grant(token, why, now)
    }

    fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        self.0.request(grant, cx)
    }

    fn parse(&self, grant: Grant<'_>, answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        self.0.parse(grant, answer, cx)
    }

    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        let name = HeaderName::from_static("x-api-key");
        Credential::header(name, token.access_token())
            .map_err(|_| ProviderError::malformed("own", "access token", "no header can carry it"))
    }

    fn sign(&self, token: &TokenSet, head: &mut request::Parts, cx: &Context) -> Result<(), ProviderError> {
        self.0.sign(token, head, cx)
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        self.0.judge(answer)
    }

    fn origin(&self) -> Option<&Uri> {
        self.0.origin()
    }
}

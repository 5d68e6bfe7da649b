//! One of the processes: an application like any other, but that it tells where its tokens come from.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use tokio::sync::oneshot;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_auth_refresh::{
    AuthRefreshLayer, Session,
    providers::{Quectel, UserDomain},
    session::{Event, Events},
    store::{FileStore, TokenStore},
};

use crate::{
    args::is_redis,
    loopback::{self, QuectelApi},
    news::News,
};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(50);

/// Sends requests until its standard input ends.
///
/// # Errors
/// When the session cannot be built.
pub(crate) async fn run(api: Uri, store: &str, name: &str) -> Result<(), BoxError> {
    let has_asked = Arc::new(AtomicBool::new(false));
    let client = loopback::http1_client(1);
    let to_the_token_endpoint = client.clone().map_request({
        let has_asked = Arc::clone(&has_asked);
        move |request| {
            has_asked.store(true, Ordering::Relaxed);
            request
        }
    });
    let domain = UserDomain::new(QuectelApi::USER_DOMAIN, QuectelApi::USER_DOMAIN_SECRET);
    let provider = Quectel::europe().base_url(api.clone());
    let provider = provider.email_login(QuectelApi::EMAIL, QuectelApi::PASSWORD, domain);

    // What is shared, and by which name, is all that an application of many processes has to say.
    let session = Session::builder(provider)
        .store(shared(store, name)?)
        .transport(to_the_token_endpoint)
        .allow_http(true) // the server is on this machine
        .build()?;
    let mut events = session.subscribe();
    let client = ServiceBuilder::new().layer(AuthRefreshLayer::new(session.clone())).service(client);

    let (mut answered, mut failed) = (0, 0);
    let work = async {
        let ask = async || {
            let answer =
                client.clone().oneshot(Request::get(format!("{api}v2/devices")).body(Full::default())?).await?;
            let is_success = answer.status().is_success();
            let body: Bytes = answer.into_body().collect().await?.to_bytes();
            Ok::<_, BoxError>(is_success && body.starts_with(br#"{"code":200"#))
        };
        let mut end = end_of_input();
        while !is_over(&mut end).await {
            *if ask().await.unwrap_or(false) { &mut answered } else { &mut failed } += 1;
        }
        // A refresh may still be under way, or be on its way into the store.
        session.settled().await;
    };
    tokio::select! {
        () = work => {}
        () = follow(&mut events, &has_asked) => {}
    }
    // What has happened, and was not told yet.
    let _ = follow(&mut events, &has_asked).now_or_never();
    println!("{}", News::Done { answered, failed });
    Ok(())
}

fn shared(store: &str, name: &str) -> Result<Box<dyn TokenStore>, BoxError> {
    match is_redis(store) {
        false => Ok(Box::new(FileStore::new(store))),
        #[cfg(feature = "redis")]
        true => Ok(Box::new(tower_auth_refresh::store::RedisStore::new(store, name)?)),
        #[cfg(not(feature = "redis"))]
        true => Err(format!("{name} in Redis takes `--features redis`").into()),
    }
}

/// Tells which token sets come into place, and who has fetched them.
async fn follow(events: &mut Events, has_asked: &AtomicBool) {
    while let Some(event) = events.recv().await {
        if let Event::TokenChanged { generation } = event {
            let generation = generation.get();
            let is_ours = has_asked.swap(false, Ordering::Relaxed);
            println!("{}", if is_ours { News::Fetched { generation } } else { News::TookOver { generation } });
        }
    }
}

/// Its end is the end of whoever started this process, or that one's word.
fn end_of_input() -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    end
}

/// Waits for a moment, and says whether that was the last one.
#[allow(clippy::disallowed_methods, reason = "an application's own time")]
async fn is_over(end: &mut oneshot::Receiver<()>) -> bool {
    tokio::time::timeout(PAUSE, end).await.is_ok()
}

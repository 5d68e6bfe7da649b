//! The listener: HTTP/1.1, and HTTP/2 for clients that know beforehand, until it is told to stop.

use std::{
    convert::Infallible,
    fmt, io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, response::Response};
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, select, task::JoinSet, time::timeout};
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

/// How long a client may take for the head of a request, and for its first request. An HTTP/2 client that was silent for as
/// long is asked whether it is still there.
const HEAD: Duration = Duration::from_secs(30);

/// How long to wait when no connection can be accepted, for want of file descriptors perhaps.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`, and then to the end of what is under way. Dropping the future closes everything.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    // An answer gets no header that the upstream has not given it.
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).auto_date_header(false);
    // Without that question a client that is gone without a word would hold up the end for ever.
    server.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD).auto_date_header(false);

    let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
    let mut stop = pin!(stop);
    loop {
        select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let asked = Arc::new(AtomicBool::new(false));
                    let service = noting(router.clone(), Arc::clone(&asked));
                    let service = TowerToHyperService::new(service);
                    let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
                    connections.spawn(see_through(graceful.watch(connection), asked));
                }
                Err(error) => pause(&error).await,
            },
        }
    }
    drop(listener);
    debug!(connections = graceful.count(), "draining");
    graceful.shutdown().await;
}

/// The router, which notes that it was asked for something.
fn noting(
    router: Router,
    asked: Arc<AtomicBool>,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    router.map_request(move |request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request
    })
}

/// Drives a connection to its end, which is soon if nothing is asked on it: no timer of the protocols runs before the
/// client has said enough to tell which of them it speaks.
#[allow(clippy::disallowed_methods, reason = "the rule is the library's")]
async fn see_through<E: fmt::Display>(connection: impl Future<Output = Result<(), E>>, asked: Arc<AtomicBool>) {
    let mut connection = pin!(connection);
    let ended = match timeout(HEAD, &mut connection).await {
        Ok(ended) => ended,
        Err(_) if asked.load(Ordering::Relaxed) => connection.await,
        Err(_) => return debug!("a client asked for nothing"),
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke");
    }
}

#[allow(clippy::disallowed_methods, reason = "the rule is the library's; a busy loop would help nobody")]
async fn pause(error: &io::Error) {
    warn!(kind = %error.kind(), "no connection can be accepted");
    tokio::time::sleep(PAUSE).await;
}

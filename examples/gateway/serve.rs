//! The listener: HTTP/1.1, and HTTP/2 for clients that know beforehand, until it is told to stop.

use std::{io, pin::pin, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, select, task::JoinSet};
use tracing::{debug, warn};

/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(30);

/// How long to wait when no connection can be accepted, for want of file descriptors perhaps.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`, and then to the end of what is under way. Dropping the future closes everything.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    // An answer gets no header that the upstream has not given it.
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).auto_date_header(false);
    server.http2().timer(TokioTimer::new()).auto_date_header(false);
    let service = TowerToHyperService::new(router);

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
                    let connection = server.serve_connection(TokioIo::new(stream), service.clone()).into_owned();
                    let connection = graceful.watch(connection);
                    connections.spawn(async move {
                        if let Err(error) = connection.await {
                            debug!(%error, "a connection broke");
                        }
                    });
                }
                Err(error) => pause(&error).await,
            },
        }
    }
    drop(listener);
    debug!(connections = graceful.count(), "draining");
    graceful.shutdown().await;
}

#[allow(clippy::disallowed_methods, reason = "the rule is the library's; a busy loop would help nobody")]
async fn pause(error: &io::Error) {
    warn!(kind = %error.kind(), "no connection can be accepted");
    tokio::time::sleep(PAUSE).await;
}

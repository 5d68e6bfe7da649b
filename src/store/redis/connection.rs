//! One connection for many stores: made at the first call, and anew after whatever goes wrong with it.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisResult, TlsCertificates, aio::MultiplexedConnection, from_redis_value,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::sync::Mutex as AsyncMutex;

use super::{
    failure::{Failure, is_end_of_connection},
    topic::{Topic, Topics},
};
use crate::rt;

pub(super) struct Connection {
    client: Client,
    live: Mutex<Option<Live>>,
    /// Held while one connects: a server that comes back meets one connection and not a crowd.
    connecting: AsyncMutex<()>,
    /// Held around each subscription, so that a late goodbye does not undo a new one.
    subscribing: AsyncMutex<()>,
    made: AtomicU64,
    topics: Topics,
}

/// A connection that works, as far as is known, and which one it is, from 1 on.
#[derive(Clone)]
pub(super) struct Live {
    number: u64,
    pub(super) line: MultiplexedConnection,
}

/// How long a call may take, with everything that it needs: less than a session waits for its store, so that it is this
/// side that finds out.
const LIMIT: Duration = Duration::from_secs(2);

impl Connection {
    /// `None` where that is no URL of a server.
    pub(super) fn new(url: &str) -> Option<Arc<Self>> {
        let info = url.into_connection_info().ok()?;
        // News come in on the same connection, which takes RESP3; and its name would take one more permission.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        // Certificates are always checked.
        let is_unchecked = matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. });
        if is_unchecked { None } else { Some(Self::of(Client::open(info).ok()?)) }
    }

    /// The same server, whose certificate these must vouch for, in PEM. `None` where there are none, or no TLS.
    pub(super) fn with_roots(&self, pem: &[u8]) -> Option<Arc<Self>> {
        CertificateDer::from_pem_slice(pem).ok()?;
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
        Some(Self::of(Client::build_with_tls(self.client.get_connection_info().clone(), certificates).ok()?))
    }

    fn of(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            live: Mutex::default(),
            connecting: AsyncMutex::default(),
            subscribing: AsyncMutex::default(),
            made: AtomicU64::new(0),
            topics: Topics::default(),
        })
    }

    /// Host and port, or the path of a socket.
    pub(super) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    pub(super) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// One question and its answer. What is dropped without one takes the connection with it: whether the server is slow,
    /// or was replaced without a word, cannot be told, and a new connection answers that.
    pub(super) async fn ask<T, F>(self: &Arc<Self>, question: impl FnOnce(Live) -> F) -> Result<T, Failure>
    where
        F: Future<Output = RedisResult<T>>,
    {
        if !rt::is_there() {
            return Err(Failure::NoRuntime);
        }
        let answer = rt::timeout(LIMIT, async {
            let live = self.live().await?;
            let unanswered = Unanswered { connection: self, number: live.number };
            let answer = question(live).await;
            if !answer.as_ref().is_err_and(is_end_of_connection) {
                std::mem::forget(unanswered);
            }
            answer
        });
        answer.await.map_err(|_| Failure::Silent)?.map_err(Failure::Redis)
    }

    /// Makes sure that news come in. `false` where they have not until now: some may have been missed.
    pub(super) async fn listen(self: &Arc<Self>, topic: &Topic) -> Result<bool, Failure> {
        if self.current().is_some_and(|live| topic.is_heard_on(live.number)) {
            return Ok(true);
        }
        self.ask(async |mut live: Live| {
            let _turn = self.subscribing.lock().await;
            live.line.subscribe(topic.channel()).await?;
            topic.set_heard_on(live.number);
            Ok(false)
        })
        .await
    }

    /// Nobody waits for it any more.
    pub(super) async fn unsubscribe(self: &Arc<Self>, channel: &str, heard_on: u64) {
        if self.current().is_none_or(|live| live.number != heard_on) {
            return;
        }
        let told = self.ask(async |mut live: Live| {
            let _turn = self.subscribing.lock().await;
            if self.topics.is_wanted(channel) { Ok(()) } else { live.line.unsubscribe(channel).await }
        });
        // What comes in on it meets nobody.
        let _ = told.await;
    }

    async fn live(self: &Arc<Self>) -> RedisResult<Live> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let _turn = self.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. }) {
            choose_cryptography();
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let this = Arc::downgrade(self);
        // `LIMIT` is around all of it.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(move |news| heard(&this, number, news));
        let live = Live { number, line: self.client.get_multiplexed_async_connection_with_config(&config).await? };
        *self.lock() = Some(live.clone());
        Ok(live)
    }

    /// The connection of this number is gone, and with it what it was to bring.
    fn lose(&self, number: u64) {
        let lost = self.lock().take_if(|live| live.number == number);
        if lost.is_some() {
            self.topics.wake_all();
        }
    }

    fn current(&self) -> Option<Live> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loses its connection when it is dropped.
struct Unanswered<'a> {
    connection: &'a Connection,
    number: u64,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.connection.lose(self.number);
    }
}

/// What the server says unasked. Nobody is listening where it is an error.
fn heard(connection: &Weak<Connection>, number: u64, news: PushInfo) -> Result<(), ()> {
    let connection = connection.upgrade().ok_or(())?;
    match (news.kind, news.data.into_iter().next()) {
        (PushKind::Disconnection, _) => connection.lose(number),
        (PushKind::Message, Some(channel)) => {
            connection.topics.wake(&from_redis_value::<String>(channel).map_err(drop)?);
        }
        _ => {}
    }
    Ok(())
}

/// rustls panics where a build has two sets of cryptography and nobody has chosen.
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // That somebody else was faster is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

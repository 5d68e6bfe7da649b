//! Where the server is, and how to connect to it.

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, PushInfo, RedisResult,
    TlsCertificates, aio::MultiplexedConnection,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

pub(super) struct Server(Client);

impl Server {
    /// `None` where that is no URL of a server.
    pub(super) fn new(url: &str) -> Option<Self> {
        let info = url.into_connection_info().ok()?;
        // Notifications come in on the same connection, which takes RESP3; and its name would take one more permission.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        // Certificates are always checked.
        let is_unchecked = matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. });
        if is_unchecked { None } else { Some(Self(Client::open(info).ok()?)) }
    }

    /// The same server, whose certificate these must vouch for, in PEM. `None` where there are none, or no TLS.
    pub(super) fn with_roots(&self, pem: &[u8]) -> Option<Self> {
        CertificateDer::from_pem_slice(pem).ok()?;
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
        Some(Self(Client::build_with_tls(self.0.get_connection_info().clone(), certificates).ok()?))
    }

    /// Host and port, or the path of a socket.
    pub(super) fn address(&self) -> String {
        self.0.get_connection_info().addr().to_string()
    }

    /// A new connection, whose unasked messages `heard` is told. It is dropped with the connection. However long it takes.
    pub(super) async fn connect(
        &self,
        heard: impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static,
    ) -> RedisResult<MultiplexedConnection> {
        if matches!(self.0.get_connection_info().addr(), ConnectionAddr::TcpTls { .. }) {
            choose_cryptography();
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None).set_push_sender(heard);
        self.0.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// rustls panics where a build has two sets of cryptography and nobody has chosen.
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // That somebody else was faster is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

//! The one address of a primary and its replicas: what a proxy, a virtual address or a name does.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tower_auth_refresh::store::RedisStore;

/// Leads whoever connects to the server of the moment.
pub struct Switch {
    addr: SocketAddr,
    port: Arc<AtomicU16>,
    fate: watch::Sender<Fate>,
    _accepting: JoinSet<()>,
}

/// What becomes of the connections that there are when it is told.
#[derive(Clone, Copy)]
enum Fate {
    Closed,
    /// Nothing goes through any more, and nobody says so.
    Cut,
}

impl Switch {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let port = Arc::new(AtomicU16::new(port));
        let fate = watch::Sender::new(Fate::Closed);
        let mut accepting = JoinSet::new();
        let (to, fates) = (Arc::clone(&port), fate.clone());
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connect(client, to.load(Ordering::Relaxed), fates.subscribe()));
            }
        });
        Self { addr, port, fate, _accepting: accepting }
    }

    pub fn store(&self, name: &str) -> RedisStore {
        RedisStore::new(&format!("redis://{}", self.addr), name).unwrap()
    }

    /// Whoever connects from now on comes to that server; those who are connected stay where they are.
    pub fn lead_to(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    pub fn hang_up(&self) {
        self.fate.send_replace(Fate::Closed);
    }

    pub fn cut(&self) {
        self.fate.send_replace(Fate::Cut);
    }
}

async fn connect(mut client: TcpStream, port: u16, mut fate: watch::Receiver<Fate>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = fate.changed() => {
            let fate = *fate.borrow();
            if let Fate::Cut = fate {
                pending().await
            }
        }
    }
}

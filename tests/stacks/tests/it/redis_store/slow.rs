//! A network between a store and its server: each byte takes its time, and however many are under way at once.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};
use tower_auth_refresh::store::RedisStore;

/// Leads whoever connects to a server that is far away.
pub struct Slow {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

/// How a direction treats what goes through it.
#[derive(Clone, Copy)]
struct Path {
    delay: Duration,
    /// How long each piece takes before the next one may follow.
    pause: Duration,
}

/// How much goes through at once.
const PIECE: usize = 16 * 1024;

impl Slow {
    /// A server that answers after `round_trip`, however much it is asked.
    pub async fn to(port: u16, round_trip: Duration) -> Self {
        let path = Path { delay: round_trip / 2, pause: Duration::ZERO };
        Self::by(port, path, path).await
    }

    /// A server whose answers come in slowly: 16 KiB, then a pause, then as much again.
    pub async fn narrow(port: u16, pause: Duration) -> Self {
        let there = Path { delay: Duration::ZERO, pause: Duration::ZERO };
        Self::by(port, there, Path { pause, ..there }).await
    }

    async fn by(port: u16, there: Path, back: Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                open.spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::join!(carry(from_client, to_server, there), carry(from_server, to_client, back));
                });
            }
        });
        Self { addr, connections, _accepting: accepting }
    }

    pub fn store(&self, name: &str) -> RedisStore {
        RedisStore::new(&format!("redis://{}", self.addr), name).unwrap()
    }

    /// How many connections have been made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

#[allow(clippy::disallowed_methods, reason = "the time that a network takes is what this is for")]
async fn carry(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, path: Path) {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reads = async move {
        let mut piece = vec![0; PIECE];
        while let Ok(read @ 1..) = from.read(&mut piece).await {
            let _ = sender.send((Instant::now() + path.delay, piece[..read].to_vec()));
        }
    };
    let writes = async {
        while let Some((arrives, piece)) = under_way.recv().await {
            tokio::time::sleep_until(arrives).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
            if !path.pause.is_zero() {
                tokio::time::sleep(path.pause).await;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reads, writes);
}

//! A server for HTTP/2 that refuses the first stream before it has looked at it: such a request may be sent again by
//! anybody ([RFC 9113, section 8.7](https://www.rfc-editor.org/rfc/rfc9113#section-8.7)).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
/// The flags that a stream ends here, and that all of its headers are here.
const WHOLE: u8 = 1 | 4;
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
/// `:status: 200`, by its number in the table of HPACK.
const STATUS_200: [u8; 1] = [0x88];

/// Refuses the first stream, and answers 200 to all others.
pub struct Refusing {
    url: String,
    streams: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Refusing {
    pub async fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let streams = Arc::new(AtomicUsize::new(0));
        let mut serving = JoinSet::new();
        let count = Arc::clone(&streams);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&count)));
            }
        });
        Self { url, streams, _serving: serving }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many streams have been opened.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }
}

/// Until the connection is closed.
async fn serve(mut io: TcpStream, streams: Arc<AtomicUsize>) {
    let mut preface = [0; PREFACE];
    if io.read_exact(&mut preface).await.is_err() {
        return;
    }
    io.write_all(&frame(SETTINGS, 0, [0; 4], &[])).await.unwrap();
    let mut head = [0; 9];
    while io.read_exact(&mut head).await.is_ok() {
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        io.read_exact(&mut payload).await.unwrap();
        let reply = match kind {
            SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, id, &[]),
            HEADERS if streams.fetch_add(1, Ordering::SeqCst) == 0 => frame(RST_STREAM, 0, id, &REFUSED_STREAM),
            HEADERS => frame(HEADERS, WHOLE, id, &STATUS_200),
            _ => continue,
        };
        io.write_all(&reply).await.unwrap();
    }
}

fn frame(kind: u8, flags: u8, id: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[a, b, c, kind, flags], &id[..], payload].concat()
}

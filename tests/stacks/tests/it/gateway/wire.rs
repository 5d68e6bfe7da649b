//! A client by hand, for what no client would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends `request` as it stands on a connection of its own, and reads until the gateway closes it.
pub async fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// A `GET` with the gateway's own `Host`, further header lines, and the end of the connection.
pub async fn get(addr: SocketAddr, target: &str, lines: &[&str]) -> String {
    exchange(addr, &head("GET", addr, target, lines)).await
}

pub fn head(method: &str, addr: SocketAddr, target: &str, lines: &[&str]) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {addr}\r\n");
    for line in lines {
        head += &format!("{line}\r\n");
    }
    if !lines.iter().any(|line| line.to_ascii_lowercase().starts_with("connection:")) {
        head += "connection: close\r\n";
    }
    head + "\r\n"
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

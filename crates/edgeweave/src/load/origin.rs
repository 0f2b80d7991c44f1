//! A site for peers to talk about: small assets that any cache may keep.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::failure::Failure;

/// A request's head is shorter.
const HEAD_BYTES: usize = 4096;

/// Serves for as long as the generator runs.
pub(super) async fn serve() -> Result<SocketAddr, Failure> {
    let cannot = |error: std::io::Error| Failure::other(format!("cannot serve the origin: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(cannot)?;
    let at = listener.local_addr().map_err(cannot)?;
    tokio::task::spawn_local(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::task::spawn_local(answer(stream));
        }
    });
    Ok(at)
}

/// Answers one request with its path.
async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES || !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/css\r\ncache-control: public, max-age=86400, immutable\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{path}",
        path.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

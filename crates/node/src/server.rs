//! Accepts connections and serves HTTP on them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::client::Peer;

/// How long a request's headers may take, and how long a connection may wait for its next request.
const HEADERS: Duration = Duration::from_secs(30);
/// The most bytes of a request's headers.
const HEADER_BYTES: usize = 64 * 1024;
/// How long to wait before accepting again, when the system has no file descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How long requests may take that are under way when the node is told to end.
const FINISH: Duration = Duration::from_secs(5);

/// Serves connections until `stop` changes, and then those requests that are under way.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    mut stop: watch::Receiver<bool>,
) {
    let turns = Arc::new(Semaphore::new(max_connections));
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &turns) => accepted,
            _ = stop.changed() => break,
        };
        match accepted {
            Ok((tcp, peer, turn)) => {
                let connection = converse(tcp, peer, router.clone(), stopped.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(turn);
                });
            }
            // What is wrong with one connection, or with their number, passes.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let _ = tokio::time::timeout(FINISH, async { while connections.join_next().await.is_some() {} }).await;
}

type Turn = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, turns: &Arc<Semaphore>) -> io::Result<(TcpStream, SocketAddr, Turn)> {
    let turn = turns.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (tcp, peer) = listener.accept().await?;
    tcp.set_nodelay(true)?;
    Ok((tcp, peer, turn))
}

async fn converse(tcp: TcpStream, peer: SocketAddr, router: Router, mut stop: watch::Receiver<bool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .half_close(false)
        .serve_connection(TokioIo::new(tcp), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended badly");
    }
}

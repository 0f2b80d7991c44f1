//! The least that a server can do with a message: read it and write it back. What a node takes for a relayed signal
//! is compared with this.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Amount, Generated};
use crate::failure::Failure;

/// How long everything runs before it is measured.
pub(super) const WARM_UP: Duration = Duration::from_secs(2);
/// A message and more fits into one read.
const BUFFER_BYTES: usize = 4096;

/// How to generate.
#[derive(Args, Clone)]
pub(crate) struct Options {
    /// The echo server.
    #[arg(value_name = "ADDRESS:PORT")]
    pub(super) server: SocketAddr,
    #[command(flatten)]
    pub(super) amount: Amount,
}

/// Answers for ever; says where on standard output.
pub(super) async fn serve(listen: SocketAddr) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::other(format!("cannot listen on {listen}: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(cannot)?;
    let at = listener.local_addr().map_err(cannot)?;
    super::print(&serde_json::json!({ "listen": at }))?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::task::spawn_local(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = [0; BUFFER_BYTES];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}

/// Sends messages and waits for each to come back. `at_edge` is called when the measured time begins and ends.
pub(super) async fn run(options: &Options, mut at_edge: impl FnMut()) -> Result<Generated, Failure> {
    let Amount { connections, seconds, message_bytes } = options.amount;
    let echoed = Rc::new(Cell::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(options.server)
            .await
            .map_err(|error| Failure::other(format!("cannot connect to {}: {error}", options.server)))?;
        tasks.spawn_local(repeat(stream, message_bytes as usize, echoed.clone()));
    }
    tokio::time::sleep(WARM_UP).await;
    at_edge();
    let (before, began) = (echoed.get(), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let (messages, took) = (echoed.get() - before, began.elapsed().as_secs_f64());
    at_edge();
    Ok(Generated::new(connections, messages, took))
}

async fn repeat(mut stream: TcpStream, bytes: usize, echoed: Rc<Cell<u64>>) {
    let _ = stream.set_nodelay(true);
    let mut message = vec![b'x'; bytes];
    while stream.write_all(&message).await.is_ok() && stream.read_exact(&mut message).await.is_ok() {
        echoed.set(echoed.get() + 1);
    }
}

//! The node that the demo runs, as a child process.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::demo::Options;

/// How long the node may take to be ready.
const START: Duration = Duration::from_secs(30);
/// How often it is asked whether it is.
const START_POLL: Duration = Duration::from_millis(50);
/// How long an answer to a question about the node itself may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Where the node listens when nobody says where.
const LISTEN: &str = "127.0.0.1:8080";

/// A running node. Dropped, it ends.
pub(crate) struct Node {
    child: Mutex<Child>,
    address: SocketAddr,
}

/// The node's metrics by name, labels included.
pub(crate) type Figures = BTreeMap<String, f64>;

impl Node {
    /// Starts it before an origin and waits until it is ready.
    pub(crate) fn start(binary: &Path, origin: &str, options: &Options) -> Result<Self> {
        let address = match &options.listen {
            Some(listen) => parse(listen)?,
            None if options.once => free_port()?,
            None => parse(LISTEN)?,
        };
        let child = Command::new(binary)
            .args(["serve", "--origin", origin, "--listen", &address.to_string()])
            .args(["--prefer", &options.prefer, "--patience-ms", &options.patience_ms.to_string()])
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let node = Self { child: Mutex::new(child), address };
        let end = Instant::now() + START;
        while node.get("/readyz").is_none() {
            node.check()?;
            if Instant::now() > end {
                bail!("the node is not ready after {} s", START.as_secs());
            }
            std::thread::sleep(START_POLL);
        }
        Ok(node)
    }

    /// The site's address through the node.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Fails if it has ended.
    pub(crate) fn check(&self) -> Result<()> {
        match self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()? {
            Some(status) => bail!("the node has ended: {status}"),
            None => Ok(()),
        }
    }

    /// What it counts just now; nothing while it does not answer.
    pub(crate) fn figures(&self) -> Figures {
        let text = self.get("/metrics").unwrap_or_default();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.into(), value.parse().ok()?)))
            .collect()
    }

    /// The body of a good answer.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        // HTTP/1.0, so that the answer is not in chunks and ends with the connection.
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split(' ').nth(1).is_some_and(|status| status == "200").then(|| body.to_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn parse(listen: &str) -> Result<SocketAddr> {
    listen
        .parse()
        .with_context(|| format!("--listen {listen} is not an address and a port, such as {LISTEN}"))
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?)
}

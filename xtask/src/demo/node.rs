//! The node that the demo runs, as a child process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::demo::Options;

/// How long the node may take to be ready.
const START: Duration = Duration::from_secs(30);
/// How often it is asked whether it is.
const START_POLL: Duration = Duration::from_millis(50);
/// How long an answer to a question about the node itself may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Where the node listens when nobody says where.
const LISTEN: &str = "127.0.0.1:8080";
/// Where it listens when nobody has to know beforehand: a free port.
const LISTEN_ANYWHERE: &str = "127.0.0.1:0";

/// A running node. Dropped, it ends.
pub(crate) struct Node {
    child: Mutex<Child>,
    /// Where visitors are answered, and whoever asks about the node.
    address: SocketAddr,
    /// Removed when the process has ended.
    _caches: Caches,
}

/// A folder for what the node's supernode keeps, in place of the user's. Dropped, it is removed.
struct Caches(PathBuf);

impl Drop for Caches {
    fn drop(&mut self) {
        // It is not there when the node is no supernode; otherwise the system tidies up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What `edgeweave serve --json` says first.
#[derive(Deserialize)]
struct Addresses {
    listen: SocketAddr,
}

/// The node's metrics by name, labels included.
pub(crate) type Figures = BTreeMap<String, f64>;

impl Node {
    /// Starts it before an origin and waits until it is ready.
    pub(crate) fn start(binary: &Path, origin: &str, options: &Options) -> Result<Self> {
        let caches = Caches(std::env::temp_dir().join(format!("edgeweave-demo-{}", std::process::id())));
        let anywhere = if options.once { LISTEN_ANYWHERE } else { LISTEN };
        let mut child = Command::new(binary)
            .args(["serve", "--json", "--origin", origin])
            .args(["--listen", options.listen.as_deref().unwrap_or(anywhere)])
            .args(["--prefer", &options.prefer, "--patience-ms", &options.patience_ms.to_string()])
            .args(options.no_supernode.then_some("--no-supernode"))
            .env("CACHE_DIRECTORY", &caches.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let address = match announced(&mut child) {
            Ok(address) => address,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error).context("the node did not start");
            }
        };
        let node = Self { child: Mutex::new(child), address, _caches: caches };
        node.wait_until_ready()?;
        Ok(node)
    }

    fn wait_until_ready(&self) -> Result<()> {
        let end = Instant::now() + START;
        while self.get("/readyz").is_none() {
            self.check()?;
            if Instant::now() > end {
                bail!(
                    "the node is not ready after {} s: http://{}/readyz says why",
                    START.as_secs(),
                    self.address
                );
            }
            std::thread::sleep(START_POLL);
        }
        Ok(())
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

/// Where the node says that it listens.
fn announced(child: &mut Child) -> Result<SocketAddr> {
    let stdout = child.stdout.take().context("it has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let Addresses { listen } = serde_json::from_str(&line).context("it did not say where it listens")?;
    Ok(listen)
}

//! The visitors, as seen from here: a Node.js process that tells what they do, line by line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::setup;
use crate::workspace::Workspace;

/// How long the browsers may take to close.
const CLOSING: Duration = Duration::from_secs(15);
/// How often it is looked whether they have closed.
const CLOSING_POLL: Duration = Duration::from_millis(50);

/// What one visitor got for one page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visit {
    /// The visitor's number, from 1.
    pub(crate) visitor: u32,
    /// The page's path.
    pub(crate) page: String,
    /// Whether a worker answered for the page's assets: from a visitor's second page on.
    pub(crate) controlled: bool,
    /// Milliseconds until the page's load event had ended.
    pub(crate) load_ms: u32,
    /// Where the page's bytes came from.
    pub(crate) bytes: Sources,
    /// Requests that went to the origin although the mesh was asked, by reason.
    #[serde(default)]
    pub(crate) fallbacks: BTreeMap<String, u32>,
    /// Bodies that differed from the origin's.
    pub(crate) mismatched: u32,
    /// Errors that the page met.
    pub(crate) errors: u32,
    /// The URLs of what differed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mismatched_urls: Vec<String>,
    /// What the errors said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) error_texts: Vec<String>,
}

/// Bytes by source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sources {
    pub(crate) cache: u64,
    pub(crate) peers: u64,
    pub(crate) supernode: u64,
    pub(crate) origin: u64,
}

impl Sources {
    /// All of them together.
    pub(crate) fn total(self) -> u64 {
        self.cache + self.peers + self.supernode + self.origin
    }
}

/// The share of the bytes under a worker's control that the origin did not have to send; 0 when there were none.
pub(crate) fn offload(visits: &[Visit]) -> f64 {
    let controlled = visits.iter().filter(|visit| visit.controlled).map(|visit| visit.bytes);
    let (origin, total) =
        controlled.fold((0, 0), |(origin, total), bytes| (origin + bytes.origin, total + bytes.total()));
    if total == 0 { 0.0 } else { 1.0 - origin as f64 / total as f64 }
}

/// What the visitors tell.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    /// A visitor does something.
    Progress { visitor: u32, doing: String },
    /// A visitor has seen a page.
    Visit(Visit),
    /// All have seen all.
    Done,
}

/// Visitors under way. Dropped, they leave.
pub(crate) struct Visitors {
    child: Child,
    /// The browsers close when this does, however this process ends.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Visitors {
    /// Sends visitors to `url`, one after the other; what they get is compared with what `origin` answers directly.
    pub(crate) fn send(
        workspace: &Workspace,
        chromium: &Path,
        url: &str,
        origin: &str,
        visitors: u32,
        pages: u32,
    ) -> Result<Self> {
        let options = serde_json::json!({
            "url": url, "origin": origin, "visitors": visitors, "pages": pages, "chromium": chromium,
        });
        let mut child = setup::node(workspace)?
            .command()
            .arg(workspace.client().join("test/visitors.mjs"))
            .arg(options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start the visitors")?;
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().context("the visitors have no output")?;
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Self { stdin: child.stdin.take(), child, lines })
    }

    /// What they tell next, if they tell anything within `patience`.
    pub(crate) fn next(&mut self, patience: Duration) -> Result<Option<Told>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                Ok(Some(serde_json::from_str(&line).with_context(|| format!("the visitors told: {line}"))?))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the visitors went away: {}", self.child.wait()?),
        }
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.stdin = None;
        let end = Instant::now() + CLOSING;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(CLOSING_POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(controlled: bool, bytes: Sources) -> Visit {
        Visit {
            visitor: 1,
            page: "/".into(),
            controlled,
            load_ms: 1,
            bytes,
            fallbacks: BTreeMap::new(),
            mismatched: 0,
            errors: 0,
            mismatched_urls: Vec::new(),
            error_texts: Vec::new(),
        }
    }

    #[test]
    fn offload_counts_what_a_worker_controlled() {
        let first = visit(false, Sources { origin: 1000, ..Sources::default() });
        let second = visit(true, Sources { origin: 10, peers: 80, cache: 10, supernode: 0 });
        assert_eq!(offload(std::slice::from_ref(&first)), 0.0);
        assert_eq!(offload(&[first, second]), 0.9);
    }

    #[test]
    fn what_visitors_tell_is_understood() {
        let told = |line: &str| serde_json::from_str::<Told>(line).unwrap();
        assert!(matches!(
            told(r#"{"progress":{"visitor":1,"doing":"x"}}"#),
            Told::Progress { visitor: 1, .. }
        ));
        assert!(matches!(told(r#""done""#), Told::Done));
        let line = serde_json::to_string(&visit(true, Sources::default())).unwrap();
        assert!(matches!(
            told(&format!("{{\"visit\":{line}}}")),
            Told::Visit(Visit { controlled: true, .. })
        ));
    }
}

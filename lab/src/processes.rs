//! Processes that the lab starts, and what they say.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a process may take to end by itself when it is no longer needed.
const CLOSING: Duration = Duration::from_secs(10);
/// How often it is looked at.
const CLOSING_POLL: Duration = Duration::from_millis(20);

/// A process that writes JSON lines, and reads them. Dropped, it and what it has started end.
pub(crate) struct Process {
    what: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    group: Option<Pid>,
}

impl Process {
    /// Starts it, in a process group of its own, so that Ctrl-C does not reach it before its time.
    pub(crate) fn start(what: &'static str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {what}: {command:?}"))?;
        let stdout = child.stdout.take().with_context(|| format!("{what} has no output"))?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let group = Pid::from_raw(child.id().cast_signed());
        Ok(Self { what, stdin: child.stdin.take(), child, lines, group })
    }

    /// Tells it something.
    pub(crate) fn tell(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let stdin = self.stdin.as_mut().with_context(|| format!("{} does not listen", self.what))?;
        stdin.write_all(text.as_bytes()).with_context(|| format!("{} has ended", self.what))
    }

    /// What it says next, if it says anything within `patience`.
    pub(crate) fn next<T: DeserializeOwned>(&mut self, patience: Duration) -> Result<Option<T>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                let told = serde_json::from_str(&line);
                Ok(Some(told.with_context(|| format!("{} said: {line}", self.what))?))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("{} has ended: {}", self.what, self.child.wait()?),
        }
    }

    /// What it says first, which it has to say in time.
    pub(crate) fn first<T: DeserializeOwned>(&mut self, patience: Duration) -> Result<T> {
        self.next(patience)?
            .with_context(|| format!("{} has said nothing for {} s", self.what, patience.as_secs()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Those who read commands end when there are no more.
        let reads = self.stdin.take().is_some();
        let end = Instant::now() + if reads { CLOSING } else { Duration::ZERO };
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(CLOSING_POLL);
        }
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Starts a process that is only listened to.
pub(crate) fn announcing(what: &'static str, command: &mut Command) -> Result<Process> {
    let mut process = Process::start(what, command)?;
    process.stdin = None;
    Ok(process)
}

//! A server under measurement: a child process, and what the system says of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The unit of processor time in /proc: USER_HZ, which is 100 on every architecture that Linux is built for today.
const TICKS_PER_SECOND: f64 = 100.0;
/// The unit of memory in /proc/PID/status.
const STATUS_UNIT_BYTES: u64 = 1024;

/// This command in another process. Dropped, it ends.
pub(super) struct Server(Child);

impl Server {
    /// Starts this command with other arguments and reads the one line in which it says where it answers.
    pub(super) fn start<T: DeserializeOwned>(arguments: &[&str]) -> Result<(Self, T), Failure> {
        let failed = |about: String| {
            Failure::other(format!("cannot run `edgeweave {}`: {about}", arguments.join(" ")))
        };
        let program = env::current_exe().map_err(|error| failed(error.to_string()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let output = child.stdout.take();
        let server = Self(child);
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut line).map_err(|error| failed(error.to_string()))?;
        }
        let said = serde_json::from_str(&line)
            .map_err(|error| failed(format!("it said `{}`: {error}", line.trim())))?;
        Ok((server, said))
    }

    /// The processor time that it has taken, in seconds.
    pub(super) fn core_seconds(&self) -> Result<f64, Failure> {
        let stat = self.read("stat")?;
        // The fields after the name, which may have spaces, from the third on: user and system time are 14th and 15th.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|field| field.parse::<u64>().ok());
        match (ticks(14), ticks(15)) {
            (Some(user), Some(system)) => Ok((user + system) as f64 / TICKS_PER_SECOND),
            _ => Err(Failure::other("the system does not say how much processor time a process took")),
        }
    }

    /// Its resident memory in bytes.
    pub(super) fn resident_bytes(&self) -> Result<u64, Failure> {
        let status = self.read("status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kilobytes
            .map(|kilobytes| kilobytes * STATUS_UNIT_BYTES)
            .ok_or_else(|| Failure::other("the system does not say how much memory a process has"))
    }

    fn read(&self, file: &str) -> Result<String, Failure> {
        let path = format!("/proc/{}/{file}", self.0.id());
        fs::read_to_string(&path)
            .map_err(|error| Failure::other(format!("cannot read {path} (measuring needs Linux): {error}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

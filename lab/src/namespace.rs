//! Network namespaces, each with one device whose other end the router holds.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::router::MTU;

/// What the names of all labs' namespaces begin with; a process's number follows.
const PREFIX: &str = "edgeweave-lab-";
/// How long what runs in a namespace may take to end when it is killed.
const ENDING: Duration = Duration::from_secs(3);
/// How often it is looked at.
const ENDING_POLL: Duration = Duration::from_millis(20);
/// Settings of the kernel's in every namespace: no IPv6, which the router does not carry, and nothing learnt about a way
/// that the next visitor in the same place would profit from.
const SETTINGS: [&str; 2] = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.tcp_no_metrics_save=1"];

/// A network namespace. Dropped, everything in it is killed and it is removed.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace with an address, everything else being beyond the router; the second is the router's end.
    pub(crate) fn create(short: &str, address: Ipv4Addr) -> Result<(Self, SyncDevice)> {
        let name = format!("{PREFIX}{}-{short}", std::process::id());
        ip(&["netns", "add", &name])?;
        // From here on it is removed whatever happens.
        let namespace = Self { name };
        let device_name = format!("ew{}{short}", std::process::id());
        let device = DeviceBuilder::new()
            .name(&device_name)
            .mtu(MTU)
            .enable(false)
            .build_sync()
            .with_context(|| format!("cannot make the device {device_name} with /dev/net/tun"))?;
        device.set_nonblocking(true)?;
        let name = namespace.name.as_str();
        ip(&["link", "set", &device_name, "netns", name])?;
        ip(&["-n", name, "addr", "add", &format!("{address}/32"), "dev", &device_name])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "link", "set", &device_name, "up"])?;
        ip(&["-n", name, "route", "add", "default", "dev", &device_name])?;
        for setting in SETTINGS {
            run(namespace.command("sysctl").args(["-q", "-w", setting]))?;
        }
        Ok((namespace, device))
    }

    /// A command that runs in here.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref());
        command
    }

    /// A program that is `program` in here, for whoever can only be told a path.
    pub(crate) fn wrapper(&self, folder: &Path, program: &Path) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let program_name = program.file_name().context("a folder is no program")?.display();
        let path = folder.join(format!("{}-{program_name}", self.name));
        let script = format!("#!/bin/sh\nexec ip netns exec {} '{}' \"$@\"\n", self.name, program.display());
        std::fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes what labs have left behind whose processes are no more.
pub(crate) fn remove_stale() {
    for name in names() {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            eprintln!("  removing {name}, which an earlier run has left");
            remove(&name);
        }
    }
}

/// The labs' namespaces.
pub(crate) fn names() -> Vec<String> {
    let output = Command::new("ip").args(["netns", "list"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with(PREFIX)).map(String::from).collect()
}

fn remove(name: &str) {
    let end = Instant::now() + ENDING;
    loop {
        let pids = processes(name);
        if pids.is_empty() || Instant::now() > end {
            break;
        }
        for pid in pids {
            // One that has just ended needs no ending.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(ENDING_POLL);
    }
    let _ = ip(&["netns", "del", name]);
}

fn processes(name: &str) -> Vec<Pid> {
    let output = Command::new("ip").args(["netns", "pids", name]).stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

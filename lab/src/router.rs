//! The body of [`Network`]: a thread that reads what namespaces send, and writes what has come to them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::SyncDevice;

use crate::network::{Home, Host, Network};

/// The largest packet, in bytes: what namespaces' devices are told.
pub(crate) const MTU: u16 = 1500;
/// How long the router sleeps at most, which is how long it takes to notice that it is to end.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);
/// Packets that are read from one device before the others have their turn.
const TURN: usize = 64;

/// A running router. Dropped, it ends.
pub(crate) struct Router {
    network: Arc<Mutex<Network>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Router {
    /// Joins devices, each of which is a host's way out.
    pub(crate) fn start(network: Network, devices: Vec<(Host, SyncDevice)>) -> Result<Self> {
        let network = Arc::new(Mutex::new(network));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&network), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("router".into())
            .spawn(move || run(&shared, &devices, &stopped))
            .context("cannot start the router's thread")?;
        Ok(Self { network, stop, thread: Some(thread) })
    }

    /// Somebody else moves into a place.
    pub(crate) fn move_in(&self, place: usize, home: Home) {
        self.network.lock().unwrap_or_else(PoisonError::into_inner).move_in(place, home);
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(network: &Mutex<Network>, devices: &[(Host, SyncDevice)], stop: &AtomicBool) {
    let by_host: BTreeMap<Host, &SyncDevice> = devices.iter().map(|(host, device)| (*host, device)).collect();
    let mut buffer = vec![0; usize::from(MTU)];
    while !stop.load(Ordering::Relaxed) {
        let due = {
            let mut network = network.lock().unwrap_or_else(PoisonError::into_inner);
            for (host, device) in devices {
                for _ in 0..TURN {
                    match device.recv(&mut buffer) {
                        Ok(length) => network.send(Instant::now(), *host, buffer[..length].to_vec()),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(_) => break,
                    }
                }
            }
            network.advance(Instant::now());
            while let Some((host, bytes)) = network.arrived() {
                // A device whose queue is full loses the packet, as devices do.
                let _ = by_host.get(&host).map(|device| device.send(&bytes));
            }
            network.due()
        };
        let sleep = due.map_or(LONGEST_SLEEP, |due| due.saturating_duration_since(Instant::now()));
        let mut waiting: Vec<_> =
            devices.iter().map(|(_, device)| PollFd::new(device, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(sleep.min(LONGEST_SLEEP)).ok();
        // Whatever wakes it, it looks at everything.
        let _ = poll(&mut waiting, timeout.as_ref());
    }
}

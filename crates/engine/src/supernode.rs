//! The supernode's rung of the ladder: the worker asks it for contents by their names, without an engine. What it did is
//! counted here, and whether it is worth asking is decided.

use std::time::Duration;

use edgeweave_protocol::report::Event;
use edgeweave_protocol::{Digest, Timestamp};

use crate::Engine;

/// The size for which the supernode is compared with the origin, in bytes: a picture of ordinary size.
const COMPARED_BYTES: u64 = 100_000;

/// How long the supernode's first byte is waited for at the least and at the most, in milliseconds, whatever the origin
/// takes.
const PATIENCE_LEAST_MS: u32 = 250;
const PATIENCE_MOST_MS: u32 = 2_000;

impl Engine {
    /// For how long the worker waits for the supernode: twice what the origin would take, or zero where the origin is
    /// expected to be as quick.
    pub(crate) fn supernode_patience_ms(&self) -> u32 {
        if !self.policy.supernode || self.off_reason().is_some() {
            return 0;
        }
        let times = self.supernode.complete(COMPARED_BYTES).zip(self.origin.complete(COMPARED_BYTES));
        if times.is_some_and(|(supernode, origin)| supernode >= origin) {
            return 0;
        }
        let first_byte_ms = self.origin.first_byte().map(|first_byte| first_byte.as_millis() as u32);
        let patience_ms = first_byte_ms.map_or(PATIENCE_MOST_MS, |ms| ms.saturating_mul(2));
        patience_ms.clamp(PATIENCE_LEAST_MS, PATIENCE_MOST_MS)
    }

    /// When `bytes` are expected from the rungs below neighbours, whichever is quicker; none before it was measured.
    pub(crate) fn without_peers(&self, bytes: u64) -> Option<Duration> {
        let supernode = self.supernode.complete(bytes).filter(|_| self.supernode_patience_ms() > 0);
        let origin = self.origin.complete(bytes);
        origin.map(|origin| supernode.map_or(origin, |supernode| origin.min(supernode)))
    }

    /// The worker has answered with a content of the supernode's.
    pub(crate) fn supernode_served(
        &mut self,
        now: Timestamp,
        hash: Digest,
        bytes: u64,
        (first_byte_ms, total_ms): (Option<u32>, u32),
    ) {
        self.traffic.requests.supernode += 1;
        self.traffic.bytes.supernode += bytes;
        self.stats_due.get_or_insert(now);
        if let Some(first_byte_ms) = first_byte_ms {
            self.supernode.measure(first_byte_ms, total_ms, bytes);
        }
        self.out.note(now, Event::Served, None, "supernode", bytes);
        self.page_used(now, hash, 0);
        self.store.touch(hash, self.clock.unix_ms(now));
    }
}

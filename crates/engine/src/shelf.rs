//! What the worker may answer by itself: a snapshot of what is admitted, until when it is fresh, and what of it is held.

use std::time::Duration;

use edgeweave_protocol::Timestamp;
use edgeweave_protocol::policy::Prefer;

use crate::Engine;
use crate::io::{Output, Shelf, ShelfAsset};

/// Changes wait so long for company before the worker is told.
pub(crate) const SHELVE_AFTER: Duration = Duration::from_secs(5);

impl Engine {
    /// Tells the worker what it may know.
    pub(crate) fn shelve(&mut self, now: Timestamp) {
        self.shelf_due = None;
        let mut shelf = Shelf {
            patience_ms: match self.policy.prefer {
                Prefer::Speed => 0,
                Prefer::Offload => self.policy.patience_ms,
            },
            rescue_patience_ms: self.policy.rescue_patience_ms,
            supernode_ms: self.supernode_patience_ms(),
            assets: Vec::with_capacity(self.catalogue.len()),
        };
        // Pages that are left alone are left alone altogether.
        let entries = self.catalogue.entries().filter(|_| self.off_reason().is_none());
        for entry in entries {
            let asset = &entry.asset;
            shelf.assets.push(ShelfAsset {
                url: asset.url.clone(),
                hash: asset.hash,
                size: asset.size,
                fresh_until_ms: self.clock.unix_ms(now) + entry.fresh_until.since(now).as_millis() as u64,
                headers: asset.headers.clone(),
                held: self.store.is_whole(asset.hash, asset.size),
            });
        }
        self.out.push(Output::Shelf(shelf));
        self.persist_due.get_or_insert(now + crate::memory::PERSIST_AFTER);
    }
}

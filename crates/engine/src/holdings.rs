//! What is held, as the node and the neighbours are told: after every change, the difference to what they were told.

use std::time::Duration;

use edgeweave_protocol::frame::Frame;
use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{AssetSet, Digest, PeerId, Reason, Timestamp};

use crate::Engine;
use crate::io::Output;

/// Changes wait so long for company before they are told.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(50);

/// What has been told of our holdings.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    /// What neighbours were told, under the manifest epoch of the last announcement.
    told: AssetSet,
    epoch: u32,
    /// Whether the node was told the same in this session.
    pub(crate) node_knows: bool,
    due: Option<Timestamp>,
}

impl Holdings {
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// The session ended: the next one begins with everything.
    pub(crate) fn unannounce(&mut self) {
        self.node_knows = false;
    }

    pub(crate) fn changed(&mut self, now: Timestamp) {
        self.due.get_or_insert(now + ANNOUNCE_AFTER);
    }
}

impl Engine {
    /// A segment is in the storage.
    pub(crate) fn stored(&mut self, now: Timestamp, hash: Digest, segment: u32) {
        let size = self.catalogue.by_hash(hash).map(|entry| entry.asset.size);
        if size.is_none() {
            // It was purged, or it changed, on its way into the storage.
            self.store.failed(hash, segment);
            return self.out.push(Output::Drop { hash, segments: vec![segment] });
        }
        self.store.stored(hash, segment, size, self.clock.unix_ms(now));
        self.out.note(now, Event::Stored, None, "", 0);
        while let Some(oldest) = self.store.surplus(self.policy.cache_bytes) {
            self.evict(now, oldest, Reason::Evicted);
        }
    }

    pub(crate) fn evict(&mut self, now: Timestamp, hash: Digest, reason: Reason) {
        let segments = self.store.forget(hash);
        if !segments.is_empty() {
            self.out.note(now, Event::Evicted, Some(reason), "", 0);
            self.out.push(Output::Drop { hash, segments });
        }
    }

    /// Makes announcements due when something has changed.
    pub(crate) fn settle_holdings(&mut self, now: Timestamp) {
        if self.store.take_changed() {
            self.holdings.changed(now);
            self.shelf_due.get_or_insert(now + crate::shelf::SHELVE_AFTER);
            self.stats_due.get_or_insert(now);
        }
        if self.holdings.due.is_some_and(|at| now >= at) {
            self.holdings.due = None;
            self.announce();
        }
    }

    fn announce(&mut self) {
        let held: AssetSet =
            self.store.hashes().iter().flat_map(|hash| self.catalogue.ids_of(*hash)).collect();
        let epoch = self.epoch();
        let told = if epoch == self.holdings.epoch { self.holdings.told.clone() } else { AssetSet::new() };
        let add: AssetSet = held.iter().filter(|id| !told.contains(*id)).collect();
        let remove: AssetSet = told.iter().filter(|id| !held.contains(*id)).collect();
        let open: Vec<PeerId> = self
            .neighbours
            .all
            .iter()
            .filter(|(_, neighbour)| neighbour.open)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in open {
            self.send_frames(
                peer,
                Frame::announce(epoch, &add, |epoch, assets| Frame::Have { epoch, assets }),
            );
            self.send_frames(
                peer,
                Frame::announce(epoch, &remove, |epoch, assets| Frame::Lost { epoch, assets }),
            );
        }
        if self.session.synced {
            let (add, remove) =
                if self.holdings.node_knows { (add, remove) } else { (held.clone(), AssetSet::new()) };
            if !add.is_empty() || !remove.is_empty() {
                self.out.say(ToNode::Holdings { add, remove });
            }
            self.holdings.node_knows = true;
        }
        self.holdings.told = held;
        self.holdings.epoch = epoch;
    }

    /// Tells a new neighbour everything that the others were told.
    pub(crate) fn announce_to(&mut self, peer: PeerId) {
        let told = self.holdings.told.clone();
        let frames =
            Frame::announce(self.holdings.epoch, &told, |epoch, assets| Frame::Have { epoch, assets });
        self.send_frames(peer, frames);
    }

    fn send_frames(&mut self, peer: PeerId, frames: Vec<Frame>) {
        for frame in frames {
            self.send_frame(peer, &frame);
        }
    }
}

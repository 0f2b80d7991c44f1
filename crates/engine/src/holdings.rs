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

/// After an announcement, the next one waits so long for company: whoever fetches much tells of it in few messages.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);

/// What has been told of our holdings.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    /// What neighbours were told, under the manifest epoch of the last announcement.
    told: AssetSet,
    epoch: u32,
    /// Whether the node was told the same in this session.
    pub(crate) node_knows: bool,
    due: Option<Timestamp>,
    /// The contents whose holding has changed since the last announcement.
    changed: Vec<Digest>,
    /// Whether that may be all contents, as indices have changed.
    all_changed: bool,
    /// When the node was last told something.
    announced: Option<Timestamp>,
}

impl Holdings {
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// The session ended: the next one begins with everything.
    pub(crate) fn unannounce(&mut self) {
        self.node_knows = false;
    }

    /// The manifest has assets under other indices. Until then nobody has to be told that some are gone, as nobody asks for
    /// those any more.
    pub(crate) fn indices_changed(&mut self, now: Timestamp) {
        self.all_changed = true;
        self.announce_soon(now);
    }

    fn announce_soon(&mut self, now: Timestamp) {
        let soon = now + ANNOUNCE_AFTER;
        self.due.get_or_insert(self.announced.map_or(soon, |at| soon.max(at + ANNOUNCE_EVERY)));
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
        let changed = self.store.take_changed();
        if !changed.is_empty() {
            self.holdings.changed.extend(changed);
            self.holdings.announce_soon(now);
            self.shelf_due.get_or_insert(now + crate::shelf::SHELVE_AFTER);
            self.stats_due.get_or_insert(now);
        }
        if self.holdings.due.is_some_and(|at| now >= at) {
            self.holdings.due = None;
            self.announce(now);
        }
    }

    fn announce(&mut self, now: Timestamp) {
        let epoch = self.epoch();
        let (add, remove) = self.untold();
        let mut frames = Frame::announce(epoch, &add, |epoch, assets| Frame::Have { epoch, assets });
        frames.extend(Frame::announce(epoch, &remove, |epoch, assets| Frame::Lost { epoch, assets }));
        for (peer, _) in self.neighbours.all.iter().filter(|(_, neighbour)| neighbour.open) {
            for frame in &frames {
                self.out.push(Output::SendFrame { peer: *peer, bytes: frame.encode() });
            }
        }
        if self.session.synced {
            let told = &self.holdings.told;
            let (add, remove) =
                if self.holdings.node_knows { (add, remove) } else { (told.clone(), AssetSet::new()) };
            if !add.is_empty() || !remove.is_empty() {
                self.out.say(ToNode::Holdings { add, remove });
                self.holdings.announced = Some(now);
            }
            self.holdings.node_knows = true;
        }
    }

    /// What is held and has not been told, and what has been told and is not held; from now on, all is told.
    fn untold(&mut self) -> (AssetSet, AssetSet) {
        let epoch = self.epoch();
        let Self { holdings, store, catalogue, .. } = self;
        let mut changed = std::mem::take(&mut holdings.changed);
        let (mut add, mut remove) = (AssetSet::new(), AssetSet::new());
        if std::mem::take(&mut holdings.all_changed) {
            changed = store.hashes().to_vec();
            // What is told again below has not been removed; the rest of what was told is lost.
            remove = std::mem::take(&mut holdings.told);
            if std::mem::replace(&mut holdings.epoch, epoch) != epoch {
                remove = AssetSet::new();
            }
        }
        for hash in changed {
            let held = store.segments(hash).is_some();
            for id in catalogue.ids_of(hash) {
                let (to, from) = if held { (&mut add, &mut remove) } else { (&mut remove, &mut add) };
                let changes = if held { holdings.told.insert(id) } else { holdings.told.remove(id) };
                if changes && !from.remove(id) {
                    to.insert(id);
                }
            }
        }
        (add, remove)
    }

    /// Tells a new neighbour everything that the others were told.
    pub(crate) fn announce_to(&mut self, peer: PeerId) {
        let told = self.holdings.told.clone();
        let have = |epoch, assets| Frame::Have { epoch, assets };
        for frame in Frame::announce(self.holdings.epoch, &told, have) {
            self.send_frame(peer, &frame);
        }
    }
}

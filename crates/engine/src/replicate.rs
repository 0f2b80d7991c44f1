//! Replication: an idle browser fetches what its next pages will probably need. It asks neighbours alone, keeps to a
//! budget, and gets out of the way as soon as the page wants something.

use std::time::Duration;

use edgeweave_protocol::limits::{MAX_LIKELY_ASSETS, SEGMENT_PIECES};
use edgeweave_protocol::manifest::{piece_count, segment_count};
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{AssetId, AssetSet, Digest, Timestamp};

use crate::Engine;
use crate::download::Download;
use crate::io::Circumstances;
use crate::neighbours::REFUSAL_LASTS;

/// The browser is idle when its page has asked for nothing for so long.
const IDLE: Duration = Duration::from_millis(250);

/// Pieces that are on their way at a time: few, so that a request finds its neighbours with little to do.
const PIECES_TOGETHER: usize = 16;

/// What has been replicated and not been used takes at most so much of the secondary cache, in percent.
const LARGEST_SHARE: u64 = 66;

/// What is fetched ahead.
#[derive(Debug, Default)]
pub(crate) struct Replication {
    /// What the next pages will probably need, the most likely first.
    likely: Vec<AssetId>,
    /// What is being fetched: one at a time, for the same reason.
    active: Option<Digest>,
    /// Whether pieces are asked for now.
    runs: bool,
    /// Bytes that were fetched during this page.
    spent: u64,
    /// When the browser will be idle, if nothing happens until then.
    idle_at: Option<Timestamp>,
    /// Nothing on the list can be had until something changes, or a neighbour that refused may not refuse any more.
    stuck_until: Timestamp,
}

impl Replication {
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.idle_at
    }

    pub(crate) fn is_active(&self, hash: Digest) -> bool {
        self.active == Some(hash)
    }

    /// What could not be had may be there now.
    pub(crate) fn look_again(&mut self) {
        self.stuck_until = Timestamp::ZERO;
    }

    /// The same, if it is one of these.
    pub(crate) fn look_again_for(&mut self, assets: &AssetSet) {
        if self.likely.iter().any(|asset| assets.contains(*asset)) {
            self.look_again();
        }
    }

    /// Indices mean something else from now on.
    pub(crate) fn forget(&mut self) {
        self.likely.clear();
    }

    /// Whether pieces of a content are asked for now.
    pub(crate) fn asks_for(&self, hash: Digest) -> bool {
        self.runs && self.is_active(hash)
    }
}

impl Engine {
    /// Whether this browser may fetch ahead at all.
    pub(crate) fn may_replicate(&self) -> bool {
        let Circumstances { alone, selfish, .. } = self.circumstances;
        let against = self.off_reason().or(alone).or(selfish);
        against.is_none() && !self.suspended && self.policy.replicate_bytes_per_page > 0
    }

    /// Another page begins, and with it another budget.
    pub(crate) fn begin_replication(&mut self, now: Timestamp) {
        self.end_replicated(now);
        self.replication = Replication::default();
    }

    /// The node says what will probably be needed.
    pub(crate) fn likely(&mut self, now: Timestamp, mut assets: Vec<AssetId>) {
        assets.truncate(MAX_LIKELY_ASSETS);
        self.replication.likely = assets;
        self.replication.look_again();
        self.seek_likely(now);
    }

    /// Looks for neighbours that hold what will be needed.
    pub(crate) fn seek_likely(&mut self, now: Timestamp) {
        if !self.may_replicate() {
            return;
        }
        for asset in &self.replication.likely {
            if let Some(entry) = self.catalogue.get(*asset)
                && self.holders(now, entry.asset.hash).is_empty()
            {
                self.session.find(now, *asset);
            }
        }
    }

    /// Fetches ahead while the browser is idle.
    pub(crate) fn settle_replication(&mut self, now: Timestamp) {
        let has_work = self.replication.active.is_some() || !self.replication.likely.is_empty();
        let allowed = has_work && self.may_replicate();
        let idle_at = self.visit.idle_since().map(|since| since + IDLE).filter(|_| allowed);
        let runs = idle_at.is_some_and(|at| now >= at);
        self.replication.idle_at = idle_at.filter(|_| !runs);
        if std::mem::replace(&mut self.replication.runs, runs) != runs
            && let Some(hash) = self.replication.active
        {
            // What has been asked for is cancelled, or asked for again.
            self.drive(now, hash);
        }
        if !allowed {
            self.end_replicated(now);
        }
        while runs && now >= self.replication.stuck_until && !self.is_replicating() {
            self.end_replicated(now);
            let next = self.next_likely(now);
            match next {
                Some(hash) => self.drive(now, hash),
                None => self.replication.stuck_until = now + REFUSAL_LASTS,
            }
        }
    }

    /// Whether a piece is on its way or being verified.
    fn is_replicating(&self) -> bool {
        let download = self.replication.active.and_then(|hash| self.downloads.get(&hash));
        download.is_some_and(|download| download.moving() > 0)
    }

    /// Ends what is complete, or gets no further because nobody gives the rest.
    fn end_replicated(&mut self, now: Timestamp) {
        let Some(hash) = self.replication.active.take() else { return };
        self.drive(now, hash);
        let Some(entry) = self.catalogue.by_hash(hash) else { return };
        let size = entry.asset.size;
        if self.lacking(hash, size).next().is_none() {
            return self.out.note(now, Event::Replicated, None, &entry.asset.url, size);
        }
        if self.store.segments(hash).is_none() {
            self.store.unused.remove(&hash);
        }
        if self.holders(now, hash).is_empty() {
            // Somebody may come who gives it.
            self.replication.likely.push(entry.asset.id);
        }
    }

    /// Begins with the first content on the list that a neighbour offers and the budget has room for.
    fn next_likely(&mut self, now: Timestamp) -> Option<Digest> {
        let now_ms = self.clock.unix_ms(now);
        let unused: u64 = self.store.unused.values().sum();
        let room = (self.policy.cache_bytes / 100 * LARGEST_SHARE)
            .saturating_sub(unused)
            .min(self.policy.replicate_bytes_per_page.saturating_sub(self.replication.spent));
        let (at, hash, size) = self.replication.likely.iter().enumerate().find_map(|(at, asset)| {
            let entry = self.catalogue.get(*asset)?;
            let asset = &entry.asset;
            let fits = now_ms < entry.fresh_until_ms() && asset.size <= room;
            (fits && self.is_offered(now, asset.hash, asset.size)).then_some((at, asset.hash, asset.size))
        })?;
        if !self.ensure_download(hash) {
            self.want_digests(now, self.replication.likely[at]);
            return None;
        }
        self.replication.likely.remove(at);
        self.replication.active = Some(hash);
        if self.store.segments(hash).is_none() {
            self.store.unused.insert(hash, size);
        }
        Some(hash)
    }

    /// Whether a neighbour has something that is lacking of a content, and could give it now.
    fn is_offered(&self, now: Timestamp, hash: Digest, size: u64) -> bool {
        let holders = self.holders(now, hash);
        let gives = |piece: u32| self.quickest(&holders, hash, piece / SEGMENT_PIECES).is_some();
        !holders.is_empty() && self.lacking(hash, size).any(gives)
    }

    /// The pieces of segments that are neither held nor on their way into the storage.
    fn lacking(&self, hash: Digest, size: u64) -> impl Iterator<Item = u32> + '_ {
        let lacks = self.store.wants(hash, size, self.policy.cache_bytes);
        let pieces =
            move |segment| (segment * SEGMENT_PIECES..piece_count(size)).take(SEGMENT_PIECES as usize);
        (0..segment_count(size)).filter(move |segment| lacks(*segment)).flat_map(pieces)
    }

    /// The pieces to be had next of a content that is being replicated.
    pub(crate) fn replicated_next<'a>(
        &'a self,
        hash: Digest,
        download: &'a Download,
    ) -> impl Iterator<Item = u32> + 'a {
        let asks = self.replication.asks_for(hash);
        // Not one for each that has come: one message asks for several.
        let moving = download.moving();
        let room = if asks && moving <= PIECES_TOGETHER / 2 { PIECES_TOGETHER - moving } else { 0 };
        self.lacking(hash, download.size).filter(|piece| !download.pieces.contains_key(piece)).take(room)
    }

    /// A verified piece came from a neighbour: it was fetched ahead if no request waits for it.
    pub(crate) fn count_replicated(&mut self, now: Timestamp, hash: Digest, bytes: u32) {
        if self.replication.is_active(hash) && self.spans_needed(hash).is_empty() {
            self.traffic.replicated += u64::from(bytes);
            self.replication.spent += u64::from(bytes);
            self.stats_due.get_or_insert(now);
        }
    }

    /// The page uses a content, of which so many bytes were there already.
    pub(crate) fn page_used(&mut self, now: Timestamp, hash: Digest, bytes: u64) {
        self.visit.stir(now);
        self.visit.used(hash);
        self.replication.look_again();
        if bytes > 0 && self.store.unused.remove(&hash).is_some() {
            self.traffic.replicated_used += bytes;
        }
    }
}

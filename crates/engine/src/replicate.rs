//! Replication: an idle browser fetches what its next pages will probably need. It asks neighbours alone, keeps to a
//! budget, and gets out of the way as soon as the page wants something.

use std::time::Duration;

use edgeweave_protocol::limits::{MAX_LIKELY_ASSETS, SEGMENT_PIECES};
use edgeweave_protocol::manifest::{piece_count, segment_count};
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{AssetId, Digest, Timestamp};

use crate::Engine;
use crate::download::{Download, Piece};
use crate::io::Circumstances;

/// The browser is idle when its page has asked for nothing for so long.
const IDLE: Duration = Duration::from_millis(500);

/// Assets that are fetched at a time.
const TOGETHER: usize = 2;

/// How often an asset is begun whose holders turn out not to give it.
const TRIES: u32 = 3;

/// Pieces of an asset that are on their way at a time: few, so that a request finds its neighbours with little to do.
const PIECES_TOGETHER: usize = 8;

/// What has been replicated and not been used takes at most this share of the secondary cache.
const LARGEST_SHARE: u64 = 3;

/// What is fetched ahead.
#[derive(Debug, Default)]
pub(crate) struct Replication {
    /// What the next pages will probably need, the most likely first, and how often each was begun.
    likely: Vec<(Digest, u32)>,
    active: Vec<Digest>,
    /// Whether pieces are asked for now.
    runs: bool,
    /// Bytes that were fetched during this page.
    spent: u64,
    /// When the browser will be idle, if nothing happens until then.
    idle_at: Option<Timestamp>,
}

impl Replication {
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.idle_at
    }

    pub(crate) fn is_active(&self, hash: Digest) -> bool {
        self.active.contains(&hash)
    }

    /// Whether pieces of a content are asked for now.
    pub(crate) fn asks_for(&self, hash: Digest) -> bool {
        self.runs && self.is_active(hash)
    }
}

impl Engine {
    /// Whether this browser may fetch ahead at all.
    fn may_replicate(&self) -> bool {
        let Circumstances { alone, selfish, .. } = self.circumstances;
        let against = self.off_reason().or(alone).or(selfish);
        against.is_none() && !self.suspended && self.policy.replicate_bytes_per_page > 0
    }

    /// Another page begins, and with it another budget.
    pub(crate) fn begin_replication(&mut self, now: Timestamp) {
        self.give_up_replicating(now);
        self.replication = Replication::default();
    }

    /// The node says what will probably be needed.
    pub(crate) fn likely(&mut self, now: Timestamp, assets: &[AssetId]) {
        let entries = assets.iter().take(MAX_LIKELY_ASSETS).filter_map(|asset| self.catalogue.get(*asset));
        self.replication.likely = entries.map(|entry| (entry.asset.hash, 0)).collect();
        self.seek_likely(now);
    }

    /// Looks for neighbours that hold what will be needed.
    pub(crate) fn seek_likely(&mut self, now: Timestamp) {
        if !self.may_replicate() {
            return;
        }
        for (hash, _) in &self.replication.likely {
            if let Some(entry) = self.catalogue.by_hash(*hash)
                && !self.store.is_whole(*hash, entry.asset.size)
                && self.holders(now, *hash).is_empty()
            {
                self.session.find(now, entry.asset.id);
            }
        }
    }

    /// Fetches ahead while the browser is idle.
    pub(crate) fn settle_replication(&mut self, now: Timestamp) {
        self.watch_page(now);
        let has_work = !self.replication.likely.is_empty() || !self.replication.active.is_empty();
        let allowed = has_work && self.may_replicate();
        let idle_at = self.visit.idle_since().map(|since| since + IDLE).filter(|_| allowed);
        self.replication.idle_at = idle_at.filter(|at| now < *at);
        let runs = idle_at.is_some_and(|at| now >= at);
        if std::mem::replace(&mut self.replication.runs, runs) != runs {
            // What has been asked for is cancelled, or asked for again.
            let active = self.replication.active.clone();
            active.into_iter().for_each(|hash| self.drive(now, hash));
        }
        if has_work && !allowed {
            self.give_up_replicating(now);
        }
        if runs {
            self.end_replicated(now);
            while self.replication.active.len() < TOGETHER
                && let Some(hash) = self.next_likely(now)
            {
                self.replication.active.push(hash);
                self.drive(now, hash);
                self.end_replicated(now);
            }
        }
    }

    fn give_up_replicating(&mut self, now: Timestamp) {
        let active = std::mem::take(&mut self.replication.active);
        active.into_iter().for_each(|hash| self.drive(now, hash));
    }

    /// Ends what is complete, or gets no further because nobody has the rest.
    fn end_replicated(&mut self, now: Timestamp) {
        for hash in self.replication.active.clone() {
            let Some(download) = self.downloads.get(&hash).filter(|download| !is_moving(download)) else {
                continue;
            };
            let size = download.size;
            let whole = self.lacking_segments(hash, size).next().is_none();
            self.replication.active.retain(|active| *active != hash);
            self.drive(now, hash);
            if self.store.segments(hash).is_none() && !whole {
                self.store.unused.remove(&hash);
            }
            if whole {
                let url = self.catalogue.by_hash(hash).map_or("", |entry| &entry.asset.url);
                self.out.note(now, Event::Replicated, None, url, size);
            }
        }
    }

    /// The next content on the list that a neighbour offers and the budget has room for. What is here, or cannot be had, is
    /// taken off it.
    fn next_likely(&mut self, now: Timestamp) -> Option<Digest> {
        let bytes = |hash: &Digest| self.catalogue.by_hash(*hash).map_or(0, |entry| entry.asset.size);
        let unused: u64 = self.store.unused.iter().map(bytes).sum();
        let promised: u64 = self.replication.active.iter().map(bytes).sum();
        let room = (self.policy.cache_bytes / LARGEST_SHARE)
            .saturating_sub(unused)
            .min(self.policy.replicate_bytes_per_page.saturating_sub(self.replication.spent + promised));
        let mut at = 0;
        while let Some((hash, tries)) = self.replication.likely.get(at).copied() {
            let entry = self.catalogue.by_hash(hash).filter(|entry| now < entry.fresh_until);
            let asset = entry.map(|entry| (entry.asset.id, entry.asset.size));
            let asset = asset.filter(|(_, size)| self.lacking_segments(hash, *size).next().is_some());
            let Some((id, size)) = asset.filter(|_| tries < TRIES) else {
                self.replication.likely.remove(at);
                continue;
            };
            let can_be_had = size <= room
                && !self.replication.is_active(hash)
                && self.is_offered(now, hash, self.lacking_segments(hash, size));
            if can_be_had && self.ensure_download(hash) {
                self.replication.likely[at].1 += 1;
                if self.store.segments(hash).is_none() {
                    self.store.unused.insert(hash);
                }
                return Some(hash);
            }
            if can_be_had {
                self.want_digests(now, id);
            }
            at += 1;
        }
        None
    }

    /// Whether a neighbour has one of these segments, and would have a piece of it here soon.
    fn is_offered(&self, now: Timestamp, hash: Digest, mut segments: impl Iterator<Item = u32>) -> bool {
        let holders = self.holders(now, hash);
        !holders.is_empty() && segments.any(|segment| self.quickest(&holders, hash, segment).is_some())
    }

    /// The segments that are neither held nor on their way into the storage.
    fn lacking_segments(&self, hash: Digest, size: u64) -> impl Iterator<Item = u32> + '_ {
        (0..segment_count(size)).filter(move |n| self.store.wants(hash, *n, size, self.policy.cache_bytes))
    }

    /// The pieces to be had next of a content that is being replicated.
    pub(crate) fn replicated_next<'a>(
        &'a self,
        hash: Digest,
        download: &'a Download,
    ) -> impl Iterator<Item = u32> + 'a {
        let moving = download.pieces.values().filter(|piece| !matches!(piece, Piece::Ready(..))).count();
        let room = if self.replication.asks_for(hash) { PIECES_TOGETHER.saturating_sub(moving) } else { 0 };
        let size = download.size;
        let lacking = move |piece: &u32| {
            !download.pieces.contains_key(piece)
                && self.store.wants(hash, piece / SEGMENT_PIECES, size, self.policy.cache_bytes)
        };
        (0..piece_count(size)).filter(lacking).take(room)
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
        if bytes > 0 && self.store.unused.remove(&hash) {
            self.traffic.replicated_used += bytes;
        }
    }
}

/// Whether a piece is asked for or being verified.
fn is_moving(download: &Download) -> bool {
    download.pieces.values().any(|piece| !matches!(piece, Piece::Ready(..)))
}

//! Accounts of the secondary cache: what is held, how much room it takes, and what leaves first.

use edgeweave_protocol::Digest;
use edgeweave_protocol::limits::{PIECE_BYTES, SEGMENT_PIECES};
use edgeweave_protocol::manifest::segment_count;

use serde::{Deserialize, Serialize};

use crate::bits::Bits;
use crate::catalogue::Catalogue;
use crate::sorted::{Map, Set};

/// The bytes of a full segment.
pub(crate) const SEGMENT_BYTES: u64 = PIECE_BYTES as u64 * SEGMENT_PIECES as u64;

/// An asset takes at most this share of the cache, so that one video cannot push out a site.
const LARGEST_SHARE: u64 = 2;

#[derive(Debug)]
struct Held {
    segments: Bits,
    /// Bytes of the whole asset; until the manifest says so, as many as its segments could have.
    size: Option<u64>,
    /// When it was last used, in milliseconds since 1970.
    used_ms: u64,
    /// Whether all segments are there: it is asked for often.
    whole: bool,
}

/// What is kept of a content that is held.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Use {
    hash: Digest,
    size: Option<u64>,
    used_ms: u64,
    /// Whether it was replicated, and no page has used it.
    unused: bool,
}

impl Held {
    /// Counts by another size; returns by how many bytes that is less.
    fn resize(&mut self, size: Option<u64>, whole: &mut u32) -> u64 {
        let before = self.bytes();
        self.size = size;
        self.judge(whole);
        before - self.bytes()
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment_bytes(self.size, segment)).sum()
    }

    /// Finds out whether all is there, and counts it among what is held whole.
    fn judge(&mut self, whole: &mut u32) {
        let was = self.whole;
        self.whole = self.size.is_some_and(|size| self.segments.count() == segment_count(size));
        *whole = *whole - u32::from(was) + u32::from(self.whole);
    }
}

/// The secondary cache's accounts.
#[derive(Debug, Default)]
pub(crate) struct Store {
    held: Map<Digest, Held>,
    /// How many contents are held whole.
    pub(crate) whole: u32,
    /// Segments on their way into the storage.
    storing: Set<(Digest, u32)>,
    bytes: u64,
    /// What was replicated, and no page has used, with its size in bytes.
    pub(crate) unused: Map<Digest, u64>,
    /// The contents of which other segments are held since [`take_changed`](Self::take_changed).
    changed: Vec<Digest>,
}

impl Store {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn hashes(&self) -> &[Digest] {
        self.held.keys()
    }

    /// What is to be kept of what is held, in order.
    pub(crate) fn uses(&self) -> impl Iterator<Item = Use> + '_ {
        self.held.iter().map(|(hash, Held { size, used_ms, .. })| Use {
            hash: *hash,
            size: *size,
            used_ms: *used_ms,
            unused: self.unused.contains_key(hash),
        })
    }

    /// Takes up what was kept of what is still held, and was not counted by any size yet.
    pub(crate) fn recall(&mut self, kept: Vec<Use>) {
        for Use { hash, size, used_ms, unused } in kept {
            let Some(held) = self.held.get_mut(&hash) else { continue };
            held.used_ms = used_ms;
            self.bytes -= held.resize(size, &mut self.whole);
            if unused {
                self.unused.insert(hash, size.unwrap_or_default());
            }
        }
    }

    pub(crate) fn take_changed(&mut self) -> Vec<Digest> {
        std::mem::take(&mut self.changed)
    }

    /// The segments held of a content, if any.
    pub(crate) fn segments(&self, hash: Digest) -> Option<&Bits> {
        self.held.get(&hash).map(|held| &held.segments)
    }

    pub(crate) fn has(&self, hash: Digest, segment: u32) -> bool {
        self.segments(hash).is_some_and(|segments| segments.contains(segment))
    }

    /// The contents that are held whole, in order.
    pub(crate) fn all_whole(&self) -> impl Iterator<Item = Digest> + '_ {
        self.held.iter().filter(|(_, held)| held.whole).map(|(hash, _)| *hash)
    }

    /// Whether a segment of a content should be stored: it is neither there nor on its way, and the asset is not too large.
    pub(crate) fn wants(&self, hash: Digest, size: u64, capacity: u64) -> impl Fn(u32) -> bool + '_ {
        let held = self.segments(hash);
        move |segment| {
            size <= capacity / LARGEST_SHARE
                && !held.is_some_and(|held| held.contains(segment))
                && !self.storing.contains(&(hash, segment))
        }
    }

    pub(crate) fn storing(&mut self, hash: Digest, segment: u32) {
        self.storing.insert((hash, segment));
    }

    pub(crate) fn failed(&mut self, hash: Digest, segment: u32) {
        self.storing.remove(&(hash, segment));
    }

    /// A segment is in the storage. `size` is the whole asset's, where it is known.
    pub(crate) fn stored(&mut self, hash: Digest, segment: u32, size: Option<u64>, now_ms: u64) {
        self.storing.remove(&(hash, segment));
        let new = || Held { segments: Bits::default(), size, used_ms: now_ms, whole: false };
        let held = self.held.get_or_insert_with(hash, new);
        if !held.segments.contains(segment) {
            held.segments.insert(segment);
            held.judge(&mut self.whole);
            self.bytes += segment_bytes(held.size, segment);
            self.changed.push(hash);
        }
    }

    /// Counts what is held by the sizes that the manifest has.
    pub(crate) fn set_sizes(&mut self, catalogue: &Catalogue) {
        for (hash, held) in self.held.iter_mut().filter(|(_, held)| held.size.is_none()) {
            if let Some(entry) = catalogue.by_hash(*hash) {
                self.bytes -= held.resize(Some(entry.asset.size), &mut self.whole);
            }
        }
    }

    pub(crate) fn touch(&mut self, hash: Digest, now_ms: u64) {
        if let Some(held) = self.held.get_mut(&hash) {
            held.used_ms = held.used_ms.max(now_ms);
        }
    }

    pub(crate) fn lost(&mut self, hash: Digest, segment: u32) {
        let Some(held) = self.held.get_mut(&hash).filter(|held| held.segments.contains(segment)) else {
            return;
        };
        held.segments.remove(segment);
        held.judge(&mut self.whole);
        self.bytes -= segment_bytes(held.size, segment);
        self.changed.push(hash);
        if held.segments.count() == 0 {
            self.held.remove(&hash);
            self.unused.remove(&hash);
        }
    }

    /// Strikes a content off; returns the segments to remove from the storage.
    pub(crate) fn forget(&mut self, hash: Digest) -> Vec<u32> {
        let segments: Vec<u32> =
            self.segments(hash).map(|segments| segments.iter().collect()).unwrap_or_default();
        segments.iter().for_each(|segment| self.lost(hash, *segment));
        segments
    }

    /// The least recently used content, when more than `capacity` bytes are held.
    pub(crate) fn surplus(&self, capacity: u64) -> Option<Digest> {
        let oldest = || self.held.iter().min_by_key(|(_, held)| held.used_ms).map(|(hash, _)| *hash);
        (self.bytes > capacity).then(oldest).flatten()
    }
}

fn segment_bytes(size: Option<u64>, segment: u32) -> u64 {
    let before = u64::from(segment) * SEGMENT_BYTES;
    size.map_or(SEGMENT_BYTES, |size| size.saturating_sub(before).min(SEGMENT_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);

    #[test]
    fn the_least_recently_used_leaves_first() {
        let mut store = Store::default();
        store.stored(A, 0, Some(600), 1);
        store.stored(B, 0, Some(600), 2);
        assert_eq!(store.surplus(1200), None);
        assert_eq!(store.surplus(1000), Some(A));
        store.touch(A, 3);
        assert_eq!(store.surplus(1000), Some(B));
        assert_eq!(store.forget(B), [0]);
        assert_eq!((store.bytes(), store.surplus(1000)), (600, None));
    }

    #[test]
    fn sizes_that_come_late_are_counted_right() {
        let mut store = Store::default();
        store.stored(A, 0, None, 1);
        assert_eq!(store.bytes(), SEGMENT_BYTES);
        store.recall(vec![Use { hash: A, size: Some(10), used_ms: 1, unused: false }]);
        assert_eq!(store.bytes(), 10);
        assert!(store.all_whole().eq([A]) && store.whole == 1 && !store.wants(A, 10, 1 << 20)(0));
    }
}

//! Accounts of the secondary cache: what is held, how much room it takes, and what leaves first.

use edgeweave_protocol::Digest;
use edgeweave_protocol::limits::{PIECE_BYTES, SEGMENT_PIECES};
use edgeweave_protocol::manifest::segment_count;

use crate::bits::Bits;
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
}

/// The secondary cache's accounts.
#[derive(Debug, Default)]
pub(crate) struct Store {
    held: Map<Digest, Held>,
    /// Segments on their way into the storage.
    storing: Set<(Digest, u32)>,
    bytes: u64,
    /// What was replicated, and no page has used, with its size in bytes.
    pub(crate) unused: Map<Digest, u64>,
    /// Whether what is held has changed since [`take_changed`](Self::take_changed).
    changed: bool,
}

impl Store {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn hashes(&self) -> &[Digest] {
        self.held.keys()
    }

    /// What is held, when it was last used, and whether it was replicated and no page has used it.
    pub(crate) fn uses(&self) -> impl Iterator<Item = (Digest, u64, bool)> + '_ {
        self.held.iter().map(|(hash, held)| (*hash, held.used_ms, self.unused.contains_key(hash)))
    }

    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The segments held of a content, if any.
    pub(crate) fn segments(&self, hash: Digest) -> Option<&Bits> {
        self.held.get(&hash).map(|held| &held.segments)
    }

    pub(crate) fn has(&self, hash: Digest, segment: u32) -> bool {
        self.segments(hash).is_some_and(|segments| segments.contains(segment))
    }

    /// How many contents are held whole.
    pub(crate) fn whole_count(&self) -> usize {
        let is_whole =
            |held: &Held| held.size.is_some_and(|size| held.segments.count() == segment_count(size));
        self.held.values().filter(|held| is_whole(held)).count()
    }

    pub(crate) fn is_whole(&self, hash: Digest, size: u64) -> bool {
        self.segments(hash).is_some_and(|segments| segments.count() == segment_count(size))
    }

    /// Whether a segment should be stored: it is neither there nor on its way, and the asset is not too large.
    pub(crate) fn wants(&self, hash: Digest, segment: u32, size: u64, capacity: u64) -> bool {
        size <= capacity / LARGEST_SHARE
            && !self.has(hash, segment)
            && !self.storing.contains(&(hash, segment))
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
        let held =
            self.held.get_or_insert_with(hash, || Held { segments: Bits::default(), size, used_ms: now_ms });
        if !held.segments.contains(segment) {
            held.segments.insert(segment);
            self.bytes += segment_bytes(held.size, segment);
            self.changed = true;
        }
    }

    /// Now that the manifest has told a size, count by it.
    pub(crate) fn set_size(&mut self, hash: Digest, size: u64) {
        if let Some(held) = self.held.get_mut(&hash)
            && held.size.is_none()
        {
            let before: u64 = held.segments.iter().map(|segment| segment_bytes(None, segment)).sum();
            let after: u64 = held.segments.iter().map(|segment| segment_bytes(Some(size), segment)).sum();
            held.size = Some(size);
            self.bytes = self.bytes - before + after;
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
        self.bytes -= segment_bytes(held.size, segment);
        self.changed = true;
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
        store.set_size(A, 10);
        assert_eq!(store.bytes(), 10);
        assert!(store.is_whole(A, 10) && !store.wants(A, 0, 10, 1 << 20));
    }
}

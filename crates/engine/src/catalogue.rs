//! The manifest as this peer knows it: what is admitted, under which index, and until when it is fresh.

use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::manifest::{Asset, ManifestDelta, ManifestVersion, piece_count};
use edgeweave_protocol::{AssetId, Digest, Timestamp};

use crate::sorted::{Map, Set};

/// An admitted asset.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) asset: Asset,
    pub(crate) fresh_until: Timestamp,
}

#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    /// Where the manifest stands; none until a node has said so.
    pub(crate) version: Option<ManifestVersion>,
    entries: Map<AssetId, Entry>,
    by_url: Map<Arc<str>, AssetId>,
    by_hash: Set<(Digest, AssetId)>,
    /// Counts changes of the assets themselves: what is admitted, not for how long.
    pub(crate) changes: u32,
}

impl Catalogue {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.version.map_or(0, |version| version.epoch)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(crate) fn get(&self, id: AssetId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(crate) fn by_url(&self, url: &str) -> Option<&Entry> {
        self.by_url.get(url).and_then(|id| self.entries.get(id))
    }

    /// The indices under which a content is admitted; several URLs may have the same.
    pub(crate) fn ids_of(&self, hash: Digest) -> impl Iterator<Item = AssetId> + '_ {
        let of_hash =
            self.by_hash.starting_at(&(hash, AssetId(0))).take_while(move |(other, _)| *other == hash);
        of_hash.map(|(_, id)| *id)
    }

    /// A content's entry, the freshest of several.
    pub(crate) fn by_hash(&self, hash: Digest) -> Option<&Entry> {
        self.ids_of(hash).filter_map(|id| self.entries.get(&id)).max_by_key(|entry| entry.fresh_until)
    }

    /// Takes in a change; returns the contents that are no longer admitted at all.
    pub(crate) fn apply(&mut self, now: Timestamp, delta: ManifestDelta) -> Vec<Digest> {
        let removed: Vec<AssetId> = if delta.reset { self.entries.keys().to_vec() } else { delta.remove };
        let mut doubtful: Vec<Digest> = removed.into_iter().filter_map(|id| self.remove(id)).collect();
        for asset in delta.add {
            if let Some(replaced) = self.insert(now, asset) {
                doubtful.push(replaced);
            }
        }
        for renewal in delta.renew {
            if let Some(entry) = self.entries.get_mut(&renewal.id) {
                entry.fresh_until = now + Duration::from_millis(renewal.fresh_ms);
            }
        }
        self.version = Some(delta.version);
        doubtful.retain(|hash| self.ids_of(*hash).next().is_none());
        doubtful
    }

    /// Admits an asset; returns the content that its index or URL stood for until now.
    pub(crate) fn insert(&mut self, now: Timestamp, asset: Asset) -> Option<Digest> {
        let well_formed =
            asset.pieces.as_ref().is_none_or(|pieces| pieces.0.len() == piece_count(asset.size) as usize);
        if !well_formed {
            return None;
        }
        self.changes += 1;
        let earlier = self.by_url.get(&asset.url).copied().unwrap_or(asset.id);
        let replaced = self.remove(earlier);
        let replaced = self.remove(asset.id).or(replaced);
        let fresh_until = now + Duration::from_millis(asset.fresh_ms);
        self.by_url.insert(asset.url.clone(), asset.id);
        self.by_hash.insert((asset.hash, asset.id));
        self.entries.insert(asset.id, Entry { asset, fresh_until });
        replaced
    }

    fn remove(&mut self, id: AssetId) -> Option<Digest> {
        let entry = self.entries.remove(&id)?;
        self.changes += 1;
        self.by_url.remove(&entry.asset.url);
        self.by_hash.remove(&(entry.asset.hash, id));
        Some(entry.asset.hash)
    }

    /// Keeps the piece digests of a large asset; returns its content when they fit.
    pub(crate) fn set_pieces(&mut self, id: AssetId, pieces: Arc<PieceDigests>) -> Option<Digest> {
        let entry = self.entries.get_mut(&id)?;
        self.changes += 1;
        let fits = pieces.0.len() == piece_count(entry.asset.size) as usize;
        fits.then(|| {
            entry.asset.pieces = Some(pieces);
            entry.asset.hash
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(id: u32, url: &str, content: u8) -> Asset {
        Asset {
            id: AssetId(id),
            url: url.into(),
            hash: Digest([content; 32]),
            size: 10,
            fresh_ms: 1000,
            headers: Vec::new().into(),
            pieces: Some(PieceDigests(vec![Digest([content; 32])]).into()),
        }
    }

    fn delta(reset: bool, add: Vec<Asset>, remove: Vec<AssetId>) -> ManifestDelta {
        ManifestDelta { reset, add, remove, ..ManifestDelta::default() }
    }

    #[test]
    fn content_that_moves_to_another_index_stays_admitted() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(Timestamp::ZERO, delta(false, vec![asset(0, "/a", 1), asset(1, "/b", 2)], vec![]));
        let gone = catalogue.apply(Timestamp::ZERO, delta(true, vec![asset(7, "/a", 1)], vec![]));
        assert_eq!(gone, [Digest([2; 32])]);
        assert_eq!(catalogue.by_url("/a").map(|entry| entry.asset.id), Some(AssetId(7)));
        assert_eq!(catalogue.len(), 1);
    }

    #[test]
    fn a_new_version_takes_the_url() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(Timestamp::ZERO, delta(false, vec![asset(0, "/a", 1)], vec![]));
        let gone = catalogue.apply(Timestamp::ZERO, delta(false, vec![asset(1, "/a", 2)], vec![AssetId(0)]));
        assert_eq!(gone, [Digest([1; 32])]);
        assert_eq!(catalogue.by_url("/a").map(|entry| entry.asset.hash), Some(Digest([2; 32])));
    }
}

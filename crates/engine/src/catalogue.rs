//! The manifest as this peer knows it: what is admitted, under which index, and until when it is fresh.

use std::sync::Arc;

use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::manifest::{Asset, ManifestDelta, piece_count};
use edgeweave_protocol::{AssetId, Digest};
use serde::{Deserialize, Serialize, Serializer};

use crate::sorted::{Map, Set};

/// An admitted asset.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its `fresh_ms` counts from 1970 on, because it is kept from page to page. Copies of the catalogue share it.
    pub(crate) asset: Arc<Asset>,
}

impl Entry {
    /// Until when it is fresh, in milliseconds since 1970.
    pub(crate) fn fresh_until_ms(&self) -> u64 {
        self.asset.fresh_ms
    }
}

/// All entries. Copies are shared until one of them changes, so that what outlives a page and what the worker knows cost
/// nothing while the manifest stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Vec<Asset>")]
pub(crate) struct Catalogue {
    entries: Map<AssetId, Entry>,
    by_url: Map<Arc<str>, AssetId>,
    by_hash: Set<(Digest, AssetId)>,
}

/// It is written as a list: what else it has follows from the entries.
impl Serialize for Catalogue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries().map(|entry| &*entry.asset))
    }
}

impl From<Vec<Asset>> for Catalogue {
    fn from(assets: Vec<Asset>) -> Self {
        let mut catalogue = Self::default();
        assets.into_iter().for_each(|asset| _ = catalogue.insert(Entry { asset: asset.into() }));
        catalogue
    }
}

impl Catalogue {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
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
        self.ids_of(hash).filter_map(|id| self.entries.get(&id)).max_by_key(|entry| entry.fresh_until_ms())
    }

    /// Takes in a change at a time in milliseconds since 1970; returns the contents that are no longer admitted at all.
    pub(crate) fn apply(&mut self, now_ms: u64, delta: ManifestDelta) -> Vec<Digest> {
        let removed: Vec<AssetId> = if delta.reset { self.entries.keys().to_vec() } else { delta.remove };
        let mut doubtful: Vec<Digest> = removed.into_iter().filter_map(|id| self.remove(id)).collect();
        for mut asset in delta.add {
            asset.fresh_ms = now_ms.saturating_add(asset.fresh_ms);
            if let Some(replaced) = self.insert(Entry { asset: asset.into() }) {
                doubtful.push(replaced);
            }
        }
        for renewal in delta.renew {
            if let Some(asset) = self.asset_mut(renewal.id) {
                asset.fresh_ms = now_ms.saturating_add(renewal.fresh_ms);
            }
        }
        doubtful.retain(|hash| self.ids_of(*hash).next().is_none());
        doubtful
    }

    /// Admits an asset; returns the content that its index or URL stood for until now.
    fn insert(&mut self, entry: Entry) -> Option<Digest> {
        let asset = &entry.asset;
        let well_formed =
            asset.pieces.as_ref().is_none_or(|pieces| pieces.0.len() == piece_count(asset.size) as usize);
        if !well_formed {
            return None;
        }
        let earlier = self.by_url.get(&asset.url).copied().unwrap_or(asset.id);
        let replaced = self.remove(earlier);
        let replaced = self.remove(asset.id).or(replaced);
        self.by_url.insert(asset.url.clone(), asset.id);
        self.by_hash.insert((asset.hash, asset.id));
        self.entries.insert(asset.id, entry);
        replaced
    }

    fn remove(&mut self, id: AssetId) -> Option<Digest> {
        let entry = self.entries.remove(&id)?;
        self.by_url.remove(&entry.asset.url);
        self.by_hash.remove(&(entry.asset.hash, id));
        Some(entry.asset.hash)
    }

    /// Keeps the piece digests of a large asset; returns its content when they fit.
    pub(crate) fn set_pieces(&mut self, id: AssetId, pieces: Arc<PieceDigests>) -> Option<Digest> {
        let asset = self.asset_mut(id)?;
        let fits = pieces.0.len() == piece_count(asset.size) as usize;
        fits.then(|| {
            asset.pieces = Some(pieces);
            asset.hash
        })
    }

    fn asset_mut(&mut self, id: AssetId) -> Option<&mut Asset> {
        self.entries.get_mut(&id).map(|entry| Arc::make_mut(&mut entry.asset))
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
            status: 200,
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
        catalogue.apply(0, delta(false, vec![asset(0, "/a", 1), asset(1, "/b", 2)], vec![]));
        let gone = catalogue.apply(0, delta(true, vec![asset(7, "/a", 1)], vec![]));
        assert_eq!(gone, [Digest([2; 32])]);
        assert_eq!(catalogue.by_url("/a").map(|entry| entry.asset.id), Some(AssetId(7)));
        assert_eq!(catalogue.len(), 1);
    }

    #[test]
    fn a_new_version_takes_the_url() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(0, delta(false, vec![asset(0, "/a", 1)], vec![]));
        let gone = catalogue.apply(0, delta(false, vec![asset(1, "/a", 2)], vec![AssetId(0)]));
        assert_eq!(gone, [Digest([1; 32])]);
        assert_eq!(catalogue.by_url("/a").map(|entry| entry.asset.hash), Some(Digest([2; 32])));
    }
}

//! What the worker may answer by itself: a snapshot of what is admitted, until when it is fresh, and what of it is held.

use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::manifest::{Asset, Headers};
use edgeweave_protocol::policy::Prefer;
use edgeweave_protocol::{AssetId, Digest, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use crate::Engine;
use crate::catalogue::{Catalogue, Entry};
use crate::io::{Output, Shelf, ShelfAsset};
use crate::sorted::Set;

/// Changes wait so long for company before the worker is told.
pub(crate) const SHELVE_AFTER: Duration = Duration::from_secs(5);

/// What the worker knows of each asset: the manifest as it was, and what of it was held. It is shared with the engine as
/// long as nothing changes, and written as a list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Vec<ShelfAsset>")]
pub struct ShelfAssets {
    catalogue: Arc<Catalogue>,
    held: Set<Digest>,
}

impl ShelfAssets {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = ShelfAsset> + '_ {
        self.catalogue.entries().map(|entry| self.shelved(entry))
    }

    /// The one of a URL.
    pub fn get(&self, url: &str) -> Option<ShelfAsset> {
        self.catalogue.by_url(url).map(|entry| self.shelved(entry))
    }

    fn holds(&self, hash: Digest) -> bool {
        self.held.contains(&hash)
    }

    fn shelved(&self, entry: &Entry) -> ShelfAsset {
        let asset = &entry.asset;
        ShelfAsset {
            url: asset.url.clone(),
            hash: asset.hash,
            size: asset.size,
            fresh_until_ms: entry.fresh_until_ms(),
            status: asset.status,
            headers: asset.headers.clone(),
            held: self.holds(asset.hash),
        }
    }
}

impl PartialEq for ShelfAssets {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ShelfAssets {}

impl Serialize for ShelfAssets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A [`ShelfAsset`], without copies.
        #[derive(Serialize)]
        struct Written<'a> {
            url: &'a str,
            hash: &'a Digest,
            size: u64,
            fresh_until_ms: u64,
            status: u16,
            headers: &'a Headers,
            held: bool,
        }
        serializer.collect_seq(self.catalogue.entries().map(|entry| &entry.asset).map(|asset| Written {
            url: &asset.url,
            hash: &asset.hash,
            size: asset.size,
            fresh_until_ms: asset.fresh_ms,
            status: asset.status,
            headers: &asset.headers,
            held: self.holds(asset.hash),
        }))
    }
}

impl From<Vec<ShelfAsset>> for ShelfAssets {
    fn from(assets: Vec<ShelfAsset>) -> Self {
        let mut held = Set::default();
        assets.iter().filter(|asset| asset.held).for_each(|asset| _ = held.insert(asset.hash));
        let assets: Vec<Asset> = assets
            .into_iter()
            .zip(0..)
            .map(|(asset, id)| {
                let ShelfAsset { url, hash, size, fresh_until_ms, status, headers, .. } = asset;
                let fresh_ms = fresh_until_ms;
                Asset { id: AssetId(id), url, hash, size, fresh_ms, status, headers, pieces: None }
            })
            .collect();
        Self { catalogue: Arc::new(assets.into()), held }
    }
}

impl Engine {
    /// Tells the worker what it may know.
    pub(crate) fn shelve(&mut self, now: Timestamp) {
        self.shelf_due = None;
        // Pages that are left alone are left alone altogether.
        let catalogue =
            if self.off_reason().is_none() { Arc::clone(&self.catalogue) } else { Arc::default() };
        self.out.push(Output::Shelf(Shelf {
            patience_ms: match self.policy.prefer {
                Prefer::Speed => 0,
                Prefer::Offload => self.policy.patience_ms,
            },
            rescue_patience_ms: self.policy.rescue_patience_ms,
            supernode_ms: self.supernode_patience_ms(),
            assets: ShelfAssets { catalogue, held: Set::of_sorted(self.store.all_whole().collect()) },
        }));
        self.persist_due.get_or_insert(now + crate::memory::PERSIST_AFTER);
    }
}

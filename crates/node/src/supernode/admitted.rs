//! Which contents a site's manifest has, asked of its coordinator.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use edgeweave_coordinator::{Coordinator, Counts};
use edgeweave_protocol::{Digest, SiteId};
use sha2::{Digest as _, Sha256};

use crate::mesh::Mesh;

/// The hashes of a site's admitted assets, as they were when somebody last asked.
#[derive(Debug, Default)]
pub(crate) struct Admitted(Mutex<Arc<Known>>);

#[derive(Debug, Default)]
pub(crate) struct Known {
    version: Version,
    hashes: HashSet<Digest>,
    assets: Vec<(Arc<str>, Digest)>,
    names: OnceLock<Bytes>,
}

/// An asset's name is so many characters: the first of the SHA-256 of its URL, a line's end, and its hash. 48 bits are
/// as good as all, because nobody is hurt by what a site's owner can do to the site. (`client/src/worker/admitted.ts`)
const NAME_CHARS: usize = 8;

impl Known {
    fn new(version: Version, assets: Vec<(Arc<str>, Digest)>) -> Self {
        let hashes = assets.iter().map(|(_, hash)| *hash).collect();
        Self { version, hashes, assets, names: OnceLock::new() }
    }

    /// How many assets are admitted.
    pub(crate) fn len(&self) -> usize {
        self.assets.len()
    }

    /// What is admitted, by name, one on each line. They are made when they are asked for: contents are, more often.
    pub(crate) fn names(&self) -> Bytes {
        self.names.get_or_init(|| self.assets.iter().map(name).collect::<Vec<_>>().join("\n").into()).clone()
    }
}

fn name((url, hash): &(Arc<str>, Digest)) -> String {
    let name = Digest(Sha256::digest(format!("{url}\n{hash}")).into());
    name.to_string().chars().take(NAME_CHARS).collect()
}

/// Admissions so far, and assets that are left of them. Between two admissions there are only removals, so whoever has
/// both numbers right has all assets right.
type Version = (u64, u32);

impl Admitted {
    /// Whether the manifest has a content now.
    pub(crate) async fn has(&self, mesh: &Mesh, site: &SiteId, hash: Digest) -> bool {
        self.now(mesh, site).await.is_some_and(|known| known.hashes.contains(&hash))
    }

    /// What the manifest has now; nothing when the node is going down.
    pub(crate) async fn now(&self, mesh: &Mesh, site: &SiteId) -> Option<Arc<Known>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let version = known.version;
        let looked = mesh.look(site, move |coordinator, now| {
            let current = version_of(coordinator);
            // All assets are only listed when they have changed: there can be thousands.
            (current != version).then(|| {
                let assets = coordinator.assets(now).into_iter().map(|asset| (asset.url, asset.hash));
                (current, assets.collect::<Vec<_>>())
            })
        });
        let Some((version, assets)) = looked.await? else { return Some(known) };
        let newer = Arc::new(Known::new(version, assets));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&newer);
        Some(newer)
    }
}

fn version_of(coordinator: &Coordinator) -> Version {
    let Counts { admissions, assets, .. } = coordinator.counts();
    (admissions, assets)
}

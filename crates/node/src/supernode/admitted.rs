//! Which contents a site's manifest has, asked of its coordinator.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use edgeweave_coordinator::{Coordinator, Counts};
use edgeweave_protocol::{Digest, SiteId};

use crate::mesh::Mesh;

/// The hashes of a site's admitted assets, as they were when somebody last asked.
#[derive(Debug, Default)]
pub(crate) struct Admitted(Mutex<Arc<Known>>);

#[derive(Debug, Default)]
struct Known {
    version: Version,
    hashes: HashSet<Digest>,
}

/// Admissions so far, and assets that are left of them. Between two admissions there are only removals, so whoever has
/// both numbers right has all assets right.
type Version = (u64, u32);

impl Admitted {
    /// Whether the manifest has a content now.
    pub(crate) async fn has(&self, mesh: &Mesh, site: &SiteId, hash: Digest) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let version = known.version;
        let looked = mesh.look(site, move |coordinator, now| {
            let current = version_of(coordinator);
            // All hashes are only listed when they have changed: there can be thousands.
            (current != version).then(|| Known {
                version: current,
                hashes: coordinator.assets(now).into_iter().map(|asset| asset.hash).collect(),
            })
        });
        match looked.await {
            Some(None) => known.hashes.contains(&hash),
            Some(Some(newer)) => {
                let is_there = newer.hashes.contains(&hash);
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(newer);
                is_there
            }
            // The node is going down.
            None => false,
        }
    }
}

fn version_of(coordinator: &Coordinator) -> Version {
    let Counts { admissions, assets, .. } = coordinator.counts();
    (admissions, assets)
}

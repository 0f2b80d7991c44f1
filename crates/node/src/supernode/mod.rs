//! The supernode: it holds the contents of admitted assets on disk, and gives them by their hashes to clients that
//! cannot, or should not, open peer connections. They verify what they get, so it need not be trusted.
//!
//! **Invariants.** It gives only what a site's manifest has now: a purge, or whatever else removes an asset, ends that
//! at once, because the manifest is asked each time. And it stands in nobody's way: when the disk fails, contents are
//! not kept or not given, and nothing else changes.

mod admitted;
mod cannot_keep;
mod folder;
mod keeping;
mod part;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use edgeweave_protocol::Digest;
use edgeweave_protocol::manifest::Asset;
use tokio::fs::File;

pub(crate) use self::admitted::Admitted;
use self::cannot_keep::CannotKeep;
use self::folder::Folder;
pub(crate) use self::keeping::Keeping;
use crate::config::SupernodeConfig;
use crate::mesh::Mesh;
use crate::metrics::SupernodeMetrics;
use crate::site::Site;

/// What is held, and can be given.
pub(crate) struct Supernode {
    /// None when it could not be prepared: then nothing is kept.
    folder: Option<Folder>,
    metrics: SupernodeMetrics,
    warned: AtomicBool,
}

/// Why a content is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotGiven {
    /// It is not there.
    #[error("this node does not hold it")]
    NotHeld,
    /// It is there, but no manifest has it.
    #[error("it is not admitted, or no more")]
    NotAdmitted,
    /// Its file is gone, or has another length.
    #[error("what this node held of it is spoilt")]
    Spoilt,
}

impl NotGiven {
    /// The outcome's name in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotHeld => "not_held",
            Self::NotAdmitted => "not_admitted",
            Self::Spoilt => "spoilt",
        }
    }
}

impl Supernode {
    /// Prepares its folder, and finds what is there from before; a folder that cannot be used is warned of.
    pub(crate) async fn start(config: SupernodeConfig, metrics: SupernodeMetrics) -> Self {
        let supernode = Self { folder: None, metrics, warned: AtomicBool::new(false) };
        let folder = Folder::open(config, supernode.metrics.held.clone()).await;
        Self { folder: supernode.told(folder), ..supernode }
    }

    /// Whether it has something to offer; otherwise clients need not ask.
    pub(crate) fn is_ready(&self) -> bool {
        self.folder.is_some()
    }

    /// The length of a content in bytes, if it is held whole and admitted. Nothing is read for that.
    pub(crate) async fn find(&self, mesh: &Mesh, hash: Digest) -> Result<u64, NotGiven> {
        let folder = self.folder.as_ref().ok_or(NotGiven::NotHeld)?;
        let sites = folder.sites(hash).await.ok_or(NotGiven::NotHeld)?;
        if !is_admitted(mesh, &sites, hash).await {
            return Err(NotGiven::NotAdmitted);
        }
        folder.size(hash).await.ok_or(NotGiven::NotHeld)
    }

    /// A content that was found, and its length in bytes.
    pub(crate) async fn open(&self, hash: Digest) -> Result<(File, u64), NotGiven> {
        let folder = self.folder.as_ref().ok_or(NotGiven::NotHeld)?;
        match folder.get(hash).await {
            Ok(held) => held.ok_or(NotGiven::NotHeld),
            Err(error) => {
                self.warn(&error);
                Err(NotGiven::Spoilt)
            }
        }
    }

    /// Removes contents that were purged from the disk, unless they are admitted under another URL.
    pub(crate) async fn purged(&self, mesh: &Mesh, assets: &[Asset]) {
        let Some(folder) = &self.folder else { return };
        for Asset { hash, .. } in assets {
            let hash = *hash;
            let Some(sites) = folder.sites(hash).await else { continue };
            if !is_admitted(mesh, &sites, hash).await {
                self.told(folder.remove(hash).await);
            }
        }
    }

    /// Counts a failure, and warns of the first.
    fn told<T>(&self, done: Result<T, CannotKeep>) -> Option<T> {
        done.inspect_err(|error| {
            self.metrics.not_kept(error.reason());
            self.warn(error);
        })
        .ok()
    }

    fn warn(&self, error: &CannotKeep) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the supernode fails: {error}; visitors go on without it, and further failures are only counted \
                 (edgeweave_supernode_not_kept_total, edgeweave_supernode_requests_total)"
            );
        }
    }
}

async fn is_admitted(mesh: &Mesh, sites: &[Arc<Site>], hash: Digest) -> bool {
    for site in sites {
        if site.admitted.has(mesh, &site.id, hash).await {
            return true;
        }
    }
    false
}

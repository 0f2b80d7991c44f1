//! A content that is kept as it streams by on its way through the fetcher. It may come to nothing, which the fetcher
//! does not notice.

use std::sync::Arc;

use edgeweave_protocol::Digest;

use super::Supernode;
use super::part::Part;
use crate::site::Site;

/// A content on its way to the disk.
pub(crate) struct Keeping {
    supernode: Option<Arc<Supernode>>,
    part: Option<Part>,
}

impl Keeping {
    /// Nothing yet; nothing ever where there is no supernode.
    pub(crate) fn new(supernode: Option<Arc<Supernode>>) -> Self {
        Self { supernode, part: None }
    }

    /// The content begins.
    pub(crate) async fn begin(&mut self) {
        let Some(supernode) = &self.supernode else { return };
        let Some(folder) = &supernode.folder else { return supernode.metrics.not_kept("no_folder") };
        self.part = supernode.told(folder.begin().await);
    }

    /// The next bytes of the content.
    pub(crate) async fn take(&mut self, bytes: &[u8]) {
        let (Some(supernode), Some(part)) = (&self.supernode, &mut self.part) else { return };
        let Some(folder) = &supernode.folder else { return };
        let taken = match folder.has_room_for(part.size() + bytes.len() as u64) {
            Ok(()) => part.write(bytes).await,
            over_budget => over_budget,
        };
        if supernode.told(taken).is_none() {
            self.part = None;
        }
    }

    /// The content was complete, and is admitted.
    pub(crate) async fn keep(self, hash: Digest, site: &Arc<Site>) {
        let (Some(supernode), Some(part)) = (&self.supernode, self.part) else { return };
        let Some(folder) = &supernode.folder else { return };
        supernode.told(folder.put(part, hash, site).await);
    }
}

//! Who holds what: one directory for those who share it, one for those who do not.

use std::collections::BTreeMap;

use edgeweave_protocol::AssetId;

use crate::io::SessionId;

/// The holders of each asset. What a session holds is kept with the session, too; both change together.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// Sorted; four bytes for a holding, so that a million of them are four megabytes.
    holders: BTreeMap<AssetId, Vec<SessionId>>,
}

impl Directory {
    pub(crate) fn insert(&mut self, asset: AssetId, session: SessionId) {
        let holders = self.holders.entry(asset).or_default();
        if let Err(place) = holders.binary_search(&session) {
            holders.insert(place, session);
        }
    }

    pub(crate) fn remove(&mut self, asset: AssetId, session: SessionId) {
        let Some(holders) = self.holders.get_mut(&asset) else { return };
        if let Ok(place) = holders.binary_search(&session) {
            holders.remove(place);
        }
        if holders.is_empty() {
            self.holders.remove(&asset);
        }
    }

    /// Forgets an asset; returns who held it.
    pub(crate) fn drop_asset(&mut self, asset: AssetId) -> Vec<SessionId> {
        self.holders.remove(&asset).unwrap_or_default()
    }

    /// Whether somebody holds an asset.
    pub(crate) fn has(&self, asset: AssetId) -> bool {
        self.holders.contains_key(&asset)
    }

    /// The holders of an asset, in the order of their numbers.
    pub(crate) fn holders(&self, asset: AssetId) -> &[SessionId] {
        self.holders.get(&asset).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_come_and_go() {
        let mut directory = Directory::default();
        for session in [3, 1, 2, 1] {
            directory.insert(AssetId(7), session);
        }
        assert_eq!(directory.holders(AssetId(7)), [1, 2, 3]);
        directory.remove(AssetId(7), 2);
        directory.remove(AssetId(8), 2);
        assert_eq!(directory.drop_asset(AssetId(7)), [1, 3]);
        assert!(directory.holders(AssetId(7)).is_empty());
    }
}

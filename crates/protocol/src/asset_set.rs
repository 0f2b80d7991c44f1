//! Sets of manifest indices, as runs.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::AssetId;
use crate::limits::MAX_ASSETS;

/// A set of assets as sorted, disjoint, non-adjacent runs. Assets that a page loads together are admitted
/// together, so their indices are neighbours and a visitor's holdings are a handful of runs: smaller than a
/// bitmap for the sparse sets that browsers have, and at most as large as the list of its members.
///
/// On the wire it is `[first, length, first, length, …]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "number[]"))]
pub struct AssetSet {
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u32,
    /// The index after the last.
    end: u32,
}

impl AssetSet {
    /// The empty set; it allocates nothing.
    pub const fn new() -> Self {
        Self { runs: Vec::new() }
    }

    /// Whether the set has no member.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many members the set has.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| (run.end - run.first) as usize).sum()
    }

    /// Whether `asset` is a member.
    pub fn contains(&self, asset: AssetId) -> bool {
        let after = self.runs.partition_point(|run| run.first <= asset.0);
        after > 0 && asset.0 < self.runs[after - 1].end
    }

    /// Adds `asset`; true when it was not a member.
    pub fn insert(&mut self, asset: AssetId) -> bool {
        let index = asset.0;
        let after = self.runs.partition_point(|run| run.first <= index);
        if after > 0 && index < self.runs[after - 1].end {
            return false;
        }
        let joins_before = after > 0 && self.runs[after - 1].end == index;
        let joins_after = self.runs.get(after).is_some_and(|run| run.first == index + 1);
        match (joins_before, joins_after) {
            (true, true) => {
                self.runs[after - 1].end = self.runs[after].end;
                self.runs.remove(after);
            }
            (true, false) => self.runs[after - 1].end += 1,
            (false, true) => self.runs[after].first = index,
            (false, false) => self.runs.insert(after, Run { first: index, end: index + 1 }),
        }
        true
    }

    /// Removes `asset`; true when it was a member.
    pub fn remove(&mut self, asset: AssetId) -> bool {
        let index = asset.0;
        let after = self.runs.partition_point(|run| run.first <= index);
        if after == 0 || index >= self.runs[after - 1].end {
            return false;
        }
        let Run { first, end } = self.runs[after - 1];
        match (first == index, end == index + 1) {
            (true, true) => {
                self.runs.remove(after - 1);
            }
            (true, false) => self.runs[after - 1].first += 1,
            (false, true) => self.runs[after - 1].end -= 1,
            (false, false) => {
                self.runs[after - 1].end = index;
                self.runs.insert(after, Run { first: index + 1, end });
            }
        }
        true
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = AssetId> + '_ {
        self.runs.iter().flat_map(|run| (run.first..run.end).map(AssetId))
    }
}

impl AssetSet {
    /// The set in parts of at most `runs` runs each.
    pub(crate) fn split_runs(&self, runs: usize) -> impl Iterator<Item = Self> + '_ {
        self.runs.chunks(runs).map(|part| Self { runs: part.to_vec() })
    }

    /// `first, length, first, length, …`
    pub(crate) fn run_words(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|run| [run.first, run.end - run.first])
    }

    /// Reads what [`run_words`](Self::run_words) wrote; `None` when the runs are empty, out of order or past
    /// [`MAX_ASSETS`].
    pub(crate) fn from_run_words(words: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut words = words.into_iter();
        let mut runs: Vec<Run> = Vec::new();
        while let Some(first) = words.next() {
            let length = words.next()?;
            let end = first.checked_add(length).filter(|end| *end <= MAX_ASSETS && length > 0)?;
            if runs.last().is_some_and(|last| first <= last.end) {
                return None;
            }
            runs.push(Run { first, end });
        }
        Some(Self { runs })
    }
}

impl FromIterator<AssetId> for AssetSet {
    fn from_iter<I: IntoIterator<Item = AssetId>>(assets: I) -> Self {
        let mut set = Self::new();
        set.extend(assets);
        set
    }
}

impl Extend<AssetId> for AssetSet {
    fn extend<I: IntoIterator<Item = AssetId>>(&mut self, assets: I) {
        for asset in assets {
            self.insert(asset);
        }
    }
}

impl Serialize for AssetSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct("AssetSet", &self.run_words().collect::<Vec<u32>>())
    }
}

impl<'de> Deserialize<'de> for AssetSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "AssetSet")]
        struct Unchecked(Vec<u32>);
        let Unchecked(words) = Unchecked::deserialize(deserializer)?;
        let expected = "pairs of first index and length, ascending, apart and within the manifest's limit";
        Self::from_run_words(words).ok_or_else(|| D::Error::custom(expected))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set(changes in prop::collection::vec((0u32..40, prop::bool::ANY), 0..200)) {
            let mut set = AssetSet::new();
            let mut model = BTreeSet::new();
            for (index, add) in changes {
                let changed = if add { set.insert(AssetId(index)) } else { set.remove(AssetId(index)) };
                prop_assert_eq!(changed, if add { model.insert(index) } else { model.remove(&index) });
                prop_assert!(set.runs.windows(2).all(|pair| pair[0].end < pair[1].first));
            }
            prop_assert_eq!(set.len(), model.len());
            prop_assert!((0..41).all(|index| set.contains(AssetId(index)) == model.contains(&index)));
            let json = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<AssetSet>(&json).unwrap(), set);
        }
    }

    #[test]
    fn hostile_runs_are_refused() {
        for json in ["[1]", "[1,0]", "[5,2,6,1]", "[4294967295,2]", "[0,4294967295]", "[3,1,1,1]"] {
            assert!(serde_json::from_str::<AssetSet>(json).is_err(), "{json}");
        }
    }
}

//! Maps and sets as sorted lists.
//!
//! They hold hundreds of entries, rarely thousands, and iterate in the order of their keys as `Map` and
//! `Set` do, whose code, once for each pair of types, was two fifths of the engine's weight in a browser.

use std::borrow::Borrow;
use std::{iter, mem};

/// A map from keys to values, in the order of the keys. The keys are apart, so that the code that looks for one is there
/// once for every type of key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map<K, V> {
    keys: Set<K>,
    /// As many as there are keys, in their order.
    values: Vec<V>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Map<K, V> {
    pub(crate) const fn new() -> Self {
        Self { keys: Set { members: Vec::new() }, values: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn clear(&mut self) {
        self.keys.members.clear();
        self.values.clear();
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.keys.members.iter().zip(&self.values)
    }

    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> {
        self.keys.members.iter().zip(&mut self.values)
    }

    pub(crate) fn keys(&self) -> &[K] {
        &self.keys.members
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.values.iter()
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.extract_if(|key, value| !keep(key, value)).for_each(drop);
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.values.into_iter()
    }

    /// Takes out what `is_wanted` chooses.
    pub(crate) fn extract_if(
        &mut self,
        mut is_wanted: impl FnMut(&K, &mut V) -> bool,
    ) -> impl Iterator<Item = (K, V)> {
        let mut at = 0;
        iter::from_fn(move || {
            while at < self.len() {
                if is_wanted(&self.keys.members[at], &mut self.values[at]) {
                    return Some((self.keys.members.remove(at), self.values.remove(at)));
                }
                at += 1;
            }
            None
        })
    }
}

impl<K: Ord, V> Map<K, V> {
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.values.get(self.keys.find(key).ok()?)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.values.get_mut(self.keys.find(key).ok()?)
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.keys.contains(key)
    }

    /// Puts a value in; returns the one that the key had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.keys.find(&key) {
            Ok(at) => Some(mem::replace(&mut self.values[at], value)),
            Err(at) => {
                self.keys.members.insert(at, key);
                self.values.insert(at, value);
                None
            }
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.keys.find(key).ok()?;
        self.keys.members.remove(at);
        Some(self.values.remove(at))
    }

    /// The value of a key, which is put in when there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let at = match self.keys.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.keys.members.insert(at, key);
                self.values.insert(at, value());
                at
            }
        };
        &mut self.values[at]
    }
}

/// A set, in its members' order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set<K> {
    members: Vec<K>,
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self { members: Vec::new() }
    }
}

impl<K> Set<K> {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The set of members that are in order, and no two the same.
    pub(crate) fn of_sorted(members: Vec<K>) -> Self {
        Self { members }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &K> {
        self.members.iter()
    }

    pub(crate) fn into_vec(self) -> Vec<K> {
        self.members
    }
}

impl<K: Ord> Set<K> {
    /// Where a member is, or where it would have to be.
    fn find<Q: Ord + ?Sized>(&self, member: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.members.binary_search_by(|there| there.borrow().cmp(member))
    }

    pub(crate) fn contains<Q: Ord + ?Sized>(&self, member: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(member).is_ok()
    }

    /// Adds a member; true when it was none.
    pub(crate) fn insert(&mut self, member: K) -> bool {
        match self.find(&member) {
            Ok(_) => false,
            Err(at) => {
                self.members.insert(at, member);
                true
            }
        }
    }

    /// Removes a member; true when it was one.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, member: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let found = self.find(member);
        found.is_ok_and(|at| {
            self.members.remove(at);
            true
        })
    }

    /// The members from `first` on.
    pub(crate) fn starting_at<'a>(&'a self, first: &K) -> impl Iterator<Item = &'a K> + use<'a, K> {
        let (Ok(at) | Err(at)) = self.find(first);
        self.members.iter().skip(at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_map_behaves_as_a_btree_map(changes in prop::collection::vec((0u8..20, any::<Option<u8>>()), 0..100)) {
            let (mut map, mut model) = (Map::new(), BTreeMap::new());
            for (key, value) in changes {
                match value {
                    Some(value) => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                    None => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.get_or_insert_with(3, || 9), model.entry(3).or_insert(9));
            }
            prop_assert!(map.iter().eq(model.iter()));
            let taken: Vec<_> = map.extract_if(|key, _| key % 2 == 0).collect();
            prop_assert!(taken.into_iter().eq(model.extract_if(.., |key, _| key % 2 == 0)));
            prop_assert!(map.iter().eq(model.iter()));
        }

        #[test]
        fn a_set_behaves_as_a_btree_set(changes in prop::collection::vec((0u8..20, any::<bool>()), 0..100), first in 0u8..20) {
            let (mut set, mut model) = (Set::default(), BTreeSet::new());
            for (member, add) in changes {
                let changed = if add { set.insert(member) } else { set.remove(&member) };
                prop_assert_eq!(changed, if add { model.insert(member) } else { model.remove(&member) });
                prop_assert_eq!(set.contains(&member), model.contains(&member));
            }
            prop_assert!(set.starting_at(&first).eq(model.range(first..)));
        }
    }
}

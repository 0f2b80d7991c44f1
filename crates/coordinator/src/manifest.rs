//! The manifest: what is admitted, and how it came to be so, as far as peers need to be told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::limits::{MAX_ASSETS, MAX_TO_PEER_BYTES, SEGMENT_PIECES};
use edgeweave_protocol::manifest::{
    Asset, Headers, ManifestDelta, ManifestVersion, Renewal, is_missing, piece_count,
};
use edgeweave_protocol::{AssetId, Timestamp};

/// Assets admitted within so long of each other are told together; removals are told at once.
const BATCH: Duration = Duration::from_millis(100);

/// The same for renewals, which are told before they are needed: every peer hears of every one.
const RENEWAL_BATCH: Duration = Duration::from_secs(1);

/// Removals that are remembered, so that a peer that comes back is told what it missed. One that missed more gets the
/// whole manifest.
const REMEMBERED_REMOVALS: usize = 4096;

/// Room for a message's frame: its names, version and flags.
const FRAME_BYTES: usize = 512;

/// The most bytes that a renewal takes as JSON: `{"id":1048576,"fresh_ms":18446744073709551615},`.
const RENEWAL_BYTES: usize = 52;

/// The most bytes that a removal takes as JSON: `1048576,`.
const REMOVAL_BYTES: usize = 8;

/// An admitted asset.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As it is told, apart from `fresh_ms`, which depends on when, and `pieces`, which are always here.
    asset: Asset,
    pub(crate) pieces: Arc<PieceDigests>,
    /// The length of the asset as JSON, at most.
    wire_bytes: usize,
    /// The version that told of it.
    since: u32,
    /// The version that last told of its freshness.
    renewed: u32,
    pub(crate) fresh_until: Timestamp,
    /// When the origin is asked whether it has changed, unless that is being done.
    check_at: Option<Timestamp>,
    /// How it is kept fresh.
    pub(crate) upkeep: Upkeep,
    /// When a peer last had to do with it.
    pub(crate) used_at: Timestamp,
    /// When the origin last said something of it, or failed to.
    pub(crate) checked_at: Timestamp,
    /// Visitors whose own copy differs.
    pub(crate) doubters: Vec<u32>,
}

/// What is known of an asset's freshness beside when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upkeep {
    /// For how long past its freshness it may be used while the origin fails.
    pub(crate) grace: Duration,
    /// When its freshness by the origin's own word ended or ends; failures do not move it.
    pub(crate) promised_until: Timestamp,
    /// Failed checks one after the other.
    pub(crate) failures: u32,
}

impl Entry {
    pub(crate) fn asset(&self) -> &Asset {
        &self.asset
    }

    /// Whether nothing is planned to keep it fresh.
    pub(crate) fn rests(&self) -> bool {
        self.check_at.is_none()
    }

    /// The asset as it is told at a time.
    fn told(&self, now: Timestamp) -> Asset {
        Asset { fresh_ms: millis(self.fresh_until.since(now)), ..self.asset.clone() }
    }
}

/// The length of an asset as JSON in a list, at most.
fn wire_bytes(asset: &Asset) -> usize {
    /// The digits of the largest `fresh_ms`, and a comma.
    const TO_SPARE: usize = 21;
    // An asset's fields are text and numbers: writing them cannot fail.
    serde_json::to_vec(asset).map_or(MAX_TO_PEER_BYTES, |json| json.len() + TO_SPARE)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is to be admitted.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    /// The asset; its `id` and `fresh_ms` do not matter.
    pub(crate) asset: Asset,
    pub(crate) pieces: PieceDigests,
    pub(crate) fresh_until: Timestamp,
    pub(crate) upkeep: Upkeep,
}

/// The manifest of a site, and what is still to be told of it.
#[derive(Debug)]
pub(crate) struct Manifest {
    version: ManifestVersion,
    /// The index of the next asset; none is used twice in an epoch.
    next: u32,
    entries: BTreeMap<AssetId, Entry>,
    by_url: BTreeMap<Arc<str>, AssetId>,
    /// The version that told of each removal, ascending.
    removals: VecDeque<(u32, AssetId)>,
    /// Removals up to this version may have been forgotten.
    forgotten: u32,
    checks: BTreeSet<(Timestamp, AssetId)>,
    untold: Untold,
}

/// Changes that are not told yet; they will be of the next version.
#[derive(Debug, Default)]
struct Untold {
    due: Option<Timestamp>,
    reset: bool,
    add: BTreeSet<AssetId>,
    renew: BTreeSet<AssetId>,
    remove: Vec<AssetId>,
}

impl Manifest {
    /// An empty manifest.
    pub(crate) fn new(epoch: u32) -> Self {
        Self {
            // Zero is what a peer may take for none.
            version: ManifestVersion { epoch: epoch.max(1), number: 0 },
            next: 0,
            entries: BTreeMap::new(),
            by_url: BTreeMap::new(),
            removals: VecDeque::new(),
            forgotten: 0,
            checks: BTreeSet::new(),
            untold: Untold::default(),
        }
    }

    /// Begins again without assets: indices have run out.
    pub(crate) fn begin_epoch(&mut self, now: Timestamp, epoch: u32) {
        let epoch = if epoch == self.version.epoch { epoch.wrapping_add(1) } else { epoch };
        *self = Self::new(epoch);
        self.untold.reset = true;
        self.untold.due = Some(now);
    }

    /// Whether an asset more needs a new epoch.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.next >= MAX_ASSETS
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, id: AssetId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: AssetId) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    pub(crate) fn by_url(&self, url: &str) -> Option<AssetId> {
        self.by_url.get(url).copied()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = AssetId> + '_ {
        self.entries.keys().copied()
    }

    /// All assets, without the digests of their pieces.
    pub(crate) fn assets(&self, now: Timestamp) -> Vec<Asset> {
        self.entries.values().map(|entry| Asset { pieces: None, ..entry.told(now) }).collect()
    }

    /// How many admitted assets are in the same folder as a URL, which is below its origin's; none beside one with a query.
    pub(crate) fn files_beside(&self, url: &str) -> usize {
        let Some((folder, name)) = url.rsplit_once('/') else { return 0 };
        if name.contains('?') || folder.matches('/').count() < 3 {
            return 0;
        }
        let from = (Bound::Included(folder), Bound::Unbounded);
        let within = self.by_url.range::<str, _>(from).take_while(|(other, _)| other.starts_with(folder));
        let beside = within.filter(|(other, _)| {
            let name = other[folder.len()..].strip_prefix('/');
            name.is_some_and(|name| !name.contains(['/', '?']))
        });
        beside.filter(|(_, id)| self.get(**id).is_some_and(|entry| !is_missing(entry.asset.status))).count()
    }

    /// How much of it is admitted as missing.
    pub(crate) fn count_missing(&self) -> usize {
        self.entries.values().filter(|entry| is_missing(entry.asset.status)).count()
    }

    /// The asset that was used longest ago, of some.
    pub(crate) fn least_used(&self, of: impl Fn(&Entry) -> bool) -> Option<AssetId> {
        let some = self.entries.iter().filter(|(_, entry)| of(entry));
        some.min_by_key(|(id, entry)| (entry.used_at, **id)).map(|(id, _)| *id)
    }

    /// Admits an asset. There must be none of that URL.
    pub(crate) fn admit(&mut self, now: Timestamp, admission: Admission) -> AssetId {
        let Admission { mut asset, pieces, fresh_until, upkeep } = admission;
        asset.id = AssetId(self.next);
        self.next += 1;
        let pieces = Arc::new(pieces);
        asset.pieces = (piece_count(asset.size) <= SEGMENT_PIECES).then(|| Arc::clone(&pieces));
        let wire_bytes = wire_bytes(&asset);
        let id = asset.id;
        self.by_url.insert(asset.url.clone(), id);
        let since = self.version.number + 1;
        let (check_at, doubters) = (None, Vec::new());
        let entry = Entry {
            asset,
            pieces,
            wire_bytes,
            since,
            renewed: since,
            fresh_until,
            check_at,
            upkeep,
            used_at: now,
            checked_at: now,
            doubters,
        };
        self.entries.insert(id, entry);
        self.untold.add.insert(id);
        self.tell_by(now + BATCH);
        id
    }

    /// The origin gave other headers with the same content. Peers that know the asset keep those that they have.
    pub(crate) fn set_headers(&mut self, id: AssetId, headers: Headers) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.asset.headers = headers.into();
            entry.wire_bytes = wire_bytes(&entry.asset);
        }
    }

    /// Gives an asset new freshness.
    pub(crate) fn renew(&mut self, now: Timestamp, id: AssetId, fresh_until: Timestamp, upkeep: Upkeep) {
        let next = self.version.number + 1;
        let Some(entry) = self.entries.get_mut(&id) else { return };
        (entry.fresh_until, entry.upkeep, entry.renewed) = (fresh_until, upkeep, next);
        if !self.untold.add.contains(&id) {
            self.untold.renew.insert(id);
            self.tell_by(now + RENEWAL_BATCH);
        }
    }

    /// Removes an asset.
    pub(crate) fn remove(&mut self, now: Timestamp, id: AssetId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.by_url.remove(&entry.asset.url);
        if let Some(check_at) = entry.check_at {
            self.checks.remove(&(check_at, id));
        }
        self.untold.renew.remove(&id);
        if !self.untold.add.remove(&id) {
            self.untold.remove.push(id);
            self.removals.push_back((self.version.number + 1, id));
            if self.removals.len() > REMEMBERED_REMOVALS {
                self.forgotten = self.removals.pop_front().map_or(self.forgotten, |(version, _)| version);
            }
            self.tell_by(now);
        }
        Some(entry)
    }

    /// When to check an asset; never again, when there is no time.
    pub(crate) fn check_at(&mut self, id: AssetId, at: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(old) = std::mem::replace(&mut entry.check_at, at) {
            self.checks.remove(&(old, id));
        }
        self.checks.extend(at.map(|at| (at, id)));
    }

    /// An asset whose check is due; it is not due any more.
    pub(crate) fn take_due_check(&mut self, now: Timestamp) -> Option<AssetId> {
        let (_, id) = *self.checks.first().filter(|(at, _)| *at <= now)?;
        self.check_at(id, None);
        Some(id)
    }

    pub(crate) fn next_check(&self) -> Option<Timestamp> {
        self.checks.first().map(|(at, _)| *at)
    }

    fn tell_by(&mut self, at: Timestamp) {
        self.untold.due = Some(self.untold.due.map_or(at, |due| due.min(at)));
    }

    /// When the next change is to be told.
    pub(crate) fn tell_at(&self) -> Option<Timestamp> {
        self.untold.due
    }

    /// What is to be told to everybody now, as a message or several.
    pub(crate) fn take_untold(&mut self, now: Timestamp) -> Vec<ManifestDelta> {
        if self.untold.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let Untold { reset, add, renew, remove, .. } = std::mem::take(&mut self.untold);
        if !reset && add.is_empty() && renew.is_empty() && remove.is_empty() {
            return Vec::new();
        }
        self.version.number += 1;
        let mut parts = Parts::new(self.version, reset);
        add.iter().filter_map(|id| self.entries.get(id)).for_each(|entry| parts.add(now, entry));
        renew.iter().filter_map(|id| self.entries.get(id)).for_each(|entry| parts.renew(now, entry));
        remove.into_iter().for_each(|id| parts.remove(id));
        parts.finish()
    }

    /// What a peer has to be told that knows the manifest up to a version: one message at least.
    pub(crate) fn since(&self, now: Timestamp, known: Option<ManifestVersion>) -> Vec<ManifestDelta> {
        let current = self.version;
        let known = known.filter(|known| {
            known.epoch == current.epoch && (self.forgotten..=current.number).contains(&known.number)
        });
        let mut parts = Parts::new(current, known.is_none());
        let from = known.map_or(0, |known| known.number);
        // What is of the next version will be told to everybody with it.
        for entry in self.entries.values().filter(|entry| entry.since <= current.number) {
            if entry.since > from || known.is_none() {
                parts.add(now, entry);
            } else if entry.renewed > from {
                parts.renew(now, entry);
            }
        }
        if known.is_some() {
            let missed =
                self.removals.iter().filter(|(version, _)| (from + 1..=current.number).contains(version));
            missed.for_each(|(_, id)| parts.remove(*id));
        }
        parts.finish()
    }
}

/// A change as messages that keep to the limit.
struct Parts {
    done: Vec<ManifestDelta>,
    current: ManifestDelta,
    bytes: usize,
}

impl Parts {
    fn new(version: ManifestVersion, reset: bool) -> Self {
        let current = ManifestDelta { version, reset, ..ManifestDelta::default() };
        Self { done: Vec::new(), current, bytes: FRAME_BYTES }
    }

    fn room_for(&mut self, bytes: usize) -> &mut ManifestDelta {
        if self.bytes + bytes > MAX_TO_PEER_BYTES && self.bytes > FRAME_BYTES {
            let next = ManifestDelta { version: self.current.version, ..ManifestDelta::default() };
            self.current.more = true;
            self.done.push(std::mem::replace(&mut self.current, next));
            self.bytes = FRAME_BYTES;
        }
        self.bytes += bytes;
        &mut self.current
    }

    fn add(&mut self, now: Timestamp, entry: &Entry) {
        self.room_for(entry.wire_bytes).add.push(entry.told(now));
    }

    fn renew(&mut self, now: Timestamp, entry: &Entry) {
        let fresh_ms = millis(entry.fresh_until.since(now));
        self.room_for(RENEWAL_BYTES).renew.push(Renewal { id: entry.asset.id, fresh_ms });
    }

    fn remove(&mut self, id: AssetId) {
        self.room_for(REMOVAL_BYTES).remove.push(id);
    }

    fn finish(mut self) -> Vec<ManifestDelta> {
        self.done.push(self.current);
        self.done
    }
}

#[cfg(test)]
mod tests {
    use edgeweave_protocol::Digest;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1000);

    fn admission(url: &str) -> Admission {
        let fresh_until = START + Duration::from_secs(60);
        let asset = Asset {
            id: AssetId(0),
            url: url.into(),
            hash: Digest([1; 32]),
            size: 5,
            fresh_ms: 0,
            status: 200,
            headers: Arc::default(),
            pieces: None,
        };
        let upkeep = Upkeep { grace: Duration::ZERO, promised_until: fresh_until, failures: 0 };
        Admission { asset, pieces: PieceDigests(vec![Digest([1; 32])]), fresh_until, upkeep }
    }

    fn later(manifest: &mut Manifest) -> Vec<ManifestDelta> {
        manifest.take_untold(START + Duration::from_secs(5))
    }

    #[test]
    fn what_was_never_told_is_not_taken_back() {
        let mut manifest = Manifest::new(0);
        let id = manifest.admit(START, admission("a"));
        assert_eq!(manifest.tell_at(), Some(START + BATCH));
        assert!(manifest.since(START, None)[0].add.is_empty());
        manifest.remove(START, id);
        assert!(later(&mut manifest).is_empty());
        assert_eq!(manifest.tell_at(), None);
        assert_eq!(manifest.admit(START, admission("a")), AssetId(1));
    }

    #[test]
    fn a_peer_is_told_what_changed_since() {
        let mut manifest = Manifest::new(5);
        let ids: Vec<AssetId> = ["a", "b", "c"].map(|url| manifest.admit(START, admission(url))).into();
        let known = later(&mut manifest)[0].version;
        let upkeep = admission("").upkeep;
        manifest.renew(START, ids[1], START + Duration::from_secs(120), upkeep);
        manifest.remove(START, ids[2]);
        let told = later(&mut manifest);
        assert_eq!(manifest.since(START + Duration::from_secs(5), Some(known)), told);
        assert_eq!((told[0].renew[0].id, told[0].renew[0].fresh_ms), (ids[1], 115_000));
        assert_eq!((told[0].reset, &told[0].remove[..]), (false, &ids[2..]));
        assert_eq!(manifest.since(START, Some(told[0].version))[0].add, []);
    }

    #[test]
    fn who_missed_more_than_is_remembered_begins_again() {
        let mut manifest = Manifest::new(5);
        manifest.admit(START, admission("stays"));
        let known = later(&mut manifest)[0].version;
        for n in 0..=REMEMBERED_REMOVALS {
            let id = manifest.admit(START, admission(&n.to_string()));
            later(&mut manifest);
            manifest.remove(START, id);
            later(&mut manifest);
        }
        let told = manifest.since(START, Some(known));
        assert_eq!((told[0].reset, told[0].add.len(), told[0].remove.len()), (true, 1, 0));
        assert!(manifest.removals.len() <= REMEMBERED_REMOVALS);
    }

    #[test]
    fn a_new_epoch_begins_from_nothing() {
        let mut manifest = Manifest::new(5);
        manifest.admit(START, admission("a"));
        later(&mut manifest);
        manifest.next = MAX_ASSETS;
        assert!(manifest.is_exhausted());
        manifest.begin_epoch(START, 5);
        manifest.admit(START, admission("b"));
        let told = later(&mut manifest);
        assert_eq!((told[0].reset, told[0].add[0].id, told[0].version.epoch), (true, AssetId(0), 6));
    }

    #[test]
    fn checks_come_when_they_are_due_and_once() {
        let mut manifest = Manifest::new(5);
        let [a, b] = ["a", "b"].map(|url| manifest.admit(START, admission(url)));
        let at = |seconds| START + Duration::from_secs(seconds);
        manifest.check_at(a, Some(at(2)));
        manifest.check_at(b, Some(at(1)));
        manifest.check_at(a, Some(at(3)));
        assert_eq!((manifest.take_due_check(at(2)), manifest.take_due_check(at(2))), (Some(b), None));
        manifest.remove(START, a);
        assert_eq!(manifest.next_check(), None);
    }

    #[test]
    fn what_was_used_longest_ago_leaves_first() {
        let mut manifest = Manifest::new(5);
        let [a, b] = ["a", "b"].map(|url| manifest.admit(START, admission(url)));
        assert_eq!(manifest.least_used(|_| true), Some(a));
        manifest.entries.get_mut(&a).unwrap().used_at = START + BATCH;
        assert_eq!(manifest.least_used(|_| true), Some(b));
    }
}

//! What is known of peers beyond their sessions: who cannot reach whom, who was found at fault, and how well
//! networks reach each other.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use edgeweave_protocol::{Reason, Timestamp};

/// Pairs, peers and pairs of networks that are remembered each; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 16 * 1024;

/// Distinct peers that must find a fault in a peer before it is introduced to nobody.
const ACCUSERS: usize = 2;

/// For how long it is introduced to nobody.
const QUARANTINE: Duration = Duration::from_secs(3600);

/// Meetings after which older ones count half.
const MEETINGS: u16 = 256;

/// A certain chance.
pub(crate) const CERTAIN: u64 = 256;

/// A map that forgets the oldest entries.
#[derive(Debug)]
struct Memory<K, V> {
    values: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self { values: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Copy, V: Default> Memory<K, V> {
    fn entry(&mut self, key: K) -> &mut V {
        if !self.values.contains_key(&key) {
            if self.order.len() >= MAX_REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.values.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.values.entry(key).or_default()
    }

    fn get(&self, key: K) -> Option<&V> {
        self.values.get(&key)
    }
}

/// Standing of peers, by the identity of their visitors.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    failed: Memory<(u64, u64), ()>,
    accused: Memory<u64, Accused>,
    networks: Memory<(u32, u32), Meetings>,
}

#[derive(Debug, Default)]
struct Accused {
    by: Vec<u64>,
    last: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Meetings {
    opened: u16,
    failed: u16,
}

/// Whether a fault is the peer's own, and not that of the path between.
fn is_grave(fault: Reason) -> bool {
    matches!(fault, Reason::WrongPiece | Reason::ShortPiece | Reason::BadFrame | Reason::Unasked)
}

fn pair<T: Ord>(a: T, b: T) -> (T, T) {
    if a <= b { (a, b) } else { (b, a) }
}

impl Standing {
    /// Two visitors could not reach each other, or one was at fault for the other.
    pub(crate) fn keep_apart(&mut self, a: u64, b: u64) {
        self.failed.entry(pair(a, b));
    }

    pub(crate) fn are_apart(&self, a: u64, b: u64) -> bool {
        self.failed.get(pair(a, b)).is_some()
    }

    /// A visitor says that another was at fault.
    pub(crate) fn accuse(&mut self, now: Timestamp, accuser: u64, accused: u64, fault: Reason) {
        if !is_grave(fault) {
            return;
        }
        let accused = self.accused.entry(accused);
        if now.since(accused.last) > QUARANTINE {
            accused.by.clear();
        }
        accused.last = now;
        if accused.by.len() < ACCUSERS && !accused.by.contains(&accuser) {
            accused.by.push(accuser);
        }
    }

    /// Whether a visitor may not be introduced to anybody.
    pub(crate) fn is_quarantined(&self, now: Timestamp, visitor: u64) -> bool {
        let guilty =
            |accused: &Accused| accused.by.len() >= ACCUSERS && now.since(accused.last) <= QUARANTINE;
        self.accused.get(visitor).is_some_and(guilty)
    }

    /// Peers of two networks met, or failed to.
    pub(crate) fn met(&mut self, a: Option<u32>, b: Option<u32>, has_opened: HasOpened) {
        let (Some(a), Some(b)) = (a, b) else { return };
        let meetings = self.networks.entry(pair(a, b));
        match has_opened {
            HasOpened::Yes => meetings.opened += 1,
            HasOpened::No => meetings.failed += 1,
        }
        if meetings.opened + meetings.failed >= MEETINGS {
            meetings.opened /= 2;
            meetings.failed /= 2;
        }
    }

    /// The chance that peers of two networks can meet, of [`CERTAIN`]; three of four until more is known.
    pub(crate) fn chance(&self, a: Option<u32>, b: Option<u32>) -> u64 {
        let known = a.zip(b).and_then(|(a, b)| self.networks.get(pair(a, b))).copied().unwrap_or_default();
        let (opened, failed) = (u64::from(known.opened), u64::from(known.failed));
        CERTAIN * (opened + 3) / (opened + failed + 4)
    }
}

/// How a meeting went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HasOpened {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_accusers_are_needed() {
        let now = Timestamp::from_millis(1);
        let mut standing = Standing::default();
        standing.accuse(now, 1, 9, Reason::WrongPiece);
        standing.accuse(now, 1, 9, Reason::WrongPiece);
        standing.accuse(now, 2, 9, Reason::Silent);
        assert!(!standing.is_quarantined(now, 9));
        standing.accuse(now, 2, 9, Reason::ShortPiece);
        assert!(standing.is_quarantined(now, 9));
        assert!(!standing.is_quarantined(now + 2 * QUARANTINE, 9));
    }

    #[test]
    fn chances_follow_what_happened() {
        let mut standing = Standing::default();
        let unknown = standing.chance(Some(1), Some(2));
        standing.met(Some(2), Some(1), HasOpened::Yes);
        assert!(standing.chance(Some(1), Some(2)) > unknown);
        (0..1000).for_each(|_| standing.met(Some(1), Some(2), HasOpened::No));
        assert!(standing.chance(Some(1), Some(2)) < unknown / 4);
        assert!(standing.chance(Some(1), Some(2)) > 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut standing = Standing::default();
        (0..3 * MAX_REMEMBERED as u64).for_each(|n| standing.keep_apart(n, n + 1));
        assert!(standing.failed.values.len() <= MAX_REMEMBERED && !standing.are_apart(0, 1));
    }
}

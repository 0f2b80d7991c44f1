//! URLs that visitors have seen, and URLs that are not to be fetched for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use edgeweave_protocol::Timestamp;

/// URLs that are remembered; past it the half that was touched longest ago is forgotten.
const MAX_REMEMBERED: usize = 16 * 1024;

/// Visitors of one address that count: people share addresses, and one of them can say to be many.
const MAX_AN_ADDRESS: usize = 8;

/// A sighting counts for so long.
const SIGHTING_COUNTS: Duration = Duration::from_secs(24 * 3600);

/// What is known of URLs that are not admitted.
#[derive(Debug, Default)]
pub(crate) struct NotAdmitted {
    pub(crate) sightings: Sightings,
    pub(crate) refused: Refused,
}

/// Who has seen a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    /// The visitor's number.
    pub(crate) visitor: u32,
    /// A number for the address.
    pub(crate) address: u64,
}

/// What it takes for a URL to be considered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threshold {
    /// Distinct visitors.
    pub(crate) visitors: u32,
    /// The time from the first of their sightings to the last.
    pub(crate) time: Duration,
}

/// Sightings that have not led to a fetch.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    urls: BTreeMap<Box<str>, Sighted>,
}

#[derive(Debug)]
struct Sighted {
    /// Distinct; no more than the threshold.
    by: Vec<Witness>,
    first: Timestamp,
    last: Timestamp,
}

impl Sightings {
    /// A visitor has seen a URL; true when that makes the threshold, and the URL starts from nothing then.
    pub(crate) fn add(&mut self, now: Timestamp, url: &str, witness: Witness, threshold: Threshold) -> bool {
        if threshold.visitors <= 1 && threshold.time.is_zero() {
            return true;
        }
        if self.urls.len() >= MAX_REMEMBERED && !self.urls.contains_key(url) {
            forget_half(&mut self.urls, |sighted| sighted.last);
        }
        let sighted =
            self.urls.entry(url.into()).or_insert_with(|| Sighted { by: Vec::new(), first: now, last: now });
        if now.since(sighted.last) > SIGHTING_COUNTS {
            sighted.by.clear();
            sighted.first = now;
        }
        sighted.last = now;
        let same_address = sighted.by.iter().filter(|other| other.address == witness.address).count();
        let is_new = sighted.by.iter().all(|other| other.visitor != witness.visitor);
        let visitors = threshold.visitors as usize;
        if is_new && same_address < MAX_AN_ADDRESS && sighted.by.len() < visitors {
            sighted.by.push(witness);
        }
        let enough = sighted.by.len() >= visitors && now.since(sighted.first) >= threshold.time;
        if enough {
            self.urls.remove(url);
        }
        enough
    }

    /// Whether somebody has seen a URL lately.
    pub(crate) fn contains(&self, now: Timestamp, url: &str) -> bool {
        self.urls.get(url).is_some_and(|sighted| now.since(sighted.last) <= SIGHTING_COUNTS)
    }

    /// Forgets who has seen a URL.
    pub(crate) fn remove(&mut self, url: &str) {
        self.urls.remove(url);
    }

    /// How many URLs are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.urls.len()
    }
}

/// URLs that are not fetched before a time.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    until: BTreeMap<Box<str>, Timestamp>,
}

impl Refused {
    pub(crate) fn insert(&mut self, now: Timestamp, url: &str, wait: Duration) {
        if self.until.len() >= MAX_REMEMBERED && !self.until.contains_key(url) {
            self.until.retain(|_, until| *until > now);
            if self.until.len() >= MAX_REMEMBERED {
                forget_half(&mut self.until, |until| *until);
            }
        }
        self.until.insert(url.into(), now + wait);
    }

    pub(crate) fn contains(&self, now: Timestamp, url: &str) -> bool {
        self.until.get(url).is_some_and(|until| now < *until)
    }

    pub(crate) fn remove(&mut self, url: &str) {
        self.until.remove(url);
    }
}

/// Keeps the half that is younger.
fn forget_half<T>(map: &mut BTreeMap<Box<str>, T>, time: impl Fn(&T) -> Timestamp) {
    let mut times: Vec<Timestamp> = map.values().map(&time).collect();
    times.sort_unstable();
    if let Some(middle) = times.get(times.len() / 2).copied() {
        map.retain(|_, value| time(value) > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Threshold = Threshold { visitors: 2, time: Duration::ZERO };

    fn by(visitor: u32) -> Witness {
        Witness { visitor, address: 7 }
    }

    #[test]
    fn it_takes_distinct_visitors() {
        let now = Timestamp::ZERO;
        let mut sightings = Sightings::default();
        assert!(!sightings.add(now, "a", by(1), TWO));
        assert!(!sightings.add(now, "a", by(1), TWO));
        assert!(!sightings.add(now, "b", by(2), TWO));
        assert!(sightings.add(now, "a", by(2), TWO));
        assert!(!sightings.add(now + 2 * SIGHTING_COUNTS, "b", by(3), TWO));
        assert!(sightings.add(now, "c", by(1), Threshold { visitors: 1, ..TWO }));
    }

    #[test]
    fn it_can_take_time() {
        let slowly = Threshold { time: Duration::from_secs(30), ..TWO };
        let mut sightings = Sightings::default();
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        assert!(!sightings.add(at(0), "a", by(1), slowly));
        assert!(!sightings.add(at(29), "a", by(2), slowly));
        assert!(sightings.contains(at(29), "a") && !sightings.contains(at(29), "b"));
        assert!(sightings.add(at(30), "a", by(2), slowly));
        let alone = Threshold { visitors: 1, ..slowly };
        assert!(!sightings.add(at(0), "b", by(1), alone));
        assert!(sightings.add(at(30), "b", by(1), alone));
    }

    #[test]
    fn one_address_is_no_crowd() {
        let mut sightings = Sightings::default();
        let threshold = Threshold { visitors: 2 * MAX_AN_ADDRESS as u32, ..TWO };
        assert!((0..1_000).all(|visitor| !sightings.add(Timestamp::ZERO, "a", by(visitor), threshold)));
        let elsewhere = |visitor| Witness { visitor, address: u64::from(visitor) };
        assert!((2_000..2_010).any(|visitor| sightings.add(
            Timestamp::ZERO,
            "a",
            elsewhere(visitor),
            threshold
        )));
    }

    #[test]
    fn memory_is_bounded() {
        let mut sightings = Sightings::default();
        let mut refused = Refused::default();
        for n in 0..3 * MAX_REMEMBERED as u64 {
            let now = Timestamp::from_micros(n);
            sightings.add(now, &n.to_string(), by(1), TWO);
            refused.insert(now, &n.to_string(), Duration::from_secs(600));
        }
        assert!(sightings.len() <= MAX_REMEMBERED && refused.until.len() <= MAX_REMEMBERED);
    }
}

//! URLs that visitors have seen, and URLs that are not to be fetched for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use edgeweave_protocol::Timestamp;

/// URLs that are remembered; past it the half that was touched longest ago is forgotten.
const MAX_REMEMBERED: usize = 16 * 1024;

/// A sighting counts for so long.
const SIGHTING_COUNTS: Duration = Duration::from_secs(24 * 3600);

/// Sightings that have not led to a fetch.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    urls: BTreeMap<Box<str>, Sighted>,
}

#[derive(Debug)]
struct Sighted {
    /// Distinct; fewer than the threshold.
    visitors: Vec<u32>,
    last: Timestamp,
}

impl Sightings {
    /// A visitor has seen a URL; true when that makes the threshold, and the URL starts from nothing then.
    pub(crate) fn add(&mut self, now: Timestamp, url: &str, visitor: u32, threshold: u32) -> bool {
        if threshold <= 1 {
            return true;
        }
        if self.urls.len() >= MAX_REMEMBERED && !self.urls.contains_key(url) {
            forget_half(&mut self.urls, |sighted| sighted.last);
        }
        let sighted =
            self.urls.entry(url.into()).or_insert_with(|| Sighted { visitors: Vec::new(), last: now });
        if now.since(sighted.last) > SIGHTING_COUNTS {
            sighted.visitors.clear();
        }
        sighted.last = now;
        if !sighted.visitors.contains(&visitor) {
            sighted.visitors.push(visitor);
        }
        let enough = sighted.visitors.len() >= threshold as usize;
        if enough {
            self.urls.remove(url);
        }
        enough
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

    pub(crate) fn clear(&mut self) {
        self.until.clear();
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

    #[test]
    fn it_takes_distinct_visitors() {
        let now = Timestamp::ZERO;
        let mut sightings = Sightings::default();
        assert!(!sightings.add(now, "a", 1, 2));
        assert!(!sightings.add(now, "a", 1, 2));
        assert!(!sightings.add(now, "b", 2, 2));
        assert!(sightings.add(now, "a", 2, 2));
        assert!(!sightings.add(now + 2 * SIGHTING_COUNTS, "b", 3, 2));
        assert!(sightings.add(now, "c", 1, 1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut sightings = Sightings::default();
        let mut refused = Refused::default();
        for n in 0..3 * MAX_REMEMBERED as u64 {
            let now = Timestamp::from_micros(n);
            sightings.add(now, &n.to_string(), 1, 2);
            refused.insert(now, &n.to_string(), Duration::from_secs(600));
        }
        assert!(sightings.len() <= MAX_REMEMBERED && refused.until.len() <= MAX_REMEMBERED);
    }
}

//! What clients reported last, kept in memory for the one who looks into a visitor's trouble.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use edgeweave_protocol::report::Report;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use serde::Serialize;

/// Reports kept of a site.
const KEPT: usize = 256;
/// Bytes that the kept reports of a site may have had on the wire, all together.
const KEPT_BYTES: usize = 4 << 20;

/// Reports that one address may send at once, and then a second: a household's pages, and not all that is kept.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);
const PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);
/// Addresses that are remembered before those are forgotten that may send as much as ever.
const REMEMBERED: usize = 100_000;

/// How much each address may report.
pub(crate) struct Senders(RateLimiter<u64, HashMapStateStore<u64>, DefaultClock>);

impl Default for Senders {
    fn default() -> Self {
        Self(RateLimiter::hashmap(Quota::per_second(PER_SECOND).allow_burst(BURST)))
    }
}

impl Senders {
    /// Whether an address (by its number) may report now.
    pub(crate) fn may_report(&self, address: u64) -> bool {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        self.0.check_key(&address).is_ok()
    }
}

/// A report and what the node knows of its sender.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReceivedReport {
    /// When it came, in milliseconds since 1970.
    pub(crate) received_ms: u64,
    /// The sender's network (autonomous system).
    pub(crate) network: Option<u32>,
    /// The sender's country, as an ISO 3166 code.
    pub(crate) country: Option<String>,
    /// What it says.
    pub(crate) report: Report,
    /// Bytes on the wire.
    #[serde(skip)]
    pub(crate) bytes: usize,
}

/// A site's last reports.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<VecDeque<ReceivedReport>>);

impl Reports {
    /// Keeps a report, and lets go of the oldest where there is no room.
    pub(crate) fn keep(&self, report: ReceivedReport) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(report);
        while kept.len() > KEPT || kept.iter().map(|report| report.bytes).sum::<usize>() > KEPT_BYTES {
            kept.pop_front();
        }
    }

    /// The last ones, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<ReceivedReport> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().take(count).cloned().collect()
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(index: u64, bytes: usize) -> ReceivedReport {
        let report = serde_json::from_str(r#"{"site":"s","release":"r","notes":[]}"#).unwrap();
        ReceivedReport { received_ms: index, network: None, country: None, report, bytes }
    }

    #[test]
    fn reports_that_pile_up_push_out_the_oldest() {
        let reports = Reports::default();
        (0..300).for_each(|index| reports.keep(received(index, 10)));
        let newest = reports.newest(1000);
        assert_eq!((newest.len(), newest[0].received_ms), (KEPT, 299));
        (300..320).for_each(|index| reports.keep(received(index, KEPT_BYTES / 4)));
        assert_eq!(reports.newest(1000).len(), 4);
    }

    #[test]
    fn one_address_cannot_report_for_all() {
        let senders = Senders::default();
        let heard = (0..1000).filter(|_| senders.may_report(1)).count();
        assert!((64..100).contains(&heard), "{heard}");
        assert!(senders.may_report(2));
    }
}

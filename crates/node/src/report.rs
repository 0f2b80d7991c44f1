//! What clients reported last, kept in memory for the one who looks into a visitor's trouble.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use edgeweave_protocol::report::Report;
use serde::Serialize;

/// Reports kept of a site.
const KEPT: usize = 256;
/// Bytes that the kept reports of a site may have had on the wire, all together.
const KEPT_BYTES: usize = 4 << 20;

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

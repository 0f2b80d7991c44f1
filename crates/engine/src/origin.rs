//! What this browser has measured of the origin, or of the supernode, and what it predicts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Below so many bytes a transfer says nothing about the rate.
const MIN_RATE_SAMPLE_BYTES: u64 = 16 * 1024;

/// Smoothed measurements of a server, as the page's own requests met it. Whole numbers, because they are kept from
/// page to page.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Origin {
    first_byte_us: Option<u64>,
    bytes_per_s: Option<u64>,
}

impl Origin {
    pub(crate) fn measure(&mut self, first_byte_ms: u32, total_ms: u32, bytes: u64) {
        self.first_byte_us = Some(smooth(self.first_byte_us, u64::from(first_byte_ms) * 1000));
        if bytes >= MIN_RATE_SAMPLE_BYTES && total_ms > first_byte_ms {
            let rate = bytes * 1000 / u64::from(total_ms - first_byte_ms);
            self.bytes_per_s = Some(smooth(self.bytes_per_s, rate));
        }
    }

    /// When the first byte of an answer is expected; none before the first measurement.
    pub(crate) fn first_byte(&self) -> Option<Duration> {
        self.first_byte_us.map(Duration::from_micros)
    }

    /// When the last of `bytes` is expected; none before the first measurement.
    pub(crate) fn complete(&self, bytes: u64) -> Option<Duration> {
        let transfer_us = self.bytes_per_s.map_or(0, |rate| bytes.saturating_mul(1_000_000) / rate.max(1));
        self.first_byte_us.map(|us| Duration::from_micros(us.saturating_add(transfer_us)))
    }
}

/// An exponentially weighted moving average; a new sample weighs one in eight, like the smoothed round trip of
/// RFC 6298.
pub(crate) fn smooth(before: Option<u64>, sample: u64) -> u64 {
    before.map_or(sample, |before| before - before / 8 + sample / 8)
}

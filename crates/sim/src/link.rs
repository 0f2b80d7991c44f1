//! One direction of an access link: bytes leave one after the other.

use std::time::Duration;

use edgeweave_protocol::Timestamp;

/// A first-in, first-out line of a fixed rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    bytes_per_s: u64,
    free_at: Timestamp,
}

impl Lane {
    pub(crate) fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s: bytes_per_s.max(1), free_at: Timestamp::ZERO }
    }

    /// Takes bytes that are there from `from` on; returns when the last of them is through.
    pub(crate) fn carry(&mut self, from: Timestamp, bytes: u64) -> Timestamp {
        self.free_at = self.free_at.max(from) + transmission(bytes, self.bytes_per_s);
        self.free_at
    }
}

/// How long so many bytes take at a rate.
pub(crate) fn transmission(bytes: u64, bytes_per_s: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / bytes_per_s.max(1))
}

/// The bytes that a sender may have under way: it begins with ten packets (RFC 6928) and grows by as many as arrive
/// (slow start, RFC 5681), until the path's rate is the limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window(u64);

/// Ten packets of 1,460 bytes (RFC 6928).
const INITIAL_WINDOW: u64 = 14_600;

/// As far as a window grows: more than any path here holds.
const LARGEST_WINDOW: u64 = 4 << 20;

impl Default for Window {
    fn default() -> Self {
        Self(INITIAL_WINDOW)
    }
}

impl Window {
    /// How long the window lets `bytes` take over a path, and it grows by them.
    pub(crate) fn pace(&mut self, bytes: u64, round_trip: Duration) -> Duration {
        let rate = self.0.saturating_mul(1_000_000) / (round_trip.as_micros() as u64).max(1);
        self.0 = (self.0 + bytes).min(LARGEST_WINDOW);
        transmission(bytes, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_shared_by_those_who_come() {
        let mut lane = Lane::new(1_000_000);
        assert_eq!(lane.carry(Timestamp::ZERO, 500_000), Timestamp::from_millis(500));
        assert_eq!(lane.carry(Timestamp::from_millis(100), 500_000), Timestamp::from_millis(1_000));
        assert_eq!(lane.carry(Timestamp::from_millis(3_000), 1_000), Timestamp::from_millis(3_001));
    }

    #[test]
    fn a_window_doubles_in_a_round_trip() {
        let mut window = Window::default();
        let round_trip = Duration::from_millis(100);
        assert_eq!(window.pace(INITIAL_WINDOW, round_trip), round_trip);
        assert_eq!(window.pace(2 * INITIAL_WINDOW, round_trip), round_trip);
        assert_eq!(window.pace(4 * INITIAL_WINDOW, round_trip), round_trip);
    }
}

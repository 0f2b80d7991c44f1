//! One direction of an access link: bytes leave one after the other.

use std::collections::VecDeque;
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

    /// When all that it has taken is through.
    pub(crate) fn free_at(&self) -> Timestamp {
        self.free_at
    }

    /// Takes bytes that are there from `from` on; returns when the last of them is through.
    pub(crate) fn carry(&mut self, from: Timestamp, bytes: u64) -> Timestamp {
        self.free_at = self.free_at.max(from) + transmission(bytes, self.bytes_per_s);
        self.free_at
    }
}

/// A window as a connection keeps it that knows what is under way: what arrives is confirmed half a round trip later, and
/// lets twice as much follow.
#[derive(Debug, Default)]
pub(crate) struct SlowStart {
    window: Window,
    /// When each part is confirmed, and what it has.
    under_way: VecDeque<(Timestamp, u64)>,
    bytes_under_way: u64,
    /// When something was last confirmed.
    used_at: Timestamp,
}

/// What a way does to packets besides carrying them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Roughness {
    /// The last of an answer's packets is later by so much.
    pub(crate) jitter: Duration,
    /// The share of packets that are lost.
    pub(crate) loss: f64,
}

/// Counts packets until one is lost: in the long run as many are as chance would take, and no dice are needed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses(f64);

impl Losses {
    /// Whether one of the packets of so many bytes is lost.
    pub(crate) fn strike(&mut self, bytes: u64, loss: f64) -> bool {
        self.0 += bytes.div_ceil(PACKET) as f64 * loss;
        let is_lost = self.0 >= 1.0;
        self.0 -= libm::floor(self.0);
        is_lost
    }
}

/// What a packet carries, in bytes.
const PACKET: u64 = 1_460;

/// The least and the most that is sent in one go: two packets, and eight.
const PART_LEAST: u64 = 2 * PACKET;
const PART_MOST: u64 = 8 * PACKET;

/// A window has at least so many parts, so that what is confirmed first can be followed before the last is.
const PARTS: u64 = 5;

/// A connection that has carried nothing for so long begins with a small window again, as Linux does after a timeout.
const WINDOW_LASTS: Duration = Duration::from_secs(1);

impl SlowStart {
    /// How much may be sent now, or when something may be.
    pub(crate) fn room(&mut self, now: Timestamp) -> Result<u64, Timestamp> {
        while let Some((confirmed, bytes)) = self.under_way.front().copied().filter(|(at, _)| *at <= now) {
            self.under_way.pop_front();
            self.used_at = confirmed;
            self.bytes_under_way -= bytes;
            self.window.grow(bytes);
        }
        let Window(window) = self.window;
        match self.under_way.front() {
            Some((confirmed, _)) if self.bytes_under_way >= window => Err(*confirmed),
            _ => Ok((window / PARTS).clamp(PART_LEAST, PART_MOST).min(window - self.bytes_under_way)),
        }
    }

    /// Something was sent, which is confirmed at a time.
    pub(crate) fn sent(&mut self, bytes: u64, confirmed: Timestamp) {
        self.under_way.push_back((confirmed, bytes));
        self.bytes_under_way += bytes;
    }

    /// Something was lost: less is sent at once from now on.
    pub(crate) fn halve(&mut self) {
        self.window = Window((self.window.0 / 2).max(PART_LEAST));
    }

    /// There is something to send again.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        let used_at = self.under_way.back().map_or(self.used_at, |(confirmed, _)| *confirmed);
        if used_at + WINDOW_LASTS < now {
            *self = Self::default();
        }
    }

    /// How long an answer of so many bytes takes over a new connection, from asking for it, where nothing but the window is
    /// in the way: the time in which its rounds are sent, and a way there and back.
    pub(crate) fn takes(bytes: u64, round_trip: Duration) -> Duration {
        let rounds = (bytes / INITIAL_WINDOW + 1).ilog2();
        round_trip * (1 + rounds)
    }
}

/// A scenario's milliseconds.
pub(crate) fn milliseconds(ms: f64) -> Duration {
    Duration::from_micros((ms * 1e3) as u64)
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
const INITIAL_WINDOW: u64 = 10 * PACKET;

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
        self.grow(bytes);
        transmission(bytes, rate)
    }

    fn grow(&mut self, bytes: u64) {
        self.0 = (self.0 + bytes).min(LARGEST_WINDOW);
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

    #[test]
    fn what_is_confirmed_lets_twice_as_much_follow() {
        let mut sender = SlowStart::default();
        let mut send = |now: u64| {
            let now = Timestamp::from_millis(now);
            let mut sent = 0;
            while let Ok(part) = sender.room(now) {
                sender.sent(part, now + Duration::from_millis(100));
                sent += part;
            }
            sender.resume(now + Duration::from_millis(500));
            sent
        };
        assert_eq!([send(0), send(100), send(200)], [INITIAL_WINDOW, 2 * INITIAL_WINDOW, 4 * INITIAL_WINDOW]);
        assert_eq!(send(250), 0);
        sender.resume(Timestamp::from_millis(1_400));
        assert_eq!(sender.window.0, INITIAL_WINDOW, "it has carried nothing for a second");
    }

    #[test]
    fn an_answer_takes_as_many_rounds_as_the_window_doubles() {
        let takes = |bytes| SlowStart::takes(bytes, Duration::from_millis(100)).as_millis();
        assert_eq!([takes(0), takes(14_000), takes(15_000), takes(1_000_000)], [100, 100, 200, 700]);
    }
}

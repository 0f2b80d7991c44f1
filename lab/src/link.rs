//! One direction of a link: a rate with a bounded queue before it, or a way with delay, jitter and loss.
//!
//! **Invariant:** time is what the caller says. `str0m-netem` keeps packets in order whatever the jitter, as links do.

use std::time::{Duration, Instant};

use str0m_netem::{Bitrate, DataSize, Input, Netem, NetemConfig, Output, Probability, RandomLoss, WithLen};

/// How long the last byte of a full queue waits: what home routers have at most when they are well-behaved.
const QUEUE: Duration = Duration::from_millis(100);
/// The shortest queue, in bytes: several full packets, or else slow links would lose every burst.
const QUEUE_LEAST_BYTES: i64 = 64 * 1024;

/// One direction of a link, with packets on it.
pub(crate) struct Link<T> {
    netem: Netem<T>,
}

impl<T: Clone + WithLen> Link<T> {
    /// A bottleneck: so many bits a second, and a queue that drops what finds it full.
    pub(crate) fn bottleneck(bits_per_second: u64) -> Self {
        let queue = (bits_per_second as f64 / 8.0 * QUEUE.as_secs_f64()) as i64;
        let link = NetemConfig::new()
            .link(Bitrate::from(bits_per_second), DataSize::bytes(queue.max(QUEUE_LEAST_BYTES)));
        Self { netem: Netem::new(link) }
    }

    /// A way: what goes in comes out after `delay`, give or take `jitter`; of so many in one, some do not.
    pub(crate) fn way(delay: Duration, jitter: Duration, loss: f64, seed: u64) -> Self {
        let mut way = NetemConfig::new().latency(delay).jitter(jitter.min(delay)).seed(seed);
        if loss > 0.0 {
            way = way.loss(RandomLoss::new(Probability::new(loss as f32)));
        }
        Self { netem: Netem::new(way) }
    }

    /// Puts a packet in.
    pub(crate) fn push(&mut self, now: Instant, packet: T) {
        self.netem.handle_input(Input::Packet(now, packet));
    }

    /// Takes out a packet that has come through.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        if self.due()? > now {
            return None;
        }
        self.netem.handle_input(Input::Timeout(now));
        loop {
            match self.netem.poll_output()? {
                Output::Packet(packet) => return Some(packet),
                Output::Timeout(_) => {}
            }
        }
    }

    /// When the next packet comes through.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.netem.is_empty()).then(|| self.netem.poll_timeout())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PACKET_BYTES: usize = 1500;

    /// When each packet of a burst comes through, after the burst.
    fn times(link: &mut Link<Vec<u8>>, packets: usize) -> Vec<Duration> {
        let began = Instant::now();
        (0..packets).for_each(|_| link.push(began, vec![0; PACKET_BYTES]));
        let mut times = Vec::new();
        while let Some(now) = link.due() {
            while link.pop(now).is_some() {
                times.push(now - began);
            }
        }
        times
    }

    #[test]
    fn a_burst_leaves_a_bottleneck_at_its_rate() {
        // 1,500 bytes at 12 Mbit/s take a millisecond.
        let times = times(&mut Link::bottleneck(12_000_000), 40);
        assert_eq!(times.len(), 40);
        assert!((times[39] - times[0]).abs_diff(39 * MS) < MS, "{:?}", times[39]);
    }

    #[test]
    fn a_full_queue_drops_what_comes() {
        let got = times(&mut Link::bottleneck(12_000_000), 1000).len();
        // A tenth of a second is a hundred packets.
        assert!((95..=105).contains(&got), "{got}");
    }

    #[test]
    fn a_way_delays_and_keeps_the_order() {
        let times = times(&mut Link::way(30 * MS, 2 * MS, 0.0, 1), 100);
        assert_eq!(times.len(), 100);
        assert!(times.iter().all(|time| (28 * MS..=32 * MS).contains(time)));
        assert!(times.is_sorted());
    }

    #[test]
    fn a_way_loses_its_share() {
        let got = times(&mut Link::way(MS, Duration::ZERO, 0.1, 1), 1000).len();
        assert!((850..=950).contains(&got), "{got}");
    }
}

//! The one link that all answers of a demo's origin go over.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The link.
pub(crate) struct Link {
    bytes_per_second: f64,
    free_at: Mutex<Instant>,
}

impl Link {
    pub(crate) fn new(bits_per_second: f64) -> Self {
        Self { bytes_per_second: bits_per_second / 8.0, free_at: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes have gone over the link, behind those of everyone who came before.
    pub(crate) fn pass(&self, bytes: usize) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let through = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            *free_at = (*free_at).max(Instant::now()) + takes;
            *free_at
        };
        thread::sleep(through.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_lets_no_more_through_than_its_rate() {
        let link = Link::new(8e6);
        let began = Instant::now();
        for _ in 0..4 {
            link.pass(5_000);
        }
        assert!(began.elapsed() >= Duration::from_millis(20));
    }
}

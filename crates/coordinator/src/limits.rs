//! How much a session may say.

use std::time::Duration;

use edgeweave_protocol::limits::{MESSAGE_BURST, MESSAGES_PER_SECOND};
use edgeweave_protocol::{Signal, Timestamp};

/// How many messages are allowed at once, and then in the long run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Messages at once.
    pub(crate) burst: u32,
    /// Messages a second.
    pub(crate) per_second: u32,
}

/// Everything but signals.
pub(crate) const MESSAGES: Rate = Rate { burst: MESSAGE_BURST, per_second: MESSAGES_PER_SECOND };

/// Signals. They cost the node little, and a peer that meets many others at once says dozens of candidates to each. The
/// limit is below what would fill the other's outbox: nobody can have another thrown out as a slow reader.
pub(crate) const SIGNALS: Rate = Rate { burst: 1_000, per_second: 100 };

/// Bytes of a signal that cost as much as a short one.
const SIGNAL_BYTES: usize = 4096;

/// What a signal costs.
pub(crate) fn signal_cost(signal: &Signal) -> u32 {
    // A message's length is limited far below 32 bits.
    1 + (signal.as_str().len() / SIGNAL_BYTES) as u32
}

/// URLs that a session may sight: a rich page has hundreds at once. Further ones are passed over, so that nobody can
/// fill the table of sightings, or keep the fetcher busy, alone.
pub(crate) const SIGHTINGS: Rate = Rate { burst: 1_000, per_second: 10 };

/// Views of pages that a session may tell. Further ones are passed over, so that nobody can make up what visitors do.
pub(crate) const VIEWS: Rate = Rate { burst: 10, per_second: 1 };

/// What a message that cannot be read costs, in messages: a peer that speaks nonsense is soon sent away.
pub(crate) const UNREADABLE_COST: u32 = 10;

/// Changes of holdings that cost as much as a message.
pub(crate) const CHANGES_A_MESSAGE: u32 = 256;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// When the bucket would be full if nothing more were taken.
    full_at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { full_at: now }
    }

    /// Takes so many tokens; false when there are not as many, and nothing is taken then.
    pub(crate) fn take(&mut self, now: Timestamp, rate: Rate, tokens: u32) -> bool {
        let per_token = Duration::from_secs(1) / rate.per_second.max(1);
        let full_at = self.full_at.max(now) + per_token.saturating_mul(tokens);
        let allowed = full_at.since(now) <= per_token.saturating_mul(rate.burst);
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let rate = Rate { burst: 3, per_second: 10 };
        let start = Timestamp::from_millis(5);
        let mut bucket = Bucket::new(start);
        assert!((0..3).all(|_| bucket.take(start, rate, 1)));
        assert!(!bucket.take(start, rate, 1));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(later, rate, 1));
        assert!(!bucket.take(later, rate, 1));
        assert!(bucket.take(start + Duration::from_secs(60), rate, 3));
        assert!(!bucket.take(start + Duration::from_secs(60), rate, 1));
    }
}

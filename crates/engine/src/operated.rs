//! The site's policy as it holds for the operator's own peer: what spares visitors does not bind it.

use edgeweave_protocol::message::ToPeer;
use edgeweave_protocol::policy::Policy;

/// More than a machine can send, and little enough to be multiplied by microseconds: no limit.
const UNLIMITED_BYTES_PER_SECOND: u64 = 1 << 40;

/// What the operator decides of its own peer in place of the site's policy.
#[derive(Clone, Copy, Debug)]
pub struct Operated {
    /// What it holds at most, in bytes.
    pub cache_bytes: u64,
    /// What it sends at most, in bytes a second; without a limit when there is none.
    pub upload_bytes_per_second: Option<u64>,
    /// The most neighbours that it has at a time.
    pub neighbours: u32,
}

impl Operated {
    /// A message of the node as the engine is to hear it.
    pub fn heard(self, mut message: ToPeer) -> ToPeer {
        if let ToPeer::Welcome { policy, .. } | ToPeer::Policy { policy } = &mut message {
            self.apply(policy);
        }
        message
    }

    fn apply(self, policy: &mut Policy) {
        policy.cache_bytes = self.cache_bytes;
        policy.upload_bytes_per_second = self.upload_bytes_per_second.unwrap_or(UNLIMITED_BYTES_PER_SECOND);
        policy.upload_bytes_per_month = u64::MAX;
        // The engine lets twice as many come as it looks for itself.
        policy.neighbours = self.neighbours.div_ceil(2);
        // It is no visitor: it belongs to no comparison, and looks at no pages.
        policy.holdout_percent = 0;
        policy.replicate_bytes_per_page = 0;
    }
}

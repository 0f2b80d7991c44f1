//! What the body is to do, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use edgeweave_protocol::message::ToPeer;

use crate::io::{Output, SessionId};

/// Outputs that have not been taken yet.
#[derive(Debug, Default)]
pub(crate) struct Out {
    queue: VecDeque<Queued>,
}

#[derive(Debug)]
enum Queued {
    One(Output),
    /// The same message to many; it is copied when it is taken, so that a large change waits in memory once.
    Many {
        sessions: VecDeque<SessionId>,
        message: Arc<ToPeer>,
    },
}

impl Out {
    pub(crate) fn push(&mut self, output: Output) {
        self.queue.push_back(Queued::One(output));
    }

    pub(crate) fn send(&mut self, session: SessionId, message: ToPeer) {
        self.push(Output::Send { session, message });
    }

    pub(crate) fn broadcast(&mut self, sessions: impl Iterator<Item = SessionId>, message: ToPeer) {
        let sessions: VecDeque<SessionId> = sessions.collect();
        if !sessions.is_empty() {
            self.queue.push_back(Queued::Many { sessions, message: Arc::new(message) });
        }
    }

    /// The connection is gone: nothing may reach another one under the same number.
    pub(crate) fn forget(&mut self, gone: SessionId) {
        self.queue.retain_mut(|queued| match queued {
            Queued::One(Output::Send { session, .. } | Output::Close { session, .. }) => *session != gone,
            Queued::One(Output::Fetch { .. } | Output::Warmed { .. }) => true,
            Queued::Many { sessions, .. } => {
                sessions.retain(|session| *session != gone);
                !sessions.is_empty()
            }
        });
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        let Some(Queued::Many { sessions, message }) = self.queue.front_mut() else {
            return match self.queue.pop_front()? {
                Queued::One(output) => Some(output),
                Queued::Many { .. } => None,
            };
        };
        let session = sessions.pop_front()?;
        let message = ToPeer::clone(message);
        if sessions.is_empty() {
            self.queue.pop_front();
        }
        Some(Output::Send { session, message })
    }
}

#[cfg(test)]
mod tests {
    use edgeweave_protocol::PeerId;

    use super::*;

    #[test]
    fn order_is_kept_and_the_gone_get_nothing() {
        let mut out = Out::default();
        let gone = |peer| ToPeer::Gone { peer: PeerId(peer) };
        out.send(1, gone(1));
        out.broadcast([1, 2, 3].into_iter(), gone(2));
        out.send(2, gone(3));
        out.forget(1);
        let taken: Vec<String> =
            std::iter::from_fn(|| out.pop()).map(|output| format!("{output:?}")).collect();
        assert_eq!(taken.len(), 3);
        assert!(
            taken[0].contains("session: 2")
                && taken[1].contains("session: 3")
                && taken[2].contains("session: 2")
        );
    }
}

//! What the engine has yet to say: outputs in order, and notes for the flight recorder.

use std::collections::VecDeque;

use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::report::{Event, Note};
use edgeweave_protocol::{PeerId, Reason, Timestamp};

use crate::io::Output;
use crate::recorder::Recorder;

/// Where every concern of the engine puts what it wants done.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    pub(crate) recorder: Recorder,
}

impl Outbox {
    pub(crate) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// Sends a message to the node.
    pub(crate) fn say(&mut self, message: ToNode) {
        self.push(Output::Say(message));
    }

    pub(crate) fn note(
        &mut self,
        now: Timestamp,
        event: Event,
        reason: Option<Reason>,
        about: &str,
        bytes: u64,
    ) {
        self.record(
            now,
            Note { at_ms: 0, event, reason, peer: None, about: without_query(about).into(), bytes },
        );
    }

    pub(crate) fn note_peer(
        &mut self,
        now: Timestamp,
        event: Event,
        reason: Option<Reason>,
        peer: PeerId,
        bytes: u64,
    ) {
        self.record(now, Note { at_ms: 0, event, reason, peer: Some(peer), about: "".into(), bytes });
    }

    fn record(&mut self, now: Timestamp, note: Note) {
        self.recorder.record(Note { at_ms: (now.as_micros() / 1000) as u32, ..note });
    }
}

/// Query strings can name a visitor, so they stay in the browser.
pub(crate) fn without_query(about: &str) -> &str {
    about.split_once('?').map_or(about, |(path, _)| path)
}

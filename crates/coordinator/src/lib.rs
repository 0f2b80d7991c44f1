//! The brain of a node. Pure.

pub mod io;

pub use io::{AdmissionRules, Input, Output, SessionId, Setup};
use edgeweave_protocol::Timestamp;

/// One swarm's coordinator.
#[derive(Debug)]
pub struct Coordinator {}

impl Coordinator {
    /// A coordinator without sessions.
    pub fn new(_now: Timestamp, _setup: Setup) -> Self {
        Self {}
    }
    /// Takes in what happened.
    pub fn handle_input(&mut self, _now: Timestamp, _input: Input) {}
    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }
    /// When [`Input::Tick`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }
}

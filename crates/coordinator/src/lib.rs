//! The brain of a node. Pure.

pub mod io;

use edgeweave_protocol::Timestamp;
use edgeweave_protocol::manifest::Asset;
pub use io::{AdmissionRules, Counts, Input, Output, SessionId, Setup};

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
    /// What is admitted, by index and without the digests of pieces; the node's API shows it.
    pub fn assets(&self, _now: Timestamp) -> Vec<Asset> {
        Vec::new()
    }
    /// What has been counted; the node's API and metrics show it.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
}

//! The brain of a peer.
//!
//! **Invariant:** pure. No clock, no I/O, no async, no randomness but the seed it is given. It sees headers and
//! decisions; payload bytes stay with the body.

pub mod io;
#[cfg(target_arch = "wasm32")]
mod web;

pub use io::{Input, Output, Setup};
use edgeweave_protocol::Timestamp;

/// A peer's brain.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// An engine that has yet to hear of anything.
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

//! The engine's face to JavaScript: values pass as bytes in the postcard format, time as the page's own milliseconds.
#![allow(unsafe_code, unreachable_pub)] // What `wasm_bindgen` generates needs both.

use std::iter;

use edgeweave_protocol::report::Event;
use edgeweave_protocol::{Reason, Timestamp};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::{Engine, Input, Output};

/// Two-level segregated fit: a third of the default allocator's code, and its fragmentation is bounded, which a tab
/// that stays open for days needs.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// A peer's engine in a page.
#[wasm_bindgen]
pub struct WebEngine(Engine);

#[wasm_bindgen]
impl WebEngine {
    /// Makes an engine from a `Setup` at `now`, in `performance.now()` milliseconds. It traps on what is none.
    #[wasm_bindgen(constructor)]
    pub fn new(now: f64, setup: &[u8]) -> WebEngine {
        let Ok(setup) = postcard::from_bytes(setup) else { core::arch::wasm32::unreachable() };
        Self(Engine::new(timestamp(now), setup))
    }

    /// Takes in an `Input`; returns all `Output`s that it leads to, as a list. An input that cannot be read leaves a
    /// note: it has in it what the node said, which may be newer.
    pub fn handle(&mut self, now: f64, input: &[u8]) -> Vec<u8> {
        let input = postcard::from_bytes(input).unwrap_or_else(|_| Input::Note {
            event: Event::Error,
            reason: Some(Reason::Malformed),
            about: "input".into(),
            bytes: input.len() as u64,
        });
        self.0.handle_input(timestamp(now), input);
        written(&iter::from_fn(|| self.0.poll_output()).collect::<Vec<Output>>())
    }

    /// The flight recorder, as a list of `Note`s.
    pub fn notes(&self) -> Vec<u8> {
        written(&self.0.notes().collect::<Vec<_>>())
    }

    /// When a `tick` is wanted, in the clock of `now`; infinity when none is.
    pub fn timeout(&self) -> f64 {
        self.0.poll_timeout().map_or(f64::INFINITY, |at| at.as_micros() as f64 / 1000.0)
    }
}

/// A value as bytes. Nothing that the engine has fails to be written.
fn written(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

fn timestamp(now: f64) -> Timestamp {
    Timestamp::from_micros((now * 1000.0) as u64)
}

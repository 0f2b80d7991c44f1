//! The engine's face to JavaScript: inputs and outputs as JSON, time as the page's own milliseconds.
#![allow(unsafe_code, unreachable_pub)] // What `wasm_bindgen` generates needs both.

use edgeweave_protocol::{Timestamp, json};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::Engine;

/// A peer's engine in a page.
#[wasm_bindgen]
pub struct WebEngine(Engine);

#[wasm_bindgen]
impl WebEngine {
    /// Makes an engine from `Setup` as JSON at `now`, in `performance.now()` milliseconds.
    #[wasm_bindgen(constructor)]
    pub fn new(now: f64, setup: &str) -> Result<WebEngine, JsError> {
        Ok(Self(Engine::new(timestamp(now), json::read(setup)?)))
    }

    /// Takes in an `Input` as JSON.
    pub fn handle(&mut self, now: f64, input: &str) -> Result<(), JsError> {
        self.0.handle_input(timestamp(now), json::read(input)?);
        Ok(())
    }

    /// The next `Output` as JSON.
    pub fn poll(&mut self) -> Result<Option<String>, JsError> {
        self.0.poll_output().map(|output| written(&output)).transpose()
    }

    /// The flight recorder, as a JSON array of notes.
    pub fn notes(&self) -> Result<String, JsError> {
        written(&self.0.notes().collect::<Vec<_>>())
    }

    /// When a `tick` is wanted, in the clock of `now`; infinity when none is.
    pub fn timeout(&self) -> f64 {
        self.0.poll_timeout().map_or(f64::INFINITY, |at| at.as_micros() as f64 / 1000.0)
    }
}

/// A value as JSON. What serde_json would say of a failure is left out, because the code that says it is large.
fn written(value: &impl Serialize) -> Result<String, JsError> {
    serde_json::to_string(value).map_err(|_| JsError::new("cannot write JSON"))
}

fn timestamp(now: f64) -> Timestamp {
    Timestamp::from_micros((now * 1000.0) as u64)
}

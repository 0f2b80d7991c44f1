//! The engine's face to JavaScript: values pass as bytes in the postcard format, time as the page's own milliseconds.
#![allow(unsafe_code, unreachable_pub)] // What `wasm_bindgen` generates needs both.

use std::cell::RefCell;
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

thread_local! {
    /// The page's engine: there is one at a time.
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// Makes the page's engine from a `Setup` at `now`, in `performance.now()` milliseconds; the one before is gone. It traps
/// on what is no setup.
#[wasm_bindgen]
pub fn start(now: f64, setup: &[u8]) {
    let Ok(setup) = postcard::from_bytes(setup) else { core::arch::wasm32::unreachable() };
    ENGINE.set(Some(Engine::new(timestamp(now), setup)));
}

/// Takes in an `Input`; returns all `Output`s that it leads to, as a list. An input that cannot be read leaves a
/// note: it has in it what the node said, which may be newer.
#[wasm_bindgen]
pub fn handle(now: f64, input: &[u8]) -> Vec<u8> {
    let input = postcard::from_bytes(input).unwrap_or_else(|_| Input::Note {
        event: Event::Error,
        reason: Some(Reason::Malformed),
        about: "input".into(),
        bytes: input.len() as u64,
    });
    of_engine(|engine| {
        engine.handle_input(timestamp(now), input);
        written(&iter::from_fn(|| engine.poll_output()).collect::<Vec<Output>>())
    })
}

/// The flight recorder, as a list of `Note`s.
#[wasm_bindgen]
pub fn notes() -> Vec<u8> {
    of_engine(|engine| written(&engine.notes().collect::<Vec<_>>()))
}

/// When a `tick` is wanted, in the clock of `now`; infinity when none is.
#[wasm_bindgen]
pub fn timeout() -> f64 {
    of_engine(|engine| engine.poll_timeout().map_or(f64::INFINITY, |at| at.as_micros() as f64 / 1000.0))
}

/// What the page's engine says; nothing before there is one.
fn of_engine<T: Default>(ask: impl FnOnce(&mut Engine) -> T) -> T {
    ENGINE.with_borrow_mut(|engine| engine.as_mut().map(ask).unwrap_or_default())
}

/// A value as bytes. Nothing that the engine has fails to be written.
fn written(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

fn timestamp(now: f64) -> Timestamp {
    Timestamp::from_micros((now * 1000.0) as u64)
}

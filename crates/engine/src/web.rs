//! The engine's face to JavaScript: plain functions and memory, which every browser has, and no glue to load or to weigh.
//!
//! Values pass as bytes in the postcard format, time as milliseconds since the page began. The thread makes room for what it says,
//! writes it there, and calls a function; where that answers, it returns the answer's length, and `answer` says where the
//! answer is until the next call.
#![allow(unsafe_code, unreachable_pub)] // To export a function under its own name is an unsafe attribute.

use std::cell::RefCell;
use std::iter;

use edgeweave_protocol::report::Event;
use edgeweave_protocol::{Reason, Timestamp};
use serde::Serialize;

use crate::{Engine, Input, Output};

/// Two-level segregated fit: a third of the default allocator's code, and its fragmentation is bounded, which a tab
/// that stays open for days needs.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

thread_local! {
    static PAGE: RefCell<Page> =
        const { RefCell::new(Page { engine: None, said: Vec::new(), answer: Vec::new() }) };
}

/// What the page has of this module.
struct Page {
    engine: Option<Engine>,
    /// What the page says.
    said: Vec<u8>,
    /// What it is answered.
    answer: Vec<u8>,
}

/// Makes room for so many bytes that the page is about to say; returns where.
#[unsafe(no_mangle)]
pub extern "C" fn room(bytes: usize) -> *mut u8 {
    PAGE.with_borrow_mut(|page| {
        page.said = vec![0; bytes];
        page.said.as_mut_ptr()
    })
}

/// Where the last answer is.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> *const u8 {
    PAGE.with_borrow(|page| page.answer.as_ptr())
}

/// Makes an engine from the `Setup` that was said, at `now`, in milliseconds since the page began. It traps on what is none.
#[unsafe(no_mangle)]
pub extern "C" fn start(now: f64) {
    PAGE.with_borrow_mut(|page| {
        let Ok(setup) = postcard::from_bytes(&page.said) else { core::arch::wasm32::unreachable() };
        page.engine = Some(Engine::new(timestamp(now), setup));
    });
}

/// Takes in the `Input` that was said; answers with all `Output`s that it leads to, as a list. An input that cannot be
/// read leaves a note: it has in it what the node said, which may be newer.
#[unsafe(no_mangle)]
pub extern "C" fn handle(now: f64) -> usize {
    answered(|engine, said| {
        let input = postcard::from_bytes(said).unwrap_or_else(|_| Input::Note {
            event: Event::Error,
            reason: Some(Reason::Malformed),
            about: "input".into(),
            bytes: said.len() as u64,
        });
        engine.handle_input(timestamp(now), input);
        written(&iter::from_fn(|| engine.poll_output()).collect::<Vec<Output>>())
    })
}

/// Answers with the flight recorder, as a list of `Note`s.
#[unsafe(no_mangle)]
pub extern "C" fn notes() -> usize {
    answered(|engine, _| written(&engine.notes().collect::<Vec<_>>()))
}

/// When a `tick` is wanted, in the clock of `now`; infinity when none is.
#[unsafe(no_mangle)]
pub extern "C" fn timeout() -> f64 {
    PAGE.with_borrow(|page| {
        let at = page.engine.as_ref().and_then(Engine::poll_timeout);
        at.map_or(f64::INFINITY, |at| at.as_micros() as f64 / 1000.0)
    })
}

/// Answers with what the engine says to what was said; returns the answer's length.
fn answered(ask: impl FnOnce(&mut Engine, &[u8]) -> Vec<u8>) -> usize {
    PAGE.with_borrow_mut(|Page { engine, said, answer }| {
        *answer = engine.as_mut().map(|engine| ask(engine, said)).unwrap_or_default();
        answer.len()
    })
}

/// A value as bytes. Nothing that the engine has fails to be written.
fn written(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

fn timestamp(now: f64) -> Timestamp {
    Timestamp::from_micros((now * 1000.0) as u64)
}

//! A run of the engine is a file: what it was made with, what it was told, and when. The same file leads to the same
//! outputs, on every machine and for ever.

#![allow(clippy::unwrap_used)] // A test says what is wrong by failing.

mod common;

use std::time::Duration;

use common::{Manners, Record, World, world};
use edgeweave_engine::{Engine, Output};
use edgeweave_protocol::policy::Prefer;

const A: &str = "https://site/a.png";

/// Tells a new engine what another was told; returns what it says.
fn replay(record: &Record) -> Vec<Output> {
    let mut engine = Engine::new(record.made, record.setup.clone());
    let mut outputs = Vec::new();
    for (at, input) in &record.inputs {
        engine.handle_input(*at, input.clone());
        outputs.extend(std::iter::from_fn(|| engine.poll_output()));
    }
    outputs
}

/// Reads the recorded run `name`. With `RECORD=1` in the environment it is recorded anew first, as `run` goes now.
fn recorded(name: &str, run: impl Fn() -> World) -> Record {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs").join(name);
    if std::env::var_os("RECORD").is_some() {
        let world = run();
        let guest = world.visitors.last().unwrap();
        std::fs::write(&path, serde_json::to_string(&guest.record).unwrap() + "\n").unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn check(name: &str, run: impl Fn() -> World) {
    let record = recorded(name, &run);
    let outputs = replay(&record);
    let differ = outputs.iter().zip(&record.outputs).position(|(said, before)| said != before);
    assert_eq!(differ, None, "{name}: the engine says something else than when this was recorded");
    assert_eq!(outputs.len(), record.outputs.len(), "{name}");
}

fn guest_of(manners: Manners) -> World {
    let mut world = world().preferring(Prefer::Offload).with_asset(A, 100_000);
    let host = world.arrive(&[A]);
    world.visitors[host].manners = manners;
    world.run(Duration::from_secs(1));
    let guest = world.arrive(&[]);
    world.run(Duration::from_secs(1));
    world.request(guest, 1, A);
    world.run(Duration::from_secs(10));
    world
}

#[test]
fn a_visitor_served_by_another() {
    check("served.json", || guest_of(Manners::Honest));
}

#[test]
fn a_visitor_lied_to_by_another() {
    check("lied_to.json", || guest_of(Manners::Lying));
}

//! The engine for the browser: compiled to WebAssembly, and made small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::setup::{self, Node, WASM_TARGET};
use crate::stamp::Stamp;
use crate::step::{run_openly, run_quietly};
use crate::workspace::{Workspace, cargo};

/// The file that a page loads.
pub(crate) const FILE: &str = "engine.wasm";

/// What compilers emit for this target today and every browser with WebRTC data channels in workers understands;
/// `wasm-opt` has to be told, because `strip` removes the section that says so.
const WASM_FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// A panic says nothing in browsers, so it need not know the names of files either, those of this machine among them.
const RUSTFLAGS: &str = "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none";

/// How `wasm-opt` makes it small. Functions that are called once stay functions, but for very short ones: brotli finds more
/// that is alike in small ones, a fifteenth of the engine. Those that are hardly more than their call go into their callers, which is
/// another hundredth. Before that, locals are no more set to what they have already, and what values can be is looked
/// for in the whole engine. Nothing is found below 1 KiB by adding to a pointer: that is the far end of the stack, which
/// the linker puts first.
const SHRINK: [&str; 7] = [
    "--rse",
    "--gufa-optimizing",
    "-Oz",
    "--converge",
    "--one-caller-inline-max-function-size=14",
    "--always-inline-max-function-size=8",
    "--low-memory-unused",
];

/// Builds the engine; returns its path.
pub(crate) fn build(workspace: &Workspace, node: &Node) -> Result<PathBuf> {
    let made = workspace.kept("engine").join(FILE);
    let crates = workspace.root.join("crates");
    let mut inputs: Vec<PathBuf> = ["engine", "protocol"]
        .iter()
        .flat_map(|name| ["src", "Cargo.toml"].map(|path| crates.join(name).join(path)))
        .collect();
    inputs.extend(["Cargo.toml", "Cargo.lock"].map(|file| workspace.root.join(file)));
    inputs.extend(["package-lock.json"].map(|file| workspace.client().join(file)));
    let stamp = Stamp::of(workspace, "engine", &inputs, &[&WASM_FEATURES[..], &SHRINK].concat())?;
    if stamp.is_current(std::slice::from_ref(&made)) {
        return Ok(made);
    }

    let compiled = compile(workspace)?;
    fs::create_dir_all(workspace.kept("engine"))?;
    shrink(workspace, node, &compiled, &made)?;
    stamp.write()?;
    Ok(made)
}

fn compile(workspace: &Workspace) -> Result<PathBuf> {
    let toolchain = setup::wasm_toolchain()?;
    // A folder of its own, so that neither compiler throws away what the other has built.
    let target = workspace.target.join("web");
    let mut command = Command::new(cargo());
    command
        .args([
            "build",
            "--package",
            "edgeweave-engine",
            "--lib",
            "--profile",
            "web",
            "--target",
            WASM_TARGET,
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&workspace.root);
    command
        .args(["-Z", "build-std=std,panic_abort"])
        // Building the standard library, panics that are nothing but a trap, and leaving out where they would have been
        // are unstable features.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", RUSTFLAGS)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", toolchain.linker)
        .env("RUSTC", toolchain.rustc);
    run_openly("compile the engine to WebAssembly", &mut command)?;
    Ok(target.join(WASM_TARGET).join("web/edgeweave_engine.wasm"))
}

fn shrink(workspace: &Workspace, node: &Node, from: &Path, into: &Path) -> Result<()> {
    let mut optimise = node.command();
    optimise
        .arg(workspace.client().join("node_modules/binaryen/bin/wasm-opt"))
        .args(SHRINK)
        .args(WASM_FEATURES)
        .arg(from)
        .arg("-o")
        .arg(into);
    run_quietly("make the engine small", &mut optimise)
}

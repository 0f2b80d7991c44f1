//! The engine for the browser: compiled to WebAssembly, given its JavaScript glue, and made small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use wasm_bindgen_cli_support::Bindgen;

use crate::setup::{self, Node, WASM_TARGET};
use crate::stamp::Stamp;
use crate::step::{Step, run_openly, run_quietly};
use crate::workspace::{Workspace, cargo};

/// The files that a page loads.
pub(crate) const FILES: [&str; 2] = ["engine.js", "engine_bg.wasm"];

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

/// How `wasm-opt` makes it small. Functions that are called once stay functions: brotli finds more that is alike in
/// small ones, a fifteenth of the engine. What values can be is looked for in the whole engine first. Nothing is found
/// below 1 KiB by adding to a pointer: that is the far end of the stack, which the linker puts first.
const SHRINK: [&str; 5] = [
    "--gufa-optimizing",
    "-Oz",
    "--converge",
    "--one-caller-inline-max-function-size=0",
    "--low-memory-unused",
];

/// What the client uses of the glue.
const USED: &str = "export { initSync, start, handle, timeout, notes } from './engine.js';";

/// How `esbuild` makes the glue small: with what is used, without advice to developers, and without ways to get the code, as
/// the client hands over its bytes.
const MINIFY: [&str; 8] = [
    "--bundle",
    "--minify",
    "--drop:console",
    "--define:Response=undefined",
    "--define:Request=undefined",
    "--define:URL=undefined",
    "--format=esm",
    "--target=es2022",
];

/// Builds the engine; returns the folder that has [`FILES`].
pub(crate) fn build(workspace: &Workspace, node: &Node) -> Result<PathBuf> {
    let folder = workspace.kept("engine");
    let made = FILES.map(|file| folder.join(file));
    let crates = workspace.root.join("crates");
    let mut inputs: Vec<PathBuf> = ["engine", "protocol"]
        .iter()
        .flat_map(|name| ["src", "Cargo.toml"].map(|path| crates.join(name).join(path)))
        .collect();
    inputs.extend(["Cargo.toml", "Cargo.lock"].map(|file| workspace.root.join(file)));
    inputs.extend(["package-lock.json"].map(|file| workspace.client().join(file)));
    let stamp =
        Stamp::of(workspace, "engine", &inputs, &[&WASM_FEATURES[..], &SHRINK, &MINIFY, &[USED]].concat())?;
    if stamp.is_current(&made) {
        return Ok(folder);
    }

    let compiled = compile(workspace)?;
    let glued = workspace.kept("engine-glued");
    glue(&compiled, &glued)?;
    fs::create_dir_all(&folder)?;
    shrink(workspace, node, &glued, &folder)?;
    stamp.write()?;
    Ok(folder)
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

fn glue(compiled: &Path, into: &Path) -> Result<()> {
    let step = Step::begin("write the engine's glue");
    Bindgen::new()
        .input_path(compiled)
        .out_name("engine")
        .web(true)
        .and_then(|bindgen| bindgen.typescript(false).remove_producers_section(true).generate(into))
        .map_err(|error| anyhow!("cannot write the engine's glue: {error:#}"))?;
    step.done();
    Ok(())
}

fn shrink(workspace: &Workspace, node: &Node, from: &Path, into: &Path) -> Result<()> {
    let tools = workspace.client().join("node_modules");
    let [js, wasm] = FILES;
    let mut optimise = node.command();
    optimise
        .arg(tools.join("binaryen/bin/wasm-opt"))
        .args(SHRINK)
        .args(WASM_FEATURES)
        .arg(from.join(wasm))
        .arg("-o")
        .arg(into.join(wasm));
    run_quietly("make the engine small", &mut optimise)?;

    let used = from.join("used.js");
    fs::write(&used, USED)?;
    let mut minify = node.tool(&tools.join("esbuild/bin/esbuild"));
    minify.arg(used).args(MINIFY);
    minify.arg(format!("--outfile={}", into.join(js).display()));
    run_quietly("make the engine's glue small", &mut minify)
        .context("is the client's package `esbuild` there?")
}

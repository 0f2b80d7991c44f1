//! Building everything: the engine, the client around it, and the command that carries both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::engine;
use crate::setup::{self, Node, Part};
use crate::stamp::Stamp;
use crate::step::{run_openly, run_quietly};
use crate::workspace::{Workspace, cargo};

/// How to build.
#[derive(Args)]
pub(crate) struct Options {
    /// Build with optimisations.
    #[arg(long)]
    release: bool,
}

/// Which of cargo's profiles the command is built in.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// Quick to run.
    Release,
}

/// Builds everything and says where it is.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let profile = if options.release { Profile::Release } else { Profile::Dev };
    let binary = command(workspace, profile)?;
    println!("{}", binary.display());
    Ok(())
}

/// Builds everything; returns the path of the command `edgeweave`.
pub(crate) fn command(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    let node = client(workspace)?;
    dashboard(workspace, &node)?;
    let (folder, words): (_, &[&str]) = match profile {
        Profile::Dev => ("debug", &[]),
        Profile::Release => ("release", &["--release"]),
    };
    let mut build = Command::new(cargo());
    build.args(["build", "--package", "edgeweave"]).args(words).current_dir(&workspace.root);
    run_openly("build the command", &mut build)?;
    Ok(workspace.target.join(folder).join("edgeweave"))
}

/// Builds the client into `client/dist`.
pub(crate) fn client(workspace: &Workspace) -> Result<Node> {
    let node = setup::node(workspace)?;
    setup::packages(workspace, &node, Part::Client)?;
    let engine = engine::build(workspace, &node)?;
    shell(workspace, &node)?;
    copy_if_changed(&engine, &workspace.dist().join(engine::FILE))?;
    Ok(node)
}

/// Builds the TypeScript shell around the engine.
fn shell(workspace: &Workspace, node: &Node) -> Result<()> {
    let client = workspace.client();
    let inputs = ["src", "build.mjs", "package-lock.json", "tsconfig.json"].map(|name| client.join(name));
    let stamp = Stamp::of(workspace, "client", &inputs, &[])?;
    let made = ["edgeweave.js", "edgeweave-sw.js", "page.js"].map(|file| workspace.dist().join(file));
    if stamp.is_current(&made) {
        return Ok(());
    }
    run_quietly("build the client", node.command().arg("build.mjs").current_dir(&client))?;
    stamp.write()
}

/// Builds the dashboard into `dashboard/dist`.
fn dashboard(workspace: &Workspace, node: &Node) -> Result<()> {
    setup::packages(workspace, node, Part::Dashboard)?;
    let folder = Part::Dashboard.folder(workspace);
    let inputs = ["src", "build.mjs", "package-lock.json", "tsconfig.json"].map(|name| folder.join(name));
    let stamp = Stamp::of(workspace, "dashboard", &inputs, &[])?;
    let made = ["index.html", "dashboard.js", "style.css"].map(|file| folder.join("dist").join(file));
    if stamp.is_current(&made) {
        return Ok(());
    }
    run_quietly("build the dashboard", node.command().arg("build.mjs").current_dir(&folder))?;
    stamp.write()
}

/// Leaves a file alone that has the right content, so that cargo does not build the command again.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|there| there == content) {
        return Ok(());
    }
    fs::write(to, content).with_context(|| format!("cannot write {}", to.display()))
}

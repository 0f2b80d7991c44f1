//! Real browsers on an emulated wide-area network. What there is to say on the command line is the lab's own
//! (`lab/src/run.rs`): this builds it, and what it needs, and hands everything on.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::build::{self, Profile};
use crate::setup;
use crate::step::run_openly;
use crate::workspace::{Workspace, cargo};

/// What the lab is told.
#[derive(Args)]
pub(crate) struct Options {
    /// As `cargo xtask lab --help` says.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut build = Command::new(cargo());
    build.args(["build", "--release", "--package", "edgeweave-lab"]).current_dir(&workspace.root);
    run_openly("build the lab", &mut build)?;
    let mut lab = Command::new(workspace.target.join("release/edgeweave-lab"));
    lab.arg("lab").args(&options.arguments);
    // Whoever asks what there is needs nothing else yet.
    if !options.arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        setup::lab_tools()?;
        let node = setup::node(workspace)?;
        let edgeweave = build::command(workspace, Profile::Release)?;
        lab.arg("--edgeweave").arg(edgeweave);
        lab.arg("--node").arg(&node.node);
        lab.arg("--chromium").arg(setup::chromium()?);
        if options
            .arguments
            .iter()
            .any(|argument| argument.to_string_lossy().starts_with("--firefox-percent"))
        {
            lab.arg("--firefox").arg(setup::firefox()?);
        }
        lab.arg("--checkout").arg(&workspace.root);
    }
    // In place of this process, so that whoever ends it ends the lab, which then cleans up.
    Err(lab.exec()).context("cannot run the lab")
}

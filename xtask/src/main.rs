//! The tasks of the Edgeweave repository, as `cargo xtask <task>`.
//!
//! Each task is one file, and begins by asking [`setup`] for the tools that it needs: on a fresh machine every task
//! works at the first try, or says what to install. Progress goes to standard error, results to standard output.

mod bench;
mod build;
mod demo;
mod engine;
mod lab;
mod networks;
mod setup;
mod sim_swarm;
mod size;
mod stamp;
mod step;
mod test;
mod types;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The tasks of the Edgeweave repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the other tasks need: WebAssembly for Rust, Node.js, browsers, the client's packages.
    Setup,
    /// Write the TypeScript types of what peers, nodes and engines say.
    Types(types::Options),
    /// Build the client and the command that carries it.
    Build(build::Options),
    /// Print what the client weighs, and fail when it weighs more than it may.
    Size(size::Options),
    /// Run every check and every test.
    Test,
    /// Show the mesh at work on a site whose origin is far away.
    Demo(demo::Options),
    /// Send real browsers to a site over an emulated wide-area network, with and without the mesh.
    #[command(disable_help_flag = true)]
    Lab(lab::Options),
    /// Write the list of networks that the simulator's visitors come from.
    Networks,
    /// Look for violations of the laws in ever new small worlds.
    SimSwarm(sim_swarm::Options),
    /// Measure.
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match task {
        Task::Setup => setup::run(&workspace)?,
        Task::Types(options) => types::run(&workspace, &options)?,
        Task::Build(options) => build::run(&workspace, &options)?,
        Task::Size(options) => return size::run(&workspace, &options),
        Task::Test => return test::run(&workspace),
        Task::Demo(options) => return demo::run(&workspace, &options),
        Task::Lab(options) => lab::run(&workspace, &options)?,
        Task::Networks => networks::run(&workspace)?,
        Task::SimSwarm(options) => sim_swarm::run(&workspace, &options)?,
        Task::Bench { bench } => bench::run(&workspace, &bench)?,
    }
    Ok(ExitCode::SUCCESS)
}

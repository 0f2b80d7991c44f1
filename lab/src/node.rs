//! The Edgeweave node, as a process in a namespace of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use edgeweave_sim::Scenario;
use serde::Deserialize;

use crate::addresses::{NODE, NODE_PEER_PORT};
use crate::namespace::Namespace;
use crate::origin::SITE;
use crate::processes::{Process, announcing};

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// With it the node is told what to admit. Nobody else is on its network.
const API_TOKEN: &str = "the-lab-is-the-operator";

/// What it says first.
#[derive(Deserialize)]
struct Ready {
    #[serde(rename = "listen")]
    _listen: String,
}

/// Has a node admit assets before visitors come, as an operator does; returns how many it refused.
pub(crate) fn warm(binary: &Path, namespace: &Namespace, node: &str, urls: &[&str]) -> Result<usize> {
    #[derive(Deserialize)]
    struct Warmed {
        refused: usize,
    }
    let mut command = namespace.command(binary);
    command
        .args(["warm", SITE])
        .args(urls)
        .args(["--node", node, "--json"])
        .env("EDGEWEAVE_API_TOKEN", API_TOKEN);
    let output = command.stderr(Stdio::inherit()).output().context("cannot warm the site")?;
    if !output.status.success() {
        bail!("the site cannot be warmed: {}", output.status);
    }
    let warmed: Warmed = serde_json::from_slice(&output.stdout)?;
    Ok(warmed.refused)
}

/// Starts a node for the one site, which is a supernode as well, and a native peer if the scenario has one.
pub(crate) fn start(
    binary: &Path,
    namespace: &Namespace,
    folder: &Path,
    listen: &str,
    origin: &str,
    scenario: &Scenario,
) -> Result<Process> {
    let config = folder.join("edgeweave.toml");
    std::fs::write(&config, configuration(folder, listen, origin, scenario)?)
        .with_context(|| format!("cannot write {}", config.display()))?;
    let mut command = namespace.command(binary);
    command.args(["serve", "--json", "--config"]).arg(&config);
    let mut node = announcing("the node", &mut command)?;
    let _: Ready = node.first(START)?;
    Ok(node)
}

fn configuration(folder: &Path, listen: &str, origin: &str, scenario: &Scenario) -> Result<String> {
    let mut policy = toml::Table::try_from(&scenario.policy)?;
    // Whether there is one is the node's own affair.
    policy.remove("supernode");
    let mut site = toml::Table::new();
    site.insert("id".into(), SITE.into());
    site.insert("origins".into(), vec![origin.to_owned()].into());
    let mut supernode = toml::Table::new();
    let contents: PathBuf = folder.join("supernode");
    supernode.insert("folder".into(), contents.display().to_string().into());
    if scenario.native_peer {
        let peer = SocketAddr::from((NODE, NODE_PEER_PORT));
        supernode.insert("data_channels".into(), peer.to_string().into());
    }
    let mut all = toml::Table::new();
    all.insert("listen".into(), listen.into());
    // The emulated Internet is made of addresses that are not on the real one.
    all.insert("allow_private_addresses".into(), true.into());
    all.insert("api_token".into(), API_TOKEN.into());
    all.insert("policy".into(), policy.into());
    all.insert("supernode".into(), supernode.into());
    all.insert("sites".into(), vec![site].into());
    Ok(toml::to_string(&all)?)
}

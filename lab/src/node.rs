//! The Edgeweave node, as a process in a namespace of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use edgeweave_protocol::policy::Policy;
use serde::Deserialize;

use crate::namespace::Namespace;
use crate::origin::SITE;
use crate::processes::{Process, announcing};

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// What it says first.
#[derive(Deserialize)]
struct Ready {
    #[serde(rename = "listen")]
    _listen: String,
}

/// Starts a node, which is a supernode as well, for the one site.
pub(crate) fn start(
    binary: &Path,
    namespace: &Namespace,
    folder: &Path,
    listen: &str,
    origin: &str,
    policy: &Policy,
) -> Result<Process> {
    let config = folder.join("edgeweave.toml");
    std::fs::write(&config, configuration(folder, listen, origin, policy)?)
        .with_context(|| format!("cannot write {}", config.display()))?;
    let mut command = namespace.command(binary);
    command.args(["serve", "--json", "--config"]).arg(&config);
    let mut node = announcing("the node", &mut command)?;
    let _: Ready = node.first(START)?;
    Ok(node)
}

fn configuration(folder: &Path, listen: &str, origin: &str, policy: &Policy) -> Result<String> {
    let mut policy = toml::Table::try_from(policy)?;
    // Whether there is one is the node's own affair.
    policy.remove("supernode");
    let mut site = toml::Table::new();
    site.insert("id".into(), SITE.into());
    site.insert("origins".into(), vec![origin.to_owned()].into());
    let mut supernode = toml::Table::new();
    let contents: PathBuf = folder.join("supernode");
    supernode.insert("folder".into(), contents.display().to_string().into());
    let mut all = toml::Table::new();
    all.insert("listen".into(), listen.into());
    // The emulated Internet is made of addresses that are not on the real one.
    all.insert("allow_private_addresses".into(), true.into());
    all.insert("policy".into(), policy.into());
    all.insert("supernode".into(), supernode.into());
    all.insert("sites".into(), vec![site].into());
    Ok(toml::to_string(&all)?)
}

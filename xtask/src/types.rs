//! The TypeScript types of what peers, nodes and engines say, written from the Rust ones by
//! `crates/engine/examples/typescript.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::step::run_openly;
use crate::workspace::{Workspace, cargo};

/// What to do with the types.
#[derive(Args)]
pub(crate) struct Options {
    /// Change nothing; fail when the files are not what they would be.
    #[arg(long)]
    check: bool,
}

impl Options {
    /// As the tests ask for it.
    pub(crate) const CHECK: Self = Self { check: true };
}

/// Files by name.
type Files = BTreeMap<String, String>;

/// Writes or checks the types.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let there = workspace.client().join("src/generated");
    let stale = stale(&generate(workspace)?, &read(&there)?);
    if options.check {
        if !stale.is_empty() {
            bail!(
                "client/src/generated is stale ({}): run `cargo xtask types`",
                stale.into_keys().collect::<Vec<_>>().join(", ")
            );
        }
        return Ok(());
    }
    fs::create_dir_all(&there)?;
    for (name, content) in stale {
        let path = there.join(name);
        match content {
            Some(content) => fs::write(&path, content),
            None => fs::remove_file(&path),
        }
        .with_context(|| format!("cannot change {}", path.display()))?;
    }
    Ok(())
}

/// The types as the present sources have them.
fn generate(workspace: &Workspace) -> Result<Files> {
    let folder = workspace.kept("types");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut command = Command::new(cargo());
    command
        .args([
            "run",
            "--quiet",
            "--package",
            "edgeweave-engine",
            "--features",
            "ts",
            "--example",
            "typescript",
            "--",
        ])
        .arg(&folder)
        .current_dir(&workspace.root);
    run_openly("write the TypeScript types", &mut command)?;
    read(&folder)
}

fn read(folder: &Path) -> Result<Files> {
    if !folder.exists() {
        return Ok(Files::new());
    }
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let content = fs::read_to_string(entry.path())
            .with_context(|| format!("cannot read {}", entry.path().display()))?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), content);
    }
    Ok(files)
}

/// The files that have to change, with their content, or none where there should be no file.
fn stale(wanted: &Files, there: &Files) -> BTreeMap<String, Option<String>> {
    let changed = wanted.iter().filter(|(name, content)| there.get(*name) != Some(content));
    let gone = there.keys().filter(|name| !wanted.contains_key(*name));
    changed
        .map(|(name, content)| (name.clone(), Some(content.clone())))
        .chain(gone.map(|name| (name.clone(), None)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_changed_and_superfluous_files_are_stale() {
        let files = |pairs: &[(&str, &str)]| -> Files {
            pairs.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
        };
        let wanted = files(&[("same", "1"), ("changed", "2"), ("new", "3")]);
        let there = files(&[("same", "1"), ("changed", "x"), ("superfluous", "4")]);
        let stale = stale(&wanted, &there);
        let expected = [("changed", Some("2")), ("new", Some("3")), ("superfluous", None)];
        assert_eq!(
            stale,
            expected.map(|(name, content)| (name.to_owned(), content.map(str::to_owned))).into()
        );
    }
}

//! Skipping what would only repeat itself: a stamp is a file with the hash of a step's inputs, written when the step
//! has succeeded.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// A step's inputs against those of its last success.
pub(crate) struct Stamp {
    file: PathBuf,
    now: String,
}

impl Stamp {
    /// Hashes the files in `inputs` (folders with all they contain, in order of name), and `words` beside them. It
    /// guards against wasted work, not against malice, so the hash is a quick one.
    pub(crate) fn of(workspace: &Workspace, step: &str, inputs: &[PathBuf], words: &[&str]) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        for word in words {
            hasher.write(word.as_bytes());
            hasher.write_u8(0);
        }
        for input in inputs {
            hash(input, &mut hasher).with_context(|| format!("cannot read {}", input.display()))?;
        }
        Ok(Self { file: workspace.kept("stamps").join(step), now: format!("{:016x}", hasher.finish()) })
    }

    /// Whether the step has already succeeded with these inputs, and what it made is still there.
    pub(crate) fn is_current(&self, made: &[PathBuf]) -> bool {
        made.iter().all(|path| path.exists())
            && fs::read_to_string(&self.file).is_ok_and(|then| then == self.now)
    }

    /// Notes the success.
    pub(crate) fn write(&self) -> Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.file, &self.now).with_context(|| format!("cannot write {}", self.file.display()))
    }
}

fn hash(path: &Path, hasher: &mut DefaultHasher) -> std::io::Result<()> {
    if path.is_dir() {
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            hash(&entry.path(), hasher)?;
        }
    } else if path.is_file() {
        hasher.write(path.as_os_str().as_encoded_bytes());
        hasher.write(&fs::read(path)?);
    }
    Ok(())
}

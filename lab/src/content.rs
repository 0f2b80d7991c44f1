//! What the origin has: the files of a folder, or a copy of a site on the Internet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use edgeweave_origin::Found;
use serde::{Deserialize, Serialize};

/// The file in a folder that says that it is a copy, and of what.
const INDEX: &str = "edgeweave-copy.json";

/// What the origin has.
pub(crate) enum Content {
    /// Files, by their paths.
    Folder(PathBuf),
    /// Numbered files, and what was answered with each.
    Copy(PathBuf, BTreeMap<String, Copied>),
}

/// Something that was copied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Copied {
    /// The path of its URL.
    pub(crate) path: String,
    /// The name of the file with its bytes.
    pub(crate) file: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub(crate) media_type: String,
    /// Its `Cache-Control`, if it had one.
    pub(crate) caching: Option<String>,
}

impl Content {
    /// What a folder holds.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let index = folder.join(INDEX);
        if !index.exists() {
            return Ok(Self::Folder(folder.into()));
        }
        let text =
            std::fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
        let copied: Vec<Copied> = serde_json::from_str(&text)?;
        Ok(Self::Copy(folder.into(), copied.into_iter().map(|one| (one.path.clone(), one)).collect()))
    }

    /// Makes a copy of a folder with numbered files.
    pub(crate) fn write_index(folder: &Path, copied: &[Copied]) -> Result<()> {
        let index = folder.join(INDEX);
        std::fs::write(&index, serde_json::to_string(copied)?)
            .with_context(|| format!("cannot write {}", index.display()))
    }

    /// What there is for the decoded path of a URL.
    pub(crate) fn find(&self, path: &str) -> Option<Found> {
        match self {
            Self::Folder(folder) => edgeweave_origin::content(folder, path),
            Self::Copy(folder, index) => {
                let Copied { file, media_type, caching, .. } = index.get(path)?;
                let body = std::fs::read(folder.join(file)).ok()?;
                Some(Found { body, kind: media_type.clone(), modified: None, cache_control: caching.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_answers_as_the_site_did() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("0"), "body").unwrap();
        let copied = Copied {
            path: "/a/b".into(),
            file: "0".into(),
            media_type: "image/avif".into(),
            caching: Some("max-age=9".into()),
        };
        Content::write_index(folder.path(), &[copied]).unwrap();
        let content = Content::open(folder.path()).unwrap();
        let found = content.find("/a/b").unwrap();
        assert_eq!((found.body.as_slice(), found.kind.as_str()), (b"body".as_slice(), "image/avif"));
        assert_eq!(found.cache_control.as_deref(), Some("max-age=9"));
        assert_eq!(content.find("/0"), None);
    }
}

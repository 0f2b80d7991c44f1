//! The client's first two files, which are not immutable: `/edgeweave.js` and `/edgeweave-sw.js`. Each begins with a
//! line that says what the client must know of its site and node, so that it need not ask.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use edgeweave_protocol::SiteId;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::release::{self, BuiltIn};

/// Scripts that are kept ready; one for each way in which visitors address this node.
const KEPT: usize = 256;
/// These are compressed while a visitor waits, once.
const BROTLI_QUALITY: u32 = 5;
const BROTLI_WINDOW_BITS: u32 = 18;

/// What a client must know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Beginning {
    /// The site, where it is known from the request.
    pub(crate) site: Option<SiteId>,
    /// The release whose files are at `base/client/release/`.
    pub(crate) release: &'static str,
    /// How the visitor's browser reaches this node: `scheme://host[:port]`.
    pub(crate) base: Box<str>,
}

/// A script as it is sent.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its content.
    pub(crate) plain: Bytes,
    /// The same, compressed with brotli.
    pub(crate) brotli: Bytes,
    /// Its name for conditional requests, in quotes.
    pub(crate) etag: Box<str>,
}

/// The scripts that visitors asked for lately.
#[derive(Debug, Default)]
pub(crate) struct Scripts(Mutex<HashMap<(&'static str, Beginning), Arc<Script>>>);

impl Scripts {
    /// The script of a name for a visitor; `None` where this release has no such file.
    pub(crate) fn get(&self, name: &str, beginning: Beginning) -> Option<Arc<Script>> {
        let file = release::file(name)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(script) = kept.get(&(file.name, beginning.clone())) {
            return Some(script.clone());
        }
        let script = Arc::new(write(file, &beginning)?);
        // Whoever invents host names only makes others wait for a compression.
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert((file.name, beginning), script.clone());
        Some(script)
    }
}

fn write(file: &BuiltIn, beginning: &Beginning) -> Option<Script> {
    let known = serde_json::to_string(beginning).ok()?;
    let mut plain = format!("globalThis.__edgeweave={known};\n").into_bytes();
    plain.extend_from_slice(file.content);
    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
    brotli.write_all(&plain).ok()?;
    let mut etag = String::from("\"");
    for byte in &Sha256::digest(&plain)[..8] {
        write!(etag, "{byte:02x}").ok()?;
    }
    etag.push('"');
    Some(Script { brotli: brotli.into_inner().into(), plain: plain.into(), etag: etag.into() })
}

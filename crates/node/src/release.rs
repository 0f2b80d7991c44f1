//! What is built into this node: the client release, and the dashboard.

/// A built-in file.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    /// Its name, without folders.
    pub(crate) name: &'static str,
    /// Its content.
    pub(crate) content: &'static [u8],
    /// Its content, compressed with brotli when the node was built.
    pub(crate) brotli: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/built_in.rs"));

/// What a node says that was built without a client.
pub(crate) const NOT_BUILT_IN: &str = "the client is not built into this binary; run `cargo xtask build`";

/// The client's file of a name.
pub(crate) fn file(name: &str) -> Option<&'static BuiltIn> {
    named(FILES, name)
}

/// The file of a name among some.
pub(crate) fn named(files: &'static [BuiltIn], name: &str) -> Option<&'static BuiltIn> {
    files.iter().find(|file| file.name == name)
}

impl BuiltIn {
    /// The media type by the name's ending.
    pub(crate) fn media_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("js" | "mjs") => "text/javascript; charset=utf-8",
            Some("wasm") => "application/wasm",
            Some("map" | "json") => "application/json",
            Some("css") => "text/css; charset=utf-8",
            Some("html") => "text/html; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        }
    }
}

//! What the site is made of, as a browser found it.

use serde::{Deserialize, Serialize};

/// A site.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Site {
    /// The front page first.
    pub(crate) pages: Vec<Page>,
    pub(crate) assets: Vec<Asset>,
}

/// A page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) url: String,
    /// As it is sent.
    pub(crate) html_bytes: u64,
    /// The URLs of what it loads, in the order in which it does.
    pub(crate) assets: Vec<String>,
    /// The URLs of pages that it leads to, in their order.
    pub(crate) links: Vec<String>,
}

/// Something that pages load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asset {
    pub(crate) url: String,
    /// What loads it: `img`, `link`, `script`, `css` and so on.
    pub(crate) kind: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub(crate) media_type: String,
    pub(crate) bytes: u64,
    /// Its `Cache-Control`.
    pub(crate) caching: String,
    /// Whether pages are not drawn before it is there.
    pub(crate) render_blocking: bool,
}

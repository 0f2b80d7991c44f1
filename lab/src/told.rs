//! What the lab's processes say, line by line.

use std::collections::BTreeMap;

use edgeweave_protocol::report::Sources;
use serde::{Deserialize, Serialize};

use crate::content::Copied;
use crate::site::Site;

/// What the visitors' driver says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromVisitors {
    /// What the site is made of.
    Crawled(Site),
    /// What a site on the Internet has.
    Copied(Vec<Copied>),
    /// A visitor has looked at a page.
    View(Box<ViewTold>),
    /// A visit has gone wrong; [`FromVisitors::Left`] follows.
    Failed { visit: usize, index: usize, error: String },
    /// A visitor has left.
    Left { visit: usize },
    /// What the client costs.
    Cost(CostTold),
    /// Something else has gone wrong.
    Broken(String),
}

impl FromVisitors {
    /// What is wrong, when something else was to be said.
    pub(crate) fn trouble(&self) -> String {
        match self {
            Self::Broken(error) => error.clone(),
            other => format!("{other:?}"),
        }
    }
}

/// A look at a page.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ViewTold {
    pub(crate) visit: usize,
    pub(crate) index: usize,
    pub(crate) url: String,
    /// Milliseconds since 1970.
    pub(crate) began_ms: f64,
    pub(crate) load_ms: f64,
    pub(crate) first_byte_ms: f64,
    pub(crate) controlled: bool,
    /// Why the client takes no part, if it does not.
    pub(crate) off: Option<String>,
    pub(crate) connected: bool,
    pub(crate) neighbours: u32,
    pub(crate) uploaded: u64,
    pub(crate) replicated: u64,
    pub(crate) bytes: Sources,
    pub(crate) requests: Sources,
    pub(crate) resources: Vec<Resource>,
    pub(crate) errors: Vec<String>,
    pub(crate) bodies: Vec<Body>,
}

/// What the browser measured of a request.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Resource {
    pub(crate) url: String,
    pub(crate) kind: String,
    pub(crate) start_ms: f64,
    pub(crate) first_byte_ms: f64,
    pub(crate) end_ms: f64,
    pub(crate) bytes: u64,
    /// With headers; zero when no network was needed.
    pub(crate) transferred: u64,
}

/// A body that a page got.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Body {
    pub(crate) url: String,
    pub(crate) sha256: String,
}

/// Loads of a page that the client cannot help.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CostTold {
    pub(crate) loads: Vec<CostLoad>,
}

/// The page that a client cannot help, with it and without.
#[derive(Debug, Serialize)]
pub(crate) struct CostUrls {
    pub(crate) client: String,
    pub(crate) plain: String,
}

/// One load.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct CostLoad {
    /// Without the client.
    pub(crate) plain: bool,
    pub(crate) main_thread_ms: f64,
    pub(crate) script_ms: f64,
    pub(crate) layout_shift: f64,
    pub(crate) blocked_ms: f64,
    /// Requests to others than the site that hold up drawing.
    pub(crate) render_blocking: u32,
}

/// What the origin says: first where it is, then each request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// When it had been answered, in milliseconds since 1970.
    pub(crate) at_ms: f64,
    pub(crate) from: std::net::Ipv4Addr,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
}

/// What the visitors' driver is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToVisitors<'a> {
    /// Look at what the site is made of, and at how long its pages take where so many browsers work at once.
    Crawl { profile: &'a str, chromium: &'a str, from: &'a str, pages: usize, at_once: usize },
    /// Copy a site on the Internet.
    Copy { profile: &'a str, chromium: &'a str, from: &'a str, pages: usize, folder: &'a str },
    /// Visit it, with Chromium or with Firefox, which Node.js in the same namespace drives.
    Visit {
        id: usize,
        profile: &'a str,
        browser: Browser,
        chromium: &'a str,
        node: &'a str,
        views: Vec<ViewOrder>,
    },
    /// Measure what the client costs on a page that it cannot help.
    Cost { profiles: Vec<String>, chromium: &'a str, urls: CostUrls },
}

/// What a visitor looks at pages with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Browser {
    Chromium,
    Firefox,
}

/// A page to look at.
#[derive(Debug, Serialize)]
pub(crate) struct ViewOrder {
    pub(crate) url: String,
    /// From asking for it until the next is asked for.
    pub(crate) dwell_ms: u64,
    pub(crate) tab: Tab,
}

/// Where a page is opened.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tab {
    /// In place of the page before.
    Same,
    /// Beside it.
    New,
}

/// Digests by URL.
pub(crate) type Truths = BTreeMap<String, String>;

//! What the operator decides. A [`Config`] is whole and valid; a [`Draft`] is what the file and flags say.

mod draft;
mod mistake;
mod supernode;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use edgeweave_coordinator::AdmissionRules;
use edgeweave_protocol::SiteId;
use edgeweave_protocol::policy::Policy;
use ipnet::IpNet;

pub use self::draft::{Draft, SiteDraft, api_token, parse_network, prefer};
pub use self::mistake::{Mistake, Mistakes};
pub use self::supernode::{SupernodeConfig, SupernodeDraft, caches};
pub use crate::fetch::Reach;
use crate::web_origin::WebOrigin;

/// The defaults, documented, as a file.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Everything that a node needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it answers visitors.
    pub listen: SocketAddr,
    /// Where it answers its operator, when not there.
    pub admin_listen: Option<SocketAddr>,
    /// Where it answers STUN requests.
    pub stun: Stun,
    /// How browsers reach it, when not as their requests say (because something in front of it speaks TLS).
    pub base_url: Option<WebOrigin>,
    /// The sites.
    pub sites: Vec<SiteConfig>,
    /// Who knows this may use the API; without one, only this machine may.
    pub api_token: Option<Box<str>>,
    /// Proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Which addresses the origin fetcher connects to; when not said, private ones only for a private `--origin`.
    pub fetch_reach: Option<Reach>,
    /// A MaxMind table of networks (autonomous systems).
    pub geo_asn: Option<PathBuf>,
    /// A MaxMind table of countries.
    pub geo_country: Option<PathBuf>,
    /// The most sessions of peers at a time.
    pub max_sessions: usize,
    /// The most HTTP connections at a time, those of sessions not counted.
    pub max_connections: usize,
    /// What the node keeps of admitted contents; when nothing, it gives none over HTTP.
    pub supernode: Option<SupernodeConfig>,
}

/// Where STUN requests are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stun {
    /// On the address and port number of `listen`, over UDP.
    #[default]
    AsListen,
    /// Elsewhere.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// One site.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// Its name.
    pub id: SiteId,
    /// How it takes part.
    pub service: Service,
    /// Its policy.
    pub policy: Policy,
    /// What is admitted, and when.
    pub admission: AdmissionRules,
}

/// How a site takes part.
#[derive(Clone, Debug)]
pub enum Service {
    /// The node is its reverse proxy.
    Proxy {
        /// The origin behind the node.
        upstream: WebOrigin,
        /// Where visitors find the site; when empty, where the node listens.
        public: Vec<WebOrigin>,
    },
    /// Its pages have the snippet.
    Snippet {
        /// The origins of its pages and assets; the first is the main one.
        origins: Vec<WebOrigin>,
    },
}

impl SiteConfig {
    /// The origins that are known before the node listens.
    fn origins(&self) -> &[WebOrigin] {
        match &self.service {
            Service::Proxy { public, .. } => public,
            Service::Snippet { origins } => origins,
        }
    }
}

impl Config {
    /// The address that is listened on when none is given.
    pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
    /// The most sessions when nothing is said: with 12 kB each they fit 1.2 GB.
    pub const MAX_SESSIONS: usize = 100_000;
    /// The most HTTP connections when nothing is said.
    pub const MAX_CONNECTIONS: usize = 16_384;
}

//! What all requests share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Request};
use ipnet::IpNet;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

use crate::client::{Client, Peer};
use crate::mesh::Mesh;
use crate::metrics::Metrics;
use crate::place::Places;
use crate::proxy::Proxy;
use crate::report::Senders;
use crate::script::Scripts;
use crate::site::Sites;
use crate::supernode::Supernode;
use crate::web_origin::WebOrigin;

/// What all requests share.
pub(crate) struct App {
    pub(crate) sites: Sites,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) mesh: Mesh,
    pub(crate) supernode: Option<Arc<Supernode>>,
    pub(crate) places: Places,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Registry,
    pub(crate) scripts: Scripts,
    pub(crate) senders: Senders,
    pub(crate) base_url: Option<WebOrigin>,
    pub(crate) stun: Option<SocketAddr>,
    pub(crate) api_token: Option<Box<str>>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// When the origin was last asked whether it is there, and what it said.
    pub(crate) readiness: Mutex<Option<(Instant, Result<(), String>)>>,
}

/// The app, as handlers take it.
pub(crate) type Shared = Arc<App>;

impl App {
    /// Who sent a request.
    pub(crate) fn client<B>(&self, request: &Request<B>) -> Client {
        self.client_of(request.extensions().get().copied(), request.headers(), request.uri().host())
    }

    /// Who sent a request with these headers.
    pub(crate) fn client_of(
        &self,
        peer: Option<Peer>,
        headers: &HeaderMap,
        uri_host: Option<&str>,
    ) -> Client {
        // Every request has a peer; one without would be nobody's, not everybody's.
        let peer = peer.unwrap_or(Peer(SocketAddr::from(([0, 0, 0, 0], 0))));
        let mut client = Client::of(peer, headers, uri_host, &self.trusted_proxies);
        // Where the site is known under https alone, something in front of this node speaks TLS.
        let has = |scheme: &str| {
            let origins = self.sites.iter().flat_map(|site| &site.origins);
            origins
                .into_iter()
                .any(|origin| origin.scheme() == scheme && origin.authority() == &*client.authority)
        };
        if has("https") && !has("http") {
            client.scheme = "https";
        }
        client
    }

    /// How a visitor's browser reaches this node.
    pub(crate) fn base_url(&self, client: &Client) -> Box<str> {
        match &self.base_url {
            Some(url) => url.as_str().into(),
            None => format!("{}://{}", client.scheme, client.authority).into(),
        }
    }
}

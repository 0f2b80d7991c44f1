//! A node before a real origin, on free ports of this machine.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod peer;

use std::net::SocketAddr;

use axum::Router;
use edgeweave_node::Node;
use edgeweave_node::config::Draft;
use reqwest::{Client, RequestBuilder};
use tokio::net::TcpListener;

/// A node, its origin, and a visitor.
pub(crate) struct Served {
    pub(crate) node: Node,
    /// The site as visitors see it: `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    /// Where the origin listens.
    pub(crate) origin: SocketAddr,
    /// A visitor's browser that follows no redirects and keeps no cookies.
    pub(crate) visitor: Client,
}

/// Puts a node before an origin.
pub(crate) async fn node_before(origin: Router) -> Served {
    node_with(origin, |_| {}).await
}

/// Puts a node that is configured in its own way before an origin.
pub(crate) async fn node_with(origin: Router, configure: impl FnOnce(&mut Draft)) -> Served {
    let origin = serve(origin).await;
    let mut draft = Draft {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        origin: Some(format!("http://{origin}").parse().unwrap()),
        ..Draft::default()
    };
    // Where contents are kept is the business of the tests that want it.
    draft.supernode.enabled = false;
    configure(&mut draft);
    let node = Node::start(draft.finish().unwrap()).await.unwrap();
    let base = format!("http://{}", node.addresses().listen);
    Served { node, base, origin, visitor: visitor() }
}

/// Serves a site on a free port.
pub(crate) async fn serve(site: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, site).await });
    address
}

/// A client that does nothing by itself.
pub(crate) fn visitor() -> Client {
    let builder = Client::builder().no_gzip().no_brotli().no_deflate().no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl Served {
    /// What a script's `fetch` asks for.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.visitor.get(format!("{}{path}", self.base)).header("sec-fetch-dest", "empty")
    }

    /// What a browser asks for when a visitor goes to a page.
    pub(crate) fn navigate(&self, path: &str) -> RequestBuilder {
        self.visitor
            .get(format!("{}{path}", self.base))
            .header("sec-fetch-dest", "document")
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
    }

    /// One of the node's figures; zero when it is not there.
    pub(crate) async fn figure(&self, name: &str) -> f64 {
        let url = format!("http://{}/metrics", self.node.addresses().admin);
        let text = self.visitor.get(url).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

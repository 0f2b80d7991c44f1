//! The body of a node: the server process that peers connect to.
//!
//! It turns HTTP requests, WebSockets, timers and the origin's answers into inputs of a site's coordinator, and the
//! coordinator's outputs into effects. Two kinds of threads share the work: tokio's workers serve HTTP (the proxy, the
//! client's files, the API), and one mesh thread owns all coordinators and all peers' sockets.
//!
//! **Invariant:** the node decides nothing about the mesh. Who meets whom, what is admitted and what is said to a peer
//! is the coordinator's; the node knows sockets, files, names and limits.
//!
//! Start with [`Config`] and [`Node`]; `mesh` is the loop around the coordinators, `proxy` the reverse proxy, `fetch`
//! the anonymous origin fetcher, `supernode` what it keeps, `routes` says what is answered where.

mod api;
mod app;
mod client;
pub mod config;
mod counted;
mod fetch;
mod history;
mod mesh;
mod metrics;
mod node;
mod place;
mod proxy;
mod release;
mod report;
mod routes;
mod script;
mod server;
mod site;
mod stun;
mod supernode;
mod web_origin;

pub use config::Config;
pub use node::{Addresses, Node, StartError};
pub use web_origin::{NotAnOrigin, WebOrigin};

/// Whether a client is built into this binary; if not, how to get one that has it.
pub const CLIENT: Result<&str, &str> =
    if release::FILES.is_empty() { Err(release::NOT_BUILT_IN) } else { Ok(release::RELEASE) };

//! A running node: started, addressed, ended.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use edgeweave_protocol::SiteId;
use edgeweave_protocol::policy::Policy;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::app::{App, Shared};
use crate::config::{Config, Reach, Service, SiteConfig, Stun};
use crate::fetch::Fetcher;
use crate::history;
use crate::mesh::{self, Mesh};
use crate::metrics::Metrics;
use crate::place::{Places, UnreadableTable, is_public};
use crate::proxy::{NoTls, Proxy};
use crate::report::Senders;
use crate::script::Scripts;
use crate::site::{Site, Sites};
use crate::supernode::Supernode;
use crate::web_origin::WebOrigin;
use crate::{routes, server, stun};

/// A node that answers.
pub struct Node {
    addresses: Addresses,
    app: Shared,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
    helpers: JoinSet<()>,
    mesh_thread: JoinHandle<()>,
}

/// Where a node answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// Visitors.
    pub listen: SocketAddr,
    /// Its operator; the same when not configured otherwise.
    pub admin: SocketAddr,
    /// The URL of its dashboard.
    pub dashboard: String,
    /// STUN requests, over UDP.
    pub stun: Option<SocketAddr>,
    /// Its sites.
    pub sites: Vec<SiteId>,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({flag}): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What it was given with.
        flag: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// STUN requests cannot be answered.
    #[error("cannot answer STUN requests on UDP {address}: {source}")]
    Stun {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A table of networks or countries cannot be read.
    #[error(transparent)]
    Table(#[from] UnreadableTable),
    /// TLS cannot be prepared.
    #[error(transparent)]
    Tls(#[from] NoTls),
    /// The origin fetcher cannot be prepared.
    #[error("cannot prepare the origin fetcher: {0}")]
    Fetcher(#[from] reqwest::Error),
    /// The mesh thread cannot be started.
    #[error("cannot start the mesh thread: {0}")]
    Mesh(io::Error),
}

impl Node {
    /// Starts a node; it answers when this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_counting(config, Registry::default()).await
    }

    /// Starts a node whose metrics are shown beside what is registered already.
    pub async fn start_counting(config: Config, mut registry: Registry) -> Result<Self, StartError> {
        let places = Places::read(config.geo_asn.as_deref(), config.geo_country.as_deref())?;
        let (listener, listen) = bind(config.listen, "--listen").await?;
        let admin = match config.admin_listen {
            Some(address) => Some(bind(address, "--admin-listen").await?),
            None => None,
        };
        let stun_socket = bind_stun(config.stun, listen, config.listen.port()).await?;
        let stun_at = stun_socket.as_ref().and_then(|socket| socket.local_addr().ok());

        let metrics = Metrics::default();
        metrics.register(&mut registry);
        let reach = match config.fetch_reach {
            Some(reach) => reach,
            None => reach_of_origins(&config.sites).await,
        };
        let supernode = match config.supernode {
            Some(supernode) => Some(Arc::new(Supernode::start(supernode, metrics.supernode.clone()).await)),
            None => None,
        };
        let is_supernode = supernode.as_ref().is_some_and(|supernode| supernode.is_ready());
        let sites = config.sites.into_iter().map(|site| site_at(site, listen, is_supernode));
        let sites: Vec<Arc<Site>> = sites.map(Arc::new).collect();
        let proxied = sites.iter().find(|site| site.upstream.is_some());
        let proxy = match proxied {
            Some(site) => Proxy::of(site, metrics.proxy.clone())?,
            None => None,
        };
        let fetcher = Fetcher::new(reach, supernode.clone(), metrics.fetch.clone())?;
        let (orders, ordered) = mpsc::unbounded_channel();
        let (mesh, mesh_thread) =
            mesh::start(sites.clone(), config.max_sessions, metrics.mesh.clone(), orders)
                .map_err(StartError::Mesh)?;

        let mut helpers = JoinSet::new();
        helpers.spawn(fetcher.run(ordered, mesh.clone()));
        helpers.spawn(history::sample(sites.clone(), mesh.clone()));
        if let Some(socket) = stun_socket {
            helpers.spawn(stun::serve(socket));
        }
        let admin_at = admin.as_ref().map_or(listen, |(_, address)| *address);
        let addresses = Addresses {
            listen,
            admin: admin_at,
            dashboard: format!("http://{admin_at}{}", routes::DASHBOARD),
            stun: stun_at,
            sites: sites.iter().map(|site| site.id.clone()).collect(),
        };
        let app = Arc::new(App {
            sites: Sites::new(sites),
            proxy,
            mesh,
            supernode,
            places,
            registry,
            metrics,
            scripts: Scripts::default(),
            senders: Senders::default(),
            base_url: config.base_url,
            stun: stun_at,
            api_token: config.api_token,
            trusted_proxies: config.trusted_proxies,
            readiness: tokio::sync::Mutex::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let servers = serve(&app, listener, admin, config.max_connections, &stopped);
        Ok(Self { addresses, app, stop, servers, helpers, mesh_thread })
    }

    /// Where it answers.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Asks the origin behind this node, if there is one, whether it is there; what is wrong if it is not.
    pub async fn check_origin(&self) -> Result<(), String> {
        match &self.app.proxy {
            Some(proxy) => proxy
                .reaches_origin()
                .await
                .map_err(|cause| format!("the origin {} does not answer: {cause}", proxy.upstream())),
            None => Ok(()),
        }
    }

    /// Ends it: no new requests, those under way are finished, peers are told to come again.
    pub async fn shut_down(mut self) {
        let _ = self.stop.send(true);
        let mesh: Mesh = self.app.mesh.clone();
        tokio::join!(mesh.shut_down(), async { while self.servers.join_next().await.is_some() {} });
        if let Some(proxy) = &self.app.proxy {
            proxy.close_tunnels().await;
        }
        self.helpers.shutdown().await;
        // The thread has said goodbye; nothing in it waits for anything any more.
        let _ = tokio::task::spawn_blocking(move || self.mesh_thread.join()).await;
    }
}

fn serve(
    app: &Shared,
    listener: TcpListener,
    admin: Option<(TcpListener, SocketAddr)>,
    max_connections: usize,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut servers = JoinSet::new();
    match admin {
        Some((admin, _)) => {
            servers.spawn(server::serve(
                listener,
                routes::for_visitors(app),
                max_connections,
                stopped.clone(),
            ));
            servers.spawn(server::serve(admin, routes::for_operator(app), max_connections, stopped.clone()));
        }
        None => {
            servers.spawn(server::serve(
                listener,
                routes::for_everybody(app),
                max_connections,
                stopped.clone(),
            ));
        }
    }
    servers
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let at = listener.local_addr()?;
        Ok((listener, at))
    };
    bound.await.map_err(|source| StartError::Listen { address, flag, source })
}

/// The port number of `listen` over UDP, unless it is said otherwise. A number that the system chose for TCP may be
/// taken over UDP; then any other does.
async fn bind_stun(stun: Stun, listen: SocketAddr, asked_port: u16) -> Result<Option<UdpSocket>, StartError> {
    let address = match stun {
        Stun::Off => return Ok(None),
        Stun::At(address) => address,
        Stun::AsListen => listen,
    };
    let any_port = stun == Stun::AsListen && asked_port == 0;
    let socket = match UdpSocket::bind(address).await {
        Err(_) if any_port => UdpSocket::bind((address.ip(), 0)).await,
        bound => bound,
    };
    socket.map(Some).map_err(|source| StartError::Stun { address, source })
}

fn site_at(config: SiteConfig, listen: SocketAddr, supernode: bool) -> Site {
    let SiteConfig { id, service, policy, admission } = config;
    let policy = Policy { supernode, ..policy };
    let (origins, upstream) = match service {
        Service::Snippet { origins } => (origins, None),
        Service::Proxy { upstream, public } if public.is_empty() => (origins_at(listen), Some(upstream)),
        Service::Proxy { upstream, public } => (public, Some(upstream)),
    };
    Site::new(id, origins, upstream, policy, admission)
}

/// How visitors on this machine, or in this network, address a node.
fn origins_at(listen: SocketAddr) -> Vec<WebOrigin> {
    let ip = listen.ip();
    let mut hosts = Vec::new();
    if !ip.is_unspecified() {
        hosts.push(ip);
    }
    let port = listen.port();
    let mut names: Vec<String> = hosts.iter().map(|ip| SocketAddr::new(*ip, port).to_string()).collect();
    if ip.is_unspecified() || ip.is_loopback() {
        names.push(SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string());
        names.push(format!("localhost:{port}"));
        names.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)).to_string());
    }
    let mut origins: Vec<WebOrigin> = Vec::new();
    for name in names {
        if let Ok(origin) = format!("http://{name}").parse()
            && !origins.contains(&origin)
        {
            origins.push(origin);
        }
    }
    origins
}

/// An operator who puts the node before a private origin means it to be fetched from.
async fn reach_of_origins(sites: &[SiteConfig]) -> Reach {
    for site in sites {
        let Service::Proxy { upstream, .. } = &site.service else { continue };
        let addresses: Vec<IpAddr> = match upstream.address() {
            Some(address) => vec![address],
            None => match tokio::net::lookup_host((upstream.host(), upstream.port())).await {
                Ok(addresses) => addresses.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            },
        };
        if addresses.iter().any(|address| !is_public(*address)) {
            return Reach::Private;
        }
    }
    Reach::Public
}

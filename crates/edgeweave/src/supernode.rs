//! `edgeweave supernode`

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Args;
use edgeweave_node::Addresses;
use edgeweave_node::config::{self, SupernodeConfig};
use edgeweave_protocol::SiteId;
use edgeweave_supernode::{CannotStart, Config, Keep, Metrics, Supernode};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use url::Url;

use crate::failure::Failure;

/// Neighbours at a time when nothing is said: each takes up to two megabytes.
const NEIGHBOURS: u32 = 256;

/// What Prometheus is told that the text is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How to run a native peer.
#[derive(Args)]
pub(crate) struct Options {
    /// The node that introduces visitors.
    #[arg(long, value_name = "URL")]
    node: Url,
    /// The site whose assets are given.
    #[arg(long, value_name = "NAME", default_value = "default")]
    site: SiteId,
    /// Keep contents here [default: `peer` within the system's folder for caches].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The most bytes of contents that are held.
    #[arg(long, value_name = "BYTES", default_value_t = 10 << 30, value_parser = clap::value_parser!(u64).range(1..))]
    disk_bytes: u64,
    /// Meet visitors here, over UDP; visitors have to reach it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:0")]
    listen_udp: SocketAddr,
    /// An address at which visitors reach --listen-udp, if it is another (repeatable).
    #[arg(long = "public-address", value_name = "ADDRESS")]
    public_addresses: Vec<IpAddr>,
    /// The most bytes that are uploaded in a second, in the long run [default: as many as the machine can].
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    upload_bytes_per_second: Option<u64>,
    /// The most neighbours at a time.
    #[arg(long, value_name = "N", default_value_t = NEIGHBOURS, value_parser = clap::value_parser!(u32).range(1..))]
    neighbours: u32,
    /// The token of the node's API, by which it knows that this is the operator's peer; on the node's machine none is
    /// needed where there is none.
    #[arg(long, value_name = "TOKEN", env = "EDGEWEAVE_API_TOKEN", hide_env_values = true, value_parser = config::api_token)]
    api_token: Option<Box<str>>,
    /// Answer the operator here, over HTTP: /metrics and /healthz.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Say where visitors are met as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a native peer until it is told to end.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    crate::log_to_standard_error();
    let json = options.json;
    let config = Config {
        node: options.node,
        api_token: options.api_token,
        site: options.site,
        contents: Keep::Own(options.folder.unwrap_or_else(|| config::caches("peer"))),
        disk_bytes: options.disk_bytes,
        listen_udp: options.listen_udp,
        public_addresses: options.public_addresses,
        upload_bytes_per_second: options.upload_bytes_per_second,
        neighbours: options.neighbours,
    };
    crate::runtime()?.block_on(async {
        let end = crate::told_to_end()?;
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        let listen = match options.listen {
            Some(address) => Some(show(address, registry).await?),
            None => None,
        };
        let supernode = Supernode::start(config, &metrics).await.map_err(|error| failure(&error))?;
        announce(supernode.addresses(), listen, json);
        supernode.run(end).await;
        Ok(())
    })
}

/// Answers the operator as long as the process lives; returns where.
async fn show(address: SocketAddr, registry: Registry) -> Result<SocketAddr, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::other(format!("cannot listen on {address}: {error}"))
            .with_way_out("choose another address or port with --listen")
    };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(cannot)?;
    let listen = listener.local_addr().map_err(cannot)?;
    let registry = Arc::new(registry);
    let metrics = move || {
        let mut text = String::new();
        let encoded = prometheus_client::encoding::text::encode(&mut text, &registry);
        std::future::ready(
            encoded
                .map(|()| ([("content-type", OPEN_METRICS)], text))
                .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR),
        )
    };
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(|| async { "ok\n" }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(listen)
}

fn announce(addresses: &[SocketAddr], listen: Option<SocketAddr>, json: bool) {
    let mut out = std::io::stdout().lock();
    // Nobody may be reading.
    let _ = if json {
        writeln!(out, "{}", serde_json::json!({ "udp": addresses, "listen": listen }))
    } else {
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        writeln!(out, "edgeweave meets visitors at udp {}", addresses.join(", ")).and_then(
            |()| match listen {
                Some(listen) => writeln!(out, "  operator: http://{listen}/metrics, /healthz"),
                None => Ok(()),
            },
        )
    };
    let _ = out.flush();
}

/// Native peers within a node's process, one for each site. Each has a thread: what they send must not hold up the node.
pub(crate) struct Embedded {
    end: watch::Sender<bool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Embedded {
    /// Starts them where the node's configuration wants them.
    pub(crate) fn start(
        supernode: &SupernodeConfig,
        api_token: Option<&str>,
        at: &Addresses,
        metrics: &Metrics,
    ) -> Result<Option<Self>, Failure> {
        let Some(first) = supernode.data_channels else { return Ok(None) };
        let (end, ended) = watch::channel(false);
        let mut threads = Vec::new();
        for (number, site) in at.sites.iter().enumerate() {
            // Port 0 is any free one.
            let behind = if first.port() == 0 { 0 } else { number as u16 };
            let config = Config {
                node: node_on_this_machine(at.listen)?,
                api_token: api_token.map(Into::into),
                site: site.clone(),
                contents: Keep::OfNode(supernode.folder.clone()),
                disk_bytes: supernode.disk_bytes,
                listen_udp: SocketAddr::new(first.ip(), first.port().saturating_add(behind)),
                public_addresses: supernode.public_addresses.clone(),
                upload_bytes_per_second: None,
                neighbours: NEIGHBOURS,
            };
            threads.push(start_thread(config, metrics, ended.clone())?);
        }
        Ok(Some(Self { end, threads }))
    }

    /// Ends them, and waits until visitors have been told.
    pub(crate) fn end(self) {
        let _ = self.end.send(true);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// Where the node answers whoever is on its machine.
fn node_on_this_machine(listen: SocketAddr) -> Result<Url, Failure> {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let url = format!("http://{}/", SocketAddr::new(ip, listen.port()));
    url.parse().map_err(|error| Failure::other(format!("{url}: {error}")))
}

fn start_thread(
    config: Config,
    metrics: &Metrics,
    mut ended: watch::Receiver<bool>,
) -> Result<std::thread::JoinHandle<()>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start threads: {error}")))?;
    // What cannot be started is said before the node says that it serves.
    let supernode = runtime.block_on(Supernode::start(config, metrics)).map_err(|error| {
        Failure::other(error.to_string())
            .with_way_out("choose another address with --supernode-data-channels")
    })?;
    let run = move || {
        runtime.block_on(supernode.run(async move {
            let _ = ended.wait_for(|ended| *ended).await;
        }));
    };
    let thread = std::thread::Builder::new().name("peer".into()).spawn(run);
    thread.map_err(|error| Failure::other(format!("cannot start threads: {error}")))
}

fn failure(error: &CannotStart) -> Failure {
    let failure = Failure::other(error.to_string());
    match error {
        CannotStart::Node(_) => {
            failure.with_way_out("give the address that browsers use, as --node https://mesh.example.com")
        }
        CannotStart::Listen { .. } => {
            failure.with_way_out("choose another address or port with --listen-udp")
        }
        CannotStart::Address { .. } => failure.with_way_out("say it with --public-address"),
        CannotStart::InUse(_) | CannotStart::Folder { .. } => {
            failure.with_way_out("give another folder with --folder")
        }
        CannotStart::System { .. } => failure,
    }
}

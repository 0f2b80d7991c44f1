//! `edgeweave serve`

mod mistakes;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use edgeweave_node::config::{self, AdmissionRules, Draft, Stun};
use edgeweave_node::{Addresses, Config, Node, StartError, WebOrigin};
use edgeweave_protocol::SiteId;
use edgeweave_protocol::policy::{Policy, Prefer};
use edgeweave_supernode::Metrics;
use ipnet::IpNet;
use prometheus_client::registry::Registry;

use crate::failure::Failure;
use crate::supernode::Embedded;

/// How to run a node.
#[derive(Args)]
pub(crate) struct Options {
    /// Read the configuration from this file; flags win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the documented defaults, as a file for --config.
    #[arg(long)]
    print_config: bool,
    /// Answer visitors here [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Be the reverse proxy of the site at this origin.
    #[arg(long, value_name = "URL")]
    origin: Option<WebOrigin>,
    /// Where visitors find the site of --origin, if not at --listen (repeatable; the first is the main one).
    #[arg(long = "public-origin", value_name = "URL")]
    public_origins: Vec<WebOrigin>,
    /// The name of the site of --origin [default: default].
    #[arg(long, value_name = "NAME")]
    site: Option<SiteId>,
    /// Answer the operator here, and leave those paths at --listen to the site.
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<SocketAddr>,
    /// Answer STUN requests here, over UDP [default: the address and port number of --listen].
    #[arg(long, value_name = "ADDRESS:PORT")]
    stun: Option<SocketAddr>,
    /// Answer no STUN requests.
    #[arg(long, conflicts_with = "stun")]
    no_stun: bool,
    /// Be no supernode: keep nothing on disk.
    #[arg(long)]
    no_supernode: bool,
    /// Give the supernode's contents over data channels too, and meet visitors here, over UDP.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "no_supernode")]
    supernode_data_channels: Option<SocketAddr>,
    /// How browsers reach this node, when what is in front of it speaks TLS.
    #[arg(long, value_name = "URL")]
    base_url: Option<WebOrigin>,
    /// Whoever knows this may use the API; without one, only this machine may.
    #[arg(long, value_name = "TOKEN", env = "EDGEWEAVE_API_TOKEN", hide_env_values = true, value_parser = config::api_token)]
    api_token: Option<Box<str>>,
    /// A proxy whose X-Forwarded-* headers are believed (repeatable).
    #[arg(long = "trusted-proxy", value_name = "ADDRESS|PREFIX", value_parser = config::parse_network)]
    trusted_proxies: Vec<IpNet>,
    /// Let the anonymous origin fetcher connect to private addresses.
    #[arg(long)]
    allow_private_addresses: bool,
    /// A MaxMind table of networks (autonomous systems).
    #[arg(long, value_name = "FILE")]
    geo_asn: Option<PathBuf>,
    /// A MaxMind table of countries.
    #[arg(long, value_name = "FILE")]
    geo_country: Option<PathBuf>,
    /// What requests prefer when both the mesh and the origin could answer.
    #[arg(long, value_name = "speed|offload", value_parser = config::prefer)]
    prefer: Option<Prefer>,
    /// With `--prefer offload`: milliseconds by which the mesh may be later than the origin.
    #[arg(long, value_name = "MS")]
    patience_ms: Option<u32>,
    /// Distinct visitors that must have seen a URL before the node fetches it [default: 2].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sightings: Option<u32>,
    /// Say where the node answers as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a node until it is told to end.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    if options.print_config {
        print!("{}", config::DEFAULTS);
        return Ok(());
    }
    crate::log_to_standard_error();
    crate::raise_file_limit();
    let json = options.json;
    let config = configuration(options)?;
    crate::runtime()?.block_on(serve(config, json))
}

/// Defaults, over them the file, over them flags.
fn configuration(options: Options) -> Result<Config, Failure> {
    let Some(path) = options.config.clone() else {
        let mut draft = Draft::default();
        apply(options, &mut draft);
        return draft.finish().map_err(|mistakes| mistakes::in_flags(&mistakes));
    };
    let file = fs::read_to_string(&path).map_err(|error| {
        Failure::usage(format!("cannot read {}: {error}", path.display())).with_way_out(
            "give another file with --config; `edgeweave serve --print-config` prints one to begin with",
        )
    })?;
    let told = |found| mistakes::in_file(&path, &file, found);
    let mut draft = Draft::read(&file).map_err(told)?;
    apply(options, &mut draft);
    draft.finish().map_err(told)
}

fn apply(options: Options, draft: &mut Draft) {
    change(&options, &mut draft.policy, &mut draft.admission);
    for site in &mut draft.sites {
        change(&options, &mut site.policy, &mut site.admission);
    }
    draft.listen = options.listen.unwrap_or(draft.listen);
    draft.admin_listen = options.admin_listen.or(draft.admin_listen);
    draft.stun = match options.stun {
        _ if options.no_stun => Stun::Off,
        Some(address) => Stun::At(address),
        None => draft.stun,
    };
    draft.supernode.enabled &= !options.no_supernode;
    draft.supernode.data_channels = options.supernode_data_channels.or(draft.supernode.data_channels);
    draft.base_url = options.base_url.or(draft.base_url.take());
    draft.origin = options.origin.or(draft.origin.take());
    if !options.public_origins.is_empty() {
        draft.public_origins = options.public_origins;
    }
    draft.site = options.site.or(draft.site.take());
    draft.api_token = options.api_token.or(draft.api_token.take());
    if !options.trusted_proxies.is_empty() {
        draft.trusted_proxies = options.trusted_proxies;
    }
    if options.allow_private_addresses {
        draft.allow_private_addresses = Some(true);
    }
    draft.geo_asn = options.geo_asn.or(draft.geo_asn.take());
    draft.geo_country = options.geo_country.or(draft.geo_country.take());
}

/// What flags say of sites holds for all of them.
fn change(options: &Options, policy: &mut Policy, admission: &mut AdmissionRules) {
    policy.prefer = options.prefer.unwrap_or(policy.prefer);
    policy.patience_ms = options.patience_ms.unwrap_or(policy.patience_ms);
    admission.sightings = options.sightings.unwrap_or(admission.sightings);
}

async fn serve(config: Config, json: bool) -> Result<(), Failure> {
    // From here on a signal is kept until it is waited for.
    let end = crate::told_to_end()?;
    let (metrics, mut registry) = (Metrics::default(), Registry::default());
    metrics.register(&mut registry);
    let (supernode, api_token) = (config.supernode.clone(), config.api_token.clone());
    let node = Node::start_counting(config, registry).await.map_err(|error| failure(&error))?;
    let peers = match supernode {
        Some(supernode) => {
            let at = node.addresses().clone();
            // They have runtimes of their own, which cannot be entered from this one.
            let start = move || Embedded::start(&supernode, api_token.as_deref(), &at, &metrics);
            tokio::task::spawn_blocking(start).await.map_err(|error| Failure::other(error.to_string()))??
        }
        None => None,
    };
    announce(node.addresses(), json);
    if let Err(missing) = edgeweave_node::CLIENT {
        eprintln!("edgeweave: {missing}");
    }
    if let Err(why) = node.check_origin().await {
        eprintln!("edgeweave: {why}; the node waits for it (/readyz says when it is there)");
    }
    end.await;
    if let Some(peers) = peers {
        // Whatever they have to say has been said, or the process ends all the same.
        let _ = tokio::task::spawn_blocking(|| peers.end()).await;
    }
    node.shut_down().await;
    Ok(())
}

fn announce(addresses: &Addresses, json: bool) {
    let mut out = std::io::stdout().lock();
    // Nobody may be reading.
    let _ = if json {
        serde_json::to_writer(&mut out, addresses).map_err(std::io::Error::from).and_then(|()| writeln!(out))
    } else {
        let Addresses { listen, admin, dashboard, stun, sites } = addresses;
        let sites: Vec<&str> = sites.iter().map(SiteId::as_str).collect();
        let stun = stun.map_or("off".into(), |stun| format!("udp {stun}"));
        writeln!(
            out,
            "edgeweave serves {} at http://{listen}/\n  STUN: {stun}\n  dashboard: {dashboard}\n  operator: http://{admin}/api/v1, /metrics, /healthz, /readyz",
            sites.join(", "),
        )
    };
    let _ = out.flush();
}

fn failure(error: &StartError) -> Failure {
    let failure = Failure::other(error.to_string());
    match error {
        StartError::Listen { flag, .. } => failure
            .with_way_out(format!("choose another address or port with {flag}; see docs/node.md#listen")),
        StartError::Stun { .. } => {
            failure.with_way_out("choose another with --stun, or give --no-stun; see docs/node.md#stun")
        }
        _ => failure,
    }
}

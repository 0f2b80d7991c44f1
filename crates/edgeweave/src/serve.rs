//! `edgeweave serve`

use std::io::Write as _;
use std::net::SocketAddr;

use clap::Args;
use edgeweave_node::config::{Service, SiteConfig, Stun};
use edgeweave_node::{Addresses, Config, Node, StartError, WebOrigin};
use edgeweave_protocol::SiteId;
use edgeweave_protocol::policy::{Policy, Prefer};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// How to run a node.
#[derive(Args)]
pub(crate) struct Options {
    /// Answer visitors here [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Be the reverse proxy of the site at this origin.
    #[arg(long, value_name = "URL")]
    origin: Option<WebOrigin>,
    /// Where visitors find the site of --origin, if not at --listen (repeatable; the first is the main one).
    #[arg(long = "public-origin", value_name = "URL", requires = "origin")]
    public_origins: Vec<WebOrigin>,
    /// The name of the site of --origin.
    #[arg(long, value_name = "NAME", default_value = "default")]
    site: SiteId,
    /// Answer the operator here, and leave all other paths at --listen to the site.
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<SocketAddr>,
    /// Answer STUN requests here, over UDP [default: the address and port number of --listen].
    #[arg(long, value_name = "ADDRESS:PORT")]
    stun: Option<SocketAddr>,
    /// Answer no STUN requests.
    #[arg(long, conflicts_with = "stun")]
    no_stun: bool,
    /// What requests prefer when both the mesh and the origin could answer.
    #[arg(long, value_name = "speed|offload", value_parser = prefer)]
    prefer: Option<Prefer>,
    /// With `--prefer offload`: milliseconds by which the mesh may be later than the origin.
    #[arg(long, value_name = "MS")]
    patience_ms: Option<u32>,
    /// Say where the node answers as one line of JSON.
    #[arg(long)]
    json: bool,
}

fn prefer(text: &str) -> Result<Prefer, String> {
    match text {
        "speed" => Ok(Prefer::Speed),
        "offload" => Ok(Prefer::Offload),
        _ => Err("neither `speed` nor `offload`".into()),
    }
}

/// Runs a node until it is told to end.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    log_to_standard_error();
    crate::raise_file_limit();
    let json = options.json;
    let config = config(options)?;
    crate::runtime()?.block_on(serve(config, json))
}

fn config(options: Options) -> Result<Config, Failure> {
    let Some(upstream) = options.origin else {
        return Err(Failure::usage("there is no site to serve").with_way_out("give --origin URL"));
    };
    let mut policy = Policy::default();
    policy.prefer = options.prefer.unwrap_or(policy.prefer);
    policy.patience_ms = options.patience_ms.unwrap_or(policy.patience_ms);
    let site = SiteConfig {
        id: options.site,
        service: Service::Proxy { upstream, public: options.public_origins },
        policy,
        admission: Default::default(),
    };
    Ok(Config {
        listen: options.listen.unwrap_or(Config::LISTEN),
        admin_listen: options.admin_listen,
        stun: match options.stun {
            _ if options.no_stun => Stun::Off,
            Some(address) => Stun::At(address),
            None => Stun::AsListen,
        },
        base_url: None,
        sites: vec![site],
        api_token: None,
        trusted_proxies: Vec::new(),
        fetch_reach: None,
        geo_asn: None,
        geo_country: None,
        max_sessions: Config::MAX_SESSIONS,
        max_connections: Config::MAX_CONNECTIONS,
    })
}

async fn serve(config: Config, json: bool) -> Result<(), Failure> {
    // From here on a signal is kept until it is waited for.
    let ends = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = ends else {
        return Err(Failure::other("cannot wait for signals"));
    };
    let node = Node::start(config).await.map_err(|error| failure(&error))?;
    announce(node.addresses(), json);
    if let Err(missing) = edgeweave_node::CLIENT {
        eprintln!("edgeweave: {missing}");
    }
    if let Err(why) = node.check_origin().await {
        eprintln!("edgeweave: {why}; the node waits for it (/readyz says when it is there)");
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
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
        let Addresses { listen, admin, stun, sites } = addresses;
        let sites: Vec<&str> = sites.iter().map(SiteId::as_str).collect();
        let stun = stun.map_or("off".into(), |stun| format!("udp {stun}"));
        writeln!(
            out,
            "edgeweave serves {} at http://{listen}/\n  STUN: {stun}\n  operator: http://{admin}/api/v1, /metrics, /healthz, /readyz",
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

fn log_to_standard_error() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("EDGEWEAVE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

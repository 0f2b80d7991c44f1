//! The anonymous origin fetcher: asks a site's own origin for what visitors sighted, as somebody whom the origin does
//! not know, and passes on what the answer's headers say and its content hashes to. The content itself goes to the supernode, if there is one.

mod resolver;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edgeweave_coordinator::io::{Content, Fetched};
use edgeweave_protocol::Reason;
use edgeweave_protocol::manifest::{Headers, OK, is_missing};
use edgeweave_protocol::naming::{Named, PieceHasher};
use reqwest::header::{ACCEPT, CONTENT_ENCODING, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use self::resolver::{PrivateAddress, PublicResolver};
use crate::mesh::{FetchOrder, Mesh};
use crate::metrics::FetchMetrics;
use crate::place::is_public;
use crate::supernode::{Keeping, Supernode};
use crate::web_origin::WebOrigin;

/// Who asks.
const USER_AGENT: &str =
    concat!("edgeweave/", env!("CARGO_PKG_VERSION"), " (", env!("CARGO_PKG_REPOSITORY"), ")");
/// How long connecting to the origin may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the origin may send nothing.
const STALL: Duration = Duration::from_secs(15);
/// How long a fetch may take, apart from the time that its content takes at [`SLOWEST`].
const TOTAL: Duration = Duration::from_secs(60);
/// The slowest rate in bytes a second at which content may come in the long run: an origin cannot hold a fetch for
/// ever by sending a byte now and then, and a long video has its time.
const SLOWEST: u64 = 256 * 1024;
/// Fetches at a time: the origin serves visitors, too.
const AT_A_TIME: usize = 8;

/// Which addresses the fetcher may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only those of the Internet.
    Public,
    /// Private ones, too.
    Private,
}

/// Fetches what coordinators order, until none of them is left.
pub(crate) struct Fetcher {
    client: Client,
    reach: Reach,
    supernode: Option<Arc<Supernode>>,
    metrics: FetchMetrics,
}

impl Fetcher {
    /// A fetcher without cookies, credentials or a cache.
    pub(crate) fn new(
        reach: Reach,
        supernode: Option<Arc<Supernode>>,
        metrics: FetchMetrics,
    ) -> Result<Self, reqwest::Error> {
        let mut client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT)
            .read_timeout(STALL)
            // A site's answer to one URL under the address of another has another base for its own links, and its
            // own freshness: such URLs are not admitted, so their redirects need not be followed.
            .redirect(redirect::Policy::none())
            // A proxy of the environment would connect wherever it is told to.
            .no_proxy();
        if reach == Reach::Public {
            client = client.dns_resolver(Arc::new(PublicResolver));
        }
        Ok(Self { client: client.build()?, reach, supernode, metrics })
    }

    /// Carries out orders and tells the mesh what came of them.
    pub(crate) async fn run(self, mut orders: mpsc::UnboundedReceiver<FetchOrder>, mesh: Mesh) {
        let fetcher = Arc::new(self);
        let turns = Arc::new(Semaphore::new(AT_A_TIME));
        let mut fetches = JoinSet::new();
        while let Some(order) = orders.recv().await {
            let Ok(turn) = turns.clone().acquire_owned().await else { return };
            let (fetcher, mesh) = (fetcher.clone(), mesh.clone());
            fetches.spawn(async move {
                let mut keeping = Keeping::new(fetcher.supernode.clone());
                let outcome = fetcher.fetch(&order, &mut keeping).await;
                fetcher.metrics.count(&outcome);
                let content = outcome.as_ref().ok().and_then(|fetched| fetched.content.as_ref());
                let hash = content.map(|content| content.hash);
                tracing::debug!(url = %order.url, outcome = ?outcome.as_ref().map(|fetched| fetched.status), "fetched");
                let is_admitted = mesh.fetched(&order.site.id, order.url, outcome).await;
                drop(turn);
                if let Some(hash) = hash.filter(|_| is_admitted) {
                    keeping.keep(hash, &order.site).await;
                }
            });
            while fetches.try_join_next().is_some() {}
        }
    }

    async fn fetch(&self, order: &FetchOrder, keeping: &mut Keeping) -> Result<Fetched, Reason> {
        let url = order.site.fetch_url(&order.url).ok_or(Reason::OtherOrigin)?;
        let url = Url::parse(&url).map_err(|_| Reason::OtherOrigin)?;
        self.check_address(&url)?;
        let started = Instant::now();
        let mut request = self.client.get(url).header(ACCEPT, "*/*");
        for (name, value) in &order.validators {
            request = request.header(&**name, &**value);
        }
        let response = request.send().await.map_err(|error| reason_of(&error))?;
        if response.status().is_redirection() && response.status() != StatusCode::NOT_MODIFIED {
            return Err(Reason::Redirect);
        }
        let status = response.status().as_u16();
        let headers = headers_of(&response);
        // What says that something is missing can be admitted, like what is there.
        if status != OK && !is_missing(status) {
            return Ok(Fetched { status, headers, content: None });
        }
        // The fetcher has decoded what it had asked for; visitors' browsers may know codings that it does not.
        if response.headers().contains_key(CONTENT_ENCODING) {
            return Err(Reason::NotCacheable);
        }
        let content = read(response, started, order.max_bytes, keeping).await?;
        self.metrics.bytes.inc_by(content.size);
        Ok(Fetched { status, headers, content: Some(content) })
    }

    /// Names are checked as they are resolved; addresses are not resolved.
    fn check_address(&self, url: &Url) -> Result<(), Reason> {
        let address = WebOrigin::of(url).ok_or(Reason::OtherOrigin)?.address();
        match address {
            Some(address) if self.reach == Reach::Public && !is_public(address) => {
                Err(Reason::PrivateAddress)
            }
            _ => Ok(()),
        }
    }
}

async fn read(
    mut response: Response,
    started: Instant,
    max_bytes: u64,
    keeping: &mut Keeping,
) -> Result<Content, Reason> {
    if response.content_length().is_some_and(|length| length > max_bytes) {
        return Err(Reason::TooLarge);
    }
    keeping.begin().await;
    let mut hasher = PieceHasher::default();
    while let Some(chunk) = response.chunk().await.map_err(|error| reason_of(&error))? {
        hasher.update(&chunk);
        if hasher.size() > max_bytes {
            return Err(Reason::TooLarge);
        }
        if started.elapsed() > TOTAL + Duration::from_secs(hasher.size() / SLOWEST) {
            return Err(Reason::OriginUnreachable);
        }
        keeping.take(&chunk).await;
    }
    let Named { size, hash, pieces } = hasher.finish();
    Ok(Content { size, hash, pieces })
}

/// All headers. None may be left out because its value is no text: it could be the one that forbids admission.
fn headers_of(response: &Response) -> Headers {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().into(), String::from_utf8_lossy(value.as_bytes()).into())
    };
    response.headers().iter().map(text).collect()
}

fn reason_of(error: &reqwest::Error) -> Reason {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<PrivateAddress>() {
            return Reason::PrivateAddress;
        }
        cause = error.source();
    }
    Reason::OriginUnreachable
}

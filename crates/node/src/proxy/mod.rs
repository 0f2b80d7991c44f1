//! The reverse proxy: everything of a site passes through as it is, except that documents which visitors navigate to
//! are given the snippet.

mod csp;
mod headers;
mod injector;
mod plan;
mod rewrite;
mod tunnel;

use std::time::Duration;

use axum::body::Body;
use http::header::ACCEPT_ENCODING;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::plan::Plan;
use self::rewrite::Rewritten;
use self::tunnel::Tunnels;
use crate::client::Client;
use crate::counted::Counted;
use crate::metrics::{ByReason, ProxyMetrics};
use crate::site::Site;
use crate::web_origin::WebOrigin;

/// How long connecting to the origin may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the origin may think before it begins to answer.
const THINK: Duration = Duration::from_secs(60);
/// How long an unused connection to the origin is kept; shorter than common servers keep theirs.
const IDLE: Duration = Duration::from_secs(30);

/// A site's reverse proxy.
pub(crate) struct Proxy {
    upstream: WebOrigin,
    /// Where visitors find the site.
    public: Vec<WebOrigin>,
    connections: Connections<HttpsConnector<HttpConnector>, Body>,
    tunnels: Tunnels,
    metrics: ProxyMetrics,
}

/// The node's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare TLS towards the origin: {0}")]
pub struct NoTls(#[from] std::io::Error);

impl Proxy {
    /// The proxy of a site; `None` when the site's origin is not behind this node.
    pub(crate) fn of(site: &Site, metrics: ProxyMetrics) -> Result<Option<Self>, NoTls> {
        let Some(upstream) = site.upstream.clone() else { return Ok(None) };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = HttpsConnectorBuilder::new().try_with_platform_verifier().map_err(std::io::Error::other)?;
        let connections = Connections::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(tls.https_or_http().enable_http1().wrap_connector(tcp));
        Ok(Some(Self {
            upstream,
            public: site.origins.clone(),
            connections,
            tunnels: Tunnels::default(),
            metrics,
        }))
    }

    /// The origin behind this node.
    pub(crate) fn upstream(&self) -> &WebOrigin {
        &self.upstream
    }

    /// Passes a request on, and the answer back.
    pub(crate) async fn forward(&self, client: &Client, mut request: Request<Body>) -> Response<Body> {
        self.metrics.requests.inc();
        let Some(uri) = self.upstream_uri(request.uri()) else {
            return said(StatusCode::BAD_REQUEST, "this request names no path on this site");
        };
        let upgrade = headers::upgrade(request.headers());
        let visitor_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let asked = plan::Asked::of(&request);

        *request.uri_mut() = uri;
        *request.version_mut() = http::Version::HTTP_11;
        headers::to_origin(request.headers_mut(), client, &self.upstream);
        if let Some(protocol) = upgrade {
            headers::set_upgrade(request.headers_mut(), protocol);
        }
        if asked.is_navigation {
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }

        let answer = match tokio::time::timeout(THINK, self.connections.request(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return self.unreachable(&error),
            Err(_) => return self.silent(),
        };
        self.answer(client, answer, &asked, visitor_side)
    }

    /// Whether the origin answers anything at all.
    pub(crate) async fn reaches_origin(&self) -> Result<(), String> {
        let uri = self.upstream_uri(&Uri::from_static("/")).ok_or("its address has no path")?;
        let mut request = Request::head(uri).body(Body::empty()).map_err(|error| error.to_string())?;
        headers::set_host(request.headers_mut(), &self.upstream);
        match tokio::time::timeout(CONNECT, self.connections.request(request)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(cause(&error)),
            Err(_) => Err(format!("no answer within {} s", CONNECT.as_secs())),
        }
    }

    fn answer(
        &self,
        client: &Client,
        answer: Response<Incoming>,
        asked: &plan::Asked,
        visitor_side: Option<hyper::upgrade::OnUpgrade>,
    ) -> Response<Body> {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return match visitor_side {
                Some(visitor_side) => self.tunnels.open(answer, visitor_side),
                None => said(StatusCode::BAD_GATEWAY, "the origin switched protocols without being asked to"),
            };
        }
        let (mut parts, body) = answer.into_parts();
        // The version is one of the connection to the origin.
        parts.version = http::Version::HTTP_11;
        headers::to_visitor(&mut parts.headers, client, &self.upstream);
        let body = Counted::new(body, self.metrics.bytes.clone());
        match plan::plan(asked, &parts, client) {
            Plan::PassOn => Response::from_parts(parts, Body::new(body)),
            Plan::LeaveAlone(why) => {
                self.metrics.left_alone.get_or_create(&ByReason::named(why.as_str())).inc();
                Response::from_parts(parts, Body::new(body))
            }
            Plan::Inject(codings) => {
                headers::of_rewritten(&mut parts.headers, codings.encode);
                Response::from_parts(parts, Body::new(Rewritten::new(body, codings, self.metrics.clone())))
            }
        }
    }

    fn upstream_uri(&self, asked: &Uri) -> Option<Uri> {
        let scheme = Scheme::try_from(self.upstream.scheme()).ok()?;
        let path = asked.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Uri::builder().scheme(scheme).authority(self.upstream.authority()).path_and_query(path).build().ok()
    }

    fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> Response<Body> {
        self.metrics.unreachable.inc();
        let cause = cause(error);
        tracing::warn!(origin = %self.upstream, %cause, "the origin does not answer");
        said(
            StatusCode::BAD_GATEWAY,
            &format!("the site's origin {} does not answer: {cause}", self.upstream),
        )
    }

    fn silent(&self) -> Response<Body> {
        self.metrics.unreachable.inc();
        let about =
            format!("the site's origin {} did not answer within {} s", self.upstream, THINK.as_secs());
        said(StatusCode::GATEWAY_TIMEOUT, &about)
    }

    /// Ends the connections that have become something else than HTTP.
    pub(crate) async fn close_tunnels(&self) {
        self.tunnels.close().await;
    }

    /// Whether visitors may find the site under this authority.
    pub(crate) fn knows(&self, authority: &str) -> bool {
        self.public.iter().any(|origin| origin.authority() == authority)
    }
}

/// The innermost error says what happened; those around it say where.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

fn said(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("edgeweave: {text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

//! Which documents are given the snippet, and how they are coded on the way.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, RANGE,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};

use super::csp;
use crate::client::Client;

/// What matters of a request.
pub(super) struct Asked {
    /// A visitor's browser will show the answer as a page of its own or in a frame.
    pub(super) is_navigation: bool,
    /// How the answer may be coded.
    accepts: Coding,
}

/// What happens to an answer.
pub(super) enum Plan {
    /// It is no document.
    PassOn,
    /// It is a document, but cannot be given the snippet.
    LeaveAlone(Untouched),
    /// It is given the snippet.
    Inject(Codings),
}

/// Why a document is not given the snippet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untouched {
    /// It is to be saved, not shown.
    Attachment,
    /// Its Content-Security-Policy forbids scripts of its own site.
    ContentSecurityPolicy,
    /// It is in a character encoding of which ASCII is no part.
    Charset,
    /// It is compressed in a way that the node cannot read.
    Encoded,
    /// The origin forbids proxies to change it.
    NoTransform,
    /// No place for the snippet was found near its beginning.
    NoPlace,
}

impl Untouched {
    /// The name in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Attachment => "attachment",
            Self::ContentSecurityPolicy => "content_security_policy",
            Self::Charset => "charset",
            Self::Encoded => "encoded",
            Self::NoTransform => "no_transform",
            Self::NoPlace => "no_place",
        }
    }
}

/// How a body is coded (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Identity,
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
}

impl Coding {
    /// The name in `Content-Encoding`.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}

/// How a document is decoded and encoded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codings {
    /// As the origin sends it, although it was asked not to.
    pub(super) decode: Coding,
    /// As the visitor gets it.
    pub(super) encode: Coding,
}

impl Asked {
    /// Reads it from a request.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let headers = request.headers();
        let accepts_html = || text(headers, &ACCEPT).contains("text/html");
        let shows = match headers.get("sec-fetch-dest").map(http::HeaderValue::as_bytes) {
            Some(destination) => matches!(destination, b"document" | b"iframe" | b"frame"),
            None => accepts_html(),
        };
        let is_navigation = request.method() == Method::GET && shows && !headers.contains_key(RANGE);
        Self { is_navigation, accepts: preferred_coding(&text(headers, &ACCEPT_ENCODING)) }
    }
}

/// Decides about an answer.
pub(super) fn plan(asked: &Asked, answer: &Parts, client: &Client) -> Plan {
    let kind = text(&answer.headers, &CONTENT_TYPE).to_ascii_lowercase();
    let (kind, parameters) = kind.split_once(';').unwrap_or((&kind, ""));
    let is_document = answer.status.is_success()
        && !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT)
        && kind.trim() == "text/html";
    if !asked.is_navigation || !is_document {
        return Plan::PassOn;
    }
    match codings(asked, &answer.headers, parameters, client) {
        Ok(codings) => Plan::Inject(codings),
        Err(why) => Plan::LeaveAlone(why),
    }
}

fn codings(
    asked: &Asked,
    headers: &HeaderMap,
    parameters: &str,
    client: &Client,
) -> Result<Codings, Untouched> {
    if text(headers, &CONTENT_DISPOSITION).trim_start().to_ascii_lowercase().starts_with("attachment") {
        return Err(Untouched::Attachment);
    }
    if text(headers, &CACHE_CONTROL).to_ascii_lowercase().contains("no-transform") {
        return Err(Untouched::NoTransform);
    }
    let policies = headers.get_all(CONTENT_SECURITY_POLICY).into_iter();
    if !csp::allows_snippet(policies.filter_map(|policy| policy.to_str().ok()), client) {
        return Err(Untouched::ContentSecurityPolicy);
    }
    let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    if charset.is_some_and(|charset| !contains_ascii(charset.trim_matches(['"', ' ']))) {
        return Err(Untouched::Charset);
    }
    let decode = match text(headers, &CONTENT_ENCODING).trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Coding::Identity,
        "gzip" | "x-gzip" => Coding::Gzip,
        "br" => Coding::Brotli,
        _ => return Err(Untouched::Encoded),
    };
    Ok(Codings { decode, encode: asked.accepts })
}

/// Whether ASCII text is the same bytes in this encoding.
fn contains_ascii(charset: &str) -> bool {
    !matches!(charset, "iso-2022-jp" | "iso-2022-kr" | "hz-gb-2312")
        && !["utf-16", "utf-32", "ucs-2", "iso-10646-ucs", "unicode", "utf-7"]
            .iter()
            .any(|name| charset.starts_with(name))
}

/// The best coding that an `Accept-Encoding` allows.
fn preferred_coding(accepted: &str) -> Coding {
    let accepts = |wanted: &str| {
        accepted.split(',').any(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            let refused =
                weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()) == Some(0.0);
            name.trim().eq_ignore_ascii_case(wanted) && !refused
        })
    };
    match () {
        () if accepts("br") => Coding::Brotli,
        () if accepts("gzip") => Coding::Gzip,
        () => Coding::Identity,
    }
}

/// All values of a header, as one.
fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<&str> =
        headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(", ")
}

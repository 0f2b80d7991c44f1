//! What a proxy changes in headers: those of the connection, and those that say where the site is.

use http::header::{
    ACCEPT_RANGES, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, ETAG, EXPECT, HOST,
    LOCATION, ORIGIN, REFERER, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::plan::Coding;
use crate::client::Client;
use crate::web_origin::WebOrigin;

/// Headers that concern one connection (RFC 9110, section 7.6.1), beside those that `Connection` names.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Headers that say something of the exact bytes of a body.
const OF_THE_BYTES: [HeaderName; 6] = [
    CONTENT_LENGTH,
    ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// The protocol that a visitor asks to switch to.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    let asked =
        values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| asked).cloned()
}

/// Asks the origin to switch protocols.
pub(super) fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Addresses a request to the origin.
pub(super) fn set_host(headers: &mut HeaderMap, upstream: &WebOrigin) {
    if let Ok(host) = HeaderValue::from_str(upstream.authority()) {
        headers.insert(HOST, host);
    }
}

/// Makes a visitor's request the node's own: addressed to the origin, with the visitor named beside it.
pub(super) fn to_origin(headers: &mut HeaderMap, client: &Client, upstream: &WebOrigin) {
    remove_connection_headers(headers);
    // The node itself has already told the visitor to go on.
    headers.remove(EXPECT);
    let public = public_origin(client);
    // An origin that checks where a form was sent from compares these with its `Host`.
    for name in [ORIGIN, REFERER] {
        move_to(headers, &name, &public, upstream.as_str());
    }
    let visitor = client.address.to_string();
    let passed: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .chain([visitor.as_str()])
        .collect();
    let passed = passed.join(", ");
    set(headers, "x-forwarded-for", &passed);
    set(headers, "x-forwarded-host", &client.authority);
    set(headers, "x-forwarded-proto", client.scheme);
    set_host(headers, upstream);
}

/// Makes the origin's answer the node's own: what points at the origin points at where the visitor is.
pub(super) fn to_visitor(headers: &mut HeaderMap, client: &Client, upstream: &WebOrigin) {
    remove_connection_headers(headers);
    let public = public_origin(client);
    for name in [LOCATION, CONTENT_LOCATION] {
        move_to(headers, &name, upstream.as_str(), &public);
    }
    let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).into_iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in cookies {
        headers.append(SET_COOKIE, without_origin_domain(cookie, upstream, client));
    }
}

/// What is true of a document that was given the snippet.
pub(super) fn of_rewritten(headers: &mut HeaderMap, encoded: Coding) {
    for name in OF_THE_BYTES {
        headers.remove(name);
    }
    headers.remove(CONTENT_ENCODING);
    if let Some(name) = encoded.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    // Other bytes than the origin's can only mean the same; and only navigations get them.
    if let Some(etag) = headers.get(ETAG).and_then(|etag| etag.to_str().ok())
        && !etag.starts_with("W/")
        && let Ok(weak) = HeaderValue::try_from(format!("W/{etag}"))
    {
        headers.insert(ETAG, weak);
    }
    headers.append(VARY, HeaderValue::from_static("accept-encoding, sec-fetch-dest"));
}

fn public_origin(client: &Client) -> String {
    format!("{}://{}", client.scheme, client.authority)
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn remove_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_THE_CONNECTION) {
        headers.remove(name);
    }
}

/// Replaces the origin at the beginning of a URL.
fn move_to(headers: &mut HeaderMap, name: &HeaderName, from: &str, to: &str) {
    let Some(url) = headers.get(name).and_then(|value| value.to_str().ok()) else { return };
    let Some((origin, rest)) = url.split_at_checked(from.len()) else { return };
    if origin.eq_ignore_ascii_case(from)
        && (rest.is_empty() || rest.starts_with(['/', '?', '#']))
        && let Ok(moved) = HeaderValue::try_from(format!("{to}{rest}"))
    {
        headers.insert(name, moved);
    }
}

/// A cookie for the origin's own host name would be refused by a browser that knows the site under another.
fn without_origin_domain(cookie: HeaderValue, upstream: &WebOrigin, client: &Client) -> HeaderValue {
    let Ok(text) = cookie.to_str() else { return cookie };
    let is_foreign = |attribute: &str| {
        let Some((name, domain)) = attribute.split_once('=') else { return false };
        let domain = domain.trim().trim_start_matches('.').to_ascii_lowercase();
        name.trim().eq_ignore_ascii_case("domain")
            && is_within(upstream.host(), &domain)
            && !is_within(client.host(), &domain)
    };
    if !text.split(';').skip(1).any(is_foreign) {
        return cookie;
    }
    let first = text.split(';').take(1);
    let kept: Vec<&str> = first.chain(text.split(';').skip(1).filter(|part| !is_foreign(part))).collect();
    HeaderValue::try_from(kept.join(";")).unwrap_or(cookie)
}

fn is_within(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

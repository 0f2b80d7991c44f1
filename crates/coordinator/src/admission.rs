//! Whether the origin's answer may be kept by a shared cache, and for how long: RFC 9111, and what the mesh asks for
//! beyond it. No state.

use std::time::{Duration, SystemTime};

use edgeweave_protocol::Reason;
use edgeweave_protocol::limits::{MAX_HEADER_BYTES, MAX_URL_BYTES};
use edgeweave_protocol::manifest::{Asset, Headers, OK, is_missing};
use http::header::{HeaderName, HeaderValue};
use http_cache_semantics::{CacheOptions, CachePolicy};

use crate::io::AdmissionRules;

/// What stays fresh for less is not worth a place in the manifest.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(5);

/// The longest lifetime guessed from the last modification; RFC 9111, section 4.2.2, says that guesses beyond a day
/// deserve a warning.
const LONGEST_GUESS: Duration = Duration::from_secs(24 * 3600);

/// The longest time for which something is taken to be missing before the origin is asked again, whatever that said: it may have
/// said so for everything in a folder, and whoever publishes a file wants it seen. RFC 9111, section 4.2, allows less than is said.
const LONGEST_MISSING: Duration = Duration::from_secs(600);

/// The directives that say for how long an answer is fresh.
const LIFETIMES: [&str; 2] = ["s-maxage", "max-age"];

/// Whether there is something under a URL, as far as its origin says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is there.
    Here,
    /// It is not, or not any more.
    Missing,
}

impl Presence {
    /// What an answer's status says; nothing, where it says neither.
    pub(crate) fn of(status: u16) -> Option<Self> {
        match status {
            OK => Some(Self::Here),
            status if is_missing(status) => Some(Self::Missing),
            _ => None,
        }
    }

    /// What an admitted asset says.
    pub(crate) fn of_asset(asset: &Asset) -> Self {
        if is_missing(asset.status) { Self::Missing } else { Self::Here }
    }
}

/// How fresh an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// What is left of its lifetime when it arrives: its age is taken off.
    pub(crate) left: Duration,
    /// For how long after that it may be used while the origin fails; zero when the origin demands revalidation.
    pub(crate) grace: Duration,
}

/// Whether a URL may be fetched for a site: of its origins, printable, and not too long.
pub(crate) fn judge_url(url: &str, origins: &[Box<str>]) -> Result<(), Reason> {
    if url.len() > MAX_URL_BYTES {
        return Err(Reason::TooLarge);
    }
    // The path begins where the origin ends: there is no room for user names or other ports in between.
    let belongs =
        origins.iter().any(|origin| url.strip_prefix(&**origin).is_some_and(|rest| rest.starts_with('/')));
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if belongs && is_plain { Ok(()) } else { Err(Reason::OtherOrigin) }
}

/// Judges an answer with content (or one whose content is known to be unchanged) by its headers.
pub(crate) fn judge(
    presence: Presence,
    is_file: bool,
    headers: &Headers,
    unix_ms: u64,
    rules: &AdmissionRules,
) -> Result<Freshness, Reason> {
    let is_absence = presence == Presence::Missing;
    if is_absence && rules.missing_freshness_s == 0 {
        return Err(Reason::Status);
    }
    let control = Control::of(headers);
    if control.has("private") {
        return Err(Reason::Private);
    }
    if control.has("no-store") {
        return Err(Reason::NoStore);
    }
    if values(headers, "set-cookie").next().is_some() || values(headers, "set-cookie2").next().is_some() {
        return Err(Reason::SetCookie);
    }
    // Browsers decode the content, and the bytes do not depend on who embeds them.
    let harmless = |name: &str| matches!(name, "" | "accept-encoding" | "origin");
    if !list(headers, "vary").all(|name| harmless(&name)) {
        return Err(Reason::Varies);
    }
    // The page that says that something is missing is shown to nobody, so that it may be of any type.
    let is_document = !is_absence && list(headers, "content-type").any(|kind| kind.starts_with("text/html"));
    if is_document || control.has("no-cache") {
        return Err(Reason::NotCacheable);
    }
    let guess = |by_rule: Duration| {
        let heuristic = Duration::from_secs(rules.heuristic_freshness_s.into());
        match presence {
            Presence::Here => is_static(&kind_of(headers)).then(|| by_rule.min(LONGEST_GUESS).max(heuristic)),
            Presence::Missing => is_file.then(|| Duration::from_secs(rules.missing_freshness_s.into())),
        }
    };
    let lifetime = lifetime(headers, &control, unix_ms, guess).ok_or(Reason::NotCacheable)?;
    let left = lifetime.saturating_sub(age(headers, unix_ms));
    if lifetime < SHORTEST_LIFETIME || left.is_zero() {
        return Err(Reason::NotCacheable);
    }
    if is_absence {
        // The file may come, and then it is not the origin's failure that is to be borne.
        return Ok(Freshness { left: left.min(LONGEST_MISSING), grace: Duration::ZERO });
    }
    Ok(Freshness { left, grace: grace(&control, rules) })
}

/// The freshness lifetime. Where the origin says nothing of it, it is guessed, knowing a tenth of the time since the last
/// modification.
fn lifetime(
    headers: &Headers,
    control: &Control,
    unix_ms: u64,
    guess: impl FnOnce(Duration) -> Option<Duration>,
) -> Option<Duration> {
    let by_rule = lifetime_by_rule(headers, control, unix_ms);
    let has = |name: &&str| control.has(name);
    // What is there and cannot be read means that the answer is stale (RFC 9111, section 4.2.1).
    if LIFETIMES.iter().filter(|name| has(name)).any(|name| control.seconds(name).is_none()) {
        return None;
    }
    let is_explicit = LIFETIMES.iter().any(has)
        || values(headers, "expires").next().is_some()
        // Without Cache-Control this means `no-cache` (RFC 9111, section 5.4).
        || (control.0.is_empty() && list(headers, "pragma").any(|word| word == "no-cache"));
    if is_explicit { Some(by_rule) } else { guess(by_rule) }
}

/// What RFC 9111, section 4.2.1, says, a tenth of the time since the last modification where it leaves it open.
fn lifetime_by_rule(headers: &Headers, control: &Control, unix_ms: u64) -> Duration {
    let Some(now) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)) else {
        return Duration::ZERO;
    };
    let mut response = http::Response::new(());
    for (name, value) in headers {
        // Age is taken off by our caller, who needs the lifetime, too.
        if matches!(&**name, "expires" | "date" | "last-modified" | "pragma")
            && let Ok(name) = HeaderName::try_from(&**name)
        {
            let value = HeaderValue::try_from(&**value).unwrap_or(HeaderValue::from_static("unreadable"));
            response.headers_mut().append(name, value);
        }
    }
    if !control.0.is_empty() {
        // The library takes `proxy-revalidate` for a lifetime of zero; it only forbids use when stale.
        let words = control.0.iter().filter(|word| word.as_str() != "proxy-revalidate");
        let text = words.map(String::as_str).collect::<Vec<_>>().join(", ");
        // The library passes over what is not ASCII; it could be what forbids keeping.
        let value = HeaderValue::try_from(text).ok().filter(|value| value.to_str().is_ok());
        let value = value.unwrap_or(HeaderValue::from_static("no-store"));
        response.headers_mut().insert(http::header::CACHE_CONTROL, value);
    }
    let request = http::Request::new(());
    CachePolicy::new_options(&request, &response, now, CacheOptions::default()).time_to_live(now)
}

/// How old an answer is when it arrives (RFC 9111, section 4.2.3): what caches on its way say, or what its date says.
fn age(headers: &Headers, unix_ms: u64) -> Duration {
    let seconds = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too large for anybody still is a number.
        is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
    };
    let told = values(headers, "age").filter_map(|value| seconds(value.trim())).max();
    let date = values(headers, "date").find_map(|value| httpdate::parse_http_date(value.trim()).ok());
    let now = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms));
    let apparent = date.zip(now).and_then(|(date, now)| now.duration_since(date).ok());
    // Dates are in whole seconds.
    let apparent = apparent.map(|age| Duration::from_secs(age.as_secs()));
    told.max(apparent).unwrap_or_default()
}

/// RFC 9111, section 4.2.4, and the directive of RFC 5861 where it asks for less than the site's rules.
fn grace(control: &Control, rules: &AdmissionRules) -> Duration {
    // A shared cache that goes by `s-maxage` may not use what is stale (RFC 9111, section 5.2.2.10).
    if ["must-revalidate", "proxy-revalidate", "s-maxage"].iter().any(|name| control.has(name)) {
        return Duration::ZERO;
    }
    let own = u64::from(rules.stale_if_error_s);
    Duration::from_secs(control.seconds("stale-if-error").map_or(own, |theirs| theirs.min(own)))
}

/// The directives of `Cache-Control`, in lower case.
struct Control(Vec<String>);

impl Control {
    fn of(headers: &Headers) -> Self {
        Self(list(headers, "cache-control").filter(|word| !word.is_empty()).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word.split('=').next().is_some_and(|key| key.trim() == name))
    }

    fn seconds(&self, name: &str) -> Option<u64> {
        let pairs = self.0.iter().filter_map(|word| word.split_once('='));
        let mut values = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value);
        values.next().and_then(|value| value.trim().trim_matches('"').parse().ok())
    }
}

fn values<'a>(headers: &'a Headers, name: &str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
}

/// The members of a header that is a list, in lower case.
fn list<'a>(headers: &'a Headers, name: &str) -> impl Iterator<Item = String> + 'a {
    let found: Vec<&str> = values(headers, name).collect();
    found.into_iter().flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase())
}

/// The media type without parameters, in lower case.
fn kind_of(headers: &Headers) -> String {
    let value = values(headers, "content-type").next().unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Kinds of content that sites publish as files and name anew when they change.
fn is_static(kind: &str) -> bool {
    let families = ["image/", "font/", "video/", "audio/", "application/font", "application/x-font"];
    let kinds = [
        "text/css",
        "text/javascript",
        "application/javascript",
        "application/x-javascript",
        "application/wasm",
        "application/vnd.ms-fontobject",
    ];
    families.iter().any(|family| kind.starts_with(family)) || kinds.contains(&kind)
}

/// The ends of the names of such files. Of others nobody knows whether they are missing for everybody: behind a path without
/// one there may be a program, which answers visitors whom it knows differently.
const STATIC_NAMES: &[&str] = &[
    "avif", "bmp", "css", "eot", "gif", "ico", "jpeg", "jpg", "js", "jxl", "m4a", "mjs", "mp3", "mp4", "oga",
    "ogg", "ogv", "otf", "png", "svg", "ttf", "wasm", "wav", "webm", "webp", "woff", "woff2",
];

/// Whether a URL's path ends like the name of a file of a static kind.
pub(crate) fn is_static_name(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    let end = path.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
    end.is_some_and(|(_, end)| STATIC_NAMES.contains(&end.to_ascii_lowercase().as_str()))
}

/// Headers that belong to one connection, one visitor or one moment.
const NOT_CARRIED: &[&str] = &[
    "age",
    "alt-svc",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "server-timing",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that pages or browsers can tell apart from their absence; others leave first when there is no room.
const ESSENTIAL: &[&str] = &[
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-security-policy",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "etag",
    "expires",
    "last-modified",
    "referrer-policy",
    "service-worker-allowed",
    "sourcemap",
    "timing-allow-origin",
    "vary",
    "x-content-type-options",
];

/// The headers that travel with an asset, at most [`MAX_HEADER_BYTES`] of them.
pub(crate) fn carried(headers: &Headers) -> Headers {
    let of_connection: Vec<String> = list(headers, "connection").collect();
    let is_carried =
        |name: &str| !NOT_CARRIED.contains(&name) && !of_connection.iter().any(|listed| listed == name);
    // Of other values browsers make no headers, and then there would be no answer.
    let is_plain = |value: &str| value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    let bytes = |(name, value): &(Box<str>, Box<str>)| name.len() + value.len();
    let mut room = MAX_HEADER_BYTES;
    let mut kept = vec![false; headers.len()];
    for essential in [true, false] {
        for (header, kept) in headers.iter().zip(&mut kept) {
            let chosen =
                is_carried(&header.0) && is_plain(&header.1) && ESSENTIAL.contains(&&*header.0) == essential;
            if chosen && bytes(header) <= room {
                room -= bytes(header);
                *kept = true;
            }
        }
    }
    headers.iter().zip(kept).filter(|(_, kept)| *kept).map(|(header, _)| header.clone()).collect()
}

/// The headers of an asset after a 304: those of the 304 take the place of their namesakes (RFC 9111, section 3.2).
pub(crate) fn updated(kept: &Headers, newer: &Headers) -> Headers {
    let replaced = |name: &str| newer.iter().any(|(newer, _)| &**newer == name);
    kept.iter().filter(|(name, _)| !replaced(name)).chain(newer).cloned().collect()
}

/// The validators for a conditional request.
pub(crate) fn validators(headers: &Headers) -> Headers {
    let pairs = [("etag", "if-none-match"), ("last-modified", "if-modified-since")];
    let find = |(of, name): &(&str, &str)| Some(((*name).into(), values(headers, of).next()?.into()));
    pairs.iter().filter_map(find).collect()
}

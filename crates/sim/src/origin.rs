//! The origin: what it has at any time, and what it says of it in headers.

use std::time::Duration;

use edgeweave_coordinator::io::{Content as Digests, Fetched};
use edgeweave_protocol::manifest::{Headers, OK};
use edgeweave_protocol::{Reason, Timestamp};

use crate::content::Content;
use crate::laws::Law;
use crate::world::site::{AssetModel, Caching, Site};

/// The site's origin, as scheme and host.
pub(crate) const ORIGIN: &str = "https://site";

/// How long the node guesses an answer to be fresh whose origin says nothing: its `heuristic_freshness_s`.
pub(crate) const HEURISTIC: Duration = Duration::from_secs(60);

/// How long the node guesses the word that something is missing to be fresh: its `missing_freshness_s`.
pub(crate) const MISSING: Duration = Duration::from_secs(60);

/// How long a browser guesses that: a tenth of the time since the last modification (RFC 9111, section 4.2.2), which
/// is given as [`MODIFIED_AGO`].
const BROWSER_HEURISTIC: Duration = Duration::from_secs(8_640);

/// What `last-modified` says of every asset: so long ago.
const MODIFIED_AGO: Duration = Duration::from_secs(86_400);

/// A year: what `immutable` content is marked with.
const FOREVER: Duration = Duration::from_secs(31_536_000);

/// The origin's answers.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The wall clock at the start, in milliseconds since 1970.
    unix_ms: u64,
    urls: Vec<Box<str>>,
}

impl Origin {
    pub(crate) fn new(site: &Site, unix_ms: u64) -> Self {
        // The node knows by the name of what is missing that it would have been a file.
        let end = |caching: Caching| if caching == Caching::Missing { ".css" } else { "" };
        let url = |(asset, model): (usize, &AssetModel)| {
            format!("{ORIGIN}/assets/{asset}{}", end(model.caching)).into()
        };
        Self { unix_ms, urls: site.assets.iter().enumerate().map(url).collect() }
    }

    /// An asset's URL.
    pub(crate) fn url(&self, asset: u32) -> &str {
        self.urls.get(asset as usize).map_or("", |url| url)
    }

    /// A page's URL.
    pub(crate) fn page_url(page: usize) -> Box<str> {
        format!("{ORIGIN}/pages/{page}").into()
    }

    /// The asset that a URL names.
    pub(crate) fn asset(url: &str) -> Option<u32> {
        let name = url.strip_prefix(ORIGIN)?.strip_prefix("/assets/")?;
        name.split('.').next()?.parse().ok()
    }

    /// What the origin has of an asset for somebody; `None` asks without cookies.
    pub(crate) fn content(now: Timestamp, site: &Site, asset: u32, visitor: Option<u32>) -> Content {
        let model = &site.assets[asset as usize];
        let made_for = visitor.filter(|_| !is_public(model.caching));
        Content { asset, version: version_at(now, model, asset), made_for }
    }

    /// What it answers to the node, which asks without cookies.
    pub(crate) fn answer(
        &self,
        now: Timestamp,
        site: &Site,
        url: &str,
        validators: &Headers,
        planted: Option<Law>,
    ) -> Result<Fetched, Reason> {
        let Some(asset) = Self::asset(url).filter(|asset| (*asset as usize) < site.assets.len()) else {
            return Ok(Fetched { status: 404, headers: Vec::new(), content: None });
        };
        let model = &site.assets[asset as usize];
        let content = Self::content(now, site, asset, None);
        let etag = format!("\"{}\"", content.version);
        let model = &match planted {
            Some(Law::OnlyPublicBytes) => {
                AssetModel { caching: Caching::MaxAge { seconds: 3_600 }, ..*model }
            }
            _ => *model,
        };
        let headers = self.headers(now, model, &etag);
        let blind = planted == Some(Law::Fresh) && !validators.is_empty();
        let unchanged =
            blind || validators.iter().any(|(name, value)| &**name == "if-none-match" && **value == *etag);
        if unchanged {
            return Ok(Fetched { status: 304, headers, content: None });
        }
        let size = u64::from(model.bytes);
        let content = Digests { size, hash: content.hash(), pieces: content.piece_digests(size) };
        Ok(Fetched { status: status(model.caching), headers, content: Some(content) })
    }

    fn headers(&self, now: Timestamp, model: &AssetModel, etag: &str) -> Headers {
        let mut headers: Headers =
            vec![("content-type".into(), media_type(model).into()), ("etag".into(), etag.into())];
        let control = match model.caching {
            Caching::Immutable => Some(format!("public, max-age={}, immutable", FOREVER.as_secs())),
            Caching::MaxAge { seconds } => Some(format!("public, max-age={seconds}")),
            Caching::Unsaid | Caching::Missing => None,
            Caching::Private => Some("private, max-age=300".into()),
            Caching::NoStore => Some("no-store".into()),
            Caching::SetCookie | Caching::VariesByCookie => Some("max-age=3600".into()),
        };
        headers.extend(control.map(|control| ("cache-control".into(), control.into())));
        match model.caching {
            Caching::SetCookie => headers.push(("set-cookie".into(), "id=1".into())),
            Caching::VariesByCookie => headers.push(("vary".into(), "cookie".into())),
            Caching::Unsaid => {
                let modified = self.unix_ms / 1000 + now.as_micros() / 1_000_000 - MODIFIED_AGO.as_secs();
                headers.push(("last-modified".into(), http_date(modified).into()));
            }
            _ => {}
        }
        headers
    }

    /// When a version was replaced by the next; `None` while the origin still has it.
    pub(crate) fn replaced_at(now: Timestamp, site: &Site, content: Content) -> Option<Timestamp> {
        let model = &site.assets[content.asset as usize];
        let period = model.changes_every_us?;
        let at = (u64::from(content.version) + 1) * period - phase(content.asset, period);
        (at <= now.as_micros()).then(|| Timestamp::from_micros(at))
    }
}

/// The status of the answer.
pub(crate) fn status(caching: Caching) -> u16 {
    if caching == Caching::Missing { 404 } else { OK }
}

/// Whether everybody gets the same, and a shared cache may keep it.
pub(crate) fn is_public(caching: Caching) -> bool {
    matches!(caching, Caching::Immutable | Caching::MaxAge { .. } | Caching::Unsaid | Caching::Missing)
}

/// For how long a browser's own HTTP cache may answer with it; `None` when it may not keep it.
pub(crate) fn browser_lifetime(caching: Caching) -> Option<Duration> {
    match caching {
        Caching::Immutable => Some(FOREVER),
        Caching::MaxAge { seconds } => Some(Duration::from_secs(seconds.into())),
        Caching::Unsaid => Some(BROWSER_HEURISTIC),
        Caching::Private => Some(Duration::from_secs(300)),
        Caching::SetCookie => Some(Duration::from_secs(3_600)),
        Caching::NoStore | Caching::VariesByCookie | Caching::Missing => None,
    }
}

/// For how long the mesh may use it after a fetch.
pub(crate) fn mesh_lifetime(caching: Caching) -> Duration {
    match caching {
        Caching::Unsaid => BROWSER_HEURISTIC.max(HEURISTIC),
        Caching::Missing => MISSING,
        caching => browser_lifetime(caching).unwrap_or_default(),
    }
}

fn version_at(now: Timestamp, model: &AssetModel, asset: u32) -> u32 {
    model.changes_every_us.map_or(0, |period| ((now.as_micros() + phase(asset, period)) / period) as u32)
}

/// Assets do not change all at once.
fn phase(asset: u32, period: u64) -> u64 {
    u64::from(asset).wrapping_mul(0x9e37_79b9_7f4a_7c15) % period
}

fn media_type(model: &AssetModel) -> &'static str {
    use crate::world::site::AssetKind::{Font, Media, Picture, Script, Style};
    match model.kind {
        Style => "text/css",
        Script => "text/javascript",
        Font => "font/woff2",
        Picture => "image/avif",
        Media => "video/mp4",
    }
}

/// The form of RFC 9110, section 5.6.7, of a time in seconds since 1970.
fn http_date(unix_s: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    // Howard Hinnant's `civil_from_days` (https://howardhinnant.github.io/date_algorithms.html).
    let shifted = days + 719_468;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 2 } else { month - 10 };
    let year = year_of_era + shifted / 146_097 * 400 + u64::from(month < 2);
    let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[month as usize]);
    format!(
        "{weekday}, {day:02} {month} {year} {:02}:{:02}:{:02} GMT",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_spelled_as_http_wants_them() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(1_835_395_200), "Tue, 29 Feb 2028 00:00:00 GMT");
    }
}

//! What the site is made of, as a browser found it.

use std::collections::{BTreeMap, BTreeSet};

use edgeweave_protocol::manifest::is_missing;
use edgeweave_sim::{AssetKind, Caching, GivenAsset, GivenPage, GivenSite};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::visits::FAILURE;

/// A site.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Site {
    /// The front page first.
    pub(crate) pages: Vec<Page>,
    pub(crate) assets: Vec<Asset>,
}

/// A page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) url: String,
    /// As it is sent.
    pub(crate) html_bytes: u64,
    /// What a browser takes to make a page of it when everything is there at once, in milliseconds.
    pub(crate) processing_ms: f64,
    /// The URLs of what it loads, in the order in which it does.
    pub(crate) assets: Vec<String>,
    /// The URLs of pages that it leads to, in their order.
    pub(crate) links: Vec<String>,
}

/// Something that pages load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asset {
    pub(crate) url: String,
    /// What loads it: `img`, `link`, `script`, `css` and so on.
    pub(crate) kind: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub(crate) media_type: String,
    pub(crate) bytes: u64,
    /// With what it was answered.
    pub(crate) status: u16,
    /// Its `Cache-Control`.
    pub(crate) caching: String,
    /// Whether pages are not drawn before it is there.
    pub(crate) render_blocking: bool,
}

impl Site {
    /// The site as scenarios have it. Of a page's links, the first few are those that are followed.
    pub(crate) fn given(&self, links_per_page: usize) -> GivenSite {
        let pages: BTreeMap<&str, usize> =
            self.pages.iter().enumerate().map(|(index, page)| (page.url.as_str(), index)).collect();
        let assets: BTreeMap<&str, u32> =
            (0..).zip(&self.assets).map(|(index, asset)| (asset.url.as_str(), index)).collect();
        let instead = self.instead(&assets);
        let page = |(number, page): (usize, &Page)| {
            let mut once = BTreeSet::new();
            let loaded = page.assets.iter().filter_map(|url| assets.get(url.as_str()).copied());
            let links = page.links.iter().filter_map(|url| pages.get(url.as_str()).copied());
            GivenPage {
                url: path(&page.url),
                html_bytes: page.html_bytes.try_into().unwrap_or(u32::MAX),
                think_ms: 0.0,
                processing_ms: page.processing_ms,
                assets: loaded.filter(|asset| once.insert(*asset)).collect(),
                links: links.filter(|link| *link != number).take(links_per_page).collect(),
            }
        };
        let asset = |asset: &Asset| GivenAsset {
            url: path(&asset.url),
            kind: kind(asset),
            bytes: asset.bytes.try_into().unwrap_or(u32::MAX),
            caching: caching(asset.status, &asset.caching),
            changes_every_s: None,
            render_blocking: asset.render_blocking,
            instead_of: instead.get(asset.url.as_str()).copied(),
        };
        GivenSite {
            pages: self.pages.iter().enumerate().map(page).collect(),
            assets: self.assets.iter().map(asset).collect(),
        }
    }

    /// What pages ask for when something is missing, and what that is: of the same name, but for its end, and next.
    fn instead<'a>(&'a self, assets: &BTreeMap<&str, u32>) -> BTreeMap<&'a str, u32> {
        let missing: BTreeSet<&str> = self
            .assets
            .iter()
            .filter(|asset| is_missing(asset.status))
            .map(|asset| asset.url.as_str())
            .collect();
        let mut instead = BTreeMap::new();
        for page in &self.pages {
            for (at, url) in page.assets.iter().enumerate().filter(|(_, url)| missing.contains(url.as_str()))
            {
                let next = page.assets[at + 1..].iter().find(|next| *next != url && stem(next) == stem(url));
                if let Some((next, place)) = next.zip(assets.get(url.as_str())) {
                    instead.entry(next.as_str()).or_insert(*place);
                }
            }
        }
        instead
    }
}

/// The name of a file without what says of which kind it is.
fn stem(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or(url);
    path.rsplit_once('.').map_or(path, |(stem, _)| stem)
}

/// The path and the query.
fn path(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| url[url::Position::BeforePath..].to_owned())
}

fn kind(asset: &Asset) -> AssetKind {
    if asset.status < FAILURE {
        return kind_of_type(&asset.media_type);
    }
    // The type is that of the page that says so.
    match asset.url.rsplit('.').next().unwrap_or_default() {
        "css" => AssetKind::Style,
        "js" | "mjs" => AssetKind::Script,
        "woff2" | "woff" | "ttf" | "otf" | "eot" => AssetKind::Font,
        _ => AssetKind::Picture,
    }
}

fn kind_of_type(media_type: &str) -> AssetKind {
    match media_type.split([';', '/']).collect::<Vec<_>>().as_slice() {
        ["text", "css", ..] => AssetKind::Style,
        [_, name, ..] if name.contains("javascript") || *name == "wasm" || *name == "json" => {
            AssetKind::Script
        }
        ["font", ..] => AssetKind::Font,
        ["video" | "audio", ..] => AssetKind::Media,
        _ => AssetKind::Picture,
    }
}

/// What a status and a `Cache-Control` come to for the simulator: the product itself reads all of an answer. Of what is missing
/// visitors are told nothing of keeping that word.
fn caching(status: u16, header: &str) -> Caching {
    let says = |word: &str| header.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
    let seconds = header.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok());
    match seconds {
        _ if is_missing(status) => Caching::Missing,
        _ if status >= FAILURE => Caching::NoStore,
        _ if says("no-store") => Caching::NoStore,
        _ if says("private") => Caching::Private,
        _ if says("immutable") => Caching::Immutable,
        Some(seconds) => Caching::MaxAge { seconds },
        None if says("no-cache") => Caching::MaxAge { seconds: 0 },
        None => Caching::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_given_by_places_in_lists() {
        let page = |url: &str, links: &[&str]| Page {
            url: format!("http://o{url}"),
            html_bytes: 7,
            processing_ms: 80.0,
            assets: vec!["http://o/a.png?v=1".into(), "http://o/a.png?v=1".into(), "http://o/lost".into()],
            links: links.iter().map(|link| format!("http://o{link}")).collect(),
        };
        let asset = Asset {
            url: "http://o/a.png?v=1".into(),
            kind: "img".into(),
            media_type: "image/png".into(),
            bytes: 9,
            status: 200,
            caching: "public, max-age=60".into(),
            render_blocking: false,
        };
        let pages = vec![page("/", &["/", "/x", "/b"]), page("/b", &["/"])];
        let given = Site { pages, assets: vec![asset] }.given(16);
        assert_eq!(given.pages[0].links, [1]);
        assert_eq!(given.pages[1].assets, [0]);
        let asset = &given.assets[0];
        assert_eq!((asset.url.as_str(), asset.kind), ("/a.png?v=1", AssetKind::Picture));
        assert_eq!(asset.caching, Caching::MaxAge { seconds: 60 });
    }

    #[test]
    fn a_font_that_is_missing_is_asked_for_in_other_formats_one_by_one() {
        let asset = |url: &str, status| Asset {
            url: format!("http://o{url}"),
            kind: "css".into(),
            media_type: "text/plain".into(),
            bytes: 9,
            status,
            caching: String::new(),
            render_blocking: false,
        };
        let assets =
            vec![asset("/f.woff2", 404), asset("/g.ttf", 404), asset("/f.woff", 404), asset("/f.ttf", 404)];
        let urls = assets.iter().map(|asset| asset.url.clone()).collect();
        let page = Page {
            url: "http://o/".into(),
            html_bytes: 7,
            processing_ms: 1.0,
            assets: urls,
            links: Vec::new(),
        };
        let given = Site { pages: vec![page], assets }.given(16);
        let instead: Vec<Option<u32>> = given.assets.iter().map(|asset| asset.instead_of).collect();
        assert_eq!(instead, [None, None, Some(0), Some(2)]);
        assert!(given.assets.iter().all(|asset| asset.kind == AssetKind::Font));
    }

    #[test]
    fn what_caches_may_do_is_read_from_the_header() {
        assert_eq!(caching(200, "max-age=9, immutable"), Caching::Immutable);
        assert_eq!(caching(200, "no-store, max-age=9"), Caching::NoStore);
        assert_eq!(caching(200, "no-cache"), Caching::MaxAge { seconds: 0 });
        assert_eq!(caching(200, ""), Caching::Unsaid);
        assert_eq!(caching(404, "max-age=9"), Caching::Missing);
        assert_eq!(caching(403, "max-age=9"), Caching::NoStore);
        assert_eq!(kind_of_type("text/javascript; charset=utf-8"), AssetKind::Script);
        assert_eq!(kind_of_type("font/woff2"), AssetKind::Font);
    }
}

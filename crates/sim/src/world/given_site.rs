//! A site as a scenario gives it, page by page: what somebody who has looked at a real one can write down.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::dice::{Weighted, zipf_weights};
use crate::world::site::{AssetKind, AssetModel, Caching, Page, Site, landing_weights};
use crate::world::site_model::SiteModel;

/// A page asks for so many assets at most.
const ASSETS_OF_A_PAGE_MOST: usize = 1_000;

/// A site's pages and assets. How people use it is still `[site]`'s to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenSite {
    /// Its pages: the front page, and the others by their popularity, most popular first.
    pub pages: Vec<GivenPage>,
    /// What the pages are made of.
    #[serde(default)]
    pub assets: Vec<GivenAsset>,
}

/// A page of a given site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenPage {
    /// Its path on the origin, which begins with a slash.
    pub url: String,
    /// What the document has as it is sent, in bytes.
    pub html_bytes: u32,
    /// How long the origin takes to make it, in milliseconds.
    #[serde(default)]
    pub think_ms: f64,
    /// How long a browser takes to make a page of it when everything is there at once, in milliseconds.
    #[serde(default)]
    pub processing_ms: f64,
    /// Which assets it asks for, by their places in the list, in the order in which it does.
    #[serde(default)]
    pub assets: Vec<u32>,
    /// To which pages its visitors go, by their places in the list, the one that most go to first; to the front page, when
    /// there is none.
    #[serde(default)]
    pub links: Vec<usize>,
}

/// An asset of a given site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenAsset {
    /// Its path on the origin, which begins with a slash.
    pub url: String,
    /// What it is.
    pub kind: AssetKind,
    /// What it has as it is sent, in bytes.
    pub bytes: u32,
    /// What the origin says about keeping it.
    pub caching: Caching,
    /// How often it is replaced by another version, in seconds, if ever.
    #[serde(default)]
    pub changes_every_s: Option<u64>,
    /// Whether nothing is drawn before it is there.
    #[serde(default)]
    pub render_blocking: bool,
    /// The place in the list of a missing asset that it takes the place of: it is asked for when that is known to be missing,
    /// as one format of a font after another is.
    #[serde(default)]
    pub instead_of: Option<u32>,
}

impl GivenSite {
    /// Whether it can be a site; otherwise the key that says what cannot be, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.pages.is_empty() {
            return Err(("given_site.pages", "at least 1 is needed".into()));
        }
        let mut urls = BTreeSet::new();
        for asset in &self.assets {
            let url = &asset.url;
            check_url(&mut urls, url).map_err(|problem| ("given_site.assets.url", problem))?;
            if asset.bytes == 0 {
                return Err(("given_site.assets.bytes", format!("{url} has none")));
            }
            if asset.changes_every_s == Some(0) {
                return Err((
                    "given_site.assets.changes_every_s",
                    format!("{url} cannot change all the time"),
                ));
            }
            let first = asset.instead_of.map(|first| self.assets.get(first as usize));
            if first.is_some_and(|first| first.is_none_or(|first| first.caching != Caching::Missing)) {
                return Err((
                    "given_site.assets.instead_of",
                    format!("{url} takes the place of what is not missing"),
                ));
            }
        }
        for page in &self.pages {
            let url = &page.url;
            check_url(&mut urls, url).map_err(|problem| ("given_site.pages.url", problem))?;
            for (key, ms) in [
                ("given_site.pages.think_ms", page.think_ms),
                ("given_site.pages.processing_ms", page.processing_ms),
            ] {
                if !(0.0..=60_000.0).contains(&ms) {
                    return Err((key, format!("{url}: from 0 to 60000 is possible")));
                }
            }
            let known = |place: usize, count: usize| match place < count {
                true => Ok(()),
                false => Err(format!("{url} names {place}, and there are {count}")),
            };
            let mut once = BTreeSet::new();
            for asset in &page.assets {
                known(*asset as usize, self.assets.len())
                    .map_err(|problem| ("given_site.pages.assets", problem))?;
                if !once.insert(asset) {
                    return Err(("given_site.pages.assets", format!("{url} names {asset} twice")));
                }
            }
            if once.len() > ASSETS_OF_A_PAGE_MOST {
                return Err((
                    "given_site.pages.assets",
                    format!("{url} has more than {ASSETS_OF_A_PAGE_MOST}"),
                ));
            }
            for link in &page.links {
                known(*link, self.pages.len()).map_err(|problem| ("given_site.pages.links", problem))?;
            }
        }
        Ok(())
    }
}

fn check_url<'a>(urls: &mut BTreeSet<&'a str>, url: &'a str) -> Result<(), String> {
    if !url.starts_with('/') {
        return Err(format!("{url} does not begin with a slash"));
    }
    if !urls.insert(url) {
        return Err(format!("{url} is there twice"));
    }
    Ok(())
}

impl Site {
    /// The site that is given, used as the model says.
    pub(crate) fn given(site: &GivenSite, model: &SiteModel) -> Self {
        let pages: Vec<Page> = site
            .pages
            .iter()
            .map(|page| Page {
                has_query: page.url.contains('?'),
                html_bytes: page.html_bytes,
                think_us: (page.think_ms * 1e3) as u64,
                processing_us: (page.processing_ms * 1e3) as u64,
                assets: page.assets.clone(),
                links: page
                    .links
                    .iter()
                    .copied()
                    .zip(zipf_weights(page.links.len(), model.link_exponent))
                    .collect(),
            })
            .collect();
        let assets = site
            .assets
            .iter()
            .map(|asset| AssetModel {
                kind: asset.kind,
                bytes: asset.bytes,
                caching: asset.caching,
                changes_every_us: asset.changes_every_s.map(|seconds| seconds.saturating_mul(1_000_000)),
                render_blocking: asset.render_blocking,
                instead_of: asset.instead_of,
            })
            .collect();
        let landing = landing_weights(&SiteModel { pages: pages.len(), ..model.clone() });
        Self::assemble(pages, assets, Weighted::new(&landing), model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    const SMALL: &str = r#"
        [[pages]]
        url = "/"
        html_bytes = 9000
        think_ms = 40
        processing_ms = 120
        assets = [0, 1]
        links = [1]
        [[pages]]
        url = "/one"
        html_bytes = 8000
        assets = [0]
        [[assets]]
        url = "/site.css"
        kind = "style"
        bytes = 20000
        caching = { max_age = { seconds = 3600 } }
        render_blocking = true
        [[assets]]
        url = "/a.avif"
        kind = "picture"
        bytes = 300000
        caching = "immutable"
    "#;

    #[test]
    fn a_site_is_what_is_written_down() {
        let given: GivenSite = toml::from_str(SMALL).unwrap();
        given.check().unwrap();
        let site = Site::given(&given, &SiteModel::default());
        assert_eq!((site.pages.len(), site.assets.len()), (2, 2));
        assert_eq!((site.pages[0].think_us, site.pages[0].processing_us), (40_000, 120_000));
        assert_eq!(site.assets[0].caching, Caching::MaxAge { seconds: 3_600 });
        assert!(site.assets[0].render_blocking && !site.assets[1].render_blocking);
        let mut dice = Dice::new(1, &[]);
        assert_eq!(site.next(0, &mut dice), 1);
        assert_eq!(site.next(1, &mut dice), 0, "back to the front page");
        let front = (0..1_000).filter(|_| site.landing(&mut dice) == 0).count();
        assert!((290..370).contains(&front), "{front}");
    }

    #[test]
    fn what_cannot_be_is_named() {
        let key = |from: &str, to: &str| {
            let site: GivenSite = toml::from_str(&SMALL.replace(from, to)).unwrap();
            site.check().unwrap_err().0
        };
        assert_eq!(key("[0, 1]", "[0, 7]"), "given_site.pages.assets");
        assert_eq!(key("[0, 1]", "[0, 0]"), "given_site.pages.assets");
        assert_eq!(key("links = [1]", "links = [2]"), "given_site.pages.links");
        assert_eq!(key("/one", "one"), "given_site.pages.url");
        assert_eq!(key("/one", "/a.avif"), "given_site.pages.url");
        assert_eq!(key("/a.avif", "/site.css"), "given_site.assets.url");
        assert_eq!(key("300000", "0"), "given_site.assets.bytes");
        assert_eq!(key("think_ms = 40", "think_ms = -1"), "given_site.pages.think_ms");
        assert_eq!(key("processing_ms = 120", "processing_ms = inf"), "given_site.pages.processing_ms");
        assert_eq!(GivenSite::default().check().unwrap_err().0, "given_site.pages");
        toml::from_str::<GivenSite>(&SMALL.replace("immutable", "sometimes")).unwrap_err();
    }
}

//! One picture-rich site, such as a magazine or a shop: pages, what they are made of, and how one leads to the next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Weighted, zipf_weights};
pub use crate::world::site_model::SiteModel;

/// Streams of dice.
const PAGE: u64 = 0x9a6e;
const SHARED: u64 = 0x54a2;
const PICTURE: u64 = 0x91c7;

const DAY_US: u64 = 86_400_000_000;

/// The page at which a third of all visits begin.
pub(crate) const FRONT_PAGE: usize = 0;

/// A site.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// By popularity, after the front page.
    pub(crate) pages: Vec<Page>,
    pub(crate) assets: Vec<AssetModel>,
    /// How people come, and come again.
    pub(crate) habits: Habits,
    /// Where visits begin.
    landing: Weighted,
    /// For each page, which of its links is followed.
    next: Vec<Weighted>,
}

/// How people use a site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) bounce_share: f64,
    pub(crate) pages_per_visit: f64,
    pub(crate) dwell_s: f64,
    pub(crate) return_share: f64,
    pub(crate) return_days: f64,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    /// Whether its address has a query: then it is not fetched before anybody goes there.
    pub(crate) has_query: bool,
    pub(crate) html_bytes: u32,
    /// How long the origin takes to make the document.
    pub(crate) think_us: u64,
    /// How long a browser takes to make a page of it when everything is there at once.
    pub(crate) processing_us: u64,
    /// In the order in which the page asks for them.
    pub(crate) assets: Vec<u32>,
    /// Where its visitors go, and which share of them.
    pub(crate) links: Vec<(usize, f64)>,
}

impl Page {
    /// What of the processing each of the answers takes.
    pub(crate) fn processing_of_an_answer(&self) -> Duration {
        Duration::from_micros(self.processing_us / (1 + self.assets.len() as u64))
    }
}

/// One of the site's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AssetModel {
    pub(crate) kind: AssetKind,
    pub(crate) bytes: u32,
    pub(crate) caching: Caching,
    pub(crate) changes_every_us: Option<u64>,
    pub(crate) render_blocking: bool,
    /// The missing asset after whose answer it is asked for.
    pub(crate) instead_of: Option<u32>,
}

/// What an asset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// A style sheet.
    Style,
    /// A script.
    Script,
    /// A font, which is asked for when the styles are there.
    Font,
    /// A picture.
    Picture,
    /// A film or a sound.
    Media,
}

/// What the origin says about keeping an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caching {
    /// For ever: its URL names its version.
    Immutable,
    /// For a time.
    MaxAge {
        /// For how long, in seconds.
        seconds: u32,
    },
    /// Nothing: caches guess.
    Unsaid,
    /// Only browsers may.
    Private,
    /// Nobody may.
    NoStore,
    /// Everybody gets a cookie with it.
    SetCookie,
    /// The answer depends on who asks.
    VariesByCookie,
    /// The site does not have it: every page that names it is told so again, and nothing is said of keeping that word.
    Missing,
}

impl Site {
    pub(crate) fn new(model: &SiteModel, seed: u64) -> Self {
        let mut assets = Vec::new();
        let first = shared_assets(model, seed, &mut assets);
        let links = link_graph(model, seed);
        let own: Vec<Own> = (0..links.len()).map(|page| own_assets(model, seed, page, &mut assets)).collect();
        let pages: Vec<Page> = links
            .into_iter()
            .enumerate()
            .map(|(page, links)| {
                let mut dice = Dice::new(seed, &[PAGE, page as u64]);
                let html_bytes = size(&mut dice, model.html_bytes, 0.6);
                let think_us = (dice.lognormal(f64::from(model.html_think_ms), 0.5) * 1e3) as u64;
                let thumbnails = model.pictures_per_page.saturating_sub(own[page].pictures.len());
                let linked = links.iter().filter_map(|(to, _)| own[*to].thumbnail).take(thumbnails);
                let shown = first.early.iter().chain(&own[page].pictures).copied().chain(linked);
                Page {
                    has_query: false,
                    html_bytes,
                    think_us,
                    processing_us: 0,
                    assets: shown.chain(first.late.iter().copied()).collect(),
                    links,
                }
            })
            .collect();
        Self::assemble(pages, assets, Weighted::new(&landing_weights(model)), model)
    }

    /// A site of these pages and assets, used as the model says.
    pub(crate) fn assemble(
        pages: Vec<Page>,
        assets: Vec<AssetModel>,
        landing: Weighted,
        model: &SiteModel,
    ) -> Self {
        let next = pages
            .iter()
            .map(|page| Weighted::new(&page.links.iter().map(|(_, share)| *share).collect::<Vec<_>>()))
            .collect();
        let habits = Habits {
            bounce_share: model.bounce_share,
            pages_per_visit: model.pages_per_visit,
            dwell_s: model.dwell_s,
            return_share: model.return_share,
            return_days: model.return_days,
        };
        Self { landing, pages, assets, habits, next }
    }

    /// The page at which a visit begins.
    pub(crate) fn landing(&self, dice: &mut Dice) -> usize {
        self.landing.draw(dice)
    }

    /// The page after a page.
    pub(crate) fn next(&self, page: usize, dice: &mut Dice) -> usize {
        let link = self.next.get(page).map_or(0, |next| next.draw(dice));
        self.pages.get(page).and_then(|page| page.links.get(link)).map_or(FRONT_PAGE, |(to, _)| *to)
    }
}

/// Deep links are followed by the popularity of pages.
pub(crate) fn landing_weights(model: &SiteModel) -> Vec<f64> {
    let deep = zipf_weights(model.pages.saturating_sub(1), model.popularity_exponent);
    let front = if deep.is_empty() { 1.0 } else { model.front_page_share };
    std::iter::once(front).chain(deep.into_iter().map(|weight| weight * (1.0 - front))).collect()
}

/// Where each page's visitors go: to popular pages, to the pages beside it (those of the same section), and back to the
/// front page; the first more often than the last.
fn link_graph(model: &SiteModel, seed: u64) -> Vec<Vec<(usize, f64)>> {
    let pages = model.pages;
    let popular = Weighted::new(&landing_weights(model));
    let graph = (0..pages).map(|page| {
        let mut dice = Dice::new(seed, &[PAGE, page as u64, 1]);
        let most = model.links_per_page.min(pages.saturating_sub(1));
        let mut targets: Vec<usize> = Vec::with_capacity(most);
        let mut beside = (1..pages).map(|step| (page + step) % pages);
        while targets.len() < most {
            let drawn = (!dice.chance(BESIDE)).then(|| popular.draw(&mut dice));
            let is_new = |to: &usize| *to != page && !targets.contains(to);
            let Some(to) = drawn.filter(is_new).or_else(|| beside.find(is_new)) else { break };
            targets.push(to);
        }
        let shares = zipf_weights(targets.len(), model.link_exponent);
        targets.into_iter().zip(shares).collect()
    });
    graph.collect()
}

/// The share of links that lead to pages beside a page, rather than to popular ones.
const BESIDE: f64 = 0.5;

/// What all pages share, in two parts: what they ask for first, and last.
struct Shared {
    early: Vec<u32>,
    late: Vec<u32>,
}

fn shared_assets(model: &SiteModel, seed: u64, assets: &mut Vec<AssetModel>) -> Shared {
    use AssetKind::{Font, Picture, Script, Style};
    let mut dice = Dice::new(seed, &[SHARED]);
    let mut shared = Shared { early: Vec::new(), late: Vec::new() };
    // Scripts in the head of the document keep it from being drawn; the others come last.
    let scripts_in_head = model.scripts.div_ceil(3);
    let kinds = [
        (Style, model.styles, 24_000, 0.4),
        (Script, model.scripts, 115_000, 0.4),
        (Font, model.fonts, 41_000, 0.3),
        (Picture, model.shared_pictures, 15_000, 0.4),
    ];
    for (kind, count, median, sigma) in kinds {
        for number in 0..count {
            let in_head = kind == Script && number < scripts_in_head;
            // The last script tells the page who is looking at it.
            let personal = kind == Script && number + 1 == count && count > 1;
            let (caching, changes_every_us) = match () {
                () if personal => (Caching::NoStore, None),
                () if dice.chance(0.7) => (Caching::Immutable, None),
                () => (Caching::MaxAge { seconds: 86_400 }, Some(14 * DAY_US)),
            };
            let bytes = size(&mut dice, if personal { 6_000 } else { median }, sigma);
            let late = kind == Script && !in_head;
            if late { &mut shared.late } else { &mut shared.early }.push(assets.len() as u32);
            let render_blocking = kind == Style || in_head;
            assets.push(AssetModel {
                kind,
                bytes,
                caching,
                changes_every_us,
                render_blocking,
                instead_of: None,
            });
        }
    }
    shared
}

/// What is one page's own.
struct Own {
    pictures: Vec<u32>,
    /// Shown on pages that link to it. Links to the front page have none.
    thumbnail: Option<u32>,
}

fn own_assets(model: &SiteModel, seed: u64, page: usize, assets: &mut Vec<AssetModel>) -> Own {
    let mut dice = Dice::new(seed, &[PICTURE, page as u64]);
    let whole = libm::floor(model.own_pictures_per_page);
    let count = whole as usize + usize::from(dice.chance(model.own_pictures_per_page - whole));
    let has_media = dice.chance(model.media_share);
    let mut add = |kind, bytes, dice: &mut Dice| {
        let (caching, changes_every_us) = picture_caching(model, dice);
        assets.push(AssetModel {
            kind,
            bytes,
            caching,
            changes_every_us,
            render_blocking: false,
            instead_of: None,
        });
        assets.len() as u32 - 1
    };
    let pictures = (0..count)
        .map(|number| {
            let (kind, median) = match number {
                0 => (AssetKind::Picture, model.large_picture_bytes),
                1 if has_media => (AssetKind::Media, model.media_bytes),
                _ => (AssetKind::Picture, model.picture_bytes),
            };
            let bytes = size(&mut dice, median, 0.7);
            add(kind, bytes, &mut dice)
        })
        .collect();
    let thumbnail = (page != FRONT_PAGE).then(|| {
        let bytes = size(&mut dice, model.thumbnail_bytes, 0.5);
        add(AssetKind::Picture, bytes, &mut dice)
    });
    Own { pictures, thumbnail }
}

/// What the origin says about a picture, and how often it is replaced.
fn picture_caching(model: &SiteModel, dice: &mut Dice) -> (Caching, Option<u64>) {
    if dice.chance(model.private_share) {
        let ways = [Caching::Private, Caching::NoStore, Caching::SetCookie, Caching::VariesByCookie];
        return (ways[dice.below(4) as usize], None);
    }
    let caching = match dice.unit() {
        u if u < 0.25 => Caching::Immutable,
        u if u < 0.35 => Caching::MaxAge { seconds: 3_600 },
        u if u < 0.55 => Caching::MaxAge { seconds: 86_400 },
        u if u < 0.80 => Caching::MaxAge { seconds: 2_592_000 },
        _ => Caching::Unsaid,
    };
    let changes = caching != Caching::Immutable && dice.chance(0.2);
    let days = 2 + dice.below(29);
    (caching, changes.then_some(days * DAY_US))
}

/// A size about a median; nothing is smaller than a hundred bytes or larger than thirty times the median.
fn size(dice: &mut Dice, median: u32, sigma: f64) -> u32 {
    let median = f64::from(median);
    dice.lognormal(median, sigma).clamp(100.0, (median * 30.0).max(100.0)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site::new(&SiteModel::default(), 1)
    }

    #[test]
    fn the_default_site_is_rich_in_pictures() {
        let (mut mean_weights, mut mean_pictures) = (Vec::new(), Vec::new());
        for seed in 0..20 {
            let site = Site::new(&SiteModel::default(), seed);
            assert_eq!(site.pages.len(), 100);
            assert!((420..490).contains(&site.assets.len()), "{}", site.assets.len());
            let bytes = |page: &Page, counts: &dyn Fn(AssetKind) -> bool| {
                let assets = page.assets.iter().map(|asset| &site.assets[*asset as usize]);
                assets.filter(|asset| counts(asset.kind)).map(|asset| u64::from(asset.bytes)).sum::<u64>()
            };
            let mean = |counts: &dyn Fn(AssetKind) -> bool| {
                site.pages.iter().map(|page| bytes(page, counts)).sum::<u64>() / 100
            };
            mean_weights.push(mean(&|_| true));
            mean_pictures.push(mean(&|kind| kind == AssetKind::Picture));
            for page in &site.pages {
                let mut once = page.assets.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!(once.len(), page.assets.len(), "nothing is asked for twice");
                assert!((20..=24).contains(&page.assets.len()), "{}", page.assets.len());
            }
        }
        let within = |means: &[u64], range: std::ops::Range<u64>| {
            assert!(means.iter().all(|mean| range.contains(mean)), "{means:?}");
        };
        within(&mean_weights, 3_900_000..5_300_000);
        within(&mean_pictures, 3_000_000..4_300_000);
    }

    #[test]
    fn a_few_assets_are_not_for_everybody() {
        let counts = (0..20).map(|seed| {
            let site = Site::new(&SiteModel::default(), seed);
            let public = |asset: &&AssetModel| {
                matches!(asset.caching, Caching::Immutable | Caching::MaxAge { .. } | Caching::Unsaid)
            };
            1.0 - site.assets.iter().filter(public).count() as f64 / site.assets.len() as f64
        });
        let mean = counts.sum::<f64>() / 20.0;
        assert!((0.005..0.02).contains(&mean), "{mean}");
    }

    #[test]
    fn three_links_lead_to_most_next_pages() {
        for page in site().pages {
            assert_eq!(page.links.len(), 16);
            assert!((page.links.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
            let mut targets: Vec<usize> = page.links.iter().map(|(to, _)| *to).collect();
            targets.sort_unstable();
            targets.dedup();
            assert_eq!(targets.len(), 16);
            let first: f64 = page.links.iter().take(3).map(|(_, share)| share).sum();
            assert!((0.5..0.67).contains(&first), "{first}");
        }
    }

    #[test]
    fn pages_that_lead_to_the_same_page_share_its_thumbnail() {
        let site = site();
        let shared: Vec<u32> = site.pages[0]
            .assets
            .iter()
            .copied()
            .filter(|asset| site.pages.iter().all(|page| page.assets.contains(asset)))
            .collect();
        assert_eq!(shared.len(), 14);
        let mut shows = vec![0_u32; site.assets.len()];
        site.pages.iter().flat_map(|page| &page.assets).for_each(|asset| shows[*asset as usize] += 1);
        let on_some = shows.iter().filter(|shows| (2..100).contains(*shows)).count();
        assert!(on_some >= 60, "{on_some}");
    }

    #[test]
    fn small_sites_are_sites_too() {
        for pages in [1, 2, 3, 17] {
            let model = SiteModel { pages, ..SiteModel::default() };
            let site = Site::new(&model, 1);
            assert_eq!(site.pages.len(), pages);
            let mut dice = Dice::new(1, &[]);
            let mut page = site.landing(&mut dice);
            for _ in 0..100 {
                page = site.next(page, &mut dice);
                assert!(page < pages);
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_site() {
        let (one, other) = (site(), site());
        assert_eq!(one.pages, other.pages);
        assert_eq!(one.assets, other.assets);
        assert_ne!(Site::new(&SiteModel::default(), 2).assets, one.assets);
    }
}

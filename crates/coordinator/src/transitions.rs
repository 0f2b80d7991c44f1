//! What follows what: which pages visitors go to from a page, and which assets each page uses, added up over all
//! visitors, so that an idle peer can have what its next page needs before it is asked for.
//!
//! Nobody's path is kept: a page knows how often it was viewed, and where views of it led.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::limits::{MAX_LIKELY_ASSETS, MAX_PAGE_ASSETS};
use edgeweave_protocol::message::ToPeer;
use edgeweave_protocol::{AssetId, AssetSet, PeerId, Timestamp};

use crate::Coordinator;
use crate::admission::judge_url;
use crate::io::SessionId;
use crate::limits::VIEWS;

/// Pages that are remembered; the one with the fewest views of late is forgotten first.
const MAX_PAGES: usize = 2048;

/// Pages that are remembered as following one; the rarest is forgotten first.
const MAX_NEXT: usize = 16;

/// Distinct sessions that must have viewed a page before its assets are suggested to anybody.
const VIEWERS: usize = 3;

/// Views of a page after which the earlier ones count half.
const MOST_VIEWS: u32 = 1024;

/// Views of a page also count half for every time of this length in which there were none.
const HALF_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Views over which an asset's share in a page is averaged.
const AVERAGED: u32 = 16;

/// Where views of a page led is believed as much as where the site's views lead once it had so many of them. Before, the
/// site's say more: most pages are known by few views, and most sites have a few pages that everybody goes to.
/// (A Dirichlet prior: "Pattern Recognition and Machine Learning", C. M. Bishop, section 2.2.1.)
const PRIOR_VIEWS: u64 = 4;

/// What is certain, as a share.
const ONE: u32 = 1 << 16;

/// An asset that fewer views of a page use is none of the page's.
const LEAST_SHARE: u32 = ONE / 32;

/// An asset that is needed with a smaller chance is not worth a visitor's bytes.
const LEAST_CHANCE: u32 = ONE / 12;

/// Of what follows a page, so many are looked at for what follows them, and as many of those.
const FOLLOWED: usize = 4;

/// What the page after the next one needs counts so many times less: it can still be fetched one page later.
const LATER: u32 = 4;

/// What visitors' views have in common.
#[derive(Debug, Default)]
pub(crate) struct Transitions {
    pages: BTreeMap<Arc<str>, Page>,
    /// Where views of any page led.
    site: Onward,
}

/// Where views led.
#[derive(Debug, Default)]
struct Onward {
    views: u32,
    /// When the last one began.
    last: Timestamp,
    /// How often they led to a page.
    next: Vec<(Arc<str>, u32)>,
}

/// A page, by all who viewed it.
#[derive(Debug, Default)]
struct Page {
    /// The first sessions that viewed it, until there are enough; nothing is known of sessions but that they differ.
    viewers: Vec<PeerId>,
    is_shared: bool,
    onward: Onward,
    /// Views in which its assets were told, at most [`AVERAGED`].
    averaged: u32,
    /// The share of its views of late in which each asset was used.
    assets: Vec<(AssetId, u32)>,
}

/// One view of a page.
#[derive(Clone, Copy, Debug)]
struct View<'a> {
    viewer: PeerId,
    page: &'a str,
    from: Option<&'a str>,
    assets: &'a [AssetId],
}

impl Onward {
    /// Halves of what was counted that are left after a time without views.
    fn halves(&self, now: Timestamp) -> u32 {
        u32::try_from(now.since(self.last).as_secs() / HALF_LIFE.as_secs()).unwrap_or(u32::MAX).min(31)
    }

    /// What was counted long ago counts less, and from now on it is counted anew.
    fn touch(&mut self, now: Timestamp) {
        self.decay(self.halves(now));
        self.last = self.last.max(now);
    }

    fn add_view(&mut self) {
        self.views += 1;
        if self.views >= MOST_VIEWS {
            self.decay(1);
        }
    }

    fn decay(&mut self, halves: u32) {
        self.views >>= halves;
        self.next.iter_mut().for_each(|(_, count)| *count >>= halves);
        self.next.retain(|(_, count)| *count > 0);
    }

    fn add_next(&mut self, url: Arc<str>) {
        if let Some((_, count)) = self.next.iter_mut().find(|(next, _)| *next == url) {
            *count += 1;
            return;
        }
        if self.next.len() >= MAX_NEXT {
            drop_least(&mut self.next);
        }
        self.next.push((url, 1));
    }

    /// Views that count: a page can have been left for others more often than it was seen to be viewed.
    fn views(&self) -> u64 {
        let led: u32 = self.next.iter().map(|(_, count)| count).sum();
        led.max(self.views).into()
    }
}

impl Page {
    fn add_viewer(&mut self, viewer: PeerId) {
        if !self.is_shared && !self.viewers.contains(&viewer) {
            self.viewers.push(viewer);
            self.is_shared = self.viewers.len() >= VIEWERS;
        }
        if self.is_shared {
            self.viewers = Vec::new();
        }
    }

    fn add_assets(&mut self, assets: &[AssetId]) {
        if assets.is_empty() {
            // The page came from the browser's memory, or nothing of it is admitted yet.
            return;
        }
        self.averaged = (self.averaged + 1).min(AVERAGED);
        let part = self.averaged;
        for (asset, share) in &mut self.assets {
            if assets.contains(asset) {
                *share += (ONE - *share).div_ceil(part);
            } else {
                *share -= share.div_ceil(part);
            }
        }
        self.assets.retain(|(_, share)| *share >= LEAST_SHARE);
        for asset in assets {
            if self.assets.iter().all(|(known, _)| known != asset) {
                if self.assets.len() >= MAX_PAGE_ASSETS {
                    drop_least(&mut self.assets);
                }
                self.assets.push((*asset, ONE / part));
            }
        }
    }
}

/// Forgets the member that counts least, the oldest of equals.
fn drop_least<T>(counted: &mut Vec<(T, u32)>) {
    if let Some(least) = (0..counted.len()).min_by_key(|at| counted[*at].1) {
        counted.remove(least);
    }
}

/// The product of two shares.
fn times(a: u32, b: u32) -> u32 {
    (u64::from(a) * u64::from(b) / u64::from(ONE)) as u32
}

impl Transitions {
    fn learn(&mut self, now: Timestamp, view: View<'_>) {
        let url = self.touch(now, view.page);
        if let Some(page) = self.pages.get_mut(&url) {
            page.onward.add_view();
            page.add_viewer(view.viewer);
            page.add_assets(view.assets);
        }
        self.site.touch(now);
        self.site.add_view();
        if let Some(from) = view.from {
            self.site.add_next(Arc::clone(&url));
            let from = self.touch(now, from);
            if let Some(page) = self.pages.get_mut(&from) {
                page.onward.add_next(url);
            }
        }
    }

    /// Makes a page the latest that was looked at, and makes room for it where it is new; returns its URL.
    fn touch(&mut self, now: Timestamp, url: &str) -> Arc<str> {
        if let Some((url, _)) = self.pages.get_key_value(url) {
            let url = Arc::clone(url);
            if let Some(page) = self.pages.get_mut(&url) {
                page.onward.touch(now);
            }
            return url;
        }
        if self.pages.len() >= MAX_PAGES {
            let least = self
                .pages
                .iter()
                .min_by_key(|(_, page)| (page.onward.views >> page.onward.halves(now), page.onward.last));
            if let Some(url) = least.map(|(url, _)| Arc::clone(url)) {
                self.pages.remove(&url);
            }
        }
        let url: Arc<str> = url.into();
        self.pages.insert(
            Arc::clone(&url),
            Page { onward: Onward { last: now, ..Onward::default() }, ..Page::default() },
        );
        url
    }

    /// What follows a page, the most probable first, and with which chance of [`ONE`].
    fn followers(&self, page: &str) -> Vec<(&str, u32)> {
        let own = self.pages.get(page).map(|page| &page.onward);
        let (site_views, own_views) = (self.site.views().max(1), own.map_or(0, Onward::views));
        // How often each is expected to follow in so many views and the prior's, in parts of [`ONE`].
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        for (url, count) in &self.site.next {
            *expected.entry(url).or_default() +=
                PRIOR_VIEWS * u64::from(*count) * u64::from(ONE) / site_views;
        }
        for (url, count) in own.into_iter().flat_map(|own| &own.next) {
            *expected.entry(url).or_default() += u64::from(*count) * u64::from(ONE);
        }
        expected.remove(page);
        let chance = |times: u64| (times / (own_views + PRIOR_VIEWS)) as u32;
        let mut followers: Vec<(&str, u32)> =
            expected.into_iter().map(|(url, times)| (url, chance(times))).collect();
        followers.sort_by(|(a, chance_a), (b, chance_b)| chance_b.cmp(chance_a).then(a.cmp(b)));
        followers
    }

    /// The assets that views of the pages after this one use, and with which chance of [`ONE`], in the order of their
    /// indices.
    fn likely(&self, page: &str) -> Vec<(AssetId, u32)> {
        let mut chances: BTreeMap<&str, u32> = BTreeMap::new();
        for (rank, (next, chance)) in self.followers(page).into_iter().enumerate() {
            *chances.entry(next).or_default() += chance;
            if rank < FOLLOWED {
                for (after, onward) in self.followers(next).into_iter().take(FOLLOWED) {
                    *chances.entry(after).or_default() += times(chance, onward) / LATER;
                }
            }
        }
        chances.remove(page);
        let shared = chances.into_iter().filter_map(|(url, chance)| {
            let next = self.pages.get(url).filter(|next| next.is_shared)?;
            Some(next.assets.iter().map(move |(asset, share)| (*asset, times(chance, *share))))
        });
        let mut likely: Vec<(AssetId, u32)> = shared.flatten().collect();
        likely.sort_unstable();
        likely.dedup_by(|(asset, chance), (before, sum)| {
            let same = asset == before;
            *sum += if same { *chance } else { 0 };
            same
        });
        likely
    }

    /// Indices mean something else from now on.
    pub(crate) fn forget_assets(&mut self) {
        for page in self.pages.values_mut() {
            page.assets = Vec::new();
            page.averaged = 0;
        }
    }
}

impl Coordinator {
    /// Whether a session may tell of one more view.
    pub(crate) fn may_tell_a_view(&mut self, now: Timestamp, id: SessionId) -> bool {
        self.sessions.get_mut(id).is_some_and(|session| session.views.take(now, VIEWS, 1))
    }

    /// A peer's page has come to rest: it is learned from, and the peer told what will probably be needed next.
    pub(crate) fn viewed(
        &mut self,
        now: Timestamp,
        id: SessionId,
        page: &str,
        from: Option<&str>,
        assets: &AssetSet,
    ) {
        let Some(viewer) = self.sessions.member(id).map(|member| member.peer) else { return };
        if !self.setup.policy.enabled || !self.is_page(page) {
            return;
        }
        let from = from.filter(|from| *from != page && self.is_page(from));
        let mut assets = self.admitted_of(assets);
        assets.truncate(MAX_PAGE_ASSETS);
        assets.iter().for_each(|asset| self.used(now, *asset));
        self.transitions.learn(now, View { viewer, page, from, assets: &assets });
        let likely = self.likely_for(id, page);
        if !likely.is_empty() {
            self.out.send(id, ToPeer::Likely { assets: likely });
        }
    }

    /// Whether this can be the URL of one of the site's pages, without query and fragment.
    fn is_page(&self, url: &str) -> bool {
        judge_url(url, &self.setup.origins).is_ok() && !url.contains('?')
    }

    /// What a peer would do well to fetch from others while it is on a page.
    fn likely_for(&self, id: SessionId, page: &str) -> Vec<AssetId> {
        let Some(member) = self.sessions.member(id).filter(|member| member.connects) else {
            return Vec::new();
        };
        let most_bytes = self.setup.policy.replicate_bytes_per_page;
        let worthwhile = |(asset, chance): (AssetId, u32)| {
            let size = self.manifest.get(asset)?.asset().size;
            let can_be_had =
                self.directory.has(asset) && !member.holdings.contains(asset) && size <= most_bytes;
            // Of equals the smaller first: more of them fit.
            (can_be_had && most_bytes > 0 && chance >= LEAST_CHANCE).then_some((
                u32::MAX - chance,
                size,
                asset,
            ))
        };
        let mut ranked: Vec<_> = self.transitions.likely(page).into_iter().filter_map(worthwhile).collect();
        ranked.sort_unstable();
        ranked.into_iter().take(MAX_LIKELY_ASSETS).map(|(_, _, asset)| asset).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1);
    const STYLE: AssetId = AssetId(1);
    const PICTURE: AssetId = AssetId(2);
    const FILM: AssetId = AssetId(3);

    fn view(transitions: &mut Transitions, viewer: u64, from: Option<&str>, page: &str, assets: &[AssetId]) {
        transitions.learn(NOW, View { viewer: PeerId(viewer), page, from, assets });
    }

    fn chance(transitions: &Transitions, page: &str, asset: AssetId) -> u32 {
        transitions
            .likely(page)
            .into_iter()
            .find(|(other, _)| *other == asset)
            .map_or(0, |(_, chance)| chance)
    }

    /// About so large a share: what the site's other views say is still a little of it.
    fn assert_near(chance: u32, share: f64) {
        let is = f64::from(chance) / f64::from(ONE);
        assert!((is - share).abs() < 0.02, "{is}");
    }

    #[test]
    fn what_more_visitors_go_on_to_is_more_likely() {
        let mut transitions = Transitions::default();
        for viewer in 0..400 {
            view(&mut transitions, viewer, None, "/", &[STYLE]);
            let (next, asset) = if viewer % 4 == 0 { ("/film", FILM) } else { ("/picture", PICTURE) };
            view(&mut transitions, viewer, Some("/"), next, &[STYLE, asset]);
        }
        assert_near(chance(&transitions, "/", STYLE), 1.0);
        assert_near(chance(&transitions, "/", PICTURE), 0.75);
        assert_near(chance(&transitions, "/", FILM), 0.25);
        assert_near(chance(&transitions, "/film", PICTURE), 0.0);
    }

    #[test]
    fn of_a_page_that_few_viewed_the_site_says_what_follows() {
        let mut transitions = Transitions::default();
        for viewer in 0..100 {
            let page = format!("/{viewer}");
            view(&mut transitions, viewer, None, &page, &[]);
            view(&mut transitions, viewer, Some(&page), "/picture", &[PICTURE]);
        }
        for page in ["/unknown", "/1"] {
            assert!(chance(&transitions, page, PICTURE) > ONE / 3, "half of all views led there");
        }
        for viewer in 200..300 {
            view(&mut transitions, viewer, None, "/unknown", &[]);
        }
        assert_near(chance(&transitions, "/unknown", PICTURE), 0.0);
        assert_eq!(chance(&transitions, "/picture", PICTURE), 0, "it is there already");
    }

    #[test]
    fn visits_that_end_here_make_what_follows_less_likely() {
        let mut transitions = Transitions::default();
        (0..400).for_each(|viewer| view(&mut transitions, viewer, None, "/", &[]));
        (0..200).for_each(|viewer| view(&mut transitions, viewer, Some("/"), "/film", &[FILM]));
        assert_near(chance(&transitions, "/", FILM), 0.5);
    }

    #[test]
    fn the_page_after_the_next_counts_less() {
        let mut transitions = Transitions::default();
        for viewer in 0..300 {
            view(&mut transitions, viewer, None, "/", &[]);
            view(&mut transitions, viewer, Some("/"), "/picture", &[PICTURE]);
            view(&mut transitions, viewer, Some("/picture"), "/film", &[FILM]);
        }
        assert_near(chance(&transitions, "/", PICTURE), 1.0);
        assert_near(chance(&transitions, "/", FILM), 1.0 / f64::from(LATER));
    }

    #[test]
    fn a_page_that_few_have_seen_is_suggested_to_nobody() {
        let mut transitions = Transitions::default();
        for _ in 0..9 {
            view(&mut transitions, 1, Some("/"), "/own", &[PICTURE]);
            view(&mut transitions, 2, Some("/"), "/own", &[PICTURE]);
        }
        assert!(transitions.likely("/").is_empty());
        view(&mut transitions, 3, Some("/"), "/own", &[PICTURE]);
        assert!(chance(&transitions, "/", PICTURE) > 0);
        assert!(transitions.pages["/own"].viewers.is_empty(), "and who it was is forgotten");
    }

    #[test]
    fn assets_that_a_page_no_longer_uses_fade() {
        let mut transitions = Transitions::default();
        (0..50).for_each(|viewer| view(&mut transitions, viewer, Some("/"), "/next", &[PICTURE]));
        let before = chance(&transitions, "/", PICTURE);
        (0..10).for_each(|viewer| view(&mut transitions, viewer, Some("/"), "/next", &[FILM]));
        let (old, new) = (chance(&transitions, "/", PICTURE), chance(&transitions, "/", FILM));
        assert!(old < before && old > 0 && new > 0, "{before} {old} {new}");
        (0..60).for_each(|viewer| view(&mut transitions, viewer, Some("/"), "/next", &[FILM]));
        assert_eq!(chance(&transitions, "/", PICTURE), 0);
        assert_eq!(transitions.pages["/next"].assets.len(), 1);
    }

    #[test]
    fn memory_is_bounded_and_the_well_known_stay() {
        let mut transitions = Transitions::default();
        (0..5).for_each(|viewer| view(&mut transitions, viewer, Some("/"), "/next", &[PICTURE]));
        let many: Vec<AssetId> = (0..1000).map(AssetId).collect();
        view(&mut transitions, 0, Some("/"), "/rich", &many);
        assert!(transitions.pages["/rich"].assets.len() <= MAX_PAGE_ASSETS);
        (0..5).for_each(|viewer| view(&mut transitions, viewer, None, "/", &[]));
        for number in 0..2 * MAX_PAGES as u64 {
            view(&mut transitions, number, Some("/"), &format!("/{number}"), &[]);
        }
        assert_eq!(transitions.pages.len(), MAX_PAGES);
        assert!(transitions.pages["/"].onward.next.len() <= MAX_NEXT);
        assert!(chance(&transitions, "/", PICTURE) > 0);
    }

    #[test]
    fn what_was_counted_long_ago_makes_room() {
        let mut transitions = Transitions::default();
        (0..5).for_each(|viewer| view(&mut transitions, viewer, Some("/"), "/old", &[PICTURE]));
        let later = NOW + 10 * HALF_LIFE;
        for number in 0..MAX_PAGES as u64 {
            let page = format!("/{number}");
            let seen = View { viewer: PeerId(1), page: &page, from: None, assets: &[] };
            transitions.learn(later, seen);
        }
        assert!(!transitions.pages.contains_key("/old"));
    }
}

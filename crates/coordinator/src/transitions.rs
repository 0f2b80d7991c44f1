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

/// What is certain, as a share.
const ONE: u32 = 1 << 16;

/// An asset that fewer views of a page use is none of the page's.
const LEAST_SHARE: u32 = ONE / 32;

/// An asset that is needed with a smaller chance is not worth a visitor's bytes.
const LEAST_CHANCE: u32 = ONE / 24;

/// Of what follows a page, so many are looked at for what follows them, and as many of those.
const FOLLOWED: usize = 4;

/// What the page after the next one needs counts so many times less: it can still be fetched one page later.
const LATER: u32 = 4;

/// What visitors' views have in common.
#[derive(Debug, Default)]
pub(crate) struct Transitions {
    pages: BTreeMap<Arc<str>, Page>,
}

/// A page, by all who viewed it.
#[derive(Debug, Default)]
struct Page {
    /// The first sessions that viewed it, until there are enough; nothing is known of sessions but that they differ.
    viewers: Vec<PeerId>,
    is_shared: bool,
    views: u32,
    last: Timestamp,
    /// How often views of it led to another page.
    next: Vec<(Arc<str>, u32)>,
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

impl Page {
    /// Halves of what was counted that are left after a time without views.
    fn halves(&self, now: Timestamp) -> u32 {
        u32::try_from(now.since(self.last).as_secs() / HALF_LIFE.as_secs()).unwrap_or(u32::MAX).min(31)
    }

    fn decay(&mut self, halves: u32) {
        self.views >>= halves;
        self.next.iter_mut().for_each(|(_, count)| *count >>= halves);
        self.next.retain(|(_, count)| *count > 0);
    }

    fn add_viewer(&mut self, viewer: PeerId) {
        if !self.is_shared && !self.viewers.contains(&viewer) {
            self.viewers.push(viewer);
            self.is_shared = self.viewers.len() >= VIEWERS;
        }
        if self.is_shared {
            self.viewers = Vec::new();
        }
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

    /// What follows the page, the most frequent first, and with which chance of [`ONE`].
    fn followers(&self) -> Vec<(&str, u32)> {
        let led: u32 = self.next.iter().map(|(_, count)| count).sum();
        let all = u64::from(led.max(self.views).max(1));
        let chance = |count: u32| (u64::from(count) * u64::from(ONE) / all) as u32;
        let mut followers: Vec<(&str, u32)> =
            self.next.iter().map(|(url, count)| (&**url, chance(*count))).collect();
        followers.sort_by(|(a, chance_a), (b, chance_b)| chance_b.cmp(chance_a).then(a.cmp(b)));
        followers
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
            page.views += 1;
            page.add_viewer(view.viewer);
            page.add_assets(view.assets);
            if page.views >= MOST_VIEWS {
                page.decay(1);
            }
        }
        if let Some(from) = view.from {
            let from = self.touch(now, from);
            if let Some(page) = self.pages.get_mut(&from) {
                page.add_next(url);
            }
        }
    }

    /// Makes a page the latest that was looked at, and makes room for it where it is new; returns its URL.
    fn touch(&mut self, now: Timestamp, url: &str) -> Arc<str> {
        if let Some((url, _)) = self.pages.get_key_value(url) {
            let url = Arc::clone(url);
            if let Some(page) = self.pages.get_mut(&url) {
                page.decay(page.halves(now));
                page.last = page.last.max(now);
            }
            return url;
        }
        if self.pages.len() >= MAX_PAGES {
            let least = self.pages.iter().min_by_key(|(_, page)| (page.views >> page.halves(now), page.last));
            if let Some(url) = least.map(|(url, _)| Arc::clone(url)) {
                self.pages.remove(&url);
            }
        }
        let url: Arc<str> = url.into();
        self.pages.insert(Arc::clone(&url), Page { last: now, ..Page::default() });
        url
    }

    /// The assets that views of the pages after this one use, and with which chance of [`ONE`], in the order of their
    /// indices.
    fn likely(&self, page: &str) -> Vec<(AssetId, u32)> {
        let followers = |url: &str| self.pages.get(url).map(Page::followers).unwrap_or_default();
        let mut chances: BTreeMap<&str, u32> = BTreeMap::new();
        for (rank, (next, chance)) in followers(page).into_iter().enumerate() {
            *chances.entry(next).or_default() += chance;
            if rank < FOLLOWED {
                for (after, onward) in followers(next).into_iter().take(FOLLOWED) {
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

    #[test]
    fn what_more_visitors_go_on_to_is_more_likely() {
        let mut transitions = Transitions::default();
        for viewer in 0..12 {
            view(&mut transitions, viewer, None, "/", &[STYLE]);
            let (next, asset) = if viewer % 4 == 0 { ("/film", FILM) } else { ("/picture", PICTURE) };
            view(&mut transitions, viewer, Some("/"), next, &[STYLE, asset]);
        }
        assert_eq!(chance(&transitions, "/", STYLE), ONE, "both use it");
        assert_eq!(chance(&transitions, "/", PICTURE), ONE / 4 * 3);
        assert_eq!(chance(&transitions, "/", FILM), ONE / 4);
        assert!(transitions.likely("/film").is_empty(), "nothing follows it");
        assert!(transitions.likely("/unknown").is_empty());
    }

    #[test]
    fn visits_that_end_here_make_what_follows_less_likely() {
        let mut transitions = Transitions::default();
        (0..8).for_each(|viewer| view(&mut transitions, viewer, None, "/", &[]));
        (0..4).for_each(|viewer| view(&mut transitions, viewer, Some("/"), "/film", &[FILM]));
        assert_eq!(chance(&transitions, "/", FILM), ONE / 2);
    }

    #[test]
    fn the_page_after_the_next_counts_less() {
        let mut transitions = Transitions::default();
        for viewer in 0..3 {
            view(&mut transitions, viewer, None, "/", &[]);
            view(&mut transitions, viewer, Some("/"), "/picture", &[PICTURE]);
            view(&mut transitions, viewer, Some("/picture"), "/film", &[FILM]);
        }
        assert_eq!(chance(&transitions, "/", PICTURE), ONE);
        assert_eq!(chance(&transitions, "/", FILM), ONE / LATER);
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
        assert!(transitions.pages["/"].next.len() <= MAX_NEXT);
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

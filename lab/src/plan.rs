//! Who comes, and what they look at.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde::Serialize;

use crate::nat::NatKind;
use crate::settings::{Habits, Mixture, Settings};
use crate::site::Site;

/// Everything that happens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Plan {
    pub(crate) people: Vec<PersonPlan>,
    /// In the order in which they begin.
    pub(crate) visits: Vec<VisitPlan>,
}

/// A visitor's connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PersonPlan {
    /// To the middle of the network.
    pub(crate) one_way_ms: f64,
    pub(crate) down_bytes_per_s: u64,
    pub(crate) up_bytes_per_s: u64,
    pub(crate) nat: NatKind,
}

/// One visit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct VisitPlan {
    /// An index into the people.
    pub(crate) visitor: usize,
    pub(crate) views: Vec<ViewPlan>,
}

/// A look at a page.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct ViewPlan {
    /// An index into the site's pages.
    pub(crate) page: usize,
    pub(crate) dwell_us: u64,
    /// Whether it is opened in another tab, while the one before stays.
    pub(crate) new_tab: bool,
}

/// Plans visits to a site.
pub(crate) fn plan(settings: &Settings, site: &Site, visits: usize, seed: u64) -> Plan {
    let mut dice = Rng::with_seed(seed);
    let index: BTreeMap<&str, usize> =
        site.pages.iter().enumerate().map(|(index, page)| (page.url.as_str(), index)).collect();
    let links: Vec<Vec<usize>> = site
        .pages
        .iter()
        .map(|page| page.links.iter().filter_map(|link| index.get(link.as_str()).copied()).collect())
        .collect();

    let mut plan = Plan { people: Vec::new(), visits: Vec::new() };
    // Who has been here and will come again.
    let mut returning: Vec<usize> = Vec::new();
    for _ in 0..visits {
        let comes_again = !returning.is_empty() && dice.f64() < settings.habits.return_share;
        let visitor = if comes_again {
            returning.swap_remove(dice.usize(..returning.len()))
        } else {
            plan.people.push(person(settings, &mut dice));
            plan.people.len() - 1
        };
        plan.visits.push(VisitPlan { visitor, views: views(&settings.habits, &links, &mut dice) });
        returning.push(visitor);
    }
    plan
}

fn person(settings: &Settings, dice: &mut Rng) -> PersonPlan {
    let network = &settings.network;
    let between = |dice: &mut Rng, [low, high]: [f64; 2]| low + (high - low) * dice.f64();
    PersonPlan {
        // A round trip between two visitors is twice the way of both.
        one_way_ms: between(dice, network.visitors_ms) / 4.0,
        down_bytes_per_s: bytes_per_s(between(dice, network.down_mbit_s)),
        up_bytes_per_s: bytes_per_s(between(dice, network.up_mbit_s)),
        nat: nat(&network.nat, dice),
    }
}

fn bytes_per_s(mbit_s: f64) -> u64 {
    (mbit_s * 1e6 / 8.0) as u64
}

fn nat(mixture: &Mixture, dice: &mut Rng) -> NatKind {
    let shares = [
        (NatKind::Open, mixture.open),
        (NatKind::FullCone, mixture.full_cone),
        (NatKind::Restricted, mixture.restricted),
        (NatKind::Symmetric, mixture.symmetric),
    ];
    let mut drawn = dice.f64() * shares.iter().map(|(_, share)| share).sum::<f64>();
    for (kind, share) in shares {
        if drawn < share {
            return kind;
        }
        drawn -= share;
    }
    NatKind::FullCone
}

fn views(habits: &Habits, links: &[Vec<usize>], dice: &mut Rng) -> Vec<ViewPlan> {
    let mut page = if dice.f64() < habits.front_page_share { 0 } else { popular(habits, links.len(), dice) };
    let mut views = Vec::new();
    // Whoever does not leave with the first page goes on with a constant chance.
    let more = habits.pages_per_visit_beyond_the_first();
    let mut goes_on = dice.f64() >= habits.bounce_share;
    loop {
        let dwell_us =
            (dice.f64().mul_add(habits.dwell_s[1] - habits.dwell_s[0], habits.dwell_s[0]) * 1e6) as u64;
        let new_tab = !views.is_empty() && dice.f64() < habits.new_tab_share;
        views.push(ViewPlan { page, dwell_us, new_tab });
        if !goes_on || views.len() >= habits.pages_most {
            return views;
        }
        let next: Vec<usize> = links[page].iter().copied().filter(|next| *next != page).collect();
        page = match next.len() {
            0 => (page + 1 + popular(habits, links.len().max(2) - 1, dice)) % links.len(),
            count => next[zipf(count.min(habits.links_per_page), habits.link_exponent, dice)],
        };
        goes_on = dice.f64() < 1.0 - 1.0 / more.max(1.0);
    }
}

fn popular(habits: &Habits, pages: usize, dice: &mut Rng) -> usize {
    zipf(pages, habits.popularity_exponent, dice)
}

/// A rank from zero on; rank `r` comes up as often as `(r + 1)^-exponent`.
fn zipf(count: usize, exponent: f64, dice: &mut Rng) -> usize {
    let weight = |rank: usize| ((rank + 1) as f64).powf(-exponent);
    let mut drawn = dice.f64() * (0..count).map(weight).sum::<f64>();
    for rank in 0..count {
        drawn -= weight(rank);
        if drawn < 0.0 {
            return rank;
        }
    }
    count.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Page;

    fn site(pages: usize) -> Site {
        let url = |page: usize| format!("http://198.19.0.1/{page}.html");
        let page = |number: usize| Page {
            url: url(number),
            html_bytes: 1,
            assets: Vec::new(),
            links: (0..pages).map(url).collect(),
        };
        Site { pages: (0..pages).map(page).collect(), assets: Vec::new() }
    }

    #[test]
    fn a_seed_decides_everything() {
        let settings = Settings::default();
        assert_eq!(plan(&settings, &site(9), 20, 7), plan(&settings, &site(9), 20, 7));
        assert_ne!(plan(&settings, &site(9), 20, 7), plan(&settings, &site(9), 20, 8));
    }

    #[test]
    fn people_have_habits_and_connections_within_the_settings() {
        let settings = Settings::default();
        let plan = plan(&settings, &site(9), 400, 1);
        assert_eq!(plan.visits.len(), 400);
        let views: usize = plan.visits.iter().map(|visit| visit.views.len()).sum();
        let mean = views as f64 / 400.0;
        assert!((mean / settings.habits.pages_per_visit - 1.0).abs() < 0.15, "{mean}");
        assert!(plan.people.iter().all(|person| (3.75..=15.0).contains(&person.one_way_ms)));
        assert!(
            plan.visits
                .iter()
                .all(|visit| { visit.views.windows(2).all(|pair| pair[0].page != pair[1].page) })
        );
        assert!(plan.people.len() < 400);
    }

    #[test]
    fn a_site_of_one_page_can_be_visited() {
        let plan = plan(&Settings::default(), &site(1), 5, 1);
        assert!(plan.visits.iter().flat_map(|visit| &visit.views).all(|view| view.page == 0));
    }
}

//! How people come to the site: when, how often, which pages they look at, and for how long.

use std::collections::BTreeSet;

use edgeweave_protocol::Timestamp;

use crate::dice::Dice;
use crate::plan::Planned;
use crate::scenario::Scenario;
use crate::world::site::Site;
use crate::world::{BUSIEST, Person, World};

/// Streams of dice.
const VISIT: u64 = 0x7151;
const TURN: u64 = 0x7c42;

const DAY_US: f64 = 86_400e6;

/// Two visits with less than this between them are one.
const APART_US: u64 = 30 * 60 * 1_000_000;

/// How long a visitor takes for a page to come, before it is looked at: visits are planned without knowing that.
pub(crate) const EXPECTED_LOAD_US: u64 = 2_000_000;

/// How much times that pages are looked at spread.
const DWELL_SIGMA: f64 = 1.1;

/// How much times from a visit to the next spread.
const RETURN_SIGMA: f64 = 1.2;

/// Nobody is counted as looking at a page for longer: browsers' tabs are forgotten, and visits end after half an hour.
const DWELL_MOST_US: u64 = 30 * 60 * 1_000_000;

/// A page that is looked at for less is not.
const DWELL_LEAST_US: u64 = 1_000_000;

/// Pages of one visit, at most.
const VIEWS_MOST: usize = 100;

/// One visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Since the start of the simulation.
    pub(crate) starts_us: u64,
    pub(crate) views: Vec<View>,
}

/// A look at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) page: usize,
    pub(crate) dwell_us: u64,
}

/// What a person does within the first `days`, in order of time.
pub(crate) fn sessions_of(
    world: &World,
    site: &Site,
    seed: u64,
    number: u64,
    person: &Person,
    days: f64,
) -> Vec<Session> {
    let horizon = days * DAY_US;
    let mut sessions: Vec<Session> = Vec::new();
    loop {
        let mut dice = Dice::new(seed, &[VISIT, number, sessions.len() as u64]);
        let starts_us = match sessions.last() {
            None => by_daylight(world, person, &mut dice, |dice| dice.unit() * horizon),
            Some(last) => {
                if !dice.chance(site.habits.return_share) {
                    return sessions;
                }
                let ended =
                    last.starts_us + last.views.iter().map(|view| view.dwell_us).sum::<u64>() + APART_US;
                by_daylight(world, person, &mut dice, |dice| {
                    ended as f64 + dice.lognormal(site.habits.return_days * DAY_US, RETURN_SIGMA)
                })
            }
        };
        if starts_us as f64 >= horizon {
            return sessions;
        }
        let views = views(site, &mut dice);
        sessions.push(Session { starts_us, views });
    }
}

/// A time as `draw` draws it, but for hours at which people sleep.
fn by_daylight(world: &World, person: &Person, dice: &mut Dice, draw: impl Fn(&mut Dice) -> f64) -> u64 {
    let mut at = 0;
    for _ in 0..64 {
        at = draw(dice) as u64;
        let second = (at / 1_000_000 % 86_400) as u32;
        if dice.chance(world.daylight(person.country, second) / BUSIEST) {
            break;
        }
    }
    at
}

/// What a person looks at in one of those visits that [`in_turn`] has.
pub(crate) fn views_of(site: &Site, seed: u64, visitor: u32, session: u16) -> Vec<View> {
    views(site, &mut Dice::new(seed, &[VISIT, visitor.into(), session.into()]))
}

/// Visits one after the other, each at some time of its turn, until the time is over or nobody is left: first of those who
/// wanted to come again by then, whoever wanted to first, and otherwise of somebody new.
pub(crate) fn in_turn(site: &Site, scenario: &Scenario) -> Vec<Planned> {
    let (seed, habits) = (scenario.seed, site.habits);
    let turn_us = scenario.arrivals_s * 1e6;
    let mut plan: Vec<Planned> = Vec::new();
    let mut again: BTreeSet<(u64, u32, u16)> = BTreeSet::new();
    let mut newcomers = 0..scenario.visitors;
    for turn in 0_u64.. {
        let at = ((turn as f64 + Dice::new(seed, &[TURN, turn]).unit()) * turn_us) as u64;
        if at as f64 >= scenario.days * DAY_US || (newcomers.is_empty() && again.is_empty()) {
            break;
        }
        let first = again.first().copied().filter(|(from, _, _)| *from <= at);
        let comes = first.map(|(_, visitor, session)| (visitor, session));
        let Some((visitor, session)) = comes.or_else(|| Some((newcomers.next()?, 0))) else { continue };
        first.map(|it| again.remove(&it));
        let mut dice = Dice::new(seed, &[VISIT, visitor.into(), session.into()]);
        let stays: u64 = views(site, &mut dice).iter().map(|view| EXPECTED_LOAD_US + view.dwell_us).sum();
        let returns = session < u16::MAX && dice.chance(habits.return_share);
        if returns {
            let away = dice.lognormal(habits.return_days * DAY_US, RETURN_SIGMA) as u64;
            again.insert((at + stays + away, visitor, session + 1));
        }
        plan.push(Planned { at: Timestamp::from_micros(at), visitor, session, returns });
        if plan.len() as u64 == scenario.visits {
            break;
        }
    }
    plan
}

fn views(site: &Site, dice: &mut Dice) -> Vec<View> {
    let mut page = site.landing(dice);
    let mut views = Vec::new();
    let count = count(site, dice);
    loop {
        let dwell = (dice.lognormal(site.habits.dwell_s, DWELL_SIGMA) * 1e6) as u64;
        views.push(View { page, dwell_us: dwell.clamp(DWELL_LEAST_US, DWELL_MOST_US) });
        if views.len() >= count {
            return views;
        }
        page = site.next(page, dice);
    }
}

/// The pages of a visit: one, or else at least two, and each further one with the same chance.
fn count(site: &Site, dice: &mut Dice) -> usize {
    let bounces = site.habits.bounce_share;
    if dice.chance(bounces) {
        return 1;
    }
    // So that the mean over all visits is `pages_per_visit`.
    let further = ((site.habits.pages_per_visit - bounces) / (1.0 - bounces) - 2.0).max(0.0);
    let goes_on = further / (1.0 + further);
    let mut count = 2;
    while count < VIEWS_MOST && dice.chance(goes_on) {
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::site::{FRONT_PAGE, SiteModel};
    use crate::world::tests::world;

    fn all(count: u64, days: f64) -> Vec<(Person, Vec<Session>)> {
        let (world, site) = (world(500, 50), Site::new(&SiteModel::default(), 1));
        let visits = |number| {
            let person = world.draw_person(1, number);
            (person, sessions_of(&world, &site, 1, number, &person, days))
        };
        (0..count).map(visits).collect()
    }

    #[test]
    fn visits_are_in_order_apart_and_within_the_time() {
        let visits = all(5_000, 7.0);
        for (_, sessions) in &visits {
            assert!(!sessions.is_empty(), "everybody comes");
            assert!(sessions.iter().all(|session| session.starts_us < 7 * 86_400_000_000));
            for pair in sessions.windows(2) {
                let looked: u64 = pair[0].views.iter().map(|view| view.dwell_us).sum();
                assert!(pair[1].starts_us >= pair[0].starts_us + looked + APART_US);
            }
        }
        assert_eq!(visits, all(5_000, 7.0));
    }

    #[test]
    fn pages_and_bounces_are_as_many_as_the_model_says() {
        let model = SiteModel::default();
        let sessions: Vec<Session> =
            all(20_000, 7.0).into_iter().flat_map(|(_, sessions)| sessions).collect();
        let count = sessions.len() as f64;
        let each = count / 20_000.0;
        assert!((1.70..1.80).contains(&each), "{each}");
        let bounces = sessions.iter().filter(|session| session.views.len() == 1).count() as f64 / count;
        assert!((bounces - model.bounce_share).abs() < 0.02, "{bounces}");
        let pages = sessions.iter().map(|session| session.views.len()).sum::<usize>() as f64 / count;
        assert!((pages - model.pages_per_visit).abs() < 0.2, "{pages}");
        let front =
            sessions.iter().filter(|session| session.views[0].page == FRONT_PAGE).count() as f64 / count;
        assert!((front - model.front_page_share).abs() < 0.02, "{front}");
        let mut dwells: Vec<u64> =
            sessions.iter().flat_map(|session| &session.views).map(|view| view.dwell_us).collect();
        dwells.sort_unstable();
        let median = dwells[dwells.len() / 2] as f64 / 1e6;
        assert!((median / model.dwell_s - 1.0).abs() < 0.05, "{median}");
    }

    #[test]
    fn some_come_again_and_more_of_them_where_there_is_more_time() {
        let again = |days| {
            let visits = all(5_000, days);
            visits.iter().filter(|(_, sessions)| sessions.len() > 1).count() as f64 / visits.len() as f64
        };
        let (week, month) = (again(7.0), again(30.0));
        assert!((0.35..0.5).contains(&week) && week < month && month < 0.62, "{week} {month}");
    }

    #[test]
    fn people_sleep() {
        let (world, visits) = (world(500, 50), all(20_000, 7.0));
        let mut hours = [0_u32; 24];
        for (person, sessions) in &visits {
            let offset = i64::from(world.countries[person.country].utc_offset_minutes) * 60;
            for session in sessions {
                let local = (session.starts_us / 1_000_000) as i64 + offset;
                hours[(local.rem_euclid(86_400) / 3_600) as usize] += 1;
            }
        }
        assert!(hours[21] > 4 * hours[4], "{hours:?}");
    }
}

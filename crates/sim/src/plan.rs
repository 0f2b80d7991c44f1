//! The plan of all visits, drawn before anything happens: both arms, every policy, and whoever else follows the plan, see
//! the same people do the same.

use edgeweave_protocol::Timestamp;
use serde::Serialize;

use crate::scenario::{Scenario, ScenarioError};
use crate::world::site::Site;
use crate::world::visits::{self, EXPECTED_LOAD_US, Session};
use crate::world::{Given, Nat, World};

/// Who comes, and what they do. A scenario has one plan; a simulation follows it, and so can somebody with real browsers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Everybody who comes, by number.
    pub people: Vec<PersonPlan>,
    /// All visits, in the order of their starts.
    pub visits: Vec<VisitPlan>,
}

/// How somebody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PersonPlan {
    /// From the visitor's computer to where all visitors' ways meet, in microseconds: a round trip between two visitors is
    /// twice the sum of theirs. With a given network the ways to the origin and the node have nothing to do with it.
    pub one_way_us: u64,
    /// What the visitor receives, in bytes a second.
    pub down_bytes_per_s: u64,
    /// What the visitor sends, in bytes a second.
    pub up_bytes_per_s: u64,
    /// What the visitor is behind.
    pub nat: Nat,
}

/// A visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VisitPlan {
    /// Whose visit it is, as a place in [`Plan::people`]. Somebody who comes again has what the browser kept.
    pub visitor: u32,
    /// When the first page is asked for, in microseconds since the start.
    pub starts_us: u64,
    /// The pages that are looked at, one after the other.
    pub views: Vec<ViewPlan>,
}

/// A look at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ViewPlan {
    /// The page, as a place in the site's list.
    pub page: usize,
    /// From asking for the page until the next is asked for, or the visitor leaves, in microseconds; that the page has loaded
    /// by then is likely and not certain.
    pub dwell_us: u64,
}

/// The plan that a simulation of the scenario follows.
///
/// # Errors
/// When the scenario cannot be simulated.
pub fn plan(scenario: &Scenario) -> Result<Plan, ScenarioError> {
    scenario.check()?;
    let (world, site) = setting(scenario)?;
    let planned = draw(&world, &site, scenario);
    let visits: Vec<VisitPlan> = planned
        .iter()
        .filter_map(|planned| {
            let session = session(&world, &site, scenario, planned)?;
            let view = |view: &visits::View| ViewPlan {
                page: view.page,
                dwell_us: EXPECTED_LOAD_US + view.dwell_us,
            };
            let views = session.views.iter().map(view).collect();
            Some(VisitPlan { visitor: planned.visitor, starts_us: session.starts_us, views })
        })
        .collect();
    let count = visits.iter().map(|visit| visit.visitor + 1).max().unwrap_or(0);
    let person = |number: u32| {
        let person = world.draw_person(scenario.seed, number.into());
        PersonPlan {
            one_way_us: person.access.latency_us,
            down_bytes_per_s: person.access.down,
            up_bytes_per_s: person.access.up,
            nat: person.nat,
        }
    };
    Ok(Plan { people: (0..count).map(person).collect(), visits })
}

/// Where a scenario takes place.
pub(crate) fn setting(scenario: &Scenario) -> Result<(World, Site), ScenarioError> {
    let world = match &scenario.network {
        Some(network) => World::given(Given::new(network)),
        None => World::new(scenario.networks, scenario.countries)
            .map_err(|error| ScenarioError::Meaningless { key: "networks", problem: error.to_string() })?,
    };
    let site = match &scenario.given_site {
        Some(given) => Site::given(given, &scenario.site),
        None => Site::new(&scenario.site, scenario.seed),
    };
    Ok((world, site))
}

/// One session of one visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Planned {
    pub(crate) at: Timestamp,
    pub(crate) visitor: u32,
    /// Which of the visitor's sessions it is.
    pub(crate) session: u16,
    /// Whether the visitor comes again after it.
    pub(crate) returns: bool,
}

/// All sessions, in the order of their beginnings.
pub(crate) fn draw(world: &World, site: &Site, scenario: &Scenario) -> Vec<Planned> {
    if world.given.is_some() {
        return visits::in_turn(site, scenario);
    }
    let mut plan = Vec::new();
    for visitor in 0..scenario.visitors {
        let sessions = sessions(world, site, scenario, visitor);
        let count = sessions.len();
        plan.extend(sessions.iter().enumerate().map(|(number, session)| Planned {
            at: Timestamp::from_micros(session.starts_us),
            visitor,
            session: number as u16,
            returns: number + 1 < count,
        }));
    }
    plan.sort_unstable();
    if scenario.visits > 0 {
        plan.truncate(usize::try_from(scenario.visits).unwrap_or(usize::MAX));
    }
    plan
}

/// A planned session again: all of them at once would take more memory than the rest of a simulation.
pub(crate) fn session(world: &World, site: &Site, scenario: &Scenario, planned: &Planned) -> Option<Session> {
    if world.given.is_some() {
        let views = visits::views_of(site, scenario.seed, planned.visitor, planned.session);
        return Some(Session { starts_us: planned.at.as_micros(), views });
    }
    sessions(world, site, scenario, planned.visitor).into_iter().nth(planned.session.into())
}

/// What one visitor does in all.
fn sessions(world: &World, site: &Site, scenario: &Scenario, visitor: u32) -> Vec<Session> {
    let person = world.draw_person(scenario.seed, visitor.into());
    visits::sessions_of(world, site, scenario.seed, visitor.into(), &person, scenario.days)
}

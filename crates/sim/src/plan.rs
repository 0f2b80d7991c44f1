//! The plan of all visits, drawn before anything happens: both arms, and every policy, see the same people do the same.

use edgeweave_protocol::Timestamp;

use crate::world::World;
use crate::world::site::Site;
use crate::world::visits::{self, Session};

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
pub(crate) fn draw(world: &World, site: &Site, seed: u64, visitors: u32, days: f64) -> Vec<Planned> {
    let mut plan = Vec::new();
    for visitor in 0..visitors {
        let sessions = sessions(world, site, seed, visitor, days);
        let count = sessions.len();
        plan.extend(sessions.iter().enumerate().map(|(number, session)| Planned {
            at: Timestamp::from_micros(session.starts_us),
            visitor,
            session: number as u16,
            returns: number + 1 < count,
        }));
    }
    plan.sort_unstable();
    plan
}

/// What one visitor does in all.
pub(crate) fn sessions(world: &World, site: &Site, seed: u64, visitor: u32, days: f64) -> Vec<Session> {
    let person = world.draw_person(seed, visitor.into());
    visits::sessions_of(world, site, seed, visitor.into(), &person, days)
}

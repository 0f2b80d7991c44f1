//! Do no harm: where pages load slower with the mesh than without it, the mesh is turned off, and tried again later.
//!
//! The site's policy draws a holdout of visitors whose pages are left alone. Page loads of both are compared for the
//! site, for each network and for each kind of browser.

use std::collections::BTreeMap;
use std::time::Duration;

use edgeweave_protocol::Timestamp;
use edgeweave_protocol::message::ToPeer;
use edgeweave_protocol::policy::Policy;

use crate::Coordinator;
use crate::io::{BrowserKind, Place, SessionId};

/// Page loads of either arm before anything is concluded.
const LEAST_SAMPLES: u32 = 100;

/// The mesh does harm where its mean is longer by more than this share of the holdout's, and by more than chance does.
const HARM: f64 = 0.02;

/// Standard errors by which the means must differ: one comparison in a thousand is wrong (one-sided, normal).
const CERTAIN: f64 = 3.1;

/// For how long the mesh is off before it is tried again.
const OFF_FOR: Duration = Duration::from_secs(3600);

/// Longer page loads count as this, so that one page that was left open in the background decides nothing.
const LONGEST_MS: u32 = 30_000;

/// After so many samples the earlier ones count half: what was true yesterday need not be today.
const MOST_SAMPLES: u32 = 20_000;

/// Networks that are looked at; the one with the fewest samples is forgotten first.
const MAX_SCOPES: usize = 1024;

/// What is turned off together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Every visitor.
    Site,
    /// Those of a network, by its number.
    Network(u32),
    /// Those with a kind of browser.
    Browser(BrowserKind),
}

impl Scope {
    /// All that a visitor belongs to.
    fn of(place: &Place) -> impl Iterator<Item = Self> {
        let network = place.network.map(Self::Network);
        [Some(Self::Site), network, Some(Self::Browser(place.browser))].into_iter().flatten()
    }
}

/// What is known of page loads.
#[derive(Debug, Default)]
pub(crate) struct Governor {
    scopes: BTreeMap<Scope, Comparison>,
    /// When the first of what is off is to be tried again.
    due: Option<Timestamp>,
}

/// Page loads of one scope with the mesh, and without it.
#[derive(Debug, Default)]
struct Comparison {
    mesh: Loads,
    holdout: Loads,
    off_until: Option<Timestamp>,
}

/// Mean and spread of page loads, in milliseconds.
#[derive(Debug, Default)]
struct Loads {
    count: u32,
    mean: f64,
    /// The sum of squared distances from the mean (Welford, Technometrics 1962).
    squares: f64,
}

impl Loads {
    fn add(&mut self, ms: u32) {
        if self.count >= MOST_SAMPLES {
            self.count /= 2;
            self.squares /= 2.0;
        }
        let ms = f64::from(ms.min(LONGEST_MS));
        self.count += 1;
        let distance = ms - self.mean;
        self.mean += distance / f64::from(self.count);
        self.squares += distance * (ms - self.mean);
    }

    /// The square of the mean's standard error.
    fn uncertainty(&self) -> f64 {
        let count = f64::from(self.count);
        self.squares / (count - 1.0).max(1.0) / count.max(1.0)
    }
}

impl Comparison {
    fn samples(&self) -> u32 {
        self.mesh.count + self.holdout.count
    }

    /// Whether pages are slower with the mesh, beyond doubt.
    fn is_harm(&self) -> bool {
        let (mesh, holdout) = (&self.mesh, &self.holdout);
        let excess = mesh.mean - holdout.mean * (1.0 + HARM);
        // Squared, because a square root is not the same on every machine.
        let certain = excess * excess > CERTAIN * CERTAIN * (mesh.uncertainty() + holdout.uncertainty());
        mesh.count.min(holdout.count) >= LEAST_SAMPLES && excess > 0.0 && certain
    }
}

impl Governor {
    /// Whether the mesh is on for a visitor.
    pub(crate) fn allows(&self, now: Timestamp, place: &Place) -> bool {
        Scope::of(place).all(|scope| self.is_on(now, scope))
    }

    fn is_on(&self, now: Timestamp, scope: Scope) -> bool {
        self.scopes.get(&scope).and_then(|comparison| comparison.off_until).is_none_or(|until| now >= until)
    }

    /// When something that is off is to be tried again.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// What is off.
    pub(crate) fn off(&self) -> impl Iterator<Item = Scope> + '_ {
        self.scopes.iter().filter(|(_, comparison)| comparison.off_until.is_some()).map(|(scope, _)| *scope)
    }

    /// Takes in a page load; returns whether that turned something off.
    fn loaded(&mut self, now: Timestamp, place: &Place, holdout: bool, ms: u32) -> bool {
        // What is loaded while the mesh is off says nothing about it.
        if !self.allows(now, place) {
            return false;
        }
        let mut turned_off = false;
        for scope in Scope::of(place) {
            self.make_room(scope);
            let comparison = self.scopes.entry(scope).or_default();
            let arm = if holdout { &mut comparison.holdout } else { &mut comparison.mesh };
            arm.add(ms);
            if comparison.is_harm() {
                // It is tried again with a clean slate.
                *comparison = Comparison { off_until: Some(now + OFF_FOR), ..Comparison::default() };
                self.due.get_or_insert(now + OFF_FOR);
                turned_off = true;
            }
        }
        turned_off
    }

    fn make_room(&mut self, scope: Scope) {
        if self.scopes.len() < MAX_SCOPES || self.scopes.contains_key(&scope) {
            return;
        }
        let on = self.scopes.iter().filter(|(_, comparison)| comparison.off_until.is_none());
        if let Some(least) = on.min_by_key(|(_, comparison)| comparison.samples()).map(|(scope, _)| *scope) {
            self.scopes.remove(&least);
        }
    }

    /// Turns on again whose time has come; returns whether there was any.
    fn turn_on(&mut self, now: Timestamp) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        for comparison in self.scopes.values_mut() {
            comparison.off_until = comparison.off_until.filter(|until| now < *until);
        }
        self.due = self.scopes.values().filter_map(|comparison| comparison.off_until).min();
        true
    }
}

impl Coordinator {
    /// The policy as it is for one visitor.
    pub(crate) fn policy_for(&self, now: Timestamp, place: &Place) -> Policy {
        let enabled = self.setup.policy.enabled && self.governor.allows(now, place);
        Policy { enabled, ..self.setup.policy.clone() }
    }

    /// A visitor's page has loaded.
    pub(crate) fn page_loaded(&mut self, now: Timestamp, id: SessionId, ms: u32) {
        let Some(session) = self.sessions.get(id) else { return };
        let Some(visitor) = session.member().map(|member| member.visitor) else { return };
        let (place, holdout) = (session.place, self.setup.policy.holds_out(visitor));
        if self.governor.loaded(now, &place, holdout, ms) {
            self.tell_policies(now);
        }
    }

    pub(crate) fn settle_governor(&mut self, now: Timestamp) {
        if self.governor.turn_on(now) {
            self.tell_policies(now);
        }
    }

    /// Tells everybody the policy that holds for them now.
    pub(crate) fn tell_policies(&mut self, now: Timestamp) {
        let joined: Vec<SessionId> = self.sessions.joined().collect();
        for id in joined {
            let Some(place) = self.sessions.get(id).map(|session| session.place) else { continue };
            let policy = self.policy_for(now, &place);
            self.out.send(id, ToPeer::Policy { policy });
        }
    }

    /// For whom the mesh is off because pages are slower with it.
    pub fn governed(&self) -> Vec<Scope> {
        self.governor.off().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn place(network: u32) -> Place {
        Place { network: Some(network), ..Place::default() }
    }

    /// Both arms load in turn, each a little differently every time.
    fn load(governor: &mut Governor, place: &Place, mesh_ms: u32, holdout_ms: u32, times: u32) {
        for time in 0..times {
            let spread = time * 37 % 200;
            governor.loaded(NOW, place, false, mesh_ms + spread);
            governor.loaded(NOW, place, true, holdout_ms + spread);
        }
    }

    #[test]
    fn a_mesh_that_does_harm_is_off_for_an_hour() {
        let mut governor = Governor::default();
        load(&mut governor, &place(1), 1_300, 1_000, 150);
        assert!(
            !governor.allows(NOW, &place(1)) && !governor.allows(NOW, &place(2)),
            "the site's only loads"
        );
        assert_eq!(governor.due(), Some(NOW + OFF_FOR));
        assert!(governor.turn_on(NOW + OFF_FOR));
        assert!(governor.allows(NOW + OFF_FOR, &place(1)));
    }

    #[test]
    fn one_slow_network_is_off_alone() {
        let mut governor = Governor::default();
        for round in 0..40 {
            let browser = [BrowserKind::Chromium, BrowserKind::Firefox][round % 2];
            load(&mut governor, &Place { browser, ..place(1) }, 700, 1_000, 40);
            load(&mut governor, &Place { browser, ..place(2) }, 1_300, 1_000, 4);
        }
        assert!(governor.allows(NOW, &place(1)));
        assert!(!governor.allows(NOW, &place(2)));
        assert_eq!(governor.off().collect::<Vec<_>>(), [Scope::Network(2)]);
    }

    #[test]
    fn chance_turns_nothing_off() {
        let mut governor = Governor::default();
        load(&mut governor, &place(1), 1_000, 1_000, 10_000);
        load(&mut governor, &place(2), 1_100, 1_000, 20);
        assert!(governor.allows(NOW, &place(1)) && governor.allows(NOW, &place(2)));
    }

    #[test]
    fn many_networks_take_no_more_room() {
        let mut governor = Governor::default();
        (0..5_000).for_each(|network| load(&mut governor, &place(network), 1_000, 1_000, 1));
        assert!(governor.scopes.len() <= MAX_SCOPES);
    }
}

//! A network as a scenario gives it, instead of the world's: the same for everybody but for a share of chance. It is what
//! an emulated network can be set up as, so that one scenario serves a simulation and a laboratory.

use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Weighted};
use crate::link::{Roughness, milliseconds};
use crate::world::access::{Access, AccessKind};
use crate::world::nat::Nat;
use crate::world::person::{BrowserKind, Device, Form, Person, WORKER_START_US};

/// The stream of dice.
const PERSON: u64 = 0x61fe;

/// Bytes a second of a megabit a second.
const BYTES_PER_MBIT: f64 = 125_000.0;

/// No way is longer, in milliseconds.
const ROUND_TRIP_MOST_MS: f64 = 10_000.0;

/// No rate is higher, in megabits a second.
const RATE_MOST_MBIT: f64 = 100_000.0;

/// A way between two visitors has four shares: out and in, of each of them.
const SHARES_OF_A_ROUND_TRIP: f64 = 4.0;

/// How far shares may be from adding up to 1.
const ROUNDING: f64 = 1e-6;

/// A network that takes the place of countries, networks, kinds of access and distances. Round trips are between any two
/// computers, from end to end, and rates are those of a visitor's access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GivenNetwork {
    /// A round trip between a visitor and the origin, and between the node and the origin, in milliseconds.
    pub origin_ms: f64,
    /// A round trip between a visitor and the node with its supernode, in milliseconds.
    pub node_ms: f64,
    /// The least and the most of a round trip between two visitors, in milliseconds: each visitor has a share of it.
    pub visitors_ms: [f64; 2],
    /// The least and the most that a visitor receives, in megabits a second.
    pub down_mbit_s: [f64; 2],
    /// The least and the most that a visitor sends, in megabits a second.
    pub up_mbit_s: [f64; 2],
    /// By how much a packet may be later or earlier than others, in milliseconds.
    pub jitter_ms: f64,
    /// The share of packets that are lost on a visitor's access, each way.
    pub loss: f64,
    /// What visitors are behind.
    pub nat: NatShares,
    /// How the origin and the supernode are spoken to.
    pub http: Http,
    /// How many times as long a visitor's computer takes as a fast one.
    pub slowness: f64,
    /// What a request costs a worker, one after the other, in milliseconds. Visitors who are left alone have workers, too.
    pub worker_ms: f64,
}

impl Default for GivenNetwork {
    fn default() -> Self {
        Self {
            origin_ms: 120.0,
            node_ms: 30.0,
            visitors_ms: [15.0, 60.0],
            down_mbit_s: [20.0, 50.0],
            up_mbit_s: [20.0, 50.0],
            jitter_ms: 2.0,
            loss: 0.0,
            nat: NatShares::default(),
            http: Http::H1,
            slowness: 1.4,
            worker_ms: 0.0,
        }
    }
}

/// Which share of visitors is behind what. They add up to 1, and one that is left out is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatShares {
    /// Nothing.
    #[serde(default)]
    pub open: f64,
    /// A translator through which anybody may answer.
    #[serde(default)]
    pub full_cone: f64,
    /// One through which addresses may answer that have been sent to.
    #[serde(default)]
    pub restricted: f64,
    /// One through which ports may answer that have been sent to.
    #[serde(default)]
    pub port_restricted: f64,
    /// One that shows everybody another port.
    #[serde(default)]
    pub symmetric: f64,
    /// A wall through which no UDP goes.
    #[serde(default)]
    pub udp_blocked: f64,
}

impl Default for NatShares {
    /// Nobody is behind anything.
    fn default() -> Self {
        Self {
            open: 1.0,
            full_cone: 0.0,
            restricted: 0.0,
            port_restricted: 0.0,
            symmetric: 0.0,
            udp_blocked: 0.0,
        }
    }
}

impl NatShares {
    /// In the order of [`Nat::ALL`].
    fn shares(&self) -> [f64; 6] {
        [self.open, self.full_cone, self.restricted, self.port_restricted, self.symmetric, self.udp_blocked]
    }
}

/// How browsers speak to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Http {
    /// HTTP/1.1 without TLS and without looking up a name, over at most six connections.
    #[default]
    H1,
    /// HTTP/2 over one connection with TLS, after looking up a name.
    H2,
}

impl Http {
    /// Round trips before the first request: TCP, and with HTTP/2 a name and TLS 1.3.
    pub(crate) fn setup_round_trips(self) -> u32 {
        match self {
            Self::H1 => 1,
            Self::H2 => 3,
        }
    }
}

impl GivenNetwork {
    /// What a visitor's access does to packets.
    pub(crate) fn roughness(&self) -> Roughness {
        Roughness { jitter: milliseconds(self.jitter_ms), loss: self.loss }
    }

    /// Whether every value means something; otherwise the first key that does not, and what would be right.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        for (key, round_trip) in [("network.origin_ms", self.origin_ms), ("network.node_ms", self.node_ms)] {
            if !(0.0..=ROUND_TRIP_MOST_MS).contains(&round_trip) {
                return Err((key, "from 0 to 10000 is possible"));
            }
        }
        let is_within =
            |[least, most]: [f64; 2], from: f64, to: f64| least >= from && least <= most && most <= to;
        if !is_within(self.visitors_ms, 0.0, ROUND_TRIP_MOST_MS) {
            return Err(("network.visitors_ms", "the least and the most are needed, from 0 to 10000"));
        }
        for (key, rates) in [("network.down_mbit_s", self.down_mbit_s), ("network.up_mbit_s", self.up_mbit_s)]
        {
            if !is_within(rates, 0.01, RATE_MOST_MBIT) {
                return Err((key, "the least and the most are needed, from 0.01 to 100000"));
            }
        }
        if !(0.0..=1_000.0).contains(&self.jitter_ms) {
            return Err(("network.jitter_ms", "from 0 to 1000 is possible"));
        }
        if !(0.0..=0.5).contains(&self.loss) {
            return Err(("network.loss", "a share from 0 to 0.5 is possible"));
        }
        let shares = self.nat.shares();
        let are_shares = shares.iter().all(|share| (0.0..=1.0).contains(share));
        if !are_shares || (shares.iter().sum::<f64>() - 1.0).abs() > ROUNDING {
            return Err(("network.nat", "shares are from 0 to 1 and add up to 1"));
        }
        if !(0.0..=1_000.0).contains(&self.worker_ms) {
            return Err(("network.worker_ms", "from 0 to 1000 is possible"));
        }
        if !(1.0..=100.0).contains(&self.slowness) {
            return Err(("network.slowness", "from 1 to 100 is possible"));
        }
        Ok(())
    }
}

/// A given network, and who is on it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    network: GivenNetwork,
    nats: Weighted,
}

impl Given {
    pub(crate) fn new(network: &GivenNetwork) -> Self {
        Self { nats: Weighted::new(&network.nat.shares()), network: network.clone() }
    }

    /// A visitor by number: somebody at a desk, with Chromium, alone at an address.
    pub(crate) fn draw_person(&self, seed: u64, number: u64) -> Person {
        let mut dice = Dice::new(seed, &[PERSON, number]);
        let mut between = |[least, most]: [f64; 2]| least + (most - least) * dice.unit();
        let network = &self.network;
        let one_way_ms = between(network.visitors_ms) / SHARES_OF_A_ROUND_TRIP;
        let (down, up) = (between(network.down_mbit_s), between(network.up_mbit_s));
        Person {
            network: 0,
            country: 0,
            access: Access {
                kind: AccessKind::Fibre,
                down: (down * BYTES_PER_MBIT) as u64,
                up: (up * BYTES_PER_MBIT) as u64,
                latency_us: (one_way_ms * 1e3) as u64,
                loss: network.loss,
            },
            device: Device {
                form: Form::Desktop,
                browser: BrowserKind::Chrome,
                slowness: network.slowness,
                webrtc: true,
                service_worker: true,
                saves_data: false,
                worker_start_us: (WORKER_START_US * network.slowness) as u64,
            },
            nat: Nat::ALL[self.nats.draw(&mut dice)],
            household: number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_within_what_is_given() {
        let nat = NatShares { open: 0.5, symmetric: 0.5, ..toml::from_str("").unwrap() };
        let given = Given::new(&GivenNetwork { nat, ..GivenNetwork::default() });
        let people: Vec<Person> = (0..2_000).map(|number| given.draw_person(1, number)).collect();
        assert_eq!(people, (0..2_000).map(|number| given.draw_person(1, number)).collect::<Vec<_>>());
        for pair in people.windows(2) {
            let round_trip_us = 2 * (pair[0].access.latency_us + pair[1].access.latency_us);
            assert!((14_990..=60_000).contains(&round_trip_us), "{round_trip_us}");
            assert!((2_500_000..=6_250_000).contains(&pair[0].access.down));
            assert!((2_500_000..=6_250_000).contains(&pair[0].access.up));
        }
        let symmetric = people.iter().filter(|person| person.nat == Nat::Symmetric).count();
        assert!((900..1_100).contains(&symmetric), "{symmetric}");
        assert!(people.iter().all(|person| matches!(person.nat, Nat::Open | Nat::Symmetric)));
    }

    #[test]
    fn what_means_nothing_is_named() {
        let key = |text: &str| toml::from_str::<GivenNetwork>(text).unwrap().check().map_err(|(key, _)| key);
        assert_eq!(key(""), Ok(()));
        assert_eq!(key("nat = { restricted = 0.25, symmetric = 0.75 }"), Ok(()));
        for (text, named) in [
            ("origin_ms = -1.0", "network.origin_ms"),
            ("node_ms = nan", "network.node_ms"),
            ("visitors_ms = [60, 15]", "network.visitors_ms"),
            ("down_mbit_s = [0, 15]", "network.down_mbit_s"),
            ("up_mbit_s = [5, inf]", "network.up_mbit_s"),
            ("jitter_ms = -2", "network.jitter_ms"),
            ("loss = 0.9", "network.loss"),
            ("nat = { open = 0.5 }", "network.nat"),
            ("slowness = 0.1", "network.slowness"),
            ("worker_ms = nan", "network.worker_ms"),
        ] {
            assert_eq!(key(text), Err(named));
        }
        toml::from_str::<GivenNetwork>("nat = { closed = 1 }").unwrap_err();
        toml::from_str::<GivenNetwork>("http = \"h3\"").unwrap_err();
        toml::from_str::<GivenNetwork>("origin = 1").unwrap_err();
    }
}

//! The emulated wide-area network: homes behind address translators, an origin, a node, and the ways between them.
//!
//! **Invariant:** a state machine without I/O. Packets and times go in, packets and the next deadline come out:
//!
//! 1. [`Network::send`] takes what a host has sent.
//! 2. It passes the sender's translator and bottleneck, the way, then the receiver's bottleneck and translator.
//! 3. [`Network::advance`] moves on what is due; [`Network::arrived`] gives what has come to a host.
//! 4. [`Network::due`] says when to look again.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use edgeweave_sim::Nat as NatKind;
use str0m_netem::WithLen;

use crate::link::Link;
use crate::nat::Nat;
use crate::packet::{self, Flow};

/// Somebody with a connection to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    /// The server that owns the site's content.
    Origin,
    /// The Edgeweave node.
    Node,
    /// Whoever lives in this place at the moment.
    Place(usize),
}

/// What all ways have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways {
    /// Between the origin and anybody else, there and back.
    pub(crate) origin_round_trip: Duration,
    /// Between the node and visitors, there and back.
    pub(crate) node_round_trip: Duration,
    /// How much a packet may be earlier or later.
    pub(crate) jitter: Duration,
    /// The share of packets that are lost.
    pub(crate) loss: f64,
    /// The most that the origin sends to one receiver.
    pub(crate) origin_bits_per_second: u64,
}

/// A visitor's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    /// Its address within the home.
    pub(crate) private: Ipv4Addr,
    /// Its address on the network.
    pub(crate) public: Ipv4Addr,
    /// What stands between the two.
    pub(crate) nat: NatKind,
    /// To the middle of the network, one way: two visitors are both of theirs from each other.
    pub(crate) one_way: Duration,
    pub(crate) up_bits_per_second: u64,
    pub(crate) down_bits_per_second: u64,
}

/// The network.
pub(crate) struct Network {
    ways: Ways,
    seed: u64,
    origin: Ipv4Addr,
    node: Ipv4Addr,
    residents: BTreeMap<usize, Resident>,
    /// What each receiver gets of the origin's rate.
    lanes: BTreeMap<Host, Link<Packet>>,
    between: BTreeMap<(Host, Host), Link<Packet>>,
    out: VecDeque<(Host, Vec<u8>)>,
}

struct Resident {
    home: Home,
    nat: Nat,
    up: Link<Packet>,
    down: Link<Packet>,
}

#[derive(Clone)]
struct Packet {
    to: Host,
    from: Host,
    bytes: Vec<u8>,
}

impl WithLen for Packet {
    fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Network {
    /// A network where nobody lives yet.
    pub(crate) fn new(ways: Ways, origin: Ipv4Addr, node: Ipv4Addr, seed: u64) -> Self {
        Self {
            ways,
            seed,
            origin,
            node,
            residents: BTreeMap::new(),
            lanes: BTreeMap::new(),
            between: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// Somebody else moves into a place; what was under way to or from there is lost.
    pub(crate) fn move_in(&mut self, place: usize, home: Home) {
        self.residents.insert(
            place,
            Resident {
                home,
                nat: Nat::new(home.nat, home.private, home.public),
                up: Link::bottleneck(home.up_bits_per_second),
                down: Link::bottleneck(home.down_bits_per_second),
            },
        );
        let host = Host::Place(place);
        self.lanes.remove(&host);
        self.between.retain(|(from, to), _| *from != host && *to != host);
    }

    /// A host has sent a packet. What goes nowhere is lost, as it would be on the Internet.
    pub(crate) fn send(&mut self, now: Instant, from: Host, mut bytes: Vec<u8>) {
        let Some(flow) = packet::flow(&bytes) else { return };
        let Some(to) = self.host_at(*flow.destination.ip()) else { return };
        match from {
            Host::Place(place) => {
                let Some(resident) = self.residents.get_mut(&place) else { return };
                let Some(outside) = resident.nat.outwards(&flow) else { return };
                packet::rewrite(&mut bytes, &outside);
                resident.up.push(now, Packet { to, from, bytes });
            }
            Host::Origin => {
                let rate = self.ways.origin_bits_per_second;
                let lane = self.lanes.entry(to).or_insert_with(|| Link::bottleneck(rate));
                lane.push(now, Packet { to, from, bytes });
            }
            Host::Node => self.set_out(now, Packet { to, from, bytes }),
        }
    }

    /// Moves on what is due.
    pub(crate) fn advance(&mut self, now: Instant) {
        let mut leaving = Vec::new();
        let bottlenecks = self.residents.values_mut().map(|resident| &mut resident.up);
        for link in bottlenecks.chain(self.lanes.values_mut()) {
            leaving.extend(std::iter::from_fn(|| link.pop(now)));
        }
        leaving.into_iter().for_each(|packet| self.set_out(now, packet));

        for link in self.between.values_mut() {
            while let Some(packet) = link.pop(now) {
                match packet.to {
                    Host::Place(place) => {
                        if let Some(resident) = self.residents.get_mut(&place) {
                            resident.down.push(now, packet);
                        }
                    }
                    host => self.out.push_back((host, packet.bytes)),
                }
            }
        }

        for (place, resident) in &mut self.residents {
            while let Some(mut packet) = resident.down.pop(now) {
                let inside = packet::flow(&packet.bytes).and_then(|flow: Flow| resident.nat.inwards(&flow));
                let Some(inside) = inside else { continue };
                packet::rewrite(&mut packet.bytes, &inside);
                self.out.push_back((Host::Place(*place), packet.bytes));
            }
        }
    }

    /// A packet that has come to a host.
    pub(crate) fn arrived(&mut self) -> Option<(Host, Vec<u8>)> {
        self.out.pop_front()
    }

    /// When [`Network::advance`] has something to do next.
    pub(crate) fn due(&self) -> Option<Instant> {
        let homes = self.residents.values().flat_map(|resident| [&resident.up, &resident.down]);
        homes.chain(self.lanes.values()).chain(self.between.values()).filter_map(Link::due).min()
    }

    /// A packet leaves the sender's side.
    fn set_out(&mut self, now: Instant, packet: Packet) {
        let (from, to) = (packet.from, packet.to);
        let (delay, ways) = (self.one_way(from, to), self.ways);
        let seed = self.seed ^ (self.between.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let way = || Link::way(delay, ways.jitter, ways.loss, seed);
        self.between.entry((from, to)).or_insert_with(way).push(now, packet);
    }

    fn one_way(&self, from: Host, to: Host) -> Duration {
        let to_the_middle = |place: usize| {
            self.residents.get(&place).map_or(Duration::ZERO, |resident| resident.home.one_way)
        };
        match (from, to) {
            (Host::Origin, _) | (_, Host::Origin) => self.ways.origin_round_trip / 2,
            (Host::Node, _) | (_, Host::Node) => self.ways.node_round_trip / 2,
            (Host::Place(a), Host::Place(b)) => to_the_middle(a) + to_the_middle(b),
        }
    }

    fn host_at(&self, address: Ipv4Addr) -> Option<Host> {
        if address == self.origin {
            return Some(Host::Origin);
        }
        if address == self.node {
            return Some(Host::Node);
        }
        let mut residents = self.residents.iter();
        let (place, _) = residents.find(|(_, resident)| resident.home.public == address)?;
        Some(Host::Place(*place))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use super::*;
    use crate::packet::tests::datagram;

    const MS: Duration = Duration::from_millis(1);
    const ORIGIN: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
    const NODE: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 2);
    const MBIT: u64 = 1_000_000;

    fn private(place: usize) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, place as u8, 2), 5000)
    }

    fn public(place: usize) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 0, place as u8)
    }

    fn network(nats: [NatKind; 2]) -> Network {
        let ways = Ways {
            origin_round_trip: 120 * MS,
            node_round_trip: 30 * MS,
            jitter: Duration::ZERO,
            loss: 0.0,
            origin_bits_per_second: 20 * MBIT,
        };
        let mut network = Network::new(ways, ORIGIN, NODE, 1);
        for (place, nat) in nats.into_iter().enumerate() {
            let home = Home {
                private: *private(place).ip(),
                public: public(place),
                nat,
                one_way: 10 * MS,
                up_bits_per_second: 20 * MBIT,
                down_bits_per_second: 40 * MBIT,
            };
            network.move_in(place, home);
        }
        network
    }

    /// Everything that arrives from now on, and after how long.
    fn deliveries(network: &mut Network, began: Instant) -> Vec<(Host, Flow, Duration)> {
        let mut all = Vec::new();
        while let Some(now) = network.due() {
            network.advance(now);
            while let Some((host, bytes)) = network.arrived() {
                all.push((host, packet::flow(&bytes).unwrap(), now - began));
            }
        }
        all
    }

    #[test]
    fn everybody_is_as_far_away_as_the_scenario_says() {
        let mut network = network([NatKind::FullCone; 2]);
        let began = Instant::now();
        let [origin, node] = [ORIGIN, NODE].map(|address| SocketAddrV4::new(address, 80));
        network.send(began, Host::Place(0), datagram(private(0), origin, 10));
        network.send(began, Host::Place(0), datagram(private(0), node, 10));
        let all = deliveries(&mut network, began);
        let took = |host| all.iter().find(|(to, ..)| *to == host).map(|(.., took)| took.as_millis());
        assert_eq!((took(Host::Origin), took(Host::Node)), (Some(60), Some(15)));
        assert!(all.iter().all(|(_, flow, _)| *flow.source.ip() == public(0)));
    }

    #[test]
    fn the_origin_has_its_rate_for_each_visitor() {
        let mut network = network([NatKind::Open; 2]);
        let began = Instant::now();
        for place in 0..2 {
            for _ in 0..50 {
                let to = SocketAddrV4::new(public(place), 5000);
                network.send(began, Host::Origin, datagram(SocketAddrV4::new(ORIGIN, 80), to, 1472));
            }
        }
        let all = deliveries(&mut network, began);
        assert_eq!(all.len(), 100);
        // 49 packets of 1,500 bytes at 20 Mbit/s take 29.4 ms, and the way 60.
        let last = all.iter().map(|(.., took)| took.as_micros()).max().unwrap();
        assert!((89_000..=91_000).contains(&last), "{last}");
    }

    #[test]
    fn two_visitors_meet_by_hole_punching_unless_both_are_symmetric() {
        let cases = [
            ([NatKind::FullCone; 2], true),
            ([NatKind::Restricted; 2], true),
            ([NatKind::PortRestricted; 2], true),
            ([NatKind::Restricted, NatKind::Symmetric], true),
            ([NatKind::PortRestricted, NatKind::Symmetric], false),
            ([NatKind::Symmetric; 2], false),
        ];
        for (kinds, expected) in cases {
            let mut network = network(kinds);
            let mut now = Instant::now();
            let node = SocketAddrV4::new(NODE, 3478);
            // Each learns from the node what it looks like, as with STUN.
            (0..2).for_each(|place| {
                network.send(now, Host::Place(place), datagram(private(place), node, 20));
            });
            let shown: Vec<_> =
                deliveries(&mut network, now).into_iter().map(|(_, flow, _)| flow.source).collect();
            // Both send to where the other said it was, and answer to where something came from.
            let mut met = false;
            let mut known = [shown[1], shown[0]];
            for _ in 0..4 {
                now += 100 * MS;
                (0..2).for_each(|place| {
                    network.send(now, Host::Place(place), datagram(private(place), known[place], 20));
                });
                for (host, flow, _) in deliveries(&mut network, now) {
                    let Host::Place(place) = host else { continue };
                    known[place] = flow.source;
                    met = true;
                }
            }
            assert_eq!(met, expected, "{kinds:?}");
        }
    }

    #[test]
    fn what_goes_nowhere_is_lost() {
        let mut network = network([NatKind::Open; 2]);
        let began = Instant::now();
        network.send(began, Host::Place(0), datagram(private(0), "8.8.8.8:53".parse().unwrap(), 10));
        assert_eq!(network.due(), None);
    }
}

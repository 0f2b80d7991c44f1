//! Address translators, as they stand between homes and the Internet: one private address behind one public one.
//!
//! How one treats UDP is its [`NatKind`], in the words of RFC 3489. All treat TCP alike: who has been called may answer.
//!
//! **Invariant:** nothing here does I/O or reads a clock. Mappings last as long as the translator, which is the visit of one
//! visitor: shorter than the two minutes that real ones keep a UDP mapping at least (RFC 4787, section 4.3).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use edgeweave_sim::Nat as NatKind;

use crate::packet::{Flow, Transport};

/// Ports that are given out begin here: those below are the well-known ones.
const FIRST_PORT: u16 = 20_000;

/// What a public port stands for.
struct Mapping {
    private_port: u16,
    /// Whom the visitor has sent to from here.
    sent_to: BTreeSet<SocketAddrV4>,
}

/// A translator.
pub(crate) struct Nat {
    kind: NatKind,
    public: Ipv4Addr,
    private: Ipv4Addr,
    /// Public ports by what sends: with whom, where that makes a difference.
    ports: BTreeMap<(Transport, u16, Option<SocketAddrV4>), u16>,
    mappings: BTreeMap<(Transport, u16), Mapping>,
    next_port: u16,
}

impl Nat {
    /// A translator between a private and a public address.
    pub(crate) fn new(kind: NatKind, private: Ipv4Addr, public: Ipv4Addr) -> Self {
        Self {
            kind,
            public,
            private,
            ports: BTreeMap::new(),
            mappings: BTreeMap::new(),
            next_port: FIRST_PORT,
        }
    }

    /// What a packet from inside looks like outside.
    pub(crate) fn outwards(&mut self, flow: &Flow) -> Option<Flow> {
        if *flow.source.ip() != self.private || self.is_walled(flow) {
            return None;
        }
        let port = if self.kind == NatKind::Open { flow.source.port() } else { self.port_for(flow) };
        Some(Flow { source: SocketAddrV4::new(self.public, port), ..*flow })
    }

    /// What a packet from outside looks like inside; nothing when it is not let in.
    pub(crate) fn inwards(&self, flow: &Flow) -> Option<Flow> {
        if *flow.destination.ip() != self.public || self.is_walled(flow) {
            return None;
        }
        let port = if self.kind == NatKind::Open {
            flow.destination.port()
        } else {
            let mapping = self.mappings.get(&(flow.transport, flow.destination.port()))?;
            let lets_in = match (flow.transport, self.kind) {
                (Transport::Udp, NatKind::Open | NatKind::FullCone) => true,
                (Transport::Udp, NatKind::Restricted) => {
                    mapping.sent_to.iter().any(|known| known.ip() == flow.source.ip())
                }
                _ => mapping.sent_to.contains(&flow.source),
            };
            if !lets_in {
                return None;
            }
            mapping.private_port
        };
        Some(Flow { destination: SocketAddrV4::new(self.private, port), ..*flow })
    }

    fn is_walled(&self, flow: &Flow) -> bool {
        self.kind == NatKind::UdpBlocked && flow.transport == Transport::Udp
    }

    fn port_for(&mut self, flow: &Flow) -> u16 {
        let told_apart = self.kind == NatKind::Symmetric || flow.transport == Transport::Tcp;
        let key = (flow.transport, flow.source.port(), told_apart.then_some(flow.destination));
        let port = match self.ports.get(&key) {
            Some(port) => *port,
            None => {
                let port = self.free_port(flow.transport);
                self.ports.insert(key, port);
                port
            }
        };
        let mapping = self
            .mappings
            .entry((flow.transport, port))
            .or_insert_with(|| Mapping { private_port: flow.source.port(), sent_to: BTreeSet::new() });
        mapping.sent_to.insert(flow.destination);
        port
    }

    /// The next port that stands for nothing yet. Were all in use, the oldest visits' would be the first to be used again,
    /// which no visit lives to see.
    fn free_port(&mut self, transport: Transport) -> u16 {
        for _ in FIRST_PORT..u16::MAX {
            let port = self.next_port;
            self.next_port = if port == u16::MAX { FIRST_PORT } else { port + 1 };
            if !self.mappings.contains_key(&(transport, port)) {
                return port;
            }
        }
        self.mappings.remove(&(transport, self.next_port));
        self.next_port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    const SOMEBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 2), 7000);
    const SAME_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 2), 7001);
    const STRANGER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 3), 7000);

    fn nat(kind: NatKind) -> Nat {
        Nat::new(kind, PRIVATE, PUBLIC)
    }

    fn sends(nat: &mut Nat, transport: Transport, to: SocketAddrV4) -> SocketAddrV4 {
        let flow = Flow { transport, source: SocketAddrV4::new(PRIVATE, 5000), destination: to };
        nat.outwards(&flow).unwrap().source
    }

    fn is_let_in(nat: &Nat, transport: Transport, from: SocketAddrV4, to: SocketAddrV4) -> bool {
        let inside = nat.inwards(&Flow { transport, source: from, destination: to });
        inside.is_some_and(|flow| flow.destination == SocketAddrV4::new(PRIVATE, 5000))
    }

    #[test]
    fn who_may_answer_depends_on_the_kind() {
        let cases = [
            (NatKind::Open, [true, true, true]),
            (NatKind::FullCone, [true, true, true]),
            (NatKind::Restricted, [true, true, false]),
            (NatKind::PortRestricted, [true, false, false]),
            (NatKind::Symmetric, [true, false, false]),
        ];
        for (kind, expected) in cases {
            let mut nat = nat(kind);
            let shown = sends(&mut nat, Transport::Udp, SOMEBODY);
            assert_eq!(*shown.ip(), PUBLIC);
            let let_in =
                [SOMEBODY, SAME_ADDRESS, STRANGER].map(|from| is_let_in(&nat, Transport::Udp, from, shown));
            assert_eq!(let_in, expected, "{kind:?}");
        }
    }

    #[test]
    fn only_a_symmetric_one_shows_everybody_another_port() {
        for kind in [NatKind::FullCone, NatKind::Restricted, NatKind::PortRestricted, NatKind::Symmetric] {
            let mut nat = nat(kind);
            let first = sends(&mut nat, Transport::Udp, SOMEBODY);
            assert_eq!(sends(&mut nat, Transport::Udp, SOMEBODY), first);
            let same = sends(&mut nat, Transport::Udp, STRANGER) == first;
            assert_eq!(same, kind != NatKind::Symmetric, "{kind:?}");
        }
    }

    #[test]
    fn nobody_calls_by_tcp_who_has_not_been_called() {
        let mut nat = nat(NatKind::FullCone);
        let shown = sends(&mut nat, Transport::Tcp, SOMEBODY);
        assert!(is_let_in(&nat, Transport::Tcp, SOMEBODY, shown));
        assert!(!is_let_in(&nat, Transport::Tcp, STRANGER, shown));
    }

    #[test]
    fn a_wall_lets_no_udp_out() {
        let mut nat = nat(NatKind::UdpBlocked);
        let source = SocketAddrV4::new(PRIVATE, 5000);
        assert_eq!(nat.outwards(&Flow { transport: Transport::Udp, source, destination: SOMEBODY }), None);
        let shown = sends(&mut nat, Transport::Tcp, SOMEBODY);
        assert!(is_let_in(&nat, Transport::Tcp, SOMEBODY, shown));
    }

    #[test]
    fn a_port_that_stands_for_nothing_leads_nowhere() {
        let to = SocketAddrV4::new(PUBLIC, 5000);
        assert!(!is_let_in(&nat(NatKind::FullCone), Transport::Udp, SOMEBODY, to));
        assert!(is_let_in(&nat(NatKind::Open), Transport::Udp, SOMEBODY, to));
    }
}

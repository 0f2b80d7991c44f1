//! How many round trips it takes until a visitor has a channel to a holder: two native peers and a node's coordinator, the
//! real ones, in virtual time, on paths that delay and do nothing else. It is as far to the node as to the other peer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;
use edgeweave_coordinator::io::{Content, Fetched, Place};
use edgeweave_coordinator::{self as node, AdmissionRules, Coordinator, Introductions};
use edgeweave_engine::io::Circumstances;
use edgeweave_engine::{Engine, Input, Output, Setup};
use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{Digest, PeerId, SiteId, Timestamp};
use edgeweave_supernode::peer::{Datagram, Happened, Peer, Received};
use serde::Serialize;

use crate::failure::Failure;

/// The round trips that are tried, in milliseconds.
const ROUND_TRIPS_MS: [u64; 5] = [10, 20, 50, 100, 200];
/// When the visitor comes: the holder has long said what it holds.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Nobody meets after this.
const END: Duration = Duration::from_secs(60);
/// The only asset.
const URL: &str = "https://site.example/a.png";
/// The holder's session, and the visitor's.
const HOLDER: usize = 0;
const VISITOR: usize = 1;

/// How to print it.
#[derive(Args)]
pub(crate) struct Options {
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Measured {
    /// By how many round trips the time from the introduction to the open channel grows.
    setup_round_trips: f64,
    /// What is left of it where a round trip takes none, in milliseconds.
    setup_fixed_ms: f64,
    /// Milliseconds from the introduction to the open channel, for each round trip in milliseconds.
    setup_ms: BTreeMap<u64, f64>,
    /// By how many round trips the time from the question for holders to the open channel grows.
    found_round_trips: f64,
}

/// When what happened, as the visitor sees it.
struct Met {
    /// From the question for holders to the open channel.
    since_asked: Duration,
    /// From the introduction to the open channel.
    since_introduced: Duration,
}

/// By how much `ms` grows with the round trip, and what is left of it without.
fn line(ms: &BTreeMap<u64, f64>) -> (f64, f64) {
    let ends = ms.first_key_value().zip(ms.last_key_value());
    let Some(((shortest, least), (longest, most))) = ends else { return (f64::NAN, f64::NAN) };
    let round_trips = (most - least) / (longest - shortest) as f64;
    (round_trips, least - round_trips * *shortest as f64)
}

/// Measures and prints.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let (mut setup_ms, mut found_ms) = (BTreeMap::new(), BTreeMap::new());
    for round_trip_ms in ROUND_TRIPS_MS {
        let met = Meeting::new(Duration::from_millis(round_trip_ms))?.run()?;
        setup_ms.insert(round_trip_ms, met.since_introduced.as_secs_f64() * 1e3);
        found_ms.insert(round_trip_ms, met.since_asked.as_secs_f64() * 1e3);
    }
    let (setup_round_trips, setup_fixed_ms) = line(&setup_ms);
    let (found_round_trips, _) = line(&found_ms);
    let measured = Measured { setup_round_trips, setup_fixed_ms, setup_ms, found_round_trips };
    if options.json {
        return super::print(&measured);
    }
    println!("from the introduction to an open channel, two native peers and a node in virtual time:");
    for (round_trip_ms, ms) in &measured.setup_ms {
        println!("  {round_trip_ms:>4} ms a round trip  {ms:>7.1} ms");
    }
    println!("  that is {setup_round_trips:.2} round trips and {setup_fixed_ms:.1} ms");
    println!("  and {found_round_trips:.2} round trips from the question for holders on");
    Ok(())
}

/// Something on its way.
enum Passing {
    ToNode(usize, ToNode),
    ToPeer(usize, ToPeer),
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
}

/// One peer, and its connection to the other.
struct Side {
    engine: Engine,
    address: SocketAddr,
    other: Option<(PeerId, Peer)>,
}

struct Meeting {
    began: Instant,
    now: Timestamp,
    one_way: Duration,
    coordinator: Coordinator,
    sides: Vec<Side>,
    /// In the order of their arrival; what arrives at the same time does so in the order in which it was sent.
    passing: BTreeMap<(Timestamp, u64), Passing>,
    sent: u64,
    asked: Option<Timestamp>,
    introduced: Option<Timestamp>,
    met: Option<Timestamp>,
    hash: Digest,
}

impl Meeting {
    fn new(round_trip: Duration) -> Result<Self, Failure> {
        let site: SiteId = "site".parse().map_err(|_| Failure::other("the site has no name"))?;
        let setup = node::Setup {
            site: site.clone(),
            origins: vec!["https://site.example".into()],
            policy: Policy::default(),
            admission: AdmissionRules::default(),
            introductions: Introductions::Ranked,
            seed: 1,
            unix_ms: 0,
        };
        let hash = Digest([7; 32]);
        let mut meeting = Self {
            began: Instant::now(),
            now: Timestamp::ZERO,
            one_way: round_trip / 2,
            coordinator: Coordinator::new(Timestamp::ZERO, setup),
            sides: Vec::new(),
            passing: BTreeMap::new(),
            sent: 0,
            asked: None,
            introduced: None,
            met: None,
            hash,
        };
        meeting.tell_node(node::Input::Warm { url: URL.into() });
        meeting.arrive(&site);
        Ok(meeting)
    }

    /// A peer comes: the holder first, then the visitor. Its WebSocket is open at once.
    fn arrive(&mut self, site: &SiteId) {
        let number = self.sides.len();
        let setup = Setup {
            site: site.clone(),
            release: "load".into(),
            seed: number as u64,
            unix_ms: 0,
            state: None,
            held: Vec::new(),
        };
        let engine = Engine::new(self.now, setup);
        let address = SocketAddr::from(([192, 0, 2, 1 + number as u8], 4000));
        self.sides.push(Side { engine, address, other: None });
        let place = Place { address: number as u64, ..Place::default() };
        self.tell_node(node::Input::Opened { session: number as u32, place, stun: Vec::new() });
        self.tell(number, Input::Circumstances(Circumstances::default()));
    }

    /// The times from the visitor's question and introduction to its open channel.
    fn run(mut self) -> Result<Met, Failure> {
        let site: SiteId = "site".parse().map_err(|_| Failure::other("the site has no name"))?;
        loop {
            if let (Some(asked), Some(introduced), Some(met)) = (self.asked, self.introduced, self.met) {
                return Ok(Met { since_asked: met.since(asked), since_introduced: met.since(introduced) });
            }
            let arrives = (self.sides.len() == 1).then_some(Timestamp::ZERO + ARRIVAL);
            let passes = self.passing.first_key_value().map(|((at, _), _)| *at);
            let due =
                self.due().into_iter().chain(arrives).chain(passes).min().unwrap_or(Timestamp::ZERO + END);
            self.now = self.now.max(due);
            if self.now >= Timestamp::ZERO + END {
                return Err(Failure::other("two peers never met"));
            }
            if arrives.is_some_and(|at| self.now >= at) {
                self.arrive(&site);
            }
            while let Some(entry) = self.passing.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let passing = entry.remove();
                self.pass(passing);
            }
            self.tell_node(node::Input::Tick);
            for number in 0..self.sides.len() {
                let now = self.instant();
                if let Some((_, peer)) =
                    self.sides[number].other.as_mut().filter(|(_, peer)| now >= peer.due())
                {
                    peer.tick(now);
                }
                self.tell(number, Input::Tick);
            }
        }
    }

    fn instant(&self) -> Instant {
        self.began + Duration::from_micros(self.now.as_micros())
    }

    /// When somebody wants to be told the time.
    fn due(&self) -> Option<Timestamp> {
        let sides = self.sides.iter().flat_map(|side| {
            let peer = side.other.as_ref().map(|(_, peer)| peer.due().saturating_duration_since(self.began));
            // Rounded up, so that the time that is told has come.
            let peer = peer.map(|due| Timestamp::from_micros(due.as_micros() as u64 + 1));
            [side.engine.poll_timeout(), peer]
        });
        sides.flatten().chain(self.coordinator.poll_timeout()).min()
    }

    fn send(&mut self, what: Passing) {
        self.sent += 1;
        self.passing.insert((self.now + self.one_way, self.sent), what);
    }

    fn pass(&mut self, passing: Passing) {
        match passing {
            Passing::ToNode(number, message) => {
                self.tell_node(node::Input::Message { session: number as u32, message });
            }
            Passing::ToPeer(number, message) => {
                let has_manifest = matches!(message, ToPeer::Manifest(_));
                self.tell(number, Input::Heard(message));
                if has_manifest && number == HOLDER {
                    self.tell(number, Input::Stored { hash: self.hash, segment: 0 });
                }
            }
            Passing::Datagram { from, to, bytes } => {
                let now = self.instant();
                let Some(number) = self.sides.iter().position(|side| side.address == to) else { return };
                if let Some((_, peer)) = &mut self.sides[number].other
                    && let Some(received) = Received::read(now, from, to, &bytes)
                    && peer.accepts(&received)
                {
                    peer.receive(received);
                }
                self.settle(number);
            }
        }
    }

    fn tell_node(&mut self, input: node::Input) {
        self.coordinator.handle_input(self.now, input);
        while let Some(output) = self.coordinator.poll_output() {
            match output {
                node::Output::Send { session, message } => {
                    self.send(Passing::ToPeer(session as usize, message));
                }
                node::Output::Fetch { url, .. } => {
                    let pieces = PieceDigests(vec![self.hash]);
                    let content = Some(Content { size: 1000, hash: self.hash, pieces });
                    let headers = vec![("cache-control".into(), "public, max-age=3600".into())];
                    let outcome = Ok(Fetched { status: 200, headers, content });
                    self.coordinator.handle_input(self.now, node::Input::Fetched { url, outcome });
                }
                node::Output::Close { .. } | node::Output::Warmed { .. } => {}
            }
        }
    }

    fn tell(&mut self, number: usize, input: Input) {
        self.sides[number].engine.handle_input(self.now, input);
        self.settle(number);
    }

    /// Lets a side do what it has to do.
    fn settle(&mut self, number: usize) {
        loop {
            while let Some(output) = self.sides[number].engine.poll_output() {
                self.act(number, output);
            }
            let Some((id, peer)) = &mut self.sides[number].other else { return };
            let id = *id;
            let datagrams: Vec<Datagram> = peer.take_datagrams().collect();
            let happened = peer.poll_happened();
            let from = self.sides[number].address;
            datagrams.into_iter().for_each(|Datagram { to, bytes }| {
                self.send(Passing::Datagram { from, to, bytes });
            });
            match happened {
                None => return,
                Some(Happened::Opened) => {
                    if number == VISITOR {
                        self.met = self.met.or(Some(self.now));
                    }
                    self.sides[number].engine.handle_input(self.now, Input::PeerOpened { peer: id });
                }
                Some(Happened::Closed(reason)) => {
                    self.sides[number].engine.handle_input(self.now, Input::PeerClosed { peer: id, reason });
                }
                // What they say to each other then is of no interest here.
                Some(Happened::Message(_) | Happened::Sent(_)) => {}
            }
        }
    }

    fn act(&mut self, number: usize, output: Output) {
        let now = self.instant();
        let side = &mut self.sides[number];
        match output {
            Output::Connect => side.engine.handle_input(self.now, Input::SocketOpened),
            Output::Say(message) => {
                if number == VISITOR && matches!(message, ToNode::Find { .. }) {
                    self.asked = self.asked.or(Some(self.now));
                }
                self.send(Passing::ToNode(number, message));
            }
            Output::OpenPeer { peer: id, offers, .. } => {
                if number == VISITOR {
                    self.introduced = self.introduced.or(Some(self.now));
                }
                let (peer, offer) = if offers {
                    Peer::offering(now, &[side.address])
                } else {
                    (Peer::answering(now, &[side.address]), None)
                };
                side.other = Some((id, peer));
                if let Some(signal) = offer {
                    side.engine.handle_input(self.now, Input::PeerSignal { peer: id, signal });
                }
            }
            Output::SignalPeer { peer: id, signal } => {
                let answer = side.other.as_mut().and_then(|(_, peer)| peer.hear(&signal));
                if let Some(signal) = answer {
                    side.engine.handle_input(self.now, Input::PeerSignal { peer: id, signal });
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_peers_meet_in_five_round_trips() {
        const ROUND_TRIP: Duration = Duration::from_millis(100);
        let met = Meeting::new(ROUND_TRIP).ok().and_then(|meeting| meeting.run().ok()).unwrap();
        assert!(met.since_introduced <= 5 * ROUND_TRIP, "{:?}", met.since_introduced);
        assert!(met.since_asked <= 6 * ROUND_TRIP, "{:?}", met.since_asked);
    }
}

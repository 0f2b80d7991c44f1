//! Whatever happens, in whatever order: no panic, and the promises are kept.

#![allow(clippy::unwrap_used, clippy::expect_used)] // What cannot be is a failure.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{content, headers_of, setup, url};
use edgeweave_coordinator::io::{Fetched, Place};
use edgeweave_coordinator::{Coordinator, Input, Output, SessionId};
use edgeweave_protocol::limits::{MAX_FIND_ASSETS, MAX_LIKELY_ASSETS, MAX_TO_PEER_BYTES};
use edgeweave_protocol::manifest::{Asset, ManifestVersion, is_missing};
use edgeweave_protocol::message::{Meeting, ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{AssetId, AssetSet, PROTOCOL_VERSION, PeerId, Reason, Timestamp};
use proptest::prelude::*;

/// What may happen; peers are named by the session that has them.
#[derive(Clone, Debug)]
enum Act {
    Open(SessionId),
    Close(SessionId),
    Hello(SessionId, u32, Option<(bool, u32)>),
    Holdings(SessionId, Vec<u32>, Vec<u32>),
    HoldAll(SessionId),
    Find(SessionId, Vec<u32>),
    Signal(SessionId, SessionId),
    Met(SessionId, SessionId, Meeting),
    Parted(SessionId, SessionId, u64, Option<Reason>),
    Seen(SessionId, Vec<u8>, bool),
    Differs(SessionId, Vec<u32>),
    Pieces(SessionId, u32),
    Viewed(SessionId, u8, Option<u8>, Vec<u32>),
    Unreadable(SessionId, Reason),
    /// From now on the origin has this under a URL.
    Publish(u8, Kind, u8),
    /// The origin answers to the oldest open fetch.
    Answer,
    /// The origin answers to what nobody asked.
    Unasked(u8, Kind, u8),
    Purge(Option<u8>),
    Warm(u8),
    Policy(u32, u32, u64, bool),
    Wait(u64),
}

/// An answer of the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Short,
    Unchanged,
    Private,
    NoStore,
    SetCookie,
    VariesOnCookie,
    NotFound,
    Failing,
    Unreachable,
    /// Another content every time.
    Fickle,
    Odd,
}

impl Kind {
    fn may_be_admitted(self) -> bool {
        matches!(self, Self::Public | Self::Short | Self::Fickle | Self::Odd)
    }

    fn outcome(self, flavour: u8) -> Result<Fetched, Reason> {
        let kind = ("content-type", "image/png");
        let public = ("cache-control", "public, max-age=60");
        let odd = ("age", "18446744073709551615");
        let (status, headers) = match self {
            Self::Public | Self::Fickle => (200, vec![kind, public, ("etag", "\"1\"")]),
            Self::Short => (200, vec![kind, ("cache-control", "max-age=5")]),
            Self::Unchanged => (304, vec![]),
            Self::Private => (200, vec![kind, public, ("cache-control", "private")]),
            Self::NoStore => (200, vec![kind, public, ("cache-control", "no-store")]),
            Self::SetCookie => (200, vec![kind, public, ("set-cookie", "a=b")]),
            Self::VariesOnCookie => (200, vec![kind, public, ("vary", "cookie")]),
            Self::NotFound => (404, vec![kind, public]),
            Self::Failing => (503, vec![]),
            Self::Unreachable => return Err(Reason::OriginUnreachable),
            Self::Odd => (
                200,
                vec![
                    kind,
                    odd,
                    ("last-modified", "é"),
                    ("bad name", "\n"),
                    ("expires", "Fri, 15 Jan 9999 08:00:00 GMT"),
                ],
            ),
        };
        let content = matches!(status, 200 | 404).then(|| content(flavour, u64::from(flavour) * 1_000_000));
        Ok(Fetched { status, headers: headers_of(&headers), content })
    }
}

fn act() -> impl Strategy<Value = Act> {
    let session = || prop_oneof![20 => 0u32..6, 1 => Just(u32::MAX)];
    let assets = || prop::collection::vec(prop_oneof![20 => 0u32..12, 1 => any::<u32>()], 0..5);
    let kind = || {
        prop_oneof![
            4 => Just(Kind::Public), 1 => Just(Kind::Short), 1 => Just(Kind::Unchanged), 1 => Just(Kind::Private), 1 => Just(Kind::NoStore),
            1 => Just(Kind::SetCookie), 1 => Just(Kind::VariesOnCookie), 1 => Just(Kind::NotFound), 2 => Just(Kind::Failing),
            2 => Just(Kind::Unreachable), 1 => Just(Kind::Fickle), 1 => Just(Kind::Odd),
        ]
    };
    let flavour = || prop_oneof![8 => Just(1u8), 1 => 0u8..4];
    let reason = || prop::sample::select(Reason::ALL);
    let meeting = prop_oneof![any::<u32>().prop_map(Meeting::Opened), reason().prop_map(Meeting::Failed)];
    let known = prop::option::of((any::<bool>(), 0u32..20));
    prop_oneof![
        3 => session().prop_map(Act::Open),
        1 => session().prop_map(Act::Close),
        4 => (session(), 0u32..5, known).prop_map(|(session, visitor, known)| Act::Hello(session, visitor, known)),
        3 => (session(), assets(), assets()).prop_map(|(session, add, remove)| Act::Holdings(session, add, remove)),
        1 => session().prop_map(Act::HoldAll),
        3 => (session(), assets()).prop_map(|(session, assets)| Act::Find(session, assets)),
        1 => (session(), session()).prop_map(|(from, to)| Act::Signal(from, to)),
        1 => (session(), session(), meeting).prop_map(|(from, to, meeting)| Act::Met(from, to, meeting)),
        1 => (session(), session(), any::<u64>(), prop::option::of(reason())).prop_map(|(from, to, bytes, fault)| Act::Parted(from, to, bytes, fault)),
        4 => (session(), prop::collection::vec(0u8..10, 0..5), any::<bool>())
            .prop_map(|(session, urls, missing)| Act::Seen(session, urls, missing)),
        1 => (session(), assets()).prop_map(|(session, assets)| Act::Differs(session, assets)),
        1 => (session(), 0u32..12).prop_map(|(session, asset)| Act::Pieces(session, asset)),
        4 => (session(), 0u8..5, prop::option::of(0u8..5), assets())
            .prop_map(|(session, page, from, assets)| Act::Viewed(session, page, from, assets)),
        1 => (session(), reason()).prop_map(|(session, reason)| Act::Unreadable(session, reason)),
        2 => (0u8..10, kind(), flavour()).prop_map(|(url, kind, flavour)| Act::Publish(url, kind, flavour)),
        12 => Just(Act::Answer),
        1 => (0u8..10, kind(), flavour()).prop_map(|(url, kind, flavour)| Act::Unasked(url, kind, flavour)),
        1 => prop::option::weighted(0.9, 0u8..10).prop_map(Act::Purge),
        1 => (0u8..12).prop_map(Act::Warm),
        1 => (0u32..10, 0u32..4, prop_oneof![Just(1u64 << 30), Just(1_000_000u64)], prop::bool::weighted(0.9)).prop_map(|(n, crowd, bytes, on)| Act::Policy(n, crowd, bytes, on)),
        4 => prop_oneof![0u64..2_000, 0u64..200_000, Just(1u64 << 40)].prop_map(Act::Wait),
    ]
}

/// A connection as its body sees it.
#[derive(Default)]
struct Line {
    peer: Option<PeerId>,
    assets: BTreeSet<AssetId>,
    epoch: u32,
    /// The introductions that one find led to.
    introduced: u32,
}

struct World {
    coordinator: Coordinator,
    now: Timestamp,
    lines: BTreeMap<SessionId, Line>,
    open_fetches: Vec<Box<str>>,
    /// URLs that the operator waits for.
    warming: BTreeSet<Box<str>>,
    /// What the origin has, where that is not public.
    origin: BTreeMap<Box<str>, (Kind, u8)>,
    /// The kinds and flavours of the answers for each URL, the last ones last.
    answers: BTreeMap<Box<str>, Vec<(Kind, u8)>>,
    /// What some visitor has missed.
    missed: BTreeSet<Box<str>>,
    neighbours: u32,
    /// The inputs, and the outputs, as they are written down.
    record: Vec<(Timestamp, String)>,
    done: Vec<String>,
}

impl World {
    fn new() -> Self {
        let coordinator = Coordinator::new(Timestamp::ZERO, setup());
        let neighbours = Policy::default().neighbours;
        Self {
            coordinator,
            now: Timestamp::ZERO,
            lines: BTreeMap::new(),
            open_fetches: vec![],
            warming: BTreeSet::new(),
            origin: BTreeMap::new(),
            record: vec![],
            done: vec![],
            answers: BTreeMap::new(),
            missed: BTreeSet::new(),
            neighbours,
        }
    }

    fn peer(&self, session: SessionId) -> PeerId {
        self.lines.get(&session).and_then(|line| line.peer).unwrap_or(PeerId(u64::from(session)))
    }

    fn act(&mut self, act: Act) {
        let set = |assets: Vec<u32>| -> AssetSet {
            assets.into_iter().filter(|id| *id < 1 << 20).map(AssetId).collect()
        };
        let ids = |assets: Vec<u32>| -> Vec<AssetId> { assets.into_iter().map(AssetId).collect() };
        let name = |n: u8| url(&format!("/{n}.png"));
        let said = |session, message| Input::Message { session, message };
        let input = match act {
            Act::Open(session) => {
                self.lines.insert(session, Line::default());
                let place = Place {
                    network: Some(session / 2),
                    country: Some(*b"DE"),
                    address: u64::from(session),
                    ..Place::default()
                };
                Input::Opened { session, place, stun: vec![] }
            }
            Act::Close(session) => {
                self.lines.remove(&session);
                Input::Closed { session }
            }
            Act::Hello(session, visitor, known) => {
                let epoch = self.lines.values().map(|line| line.epoch).max().unwrap_or(0);
                let manifest = known
                    .map(|(same, number)| ManifestVersion { epoch: if same { epoch } else { 1 }, number });
                let (site, release) = ("site".parse().unwrap(), "r".into());
                said(
                    session,
                    ToNode::Hello {
                        protocol: PROTOCOL_VERSION,
                        site,
                        release,
                        visitor,
                        manifest,
                        connects: true,
                        shares: visitor != 4,
                    },
                )
            }
            Act::Holdings(session, add, remove) => {
                said(session, ToNode::Holdings { add: set(add), remove: set(remove) })
            }
            Act::HoldAll(session) => {
                let add = serde_json::from_str("[0,1048576]").unwrap();
                said(session, ToNode::Holdings { add, remove: AssetSet::new() })
            }
            Act::Find(session, assets) => {
                self.lines.values_mut().for_each(|line| line.introduced = 0);
                said(session, ToNode::Find { assets: ids(assets) })
            }
            Act::Signal(session, to) => {
                let signal = "1".parse().unwrap();
                said(session, ToNode::Signal { to: self.peer(to), signal })
            }
            Act::Met(session, peer, outcome) => said(session, ToNode::Met { peer: self.peer(peer), outcome }),
            Act::Parted(session, peer, bytes, fault) => {
                said(session, ToNode::Parted { peer: self.peer(peer), bytes, busy_ms: bytes as u32, fault })
            }
            Act::Seen(session, urls, missing) => {
                let urls: Vec<Box<str>> = urls.into_iter().map(name).collect();
                self.missed.extend(urls.iter().filter(|_| missing).cloned());
                said(session, ToNode::Seen { urls, missing })
            }
            Act::Differs(session, assets) => said(session, ToNode::Differs { assets: ids(assets) }),
            Act::Pieces(session, asset) => said(session, ToNode::Pieces { asset: AssetId(asset) }),
            Act::Viewed(session, page, from, assets) => {
                let (page, from, assets) = (name(page), from.map(name), set(assets));
                said(
                    session,
                    ToNode::Viewed { page, from, assets, loaded_ms: (session % 3 == 0).then_some(session) },
                )
            }
            Act::Unreadable(session, reason) => Input::Unreadable { session, reason, about: "?".into() },
            Act::Publish(n, kind, flavour) => {
                _ = self.origin.insert(name(n), (kind, flavour));
                return;
            }
            Act::Answer => {
                if self.open_fetches.is_empty() {
                    return;
                }
                let url = self.open_fetches.remove(0);
                let (kind, flavour) = self.origin.get(&url).copied().unwrap_or((Kind::Public, 1));
                let answers = self.answers.entry(url.clone()).or_default();
                let flavour = if kind == Kind::Fickle { answers.len() as u8 } else { flavour };
                answers.push((kind, flavour));
                Input::Fetched { url, outcome: kind.outcome(flavour) }
            }
            Act::Unasked(n, kind, flavour) => {
                if self.open_fetches.contains(&name(n)) {
                    return;
                }
                Input::Fetched { url: name(n), outcome: kind.outcome(flavour) }
            }
            Act::Purge(n) => Input::Purge { url: n.map(name) },
            Act::Warm(n) => {
                // Some are not the site's.
                let url = if n < 10 { name(n) } else { "https://other.example/".into() };
                self.warming.insert(url.clone());
                Input::Warm { url }
            }
            Act::Policy(neighbours, min_crowd, max_asset_bytes, enabled) => {
                self.neighbours = neighbours;
                Input::SetPolicy(Policy {
                    neighbours,
                    min_crowd,
                    max_asset_bytes,
                    enabled,
                    ..Policy::default()
                })
            }
            Act::Wait(millis) => {
                self.now = self.now + Duration::from_millis(millis);
                Input::Tick
            }
        };
        self.tell(input);
    }

    fn tell(&mut self, input: Input) {
        let hello = match &input {
            Input::Message { session, message: ToNode::Hello { .. } } if self.lines.contains_key(session) => {
                Some(*session)
            }
            _ => None,
        };
        self.record.push((self.now, serde_json::to_string(&input).unwrap()));
        self.coordinator.handle_input(self.now, input);
        let mut answered = Vec::new();
        while let Some(output) = self.coordinator.poll_output() {
            self.done.push(serde_json::to_string(&output).unwrap());
            match output {
                Output::Send { session, message } => {
                    answered.push(session);
                    self.receive(session, &message);
                }
                Output::Close { session, .. } => {
                    assert!(self.lines.remove(&session).is_some(), "closed twice");
                }
                Output::Fetch { url, .. } => {
                    assert!(!self.open_fetches.contains(&url), "fetched twice at a time");
                    self.open_fetches.push(url);
                    assert!(self.open_fetches.len() <= 8);
                }
                Output::Warmed { url, .. } => assert!(self.warming.remove(&url), "told what nobody asked"),
            }
        }
        assert!(hello.is_none_or(|session| answered.contains(&session)), "hello was not answered");
        assert!(self.coordinator.poll_timeout().is_none_or(|due| due > self.now), "the same deadline again");
        assert!(!self.open_fetches.is_empty() || self.warming.is_empty(), "the operator is never told");
        let counts = self.coordinator.counts();
        assert_eq!(counts.crowd as usize, self.lines.values().filter(|line| line.peer.is_some()).count());
        assert!(counts.assets <= 10);
    }

    fn receive(&mut self, session: SessionId, message: &ToPeer) {
        assert!(serde_json::to_string(message).unwrap().len() <= MAX_TO_PEER_BYTES);
        let neighbours = self.neighbours;
        let line = self.lines.get_mut(&session).expect("sent to a closed session");
        match message {
            ToPeer::Welcome { peer, .. } => assert!(line.peer.replace(*peer).is_none()),
            ToPeer::Manifest(delta) => {
                line.epoch = delta.version.epoch;
                if delta.reset {
                    line.assets.clear();
                }
                line.assets.extend(delta.add.iter().map(|asset| asset.id));
                delta.remove.iter().for_each(|id| _ = line.assets.remove(id));
                for asset in &delta.add {
                    self.check_admitted(asset);
                }
            }
            ToPeer::Introduce { peer, offers, holds } => {
                assert!(line.peer.is_some_and(|own| own != *peer), "introduced to itself");
                assert!(holds.len() <= MAX_FIND_ASSETS && (*offers || holds.is_empty()));
                line.introduced += u32::from(*offers);
                // A find, and what others come to hold in one step, lead to so many each.
                assert!(line.introduced <= neighbours.max(1) * 12, "too many introductions");
            }
            ToPeer::Error { .. } => {}
            ToPeer::Likely { assets } => {
                assert!(line.peer.is_some() && (1..=MAX_LIKELY_ASSETS).contains(&assets.len()));
                let admitted = self.coordinator.assets(self.now);
                assert!(assets.iter().all(|id| admitted.iter().any(|asset| asset.id == *id)));
            }
            _ => assert!(line.peer.is_some(), "{message:?} before the welcome"),
        }
    }

    /// The law: two answers, one after the other, with the same public content, and nothing else after them that
    /// would forbid it; of what is missing, two that say so, and a visitor who has missed it.
    fn check_admitted(&self, asset: &Asset) {
        let url = &*asset.url;
        let answers = &self.answers[url];
        let is_absence = is_missing(asset.status);
        assert!(!is_absence || self.missed.contains(url), "nobody has missed {url}");
        let allowed = |kind: Kind| if is_absence { kind == Kind::NotFound } else { kind.may_be_admitted() };
        let agree =
            |pair: &[(Kind, u8)]| pair.iter().all(|(kind, _)| allowed(*kind)) && pair[0].1 == pair[1].1;
        assert!(answers.windows(2).any(agree), "{url} is admitted after {answers:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn promises_are_kept(acts in prop::collection::vec(act(), 0..250)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
        }
        // When everything is told, everybody knows the same.
        world.now = world.now + Duration::from_secs(2);
        world.tell(Input::Tick);
        let truth: BTreeSet<AssetId> = world.coordinator.assets(world.now).iter().map(|asset| asset.id).collect();
        for (session, line) in world.lines.iter().filter(|(_, line)| line.peer.is_some()) {
            // One that claimed to know an old version of this epoch has what it claimed, and we do not know that.
            prop_assert!(line.assets.is_subset(&truth), "session {}", session);
        }
        // A recorded run is the same run.
        let setup = serde_json::from_str(&serde_json::to_string(&setup()).unwrap()).unwrap();
        let mut replayed = Coordinator::new(Timestamp::ZERO, setup);
        let mut done = Vec::new();
        for (now, input) in world.record {
            replayed.handle_input(now, serde_json::from_str(&input).unwrap());
            done.extend(std::iter::from_fn(|| replayed.poll_output()).map(|output| serde_json::to_string(&output).unwrap()));
        }
        prop_assert_eq!(done, world.done);
    }
}

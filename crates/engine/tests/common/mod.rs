//! A small world in virtual time: engines, their bodies in memory, a node that plays by the script, and links with
//! latency. Nothing here decides anything: it does what the engines say.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Each test file uses its own part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use edgeweave_engine::io::{ByteRange, Circumstances, FetchedResource, HeldSegment, Payload, Shelf, Stats};
use edgeweave_engine::{Engine, Input, Output, Setup, State};
use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::frame::{Frame, PIECE_HEADER_BYTES};
use edgeweave_protocol::limits::PIECE_BYTES;
use edgeweave_protocol::manifest::{Asset, ManifestDelta, ManifestVersion, piece_count};
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::{Policy, Prefer};
use edgeweave_protocol::{AssetId, AssetSet, Digest, PeerId, Reason, Timestamp};
use serde::{Deserialize, Serialize};

/// How a peer treats the pieces that it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manners {
    #[default]
    Honest,
    /// Sends other bytes.
    Lying,
    /// Sends fewer bytes.
    Short,
    /// Sends pieces that nobody asked for.
    Endless,
    /// Sends nothing.
    Silent,
}

/// What became of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub body: Vec<u8>,
    pub status: u16,
    pub heads: u32,
    pub ended: u32,
    pub fallback: Option<(Reason, u64)>,
    pub hedged: bool,
}

/// What an engine was told, and what it said to that: a file of it replays.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub made: Timestamp,
    pub setup: Setup,
    pub inputs: Vec<(Timestamp, Input)>,
    pub outputs: Vec<Output>,
}

/// What a visitor told the node of a page: who, the page, the one before it, and what it used.
pub type Viewed = (usize, Box<str>, Option<Box<str>>, Vec<AssetId>);

/// A visitor: an engine and its body in memory.
pub struct Visitor {
    pub engine: Engine,
    pub record: Record,
    pub manners: Manners,
    pub answers: BTreeMap<u32, Answer>,
    /// Its pages read what they are given.
    pub reads: bool,
    pub stats: Stats,
    pub shelf: Shelf,
    pub state: Option<State>,
    payloads: BTreeMap<u32, Vec<u8>>,
    next_handle: u32,
    pub storage: BTreeMap<(Digest, u32), Vec<u8>>,
    /// What the browser's HTTP cache has, by URL.
    pub browser_cache: BTreeMap<Box<str>, Vec<u8>>,
    online: bool,
    said_hello: bool,
    holds: AssetSet,
    links: BTreeSet<PeerId>,
}

impl Visitor {
    /// Payloads that the body still keeps.
    pub fn kept_payloads(&self) -> usize {
        self.payloads.len()
    }

    fn keep(&mut self, bytes: Vec<u8>) -> Payload {
        self.next_handle += 1;
        let len = bytes.len() as u32;
        self.payloads.insert(self.next_handle, bytes);
        Payload { handle: self.next_handle, len }
    }
}

/// The world.
pub struct World {
    pub now: Timestamp,
    pub visitors: Vec<Visitor>,
    pub policy: Policy,
    pub assets: Vec<Asset>,
    contents: BTreeMap<Digest, Vec<u8>>,
    events: BTreeMap<(Timestamp, u64), (usize, Input)>,
    sequence: u64,
    latency: Duration,
    pub node_up: bool,
    /// Peers that are there besides, and have nothing to say to anybody.
    pub others: u32,
    pub seen: Vec<Box<str>>,
    pub missed: Vec<Box<str>>,
    pub differing: Vec<AssetId>,
    pub faults: Vec<(usize, Reason)>,
    pub viewed: Vec<Viewed>,
}

pub fn world() -> World {
    World {
        now: Timestamp::from_millis(1),
        visitors: Vec::new(),
        policy: Policy { prefer: Prefer::Offload, patience_ms: 3_000, ..Policy::default() },
        assets: Vec::new(),
        contents: BTreeMap::new(),
        events: BTreeMap::new(),
        sequence: 0,
        latency: Duration::from_millis(10),
        node_up: true,
        others: 0,
        seen: Vec::new(),
        missed: Vec::new(),
        differing: Vec::new(),
        faults: Vec::new(),
        viewed: Vec::new(),
    }
}

impl World {
    pub fn preferring(mut self, prefer: Prefer) -> Self {
        self.policy.prefer = prefer;
        self
    }

    /// Admits an asset of so many bytes.
    pub fn with_asset(mut self, url: &str, size: usize) -> Self {
        self.admit(url, size, self.assets.len() as u8);
        self
    }

    /// What the origin says is not there, in a page of so many bytes.
    pub fn with_missing(mut self, url: &str, size: usize) -> Self {
        self.admit(url, size, self.assets.len() as u8);
        self.assets.last_mut().unwrap().status = 404;
        self
    }

    pub fn admit(&mut self, url: &str, size: usize, flavour: u8) -> Asset {
        let content: Vec<u8> = (0..size).map(|at| (at / 251 + at % 251) as u8 ^ flavour).collect();
        let pieces: Vec<Digest> = (0..piece_count(size as u64) as usize)
            .map(|n| {
                digest(
                    &content
                        [(n * PIECE_BYTES as usize).min(size)..((n + 1) * PIECE_BYTES as usize).min(size)],
                )
            })
            .collect();
        let joined: Vec<u8> = pieces.iter().flat_map(|digest| digest.0).collect();
        let asset = Asset {
            id: AssetId(self.assets.len() as u32),
            url: url.into(),
            hash: digest(&joined),
            size: size as u64,
            fresh_ms: 3_600_000,
            status: 200,
            headers: vec![("content-type".into(), "image/png".into())].into(),
            pieces: Some(PieceDigests(pieces).into()),
        };
        self.contents.insert(asset.hash, content);
        self.assets.push(asset.clone());
        asset
    }

    pub fn content(&self, url: &str) -> &[u8] {
        let asset = self.assets.iter().rev().find(|asset| &*asset.url == url).unwrap();
        &self.contents[&asset.hash]
    }

    /// A visitor arrives whose browser has these URLs in its HTTP cache.
    pub fn arrive(&mut self, loaded: &[&str]) -> usize {
        let index = self.come_back(None, &[], loaded);
        let resources = loaded.iter().map(|url| FetchedResource {
            url: (*url).into(),
            bytes: 0,
            first_byte_ms: 100,
            total_ms: 200,
            controlled: false,
            status: 200,
        });
        let resources = resources.collect();
        self.tell(index, Input::Fetched { resources });
        index
    }

    /// A page with what an earlier one kept.
    pub fn come_back(&mut self, state: Option<State>, held: &[HeldSegment], loaded: &[&str]) -> usize {
        let index = self.visitors.len();
        let setup = Setup {
            site: "site".parse().unwrap(),
            release: "r1".into(),
            seed: 7 + index as u64,
            unix_ms: 1_800_000_000_000,
            state,
            held: held.to_vec(),
        };
        let record = Record { made: self.now, setup: setup.clone(), inputs: Vec::new(), outputs: Vec::new() };
        self.visitors.push(Visitor {
            engine: Engine::new(self.now, setup),
            record,
            manners: Manners::Honest,
            answers: BTreeMap::new(),
            reads: true,
            stats: Stats::default(),
            shelf: Shelf::default(),
            state: None,
            payloads: BTreeMap::new(),
            next_handle: 0,
            storage: BTreeMap::new(),
            browser_cache: loaded.iter().map(|url| ((*url).into(), self.content(url).to_vec())).collect(),
            online: false,
            said_hello: false,
            holds: AssetSet::new(),
            links: BTreeSet::new(),
        });
        self.tell(index, Input::Circumstances(Circumstances::default()));
        index
    }

    /// Tells an engine something now, and does what it says.
    pub fn tell(&mut self, visitor: usize, input: Input) {
        self.visitors[visitor].record.inputs.push((self.now, input.clone()));
        self.visitors[visitor].engine.handle_input(self.now, input);
        while let Some(output) = self.visitors[visitor].engine.poll_output() {
            self.visitors[visitor].record.outputs.push(output.clone());
            self.act(visitor, output);
        }
    }

    fn later(&mut self, after: Duration, visitor: usize, input: Input) {
        self.sequence += 1;
        self.events.insert((self.now + after, self.sequence), (visitor, input));
    }

    /// Lets virtual time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let ticks =
                self.visitors.iter().enumerate().filter_map(|(n, v)| Some((v.engine.poll_timeout()?, n)));
            let tick = ticks.min();
            match (event, tick) {
                (Some(at), _) if at <= end && tick.is_none_or(|(due, _)| at <= due) => {
                    let (_, (visitor, input)) = self.events.pop_first().unwrap();
                    self.now = self.now.max(at);
                    self.tell(visitor, input);
                }
                (_, Some((due, visitor))) if due <= end => {
                    self.now = self.now.max(due);
                    self.tell(visitor, Input::Tick);
                    let next = self.visitors[visitor].engine.poll_timeout();
                    assert!(
                        next.is_none_or(|next| next > due.min(self.now)),
                        "the same deadline comes twice"
                    );
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// A page's request; its answer is in `visitors[visitor].answers` in the course of time.
    pub fn request(&mut self, visitor: usize, id: u32, url: &str) {
        self.request_range(visitor, id, url, None);
    }

    pub fn request_range(&mut self, visitor: usize, id: u32, url: &str, range: Option<ByteRange>) {
        self.visitors[visitor].answers.insert(id, Answer::default());
        self.tell(visitor, Input::Request { id, url: url.into(), range, rescue: false });
    }

    /// A page reads on, what it has been given first.
    pub fn read_on(&mut self, visitor: usize, id: u32) {
        self.visitors[visitor].reads = true;
        let bytes = self.visitors[visitor].answers[&id].body.len() as u32;
        self.tell(visitor, Input::Consumed { id, bytes });
    }

    /// Requests after the origin has failed.
    pub fn rescue(&mut self, visitor: usize, id: u32, url: &str) {
        self.visitors[visitor].answers.insert(id, Answer::default());
        self.tell(visitor, Input::Request { id, url: url.into(), range: None, rescue: true });
    }

    pub fn kill_node(&mut self) {
        self.node_up = false;
        for visitor in 0..self.visitors.len() {
            if std::mem::take(&mut self.visitors[visitor].online) {
                self.tell(visitor, Input::SocketClosed);
            }
        }
    }

    /// The node publishes a change to everybody.
    pub fn publish(&mut self, delta: &ManifestDelta) {
        for visitor in 0..self.visitors.len() {
            self.say(visitor, ToPeer::Manifest(delta.clone()));
        }
    }

    pub fn purge(&mut self, id: AssetId) {
        self.assets.retain(|asset| asset.id != id);
        let version = ManifestVersion { epoch: 1, number: 99 };
        self.publish(&ManifestDelta { version, remove: vec![id], ..ManifestDelta::default() });
    }

    pub fn say(&mut self, visitor: usize, message: ToPeer) {
        if self.visitors[visitor].online {
            self.later(self.latency, visitor, Input::Heard(message));
        }
    }

    /// The node says what a visitor's next pages will probably need.
    pub fn suggest(&mut self, visitor: usize, urls: &[&str]) {
        let id = |url: &&str| self.assets.iter().find(|asset| &*asset.url == *url).unwrap().id;
        let assets = urls.iter().map(id).collect();
        self.say(visitor, ToPeer::Likely { assets });
    }

    /// The next page of a visitor, with what the last one has kept and stored.
    pub fn next_page(&mut self, last: usize) -> usize {
        self.tell(last, Input::Suspend);
        let (state, storage) = (self.visitors[last].state.clone(), self.visitors[last].storage.clone());
        let held: Vec<HeldSegment> =
            storage.keys().map(|(hash, segment)| HeldSegment { hash: *hash, segment: *segment }).collect();
        let next = self.come_back(state, &held, &[]);
        self.visitors[next].storage = storage;
        next
    }

    fn hear(&mut self, visitor: usize, message: ToNode) {
        match message {
            ToNode::Hello { manifest, .. } => {
                self.visitors[visitor].said_hello = true;
                let crowd = self.visitors.len() as u32 + self.others;
                let (peer, policy) = (peer_of(visitor), self.policy.clone());
                self.say(visitor, ToPeer::Welcome { protocol: 1, peer, stun: vec![], policy, crowd });
                let version = ManifestVersion { epoch: 1, number: self.assets.len() as u32 };
                let reset = manifest.is_none_or(|known| known.epoch != 1);
                let add = self.assets.clone();
                self.say(
                    visitor,
                    ToPeer::Manifest(ManifestDelta { version, reset, add, ..ManifestDelta::default() }),
                );
            }
            ToNode::Holdings { add, remove } => {
                let holds = &mut self.visitors[visitor].holds;
                holds.extend(add.iter());
                remove.iter().for_each(|asset| _ = holds.remove(asset));
            }
            ToNode::Find { assets } => {
                let wanted: AssetSet = assets.iter().copied().collect();
                let mut found = AssetSet::new();
                for holder in (0..self.visitors.len()).filter(|holder| *holder != visitor) {
                    let holds: AssetSet =
                        self.visitors[holder].holds.iter().filter(|asset| wanted.contains(*asset)).collect();
                    if !holds.is_empty() && self.visitors[holder].online {
                        found.extend(holds.iter());
                        self.say(visitor, ToPeer::Introduce { peer: peer_of(holder), offers: true, holds });
                        let holds = AssetSet::new();
                        self.say(holder, ToPeer::Introduce { peer: peer_of(visitor), offers: false, holds });
                    }
                }
                let assets: Vec<AssetId> =
                    assets.into_iter().filter(|asset| !found.contains(*asset)).collect();
                if !assets.is_empty() {
                    self.say(visitor, ToPeer::NoHolder { assets });
                }
            }
            ToNode::Seen { urls, missing: false } => self.seen.extend(urls),
            ToNode::Seen { urls, missing: true } => self.missed.extend(urls),
            ToNode::Differs { assets } => self.differing.extend(assets),
            ToNode::Parted { fault: Some(reason), .. } => self.faults.push((visitor, reason)),
            ToNode::Signal { to, signal } => {
                self.say(index_of(to), ToPeer::Signal { from: peer_of(visitor), signal });
            }
            ToNode::Pieces { asset } => {
                if let Some(pieces) =
                    self.assets.iter().find(|known| known.id == asset).and_then(|known| known.pieces.clone())
                {
                    self.say(visitor, ToPeer::Pieces { asset, pieces });
                }
            }
            ToNode::Viewed { page, from, assets, .. } => {
                self.viewed.push((visitor, page, from, assets.iter().collect()));
            }
            ToNode::Met { .. } | ToNode::Parted { .. } => {}
        }
    }

    fn act(&mut self, index: usize, output: Output) {
        let latency = self.latency;
        let node_up = self.node_up;
        let visitor = &mut self.visitors[index];
        match output {
            Output::Connect => {
                visitor.online = node_up;
                self.later(latency, index, if node_up { Input::SocketOpened } else { Input::SocketClosed });
            }
            Output::Disconnect => visitor.online = false,
            Output::Say(message) => {
                if visitor.online {
                    self.hear(index, message);
                }
            }
            Output::OpenPeer { peer, offers: true, .. } => {
                // As ICE does, both sides find out together.
                let other = index_of(peer);
                visitor.links.insert(peer);
                self.visitors[other].links.insert(peer_of(index));
                self.later(3 * latency, index, Input::PeerOpened { peer });
                self.later(3 * latency, other, Input::PeerOpened { peer: peer_of(index) });
            }
            Output::OpenPeer { .. } | Output::SignalPeer { .. } => {}
            Output::ClosePeer { peer } => self.unlink(index, peer),
            Output::SendFrame { peer, bytes } => {
                let mute = visitor.manners == Manners::Silent
                    && !matches!(Frame::decode(&bytes), Some(Frame::Have { .. }));
                if visitor.links.contains(&peer) && !mute {
                    let input = Input::Frame { peer: peer_of(index), header: bytes, payload: None };
                    self.later(latency, index_of(peer), input);
                }
            }
            Output::SendPiece { peer, transfer, header, hash, segment, offset, len } => {
                let Some(stored) = visitor.storage.get(&(hash, segment)) else {
                    return self.later(latency, index, Input::PieceLost { peer, transfer, hash, segment });
                };
                let mut bytes = stored[offset as usize..(offset + len) as usize].to_vec();
                match visitor.manners {
                    Manners::Honest | Manners::Endless => {}
                    Manners::Lying => bytes.iter_mut().for_each(|byte| *byte ^= 1),
                    Manners::Short => bytes.truncate(bytes.len() / 2),
                    Manners::Silent => bytes.clear(),
                }
                let (manners, linked) = (visitor.manners, visitor.links.contains(&peer));
                if linked && manners != Manners::Silent {
                    let times = if manners == Manners::Endless { 40 } else { 1 };
                    for _ in 0..times {
                        self.send_piece(index, peer, &header, bytes.clone());
                    }
                }
                self.later(Duration::from_micros(100), index, Input::PieceSent { peer, transfer });
            }
            Output::Hash { handle } => {
                let digest = digest(&visitor.payloads[&handle]);
                self.later(Duration::from_micros(50), index, Input::Hashed { handle, digest });
            }
            Output::Release { handle } => {
                assert!(visitor.payloads.remove(&handle).is_some(), "released twice");
            }
            Output::Head { id, status, .. } => {
                let answer = visitor.answers.get_mut(&id).unwrap();
                answer.heads += 1;
                answer.status = status;
            }
            Output::Deliver { id, handle, skip, take } => {
                let bytes = visitor.payloads[&handle][skip as usize..(skip + take) as usize].to_vec();
                let answer = visitor.answers.get_mut(&id).unwrap();
                assert!(answer.heads == 1 && answer.ended == 0 && answer.fallback.is_none(), "out of order");
                answer.body.extend(bytes);
                if visitor.reads {
                    self.later(Duration::from_micros(10), index, Input::Consumed { id, bytes: take });
                }
            }
            Output::End { id } => visitor.answers.get_mut(&id).unwrap().ended += 1,
            Output::Fallback { id, reason, delivered } => {
                let answer = visitor.answers.get_mut(&id).unwrap();
                assert!(answer.fallback.replace((reason, delivered)).is_none(), "answered twice");
            }
            Output::Hedge { id } => visitor.answers.get_mut(&id).unwrap().hedged = true,
            Output::Adopt { asset, url, .. } => {
                let copy = visitor.browser_cache.get(&*url).cloned();
                for (piece, bytes) in
                    copy.iter().flat_map(|copy| copy.chunks(PIECE_BYTES as usize)).enumerate()
                {
                    let payload = self.visitors[index].keep(bytes.to_vec());
                    self.later(
                        Duration::from_millis(1),
                        index,
                        Input::Adopted { asset, piece: piece as u32, payload },
                    );
                }
                self.later(Duration::from_millis(2), index, Input::AdoptEnded { asset });
            }
            Output::Load { hash, piece, segment, offset, len } => {
                let bytes = visitor.storage.get(&(hash, segment));
                let bytes = bytes.map(|bytes| bytes[offset as usize..(offset + len) as usize].to_vec());
                let payload = bytes.map(|bytes| self.visitors[index].keep(bytes));
                self.later(Duration::from_millis(1), index, Input::Loaded { hash, piece, payload });
            }
            Output::Store { hash, segment, handles } => {
                let bytes = handles.iter().flat_map(|handle| visitor.payloads[handle].clone()).collect();
                visitor.storage.insert((hash, segment), bytes);
                self.later(Duration::from_millis(1), index, Input::Stored { hash, segment });
            }
            Output::Drop { hash, segments } => {
                segments.iter().for_each(|segment| _ = visitor.storage.remove(&(hash, *segment)));
            }
            Output::Shelf(shelf) => visitor.shelf = shelf,
            Output::Persist { state } => visitor.state = Some(state),
            Output::Stats(stats) => visitor.stats = stats,
            Output::Report(_) => {}
        }
    }

    fn send_piece(&mut self, from: usize, to: PeerId, header: &[u8], bytes: Vec<u8>) {
        assert_eq!(header.len(), PIECE_HEADER_BYTES);
        let payload = Some(self.visitors[index_of(to)].keep(bytes));
        let input = Input::Frame { peer: peer_of(from), header: header.to_vec(), payload };
        self.later(self.latency, index_of(to), input);
    }

    pub fn unlink(&mut self, index: usize, peer: PeerId) {
        if self.visitors[index].links.remove(&peer) {
            self.visitors[index_of(peer)].links.remove(&peer_of(index));
            let input = Input::PeerClosed { peer: peer_of(index), reason: Reason::ChannelClosed };
            self.later(self.latency, index_of(peer), input);
        }
    }
}

pub fn peer_of(visitor: usize) -> PeerId {
    PeerId(100 + visitor as u64)
}

fn index_of(peer: PeerId) -> usize {
    (peer.0 - 100) as usize
}

/// Not SHA-256, but as good for an engine, which only compares.
pub fn digest(bytes: &[u8]) -> Digest {
    let mut state = [0xcbf2_9ce4_8422_2325_u64, 1, 2, 3];
    for (at, byte) in bytes.iter().enumerate() {
        let lane = &mut state[at % 4];
        *lane = (*lane ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    state[0] ^= bytes.len() as u64;
    let mut out = [0; 32];
    out.chunks_mut(8).zip(state).for_each(|(chunk, lane)| chunk.copy_from_slice(&lane.to_le_bytes()));
    Digest(out)
}

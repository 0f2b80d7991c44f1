//! A swarm in virtual time: a coordinator, peers that remember what they were told, and an origin that is a table.
//!
//! Whatever the coordinator says is held against what it may say (`check`), in every test.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use edgeweave_coordinator::io::{Content, Fetched, Place};
use edgeweave_coordinator::{AdmissionRules, Coordinator, Input, Output, SessionId, Setup};
use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::limits::{MAX_TO_PEER_BYTES, MAX_URL_BYTES};
use edgeweave_protocol::manifest::{Asset, Headers, ManifestDelta, ManifestVersion, piece_count};
use edgeweave_protocol::message::{Meeting, ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{AssetId, AssetSet, Digest, PROTOCOL_VERSION, PeerId, Reason, Timestamp};

/// Where the site is.
pub const ORIGIN: &str = "https://shop.example";
/// 2026-01-01, when every test begins.
pub const BEGIN_UNIX_MS: u64 = 1_767_225_600_000;
/// Fetches that may be under way at a time.
pub const FETCHES_AT_A_TIME: usize = 8;

/// What the origin answers for a path.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub headers: Headers,
    /// Content is a number: equal numbers are equal bytes.
    pub content: u64,
    pub size: u64,
    pub failure: Option<Reason>,
    /// Every fetch gets other bytes.
    pub fickle: bool,
}

/// A page of content `content` that may be kept for an hour.
pub fn page(content: u64) -> Page {
    Page { status: 200, headers: Vec::new(), content, size: 1000, failure: None, fickle: false }
        .with("content-type", "image/png")
        .with("cache-control", "public, max-age=3600")
}

impl Page {
    /// With a header in place of its namesakes.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(kept, _)| &**kept != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(kept, _)| &**kept != name);
        self
    }

    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn size(self, size: u64) -> Self {
        Self { size, ..self }
    }

    pub fn failing(self, reason: Reason) -> Self {
        Self { failure: Some(reason), ..self }
    }

    pub fn fickle(self) -> Self {
        Self { fickle: true, ..self }
    }
}

/// A content's digests.
pub fn content(number: u64, size: u64) -> Content {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&size.to_le_bytes());
    let digest = Digest(bytes);
    Content { size, hash: digest, pieces: PieceDigests(vec![digest; piece_count(size) as usize]) }
}

/// A fetch that the coordinator has ordered.
#[derive(Clone, Debug)]
pub struct Ordered {
    pub url: Box<str>,
    pub validators: Headers,
    pub max_bytes: u64,
}

/// What a peer knows.
#[derive(Debug, Default)]
pub struct Peer {
    pub id: Option<PeerId>,
    pub version: Option<ManifestVersion>,
    /// Assets, and until when they are fresh.
    pub assets: BTreeMap<AssetId, (Asset, Timestamp)>,
    part: Option<ManifestDelta>,
    /// Everything but manifests, oldest first.
    pub heard: Vec<ToPeer<'static>>,
    pub closed: Option<Reason>,
}

/// A coordinator and all around it.
pub struct Swarm {
    pub coordinator: Coordinator,
    pub now: Timestamp,
    pub policy: Policy,
    pub peers: BTreeMap<SessionId, Peer>,
    pub origin: BTreeMap<Box<str>, Page>,
    pub fetches: Vec<Ordered>,
    /// How often each URL was fetched.
    pub fetched: BTreeMap<Box<str>, u32>,
    /// What each index ever stood for, by epoch.
    named: BTreeMap<(u32, AssetId), (Box<str>, Digest)>,
    fickle: u64,
    next_session: SessionId,
}

/// A swarm of a site with the default policy and rules.
pub fn swarm() -> Swarm {
    swarm_with(|_| {})
}

/// A swarm that is set up in its own way.
pub fn swarm_with(configure: impl FnOnce(&mut Setup)) -> Swarm {
    let mut setup = Setup {
        site: "shop".parse().unwrap(),
        origins: vec![ORIGIN.into(), "https://img.shop.example:8443".into()],
        policy: Policy::default(),
        admission: AdmissionRules::default(),
        seed: 7,
        unix_ms: BEGIN_UNIX_MS,
    };
    configure(&mut setup);
    let policy = setup.policy.clone();
    Swarm {
        coordinator: Coordinator::new(Timestamp::ZERO, setup),
        now: Timestamp::ZERO,
        policy,
        peers: BTreeMap::new(),
        origin: BTreeMap::new(),
        fetches: Vec::new(),
        fetched: BTreeMap::new(),
        named: BTreeMap::new(),
        fickle: 1 << 32,
        next_session: 0,
    }
}

/// An absolute URL of a path.
pub fn url(path: &str) -> Box<str> {
    if path.starts_with('/') { format!("{ORIGIN}{path}").into() } else { path.into() }
}

/// What a visitor's first message is.
pub fn hello(visitor: u32) -> ToNode {
    ToNode::Hello {
        protocol: PROTOCOL_VERSION,
        site: "shop".parse().unwrap(),
        release: "test".into(),
        visitor,
        manifest: None,
        connects: true,
        shares: true,
    }
}

/// A set of assets.
pub fn set(assets: &[AssetId]) -> AssetSet {
    assets.iter().copied().collect()
}

impl Swarm {
    /// The origin answers this for a path from now on.
    pub fn serve(&mut self, path: &str, page: Page) -> &mut Self {
        self.origin.insert(url(path), page);
        self
    }

    /// Hands an input in, and takes in what comes of it; fetches stay open.
    pub fn input(&mut self, input: Input) {
        self.coordinator.handle_input(self.now, input);
        while let Some(output) = self.coordinator.poll_output() {
            self.take(output);
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Send { session, message } => self.take_message(session, message),
            Output::Close { session, reason } => {
                let peer = self.peers.get_mut(&session).expect("only open sessions are closed");
                assert_eq!(peer.closed, None, "a session is closed once");
                peer.closed = Some(reason);
            }
            Output::Fetch { url, validators, max_bytes } => {
                let own = url.starts_with("https://shop.example/") || url.starts_with("https://img.shop.example:8443/");
                assert!(own && url.len() <= MAX_URL_BYTES && !url.contains('#'), "{url} is not to be fetched");
                assert!(self.fetches.iter().all(|open| open.url != url), "{url} is already being fetched");
                assert!(max_bytes <= self.policy.max_asset_bytes);
                for (name, _) in &validators {
                    assert!(matches!(&**name, "if-none-match" | "if-modified-since"), "{name}");
                }
                *self.fetched.entry(url.clone()).or_default() += 1;
                self.fetches.push(Ordered { url, validators, max_bytes });
                assert!(self.fetches.len() <= FETCHES_AT_A_TIME);
            }
        }
    }

    fn take_message(&mut self, session: SessionId, message: ToPeer<'static>) {
        let json = serde_json::to_string(&message).unwrap();
        assert!(json.len() <= MAX_TO_PEER_BYTES, "{} bytes in one message", json.len());
        let now = self.now;
        let ids: BTreeSet<PeerId> = self.peers.values().filter_map(|peer| peer.id).collect();
        let peer = self.peers.get_mut(&session).unwrap_or_else(|| panic!("{session} is not open: {json}"));
        assert_eq!(peer.closed, None, "{session} was closed, and is told {json}");
        match message {
            ToPeer::Welcome { peer: id, .. } => {
                assert_eq!(peer.id, None, "a session is welcomed once");
                assert!(!ids.contains(&id), "two sessions are {id}");
                peer.id = Some(id);
                peer.heard.push(message);
            }
            ToPeer::Manifest(delta) => {
                assert!(peer.id.is_some(), "the manifest comes after the welcome");
                for asset in &delta.add {
                    let name = (asset.url.clone(), asset.hash);
                    let known = self.named.entry((delta.version.epoch, asset.id)).or_insert_with(|| name.clone());
                    assert_eq!(*known, name, "an index is never used again");
                }
                peer.learn(now, delta);
            }
            ToPeer::Introduce { peer: other, .. } => {
                assert!(ids.contains(&other) && peer.id != Some(other), "{other} cannot be met");
                peer.heard.push(message);
            }
            ToPeer::Error { .. } => peer.heard.push(message),
            _ => {
                assert!(peer.id.is_some(), "before the welcome there are only errors: {json}");
                peer.heard.push(message);
            }
        }
    }

    /// Opens a session from an address; nothing is said yet.
    pub fn connect_from(&mut self, place: Place) -> SessionId {
        let session = self.next_session;
        self.next_session += 1;
        self.peers.insert(session, Peer::default());
        self.input(Input::Opened { session, place, stun: vec!["stun:node.example:3478".into()] });
        session
    }

    /// A peer at an address of its own.
    pub fn join(&mut self, visitor: u32) -> SessionId {
        self.join_from(visitor, Place { network: None, country: None, address: u64::from(visitor) })
    }

    pub fn join_from(&mut self, visitor: u32, place: Place) -> SessionId {
        self.join_as(hello(visitor), place)
    }

    pub fn join_as(&mut self, hello: ToNode, place: Place) -> SessionId {
        let session = self.connect_from(place);
        self.say(session, hello);
        assert!(self.peers[&session].id.is_some(), "hello is answered: {:?}", self.peers[&session]);
        assert!(self.peers[&session].version.is_some(), "with the manifest");
        session
    }

    pub fn say(&mut self, session: SessionId, message: ToNode) {
        self.input(Input::Message { session, message });
    }

    /// The connection ends.
    pub fn leave(&mut self, session: SessionId) {
        let peer = self.peers.remove(&session).unwrap();
        if peer.closed.is_none() {
            self.input(Input::Closed { session });
        }
    }

    pub fn sees(&mut self, session: SessionId, path: &str) {
        self.say(session, ToNode::Seen { urls: vec![url(path)] });
    }

    pub fn holds(&mut self, session: SessionId, assets: &[AssetId]) {
        self.say(session, ToNode::Holdings { add: set(assets), remove: AssetSet::new() });
    }

    pub fn finds(&mut self, session: SessionId, assets: &[AssetId]) {
        self.say(session, ToNode::Find { assets: assets.to_vec() });
    }

    pub fn met(&mut self, session: SessionId, peer: PeerId, outcome: Meeting) {
        self.say(session, ToNode::Met { peer, outcome });
    }

    pub fn parted(&mut self, session: SessionId, peer: PeerId, fault: Option<Reason>) {
        self.say(session, ToNode::Parted { peer, bytes: 1_000_000, busy_ms: 500, fault });
    }

    pub fn purge(&mut self, path: &str) {
        self.input(Input::Purge { url: Some(url(path)) });
    }

    pub fn id(&self, session: SessionId) -> PeerId {
        self.peers[&session].id.unwrap()
    }

    /// What the origin answers to an order, now.
    pub fn answer_of(&mut self, order: &Ordered) -> Result<Fetched, Reason> {
        let missing = Page { content: 0, ..page(0).status(404) };
        let page = self.origin.get(&order.url).cloned().unwrap_or(missing);
        if let Some(reason) = page.failure {
            return Err(reason);
        }
        let header = |name: &str| page.headers.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.clone());
        let validator = |name: &str| order.validators.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.clone());
        let same_tag = validator("if-none-match").map(|tag| header("etag") == Some(tag));
        let same_date = validator("if-modified-since").map(|date| header("last-modified") == Some(date));
        if page.status == 200 && same_tag.or(same_date) == Some(true) {
            let headers = page.headers.iter().filter(|(name, _)| &**name != "content-type").cloned().collect();
            return Ok(Fetched { status: 304, headers, content: None });
        }
        if page.size > order.max_bytes {
            return Err(Reason::TooLarge);
        }
        self.fickle += u64::from(page.fickle);
        let number = if page.fickle { self.fickle } else { page.content };
        let content = (page.status == 200).then(|| content(number, page.size));
        Ok(Fetched { status: page.status, headers: page.headers, content })
    }

    /// Answers the oldest open fetch.
    pub fn answer_one(&mut self) -> bool {
        if self.fetches.is_empty() {
            return false;
        }
        let order = self.fetches.remove(0);
        let outcome = self.answer_of(&order);
        self.input(Input::Fetched { url: order.url, outcome });
        true
    }

    /// Answers fetches, and lets changes be told, until there is nothing left that happens within a second.
    pub fn settle(&mut self) {
        self.advance(Duration::from_secs(1));
    }

    /// Lets time pass; the origin answers at once.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut ticks = 0;
        loop {
            while self.answer_one() {}
            let Some(due) = self.coordinator.poll_timeout().filter(|due| *due <= end) else { break };
            ticks = if due <= self.now { ticks + 1 } else { 0 };
            assert!(ticks < 10_000, "time does not get past {due:?}");
            self.now = self.now.max(due);
            self.input(Input::Tick);
        }
        self.now = end;
    }

    /// The index under which a path is admitted, as the coordinator shows it.
    pub fn admitted(&self, path: &str) -> Option<AssetId> {
        let url = url(path);
        self.coordinator.assets(self.now).iter().find(|asset| asset.url == url).map(|asset| asset.id)
    }

    /// Lets as many visitors see a path as it takes, and the origin answer.
    pub fn admit(&mut self, path: &str) -> AssetId {
        self.expose(path);
        self.admitted(path).unwrap_or_else(|| panic!("{path} is not admitted: {:?}", self.coordinator.counts()))
    }

    /// Lets two visitors see a path and go.
    pub fn expose(&mut self, path: &str) {
        let visitors: Vec<SessionId> = (0..2).map(|n| self.join(1_000_000 + 2 * self.next_session + n)).collect();
        for visitor in &visitors {
            self.sees(*visitor, path);
        }
        self.settle();
        for visitor in visitors {
            self.leave(visitor);
        }
    }

    /// Whether a peer may use what it knows of a path now.
    pub fn may_use(&self, session: SessionId, path: &str) -> bool {
        let url = url(path);
        self.peers[&session].assets.values().any(|(asset, until)| asset.url == url && self.now < *until)
    }

    /// How often a reason was counted.
    pub fn refusals(&self, reason: Reason) -> u64 {
        self.coordinator.counts().refusals.get(&reason).copied().unwrap_or(0)
    }

    /// Takes what a peer has heard, manifests apart.
    pub fn take_heard(&mut self, session: SessionId) -> Vec<ToPeer<'static>> {
        std::mem::take(&mut self.peers.get_mut(&session).unwrap().heard)
    }

    /// Whom a peer was told to meet since the last time: who, whether it offers, what it holds.
    pub fn take_introductions(&mut self, session: SessionId) -> Vec<(PeerId, bool, AssetSet)> {
        let introductions = |message| match message {
            ToPeer::Introduce { peer, offers, holds } => Some((peer, offers, holds)),
            _ => None,
        };
        self.take_heard(session).into_iter().filter_map(introductions).collect()
    }

    /// The reason of the last error that a peer was told.
    pub fn last_error(&self, session: SessionId) -> Option<Reason> {
        self.peers[&session].heard.iter().rev().find_map(|message| match message {
            ToPeer::Error { reason, .. } => Some(*reason),
            _ => None,
        })
    }
}

impl Peer {
    fn learn(&mut self, now: Timestamp, delta: ManifestDelta) {
        let mut whole = match self.part.take() {
            Some(mut part) => {
                assert_eq!(part.version, delta.version, "the parts of a change belong together");
                part.add.extend(delta.add);
                part.renew.extend(delta.renew);
                part.remove.extend(delta.remove);
                part.more = delta.more;
                part
            }
            None => delta,
        };
        if whole.more {
            whole.more = false;
            self.part = Some(whole);
            return;
        }
        let fits = self.version.is_some_and(|version| version.epoch == whole.version.epoch);
        assert!(whole.reset || fits, "a change of another epoch begins with a reset");
        if whole.reset {
            self.assets.clear();
        }
        for id in whole.remove {
            self.assets.remove(&id);
        }
        let until = |fresh_ms| now + Duration::from_millis(fresh_ms);
        for asset in whole.add {
            let replaced = self.assets.values().any(|(known, _)| known.url == asset.url && known.id != asset.id);
            assert!(!replaced, "{} is admitted twice", asset.url);
            let fresh_until = until(asset.fresh_ms);
            self.assets.insert(asset.id, (asset, fresh_until));
        }
        for renewal in whole.renew {
            let (_, fresh_until) = self.assets.get_mut(&renewal.id).expect("only known assets are renewed");
            *fresh_until = until(renewal.fresh_ms);
        }
        self.version = Some(whole.version);
    }
}

//! A swarm in virtual time: a coordinator, peers by session number, and an origin that plays by the script.
// Each test file uses its own part of it, and a script that cannot be played is a failure.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use edgeweave_coordinator::io::{Content, Fetched, Place};
use edgeweave_coordinator::{AdmissionRules, Coordinator, Input, Introductions, Output, SessionId, Setup};
use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::limits::MAX_TO_PEER_BYTES;
use edgeweave_protocol::manifest::{Asset, Headers, ManifestVersion, piece_count};
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{AssetId, Digest, PROTOCOL_VERSION, PeerId, Reason, Timestamp};

pub const ORIGIN: &str = "https://site.example";

/// What the origin has under a URL.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub headers: Headers,
    /// Stands for the content.
    pub flavour: u8,
    /// Another content for every request.
    pub fickle: bool,
    pub size: u64,
}

/// A static file that says nothing of freshness.
pub fn image() -> Page {
    page(&[("content-type", "image/png")])
}

pub fn page(headers: &[(&str, &str)]) -> Page {
    Page { status: 200, headers: headers_of(headers), flavour: 1, fickle: false, size: 1000 }
}

pub fn headers_of(headers: &[(&str, &str)]) -> Headers {
    headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

pub fn content(flavour: u8, size: u64) -> Content {
    let hash = Digest([flavour; 32]);
    Content { size, hash, pieces: PieceDigests(vec![hash; piece_count(size) as usize]) }
}

pub fn rules(sightings: u32) -> AdmissionRules {
    AdmissionRules { sightings, missing_after_s: 0, ..AdmissionRules::default() }
}

pub fn setup() -> Setup {
    Setup {
        site: "site".parse().unwrap(),
        origins: vec![ORIGIN.into()],
        policy: Policy { supernode: true, ..Policy::default() },
        admission: rules(1),
        introductions: Introductions::Ranked,
        seed: 7,
        unix_ms: 1_800_000_000_000,
    }
}

/// What a peer knows by what it was told.
#[derive(Debug, Default)]
pub struct Told {
    pub peer: Option<PeerId>,
    pub version: Option<ManifestVersion>,
    /// The assets, and until when each is fresh.
    pub assets: BTreeMap<AssetId, (Asset, Timestamp)>,
    pub messages: Vec<ToPeer>,
    /// What has come of a change that takes several messages.
    parts: usize,
}

/// The swarm.
pub struct Swarm {
    pub coordinator: Coordinator,
    pub now: Timestamp,
    pub origin: BTreeMap<String, Page>,
    /// The origin cannot be reached.
    pub down: bool,
    /// The fetches of the past: the URL, and whether it was conditional.
    pub fetches: Vec<(String, bool)>,
    /// What became of URLs that the operator wanted.
    pub warmed: Vec<(String, Result<(), Reason>)>,
    /// Fetches that are answered by hand.
    pub held: Option<Vec<String>>,
    pub told: BTreeMap<SessionId, Told>,
    pub closed: BTreeMap<SessionId, Reason>,
    fetch_count: u8,
}

pub fn swarm() -> Swarm {
    swarm_with(setup())
}

pub fn swarm_with(setup: Setup) -> Swarm {
    let now = Timestamp::from_millis(1000);
    Swarm {
        coordinator: Coordinator::new(now, setup),
        now,
        origin: BTreeMap::new(),
        down: false,
        fetches: Vec::new(),
        warmed: Vec::new(),
        held: None,
        told: BTreeMap::new(),
        closed: BTreeMap::new(),
        fetch_count: 0,
    }
}

pub fn url(path: &str) -> Box<str> {
    format!("{ORIGIN}{path}").into()
}

pub fn hello(visitor: u32, manifest: Option<ManifestVersion>) -> ToNode {
    ToNode::Hello {
        protocol: PROTOCOL_VERSION,
        site: "site".parse().unwrap(),
        release: "r1".into(),
        visitor,
        manifest,
        connects: true,
        shares: true,
    }
}

impl Swarm {
    pub fn serving(mut self, path: &str, page: Page) -> Self {
        self.origin.insert(url(path).into(), page);
        self
    }

    pub fn tell(&mut self, input: Input) {
        self.coordinator.handle_input(self.now, input);
        while let Some(output) = self.coordinator.poll_output() {
            match output {
                Output::Send { session, message } => self.receive(session, message),
                Output::Close { session, reason } => {
                    self.told.remove(&session);
                    self.closed.insert(session, reason);
                }
                Output::Fetch { url, validators, .. } => {
                    self.fetches.push((url.to_string(), !validators.is_empty()));
                    match &mut self.held {
                        Some(held) => held.push(url.into()),
                        None => self.answer(&url, &validators),
                    }
                }
                Output::Warmed { url, outcome } => self.warmed.push((url.into(), outcome)),
            }
        }
    }

    /// The origin answers to a fetch.
    pub fn answer(&mut self, url: &str, validators: &Headers) {
        let outcome = self.outcome(url, validators);
        // What the answer leads to is done before what was decided earlier, as may happen.
        self.tell(Input::Fetched { url: url.into(), outcome });
    }

    fn outcome(&mut self, url: &str, validators: &Headers) -> Result<Fetched, Reason> {
        self.fetch_count = self.fetch_count.wrapping_add(1);
        if self.down {
            return Err(Reason::OriginUnreachable);
        }
        let Some(page) = self.origin.get(url).cloned() else {
            return Ok(Fetched { status: 404, headers: Vec::new(), content: None });
        };
        let value = |headers: &Headers, name: &str| {
            headers.iter().find(|(key, _)| &**key == name).map(|pair| pair.1.clone())
        };
        let etag = value(&page.headers, "etag");
        if etag.is_some() && etag == value(validators, "if-none-match") {
            return Ok(Fetched { status: 304, headers: page.headers, content: None });
        }
        let flavour = if page.fickle { self.fetch_count } else { page.flavour };
        let content = matches!(page.status, 200 | 404 | 410).then(|| content(flavour, page.size));
        Ok(Fetched { status: page.status, headers: page.headers, content })
    }

    fn receive(&mut self, session: SessionId, message: ToPeer) {
        let bytes = serde_json::to_string(&message).unwrap().len();
        assert!(bytes <= MAX_TO_PEER_BYTES, "a message of {bytes} bytes");
        assert!(!self.closed.contains_key(&session), "{message:?} to a closed session");
        let now = self.now;
        let told = self.told.entry(session).or_default();
        match &message {
            ToPeer::Welcome { peer, .. } => assert!(told.peer.replace(*peer).is_none(), "welcomed twice"),
            ToPeer::Manifest(delta) => {
                assert!(told.peer.is_some(), "a manifest before the welcome");
                if delta.reset {
                    told.assets.clear();
                }
                for asset in &delta.add {
                    let fresh_until = now + Duration::from_millis(asset.fresh_ms);
                    assert!(
                        told.assets.insert(asset.id, (asset.clone(), fresh_until)).is_none(),
                        "added twice"
                    );
                }
                for renewal in &delta.renew {
                    let (_, fresh_until) = told.assets.get_mut(&renewal.id).expect("renewed, but not known");
                    *fresh_until = now + Duration::from_millis(renewal.fresh_ms);
                }
                for id in &delta.remove {
                    told.assets.remove(id);
                }
                told.parts = if delta.more { told.parts + 1 } else { 0 };
                told.version = Some(delta.version);
            }
            _ => {}
        }
        told.messages.push(message);
    }

    pub fn open(&mut self, session: SessionId) {
        self.open_at(session, Place::default());
    }

    pub fn open_at(&mut self, session: SessionId, place: Place) {
        self.closed.remove(&session);
        self.told.remove(&session);
        self.tell(Input::Opened { session, place, stun: vec!["stun:node".into()] });
    }

    /// A visitor comes, and is a peer of the swarm.
    pub fn join(&mut self, session: SessionId) -> PeerId {
        self.open(session);
        self.say(session, hello(session, None));
        self.peer(session)
    }

    pub fn join_at(&mut self, session: SessionId, place: Place) -> PeerId {
        self.open_at(session, place);
        self.say(session, hello(session, None));
        self.peer(session)
    }

    pub fn leave(&mut self, session: SessionId) {
        self.tell(Input::Closed { session });
        self.told.remove(&session);
    }

    pub fn say(&mut self, session: SessionId, message: ToNode) {
        self.tell(Input::Message { session, message });
    }

    pub fn see(&mut self, session: SessionId, paths: &[&str]) {
        self.say(
            session,
            ToNode::Seen { urls: paths.iter().map(|path| url(path)).collect(), missing: false },
        );
    }

    /// The origin has told the visitor that these are not there.
    pub fn miss(&mut self, session: SessionId, paths: &[&str]) {
        self.say(session, ToNode::Seen { urls: paths.iter().map(|path| url(path)).collect(), missing: true });
    }

    pub fn hold(&mut self, session: SessionId, assets: &[AssetId]) {
        let add = assets.iter().copied().collect();
        self.say(session, ToNode::Holdings { add, remove: Default::default() });
    }

    pub fn find(&mut self, session: SessionId, assets: &[AssetId]) {
        self.say(session, ToNode::Find { assets: assets.to_vec() });
    }

    pub fn peer(&self, session: SessionId) -> PeerId {
        self.told[&session].peer.unwrap()
    }

    /// What a peer was told since this was last asked.
    pub fn heard(&mut self, session: SessionId) -> Vec<ToPeer> {
        self.told.get_mut(&session).map(|told| std::mem::take(&mut told.messages)).unwrap_or_default()
    }

    pub fn forget_heard(&mut self) {
        self.told.values_mut().for_each(|told| told.messages.clear());
    }

    /// Peers that a peer was introduced to since messages were last looked at, and whether it is to offer.
    pub fn introductions(&mut self, session: SessionId) -> Vec<(PeerId, bool, Vec<AssetId>)> {
        let introduction = |message| match message {
            ToPeer::Introduce { peer, offers, holds } => Some((peer, offers, holds.iter().collect())),
            _ => None,
        };
        self.heard(session).into_iter().filter_map(introduction).collect()
    }

    /// The URL's asset, as the coordinator shows it.
    pub fn admitted(&self, path: &str) -> Option<Asset> {
        self.coordinator.assets(self.now).into_iter().find(|asset| *asset.url == *url(path))
    }

    /// Admits a URL and returns its index.
    pub fn admit(&mut self, session: SessionId, path: &str) -> AssetId {
        self.see(session, &[path]);
        self.admitted(path).unwrap_or_else(|| panic!("{path}: {:?}", self.coordinator.counts())).id
    }

    pub fn refusals(&self, reason: Reason) -> u64 {
        self.coordinator.counts().refusals.get(&reason).copied().unwrap_or(0)
    }

    pub fn set(&mut self, path: &str, page: Page) {
        self.origin.insert(url(path).into(), page);
    }

    /// Lets virtual time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.coordinator.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.tell(Input::Tick);
            let next = self.coordinator.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "the same deadline comes twice");
        }
        self.now = end;
    }

    /// URLs that were fetched since this was last asked.
    pub fn fetched(&mut self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.fetches)
    }

    /// Everybody's view of the manifest is the coordinator's.
    pub fn assert_all_agree(&self) {
        let truth: BTreeSet<AssetId> =
            self.coordinator.assets(self.now).into_iter().map(|asset| asset.id).collect();
        for (session, told) in &self.told {
            assert_eq!(told.assets.keys().copied().collect::<BTreeSet<_>>(), truth, "session {session}");
            assert_eq!(told.parts, 0, "a change that does not end");
        }
    }
}

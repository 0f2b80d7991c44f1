//! The node's body: it carries messages between the coordinator and the engines, and fetches from the origin.

use std::sync::LazyLock;
use std::time::Duration;

use edgeweave_coordinator::Coordinator;
use edgeweave_coordinator::io::{Fetched, Input, Output, SessionId, Setup};
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{Reason, SiteId, Timestamp};

use crate::content::Content;
use crate::dice::Dice;
use crate::event::{EngineKey, Event};
use crate::faults::Fault;
use crate::link::{SlowStart, milliseconds, transmission};
use crate::origin::{ORIGIN, Origin, is_public, mesh_lifetime};
use crate::scenario::Scenario;
use crate::simulation::{Simulation, UNIX_MS};

/// The site's name.
#[expect(clippy::expect_used, reason = "the name is one")]
pub(crate) static SITE: LazyLock<SiteId> = LazyLock::new(|| "site".parse().expect("a site's name"));

/// The stream of the coordinator's seed.
const COORDINATOR: u64 = 0xc0;

/// From the node to the origin and back, where no network is given: they are in one data centre.
const TO_ORIGIN: Duration = Duration::from_millis(2);

/// What the node fetches over, in bytes a second.
const FETCH_RATE: u64 = 125_000_000;

/// A node.
pub(crate) struct Node {
    coordinator: Coordinator,
    /// Whose each session is; `None` for one that has hung up.
    sessions: Vec<Option<EngineKey>>,
    free: Vec<SessionId>,
    tick_at: Option<Timestamp>,
    crashes: u64,
}

impl Node {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            coordinator: Self::coordinator(Timestamp::ZERO, scenario, 0),
            sessions: Vec::new(),
            free: Vec::new(),
            tick_at: None,
            crashes: 0,
        }
    }

    fn coordinator(now: Timestamp, scenario: &Scenario, crashes: u64) -> Coordinator {
        let setup = Setup {
            site: SITE.clone(),
            origins: vec![ORIGIN.into()],
            policy: Policy { supernode: !scenario.supernodes.is_empty(), ..scenario.policy.clone() },
            admission: scenario.admission.clone(),
            introductions: scenario.introductions,
            seed: Dice::new(scenario.seed, &[COORDINATOR, crashes]).u64(),
            unix_ms: UNIX_MS,
        };
        Coordinator::new(now, setup)
    }

    /// Another node takes the place of one that has crashed; returns the engines that have lost their connection. What
    /// is on its way to the earlier one arrives at nobody: its sessions' numbers are not used again.
    pub(crate) fn begin_anew(&mut self, now: Timestamp, scenario: &Scenario) -> Vec<EngineKey> {
        self.crashes += 1;
        self.coordinator = Self::coordinator(now, scenario, self.crashes);
        self.free.clear();
        self.tick_at = None;
        self.sessions.iter_mut().filter_map(Option::take).collect()
    }

    /// Gives an engine's connection a number.
    pub(crate) fn open(&mut self, engine: EngineKey) -> SessionId {
        let session = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() as SessionId - 1
        });
        self.sessions[session as usize] = Some(engine);
        session
    }

    /// The engine has closed its connection; the node has yet to notice.
    pub(crate) fn hang_up(&mut self, session: SessionId) {
        if let Some(engine) = self.sessions.get_mut(session as usize) {
            *engine = None;
        }
    }
}

impl Simulation {
    /// The operator has everything admitted.
    pub(crate) fn warm(&mut self) {
        for asset in 0..self.site.assets.len() as u32 {
            self.tell_node(Input::Warm { url: self.origin.url(asset).into() });
        }
    }

    pub(crate) fn node_hears(&mut self, session: SessionId, message: ToNode) {
        self.tell_node(Input::Message { session, message });
    }

    pub(crate) fn node_loses(&mut self, session: SessionId) {
        self.tell_node(Input::Closed { session });
        self.node.free.push(session);
    }

    pub(crate) fn node_fetched(&mut self, url: Box<str>, outcome: Result<Fetched, Reason>) {
        if let (Ok(Fetched { content: Some(content), .. }), Some(asset)) = (&outcome, Origin::asset(&url)) {
            let caching = self.site.assets[asset as usize].caching;
            if is_public(caching) {
                let version = Content::of(content.hash).version;
                self.supernodes.read_by_node(asset, version, self.now() + mesh_lifetime(caching));
            }
        }
        self.tell_node(Input::Fetched { url, outcome });
    }

    pub(crate) fn node_tick(&mut self) {
        if self.node.tick_at.is_some_and(|at| at <= self.now()) {
            self.node.tick_at = None;
            self.tell_node(Input::Tick);
        }
    }

    /// Tells the coordinator something, and does what it says.
    pub(crate) fn tell_node(&mut self, input: Input) {
        let now = self.now();
        self.node.coordinator.handle_input(now, input);
        while let Some(output) = self.node.coordinator.poll_output() {
            self.act_for_node(output);
        }
        if let Some(at) = self.node.coordinator.poll_timeout()
            && self.node.tick_at.is_none_or(|planned| at < planned)
        {
            self.node.tick_at = Some(at);
            self.queue.plan(at, Event::NodeTick);
        }
    }

    fn act_for_node(&mut self, output: Output) {
        let now = self.now();
        match output {
            Output::Send { session, message } => self.send_to_peer(session, message),
            Output::Close { session, reason } => {
                self.figures.dismissed(reason);
                let engine = self.node.sessions.get_mut(session as usize).and_then(Option::take);
                if let Some(engine) = engine {
                    self.socket_closes(engine);
                    self.node.free.push(session);
                }
            }
            Output::Fetch { url, validators, .. } => {
                let outcome = if self.is_on(Fault::FailingOrigin) {
                    Err(Reason::OriginUnreachable)
                } else {
                    self.origin.answer(now, &self.site, &url, &validators, self.scenario.planted)
                };
                let bytes = outcome
                    .as_ref()
                    .ok()
                    .and_then(|fetched| fetched.content.as_ref())
                    .map_or(0, |content| content.size);
                self.figures.fetched_by_node(bytes);
                let there_and_back = match &self.scenario.network {
                    Some(network) => {
                        let round_trip = milliseconds(network.origin_ms);
                        round_trip * network.http.setup_round_trips() + SlowStart::takes(bytes, round_trip)
                    }
                    None => TO_ORIGIN,
                };
                let at = now + there_and_back + self.origin_delay() + transmission(bytes, FETCH_RATE);
                self.queue.plan(at, Event::NodeFetched { url, outcome: Box::new(outcome) });
            }
            // What is refused is learnt of from visitors, if at all.
            Output::Warmed { .. } => {}
        }
    }

    fn send_to_peer(&mut self, session: SessionId, message: ToPeer) {
        let Some(engine) = self.node.sessions.get(session as usize).copied().flatten() else { return };
        let Some(visitor) = self.visitors.get(engine.visitor) else { return };
        let at = self.now() + self.round_trip_to_node(visitor) / 2 + self.node_delay();
        let Some(part) = self.part(engine) else { return };
        part.last_heard = part.last_heard.max(at);
        let at = part.last_heard;
        self.queue.plan(at, Event::PeerHears(engine, Box::new(message)));
    }
}

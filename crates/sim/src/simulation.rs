//! The simulated world: everything that there is, and who deals with each event.

use std::collections::BTreeMap;
use std::time::Duration;

use edgeweave_protocol::{PeerId, Timestamp};

use crate::browser::Browser;
use crate::dice::Dice;
use crate::event::{Arm, EngineKey, Event, Server};
use crate::faults::Fault;
use crate::figures::Figures;
use crate::laws::Laws;
use crate::link::milliseconds;
use crate::node::Node;
use crate::origin::Origin;
use crate::plan::{self, Planned};
use crate::queue::Queue;
use crate::scenario::{Scenario, ScenarioError};
use crate::slab::{Key, Slab};
use crate::supernode::Supernodes;
use crate::visitor::{Client, Remains, Visitor};
use crate::world::World;
use crate::world::site::Site;
use crate::world::visits::EXPECTED_LOAD_US;

/// The wall clock at the start, in milliseconds since 1970: a Monday, 00:00 UTC.
pub(crate) const UNIX_MS: u64 = 1_799_971_200_000;

/// Networks are in the order of their visitors.
const LARGEST_NETWORK: usize = 0;

/// How long a visitor takes for a page to come, before it is looked at.
const EXPECTED_LOAD: Duration = Duration::from_micros(EXPECTED_LOAD_US);

/// The simulated world.
pub(crate) struct Simulation {
    pub(crate) scenario: Scenario,
    pub(crate) world: World,
    pub(crate) site: Site,
    pub(crate) origin: Origin,
    /// A network in the origin's country.
    pub(crate) origin_network: usize,
    pub(crate) queue: Queue<Event>,
    pub(crate) visitors: Slab<Visitor>,
    pub(crate) node: Node,
    pub(crate) supernodes: Supernodes,
    /// Which engine has which identity.
    pub(crate) peers: BTreeMap<PeerId, EngineKey>,
    pub(crate) figures: Figures,
    pub(crate) laws: Laws,
    pub(crate) dice: Dice,
    plan: Vec<Planned>,
    next_visit: usize,
    remains: BTreeMap<u32, Remains>,
}

impl Simulation {
    pub(crate) fn new(scenario: Scenario) -> Result<Self, ScenarioError> {
        scenario.check()?;
        let (world, mut site) = plan::setting(&scenario)?;
        if scenario.faults.contains(&Fault::ChangingOrigin) {
            Self::make_changeable(&mut site);
        }
        let country =
            world.countries.iter().position(|country| country.code == scenario.origin_country.as_bytes());
        let origin_network = world
            .networks
            .iter()
            .position(|network| Some(network.country) == country)
            .unwrap_or(LARGEST_NETWORK);
        let plan = plan::draw(&world, &site, &scenario);
        let mut simulation = Self {
            origin: Origin::new(&site, UNIX_MS),
            origin_network,
            queue: Queue::new(),
            visitors: Slab::new(),
            node: Node::new(&scenario),
            supernodes: Supernodes::new(&world, &scenario.supernodes, origin_network),
            peers: BTreeMap::new(),
            figures: Figures::default(),
            laws: Laws::default(),
            dice: Dice::new(scenario.seed, &[0xd1ce]),
            plan,
            next_visit: 0,
            remains: BTreeMap::new(),
            scenario,
            world,
            site,
        };
        if simulation.scenario.warmed {
            simulation.warm();
        }
        if simulation.scenario.native_peer {
            simulation.start_native_peer();
        }
        simulation.plan_visit();
        simulation.plan_crash();
        Ok(simulation)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.queue.now()
    }

    /// Milliseconds since 1970.
    pub(crate) fn unix_ms(&self) -> u64 {
        UNIX_MS + self.now().as_micros() / 1000
    }

    /// Lets the next event happen; false when there is none.
    pub(crate) fn step(&mut self) -> bool {
        self.step_telling(|_, _| ())
    }

    /// The same, and says what happens before it does.
    pub(crate) fn step_telling(&mut self, tell: impl FnOnce(Timestamp, &Event)) -> bool {
        if self.only_the_native_peer_is_left() {
            return false;
        }
        let Some(event) = self.queue.take() else { return false };
        tell(self.queue.now(), &event);
        self.laws.event = self.queue.taken();
        self.figures.clock(self.queue.now());
        match event {
            Event::Visit => self.visit(),
            Event::NextView { visitor } => self.next_view(visitor),
            Event::Pointed { visitor } => self.pointed(visitor),
            Event::Pump { visitor, arm, server } => self.pump(visitor, arm, server),
            Event::Answered { visitor, arm, server, request } => match server {
                Server::Origin => self.answered_by_origin(visitor, arm, request),
                Server::Supernode => self.answered_by_supernode(visitor, request),
            },
            Event::SupernodeFails { visitor, request } => self.supernode_fails(visitor, request),
            Event::AnsweredLocally { visitor, arm, request } => self.answered(visitor, arm, request),
            Event::DocumentGrew { visitor, arm, load, bytes } => {
                self.document_grew(visitor, arm, load, bytes);
            }
            Event::Processed { visitor, arm, load } => self.processed(visitor, arm, load),
            Event::PassedOn { visitor, request } => self.ask_browser(visitor, Arm::Holdout, request),
            Event::Dispatch { visitor, request } => self.dispatch(visitor, request),
            Event::WorkerIsAlone { visitor } => self.ask_ahead(visitor),
            Event::EngineStarts(key) => self.engine_starts(key),
            Event::Tick(key) => self.tick(key),
            Event::SocketOpened(key) => self.socket_opened(key),
            Event::PeerHears(key, message) => self.peer_hears(key, *message),
            Event::NodeHears { session, message } => self.node_hears(session, *message),
            Event::NodeLoses { session } => self.node_loses(session),
            Event::NodeFetched { url, outcome } => self.node_fetched(url, *outcome),
            Event::NodeTick => self.node_tick(),
            Event::NodeCrashes => self.node_crashes(),
            Event::DiskAnswers(key, input) => {
                if self.part(key).is_some() {
                    self.tell(key.visitor, *input);
                }
            }
            Event::ChannelOpens(a, b) => self.channel_opens(a, b),
            Event::ChannelCloses(key, peer) => self.channel_closes(key, peer),
            Event::PieceLeaves(key, peer, piece) => self.piece_leaves(key, peer, *piece),
            Event::FrameArrives(key, peer, frame) => self.frame_arrives(key, peer, *frame),
        }
        true
    }

    /// How much of the plan has come, from 0 to 1.
    pub(crate) fn progress(&self) -> f64 {
        self.next_visit as f64 / self.plan.len().max(1) as f64
    }

    /// It would stay for ever.
    fn only_the_native_peer_is_left(&self) -> bool {
        self.scenario.native_peer && self.next_visit == self.plan.len() && self.visitors.len() == 1
    }

    fn plan_visit(&mut self) {
        if let Some(planned) = self.plan.get(self.next_visit) {
            self.queue.plan(planned.at, Event::Visit);
        }
    }

    fn visit(&mut self) {
        let visit = self.next_visit;
        let Some(planned) = self.plan.get(visit).copied() else { return };
        self.next_visit += 1;
        self.plan_visit();
        let person = self.world.draw_person(self.scenario.seed, planned.visitor.into());
        let session = plan::session(&self.world, &self.site, &self.scenario, &planned);
        let Some(session) = session else { return };
        if planned.session == 0 {
            self.figures.visitors += 1;
        }
        self.figures.seen(person.network, person.country);
        let remains = self.remains.remove(&planned.visitor).unwrap_or_default();
        let visitor = Visitor {
            holdout: Browser::new(&person.access, remains.holdout, self.scenario.network.as_ref()),
            mesh: Browser::new(&person.access, remains.mesh, self.scenario.network.as_ref()),
            client: Client { kept: remains.kept, ..Client::default() },
            planned,
            person,
            session,
            next_view: 0,
            visit,
            is_native: false,
        };
        let key = self.visitors.insert(visitor);
        self.next_view(key);
    }

    /// The visitor leaves the page, and goes to the next or away.
    fn next_view(&mut self, key: Key) {
        self.leave_page(key);
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let Some(view) = visitor.session.views.get(visitor.next_view) else { return self.leave_site(key) };
        let network = visitor.person.network;
        let (page, dwell) = (view.page, Duration::from_micros(view.dwell_us));
        let first_ever = visitor.planned.session == 0 && visitor.next_view == 0;
        visitor.next_view += 1;
        self.queue.plan(now + EXPECTED_LOAD + dwell, Event::NextView { visitor: key });
        self.plan_pointing(key, EXPECTED_LOAD + dwell);
        self.figures.viewed(network);
        self.begin_page(key, Arm::Holdout, page, first_ever);
        self.begin_page(key, Arm::Mesh, page, first_ever);
    }

    fn leave_page(&mut self, key: Key) {
        self.end_page(key, Arm::Holdout);
        self.end_page(key, Arm::Mesh);
        self.count_view(key);
        self.leave_engine(key);
    }

    fn leave_site(&mut self, key: Key) {
        let Some(visitor) = self.visitors.remove(key) else { return };
        if visitor.planned.returns {
            let remains = Remains {
                holdout: visitor.holdout.http_cache,
                mesh: visitor.mesh.http_cache,
                kept: visitor.client.kept,
            };
            self.remains.insert(visitor.planned.visitor, remains);
        }
    }

    /// Round trips until a connection that is not open yet brings its first byte: an answer's, or a WebSocket's.
    pub(crate) fn cold_round_trips(&self) -> u32 {
        self.scenario.http().setup_round_trips() + 1
    }

    /// From a visitor to the origin, and back.
    pub(crate) fn round_trip_to_origin(&self, visitor: &Visitor) -> Duration {
        match &self.scenario.network {
            Some(network) => milliseconds(network.origin_ms),
            None => self.round_trip_to_data_centre(visitor),
        }
    }

    /// From a visitor to the node, and back.
    pub(crate) fn round_trip_to_node(&self, visitor: &Visitor) -> Duration {
        match &self.scenario.network {
            _ if visitor.is_native => Duration::ZERO,
            Some(network) => milliseconds(network.node_ms),
            None => self.round_trip_to_data_centre(visitor),
        }
    }

    /// In the world, the origin and the node are in one place.
    fn round_trip_to_data_centre(&self, visitor: &Visitor) -> Duration {
        let edge = self.world.round_trip_us(visitor.person.network, self.origin_network);
        Duration::from_micros(2 * visitor.person.access.latency_us + edge)
    }

    /// From one visitor to another, and back.
    pub(crate) fn round_trip_between(&self, a: &Visitor, b: &Visitor) -> Duration {
        if a.is_native || b.is_native {
            return self.round_trip_to_node(if a.is_native { b } else { a });
        }
        let edge = self.world.round_trip_us(a.person.network, b.person.network);
        Duration::from_micros(2 * (a.person.access.latency_us + b.person.access.latency_us) + edge)
    }
}

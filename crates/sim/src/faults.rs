//! What goes wrong in the simulated world, and when. Faults that last are on at certain times of a scenario, which
//! depend on nothing else; those that strike are drawn.

use std::collections::BTreeSet;
use std::time::Duration;

use edgeweave_engine::Input;
use edgeweave_protocol::frame::Frame;
use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::{AssetId, AssetSet, PeerId};
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::event::{self, EngineKey, Event};
use crate::link::Roughness;
use crate::simulation::Simulation;
use crate::slab::Key;
use crate::visitor::{Client, Visitor};
use crate::world::site::{Caching, Site};

/// The stream of who is hostile, and how.
const MANNERS: u64 = 0xe71;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Pages end without a word: one in ten.
    Churn,
    /// Packets between peers are lost, one by one and in bursts, and sent again.
    Loss,
    /// One in ten channels opens on one side only.
    OneWay,
    /// At times half of the networks do not reach the other half, except for the origin and the node.
    Partitions,
    /// The node crashes at times, and begins anew with nothing.
    NodeCrashes,
    /// At times the node answers seconds late.
    Overload,
    /// Clocks of visitors are wrong, and are set from time to time.
    ClockSteps,
    /// Browsers clear away some or all of what is stored.
    Eviction,
    /// Storage takes up to three seconds.
    SlowDisks,
    /// Peers that send wrong bytes, claim what they do not have, send nothing, or ask for everything.
    HostilePeers,
    /// At times the origin takes two seconds longer, for everybody.
    SlowOrigin,
    /// At times the node's fetches fail.
    FailingOrigin,
    /// What may change does so every few minutes, also while it is transferred.
    ChangingOrigin,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 13] = [
        Self::Churn,
        Self::Loss,
        Self::OneWay,
        Self::Partitions,
        Self::NodeCrashes,
        Self::Overload,
        Self::ClockSteps,
        Self::Eviction,
        Self::SlowDisks,
        Self::HostilePeers,
        Self::SlowOrigin,
        Self::FailingOrigin,
        Self::ChangingOrigin,
    ];

    /// Reads `none`, `all`, or names with commas between them.
    ///
    /// # Errors
    /// Names what is no fault, and what would be one.
    pub fn parse_list(text: &str) -> Result<BTreeSet<Self>, String> {
        let fault = |name: &str| {
            Self::deserialize(StrDeserializer::<serde::de::value::Error>::new(name.trim()))
                .map_err(|error| error.to_string())
        };
        match text {
            "none" => Ok(BTreeSet::new()),
            "all" => Ok(Self::ALL.into()),
            names => names.split(',').map(fault).collect(),
        }
    }

    /// When a lasting fault is on: the length of a cycle, and of its part at the end.
    fn cycle(self) -> Option<(Duration, Duration)> {
        let minutes =
            |cycle: u64, on: u64| Some((Duration::from_secs(60 * cycle), Duration::from_secs(60 * on)));
        match self {
            Self::Partitions => minutes(11, 2),
            Self::Overload => minutes(7, 1),
            Self::SlowOrigin => minutes(13, 2),
            Self::FailingOrigin => minutes(17, 3),
            _ => None,
        }
    }
}

/// What kind of peer a visitor's browser is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    #[default]
    Honest,
    /// Sends other bytes than it should.
    Corrupt,
    /// Says that it holds everything.
    Lying,
    /// Sends nothing of what it is asked for.
    Silent,
    /// Asks everybody for everything.
    Greedy,
}

/// Pages that end without a word, of all.
const VANISH: f64 = 0.1;

/// After so long a node gives up a connection from which nothing comes.
const NODE_NOTICES: Duration = Duration::from_secs(30);

/// How often the node crashes. The next one is there at once.
const CRASH_EVERY: Duration = Duration::from_secs(19 * 60);

/// By how much messages are late at an overloaded node, and answers from a slow origin.
const OVERLOADED_BY: Duration = Duration::from_secs(4);
const SLOWER_BY: Duration = Duration::from_secs(2);

/// A frame of 60 kB is 50 packets: at one loss in a hundred, four in ten lose one, and wait a round trip for it.
const FRAME_LOSES: f64 = 0.4;

/// Each of a frame's 50 packets can be lost on the sender's access, and on the receiver's.
const PACKETS_AT_RISK: f64 = 100.0;

/// A burst takes the repetition as well: one in fifty waits for SCTP's first timeout (RFC 9260, section 16).
const BURST: f64 = 0.02;
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);

/// Channels that open on one side only.
const ONE_WAY: f64 = 0.1;

/// Storage operations that take long, and how long at most.
const SLOW_SHARE: f64 = 0.3;
const SLOW_MOST_US: u64 = 3_000_000;

/// Browsers that clear everything, and those that clear half, at each page.
const CLEARED: f64 = 0.05;

/// Clocks that are set at each page, and by how much at most, either way.
const CLOCK_SET: f64 = 0.1;
const CLOCK_OFF_MS: u64 = 24 * 3_600_000;

/// What changes, changes this often.
const CHANGES_EVERY_US: u64 = 7 * 60 * 1_000_000;

/// Assets that a greedy peer asks for, and a lying one claims.
const EVERYTHING: u32 = 64;

impl Simulation {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.scenario.faults.contains(&fault)
    }

    /// Whether a lasting fault is on now.
    pub(crate) fn is_on(&self, fault: Fault) -> bool {
        let now = self.now().as_micros();
        self.has(fault)
            && fault.cycle().is_some_and(|(cycle, on)| {
                let (cycle, on) = (cycle.as_micros() as u64, on.as_micros() as u64);
                now % cycle >= cycle - on
            })
    }

    /// Whether something strikes that happens with a chance.
    pub(crate) fn strikes(&mut self, fault: Fault, chance: f64) -> bool {
        self.has(fault) && self.dice.chance(chance)
    }

    /// What kind of peer a visitor is.
    pub(crate) fn manner_of(&self, visitor: u32) -> Manner {
        let mut dice = Dice::new(self.scenario.seed, &[MANNERS, visitor.into()]);
        if !self.has(Fault::HostilePeers) || !dice.chance(self.scenario.hostile_share) {
            return Manner::Honest;
        }
        [Manner::Corrupt, Manner::Lying, Manner::Silent, Manner::Greedy][dice.below(4) as usize]
    }

    /// Makes the site's changeable assets change often.
    pub(crate) fn make_changeable(site: &mut Site) {
        for asset in &mut site.assets {
            if matches!(asset.caching, Caching::MaxAge { .. } | Caching::Unsaid) {
                let often =
                    asset.changes_every_us.map_or(CHANGES_EVERY_US, |period| period.min(CHANGES_EVERY_US));
                asset.changes_every_us = Some(often);
            }
        }
    }

    /// The page is left: usually in good order.
    pub(crate) fn leave_engine(&mut self, key: Key) {
        if !self.strikes(Fault::Churn, VANISH) {
            return self.engine_stops(key);
        }
        let Some(part) = self.take_page_part(key) else { return };
        self.laws.page_vanished(key);
        if let Some(session) = part.session {
            self.node.hang_up(session);
            self.queue.plan(self.queue.now() + NODE_NOTICES, Event::NodeLoses { session });
        }
    }

    /// Plans the node's next crash, while people come.
    pub(crate) fn plan_crash(&mut self) {
        if self.has(Fault::NodeCrashes) && self.progress() < 1.0 {
            self.queue.plan(self.now() + CRASH_EVERY, Event::NodeCrashes);
        }
    }

    /// The node is gone, and another begins with nothing.
    pub(crate) fn node_crashes(&mut self) {
        let engines = self.node.begin_anew(self.queue.now(), &self.scenario);
        engines.into_iter().for_each(|engine| self.socket_closes(engine));
        self.plan_crash();
    }

    /// How much later than usual something arrives at the node, or leaves it.
    pub(crate) fn node_delay(&self) -> Duration {
        if self.is_on(Fault::Overload) { OVERLOADED_BY } else { Duration::ZERO }
    }

    /// How much longer than usual the origin takes.
    pub(crate) fn origin_delay(&self) -> Duration {
        if self.is_on(Fault::SlowOrigin) { SLOWER_BY } else { Duration::ZERO }
    }

    /// Whether nothing gets from one visitor to another now.
    pub(crate) fn is_apart(&self, a: Key, b: Key) -> bool {
        // A given network is one, and its visitors have addresses of their own.
        let is_given = self.scenario.network.is_some();
        let side = |visitor: &Visitor| match is_given {
            true => visitor.person.household % 2,
            false => visitor.person.network as u64 % 2,
        };
        let half = |key: Key| self.visitors.get(key).map(side);
        self.is_on(Fault::Partitions) && half(a) != half(b)
    }

    /// How much later than usual a frame arrives because of packets that were lost, or of what a given network does.
    pub(crate) fn retransmission(&mut self, round_trip: Duration) -> Duration {
        if !self.has(Fault::Loss) {
            let Some(network) = &self.scenario.network else { return Duration::ZERO };
            let Roughness { jitter, loss } = network.roughness();
            let is_lost = loss > 0.0 && self.dice.chance(1.0 - libm::pow(1.0 - loss, PACKETS_AT_RISK));
            return jitter + if is_lost { round_trip } else { Duration::ZERO };
        }
        let drawn = self.dice.unit();
        if drawn < BURST {
            FIRST_TIMEOUT + round_trip
        } else if drawn < FRAME_LOSES {
            round_trip
        } else {
            Duration::ZERO
        }
    }

    /// Which of two sides notices that their channel is open.
    pub(crate) fn sides_that_open(&mut self) -> [bool; 2] {
        if self.strikes(Fault::OneWay, ONE_WAY) { [true, false] } else { [true, true] }
    }

    /// Before an engine starts: the browser may have cleared away what was stored, and the clock may have been set.
    pub(crate) fn disturb(&mut self, key: Key) {
        let (all, half) = (self.strikes(Fault::Eviction, CLEARED), self.strikes(Fault::Eviction, CLEARED));
        let set = self.strikes(Fault::ClockSteps, CLOCK_SET).then(|| self.dice.below(2 * CLOCK_OFF_MS));
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let Client { kept, clock_ms, .. } = &mut visitor.client;
        if all {
            kept.stored.clear();
        } else if half {
            let mut odd = false;
            kept.stored.retain(|_| {
                odd = !odd;
                odd
            });
        }
        if let Some(drawn) = set {
            *clock_ms = drawn as i64 - CLOCK_OFF_MS as i64;
        }
    }

    /// Tells an engine what its storage has done: at once, or when a slow disk is ready.
    pub(crate) fn disk_answers(&mut self, key: EngineKey, input: Input) -> Option<Input> {
        if !self.strikes(Fault::SlowDisks, SLOW_SHARE) {
            return Some(input);
        }
        let at = self.queue.now() + Duration::from_micros(self.dice.below(SLOW_MOST_US));
        self.queue.plan(at, Event::DiskAnswers(key, Box::new(input)));
        None
    }

    /// What a hostile peer does to a piece that it is to send; nothing is left where it sends none.
    pub(crate) fn tamper(&self, manner: Manner, mut frame: event::Frame) -> Option<event::Frame> {
        match manner {
            Manner::Silent => None,
            Manner::Corrupt => {
                if let Some((token, _)) = &mut frame.payload {
                    token.corrupt = true;
                }
                Some(frame)
            }
            _ => Some(frame),
        }
    }

    /// What a hostile peer says to the node instead.
    pub(crate) fn lie(&self, manner: Manner, message: ToNode) -> ToNode {
        match message {
            ToNode::Holdings { remove, .. } if manner == Manner::Lying => {
                ToNode::Holdings { add: everything(), remove }
            }
            message => message,
        }
    }

    /// What a hostile peer sends as soon as it can.
    pub(crate) fn harass(&mut self, key: EngineKey, peer: PeerId) {
        let Some(visitor) = self.visitors.get(key.visitor) else { return };
        let manner = self.manner_of(visitor.planned.visitor);
        let Some(epoch) = visitor.client.epoch else { return };
        let frames: Vec<Frame> = match manner {
            Manner::Greedy => {
                let ask = |asset| Frame::Ask {
                    transfer: 1 << 20 | asset,
                    epoch,
                    asset: AssetId(asset),
                    first: 0,
                    count: 16,
                };
                (0..EVERYTHING).map(ask).collect()
            }
            Manner::Lying => vec![Frame::Have { epoch, assets: everything() }],
            _ => Vec::new(),
        };
        for frame in frames {
            self.send_raw(key, peer, event::Frame { header: frame.encode(), payload: None });
        }
    }
}

fn everything() -> AssetSet {
    (0..EVERYTHING).map(AssetId).collect()
}

/// A visitor's wall clock, in milliseconds since 1970.
pub(crate) fn wall_clock(unix_ms: u64, client: &Client) -> u64 {
    unix_ms.saturating_add_signed(client.clock_ms)
}

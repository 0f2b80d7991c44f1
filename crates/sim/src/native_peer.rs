//! The operator's own peer, which is a part of the node: an engine that holds whatever is admitted and gives it over data
//! channels, as `crates/supernode` runs it. To visitors it is a neighbour like any other.

use edgeweave_engine::io::{Circumstances, Shelf, ShelfAsset};
use edgeweave_engine::{Engine, Input, Operated, Setup};
use edgeweave_protocol::Timestamp;
use edgeweave_protocol::manifest::segment_count;

use crate::browser::{Browser, HttpCache};
use crate::event::EngineKey;
use crate::faults::Manner;
use crate::node::SITE;
use crate::plan::Planned;
use crate::simulation::{Simulation, UNIX_MS};
use crate::slab::Key;
use crate::supernode;
use crate::visitor::{Client, PagePart, Visitor};
use crate::world::Nat;
use crate::world::access::{Access, AccessKind};
use crate::world::person::{BrowserKind, Device, Form, Person};
use crate::world::visits::Session;

/// As `edgeweave supernode` runs it when nothing else is said.
pub(crate) const OPERATED: Operated =
    Operated { cache_bytes: 10 << 30, upload_bytes_per_second: None, neighbours: 256 };

impl Simulation {
    /// Lets it join the swarm.
    pub(crate) fn start_native_peer(&mut self) {
        let person = person(self.origin_network, self.world.networks[self.origin_network].country);
        let browser = || Browser::new(&person.access, HttpCache::default(), self.scenario.network.as_ref());
        let key = self.visitors.insert(Visitor {
            holdout: browser(),
            mesh: browser(),
            client: Client::default(),
            planned: Planned { at: Timestamp::ZERO, visitor: u32::MAX, session: 0, returns: false },
            session: Session { starts_us: 0, views: Vec::new() },
            next_view: 0,
            visit: usize::MAX,
            is_native: true,
            person,
        });
        let now = self.now();
        let setup = Setup {
            site: SITE.clone(),
            release: "simulated".into(),
            seed: self.dice.u64(),
            unix_ms: UNIX_MS,
            state: None,
            held: Vec::new(),
        };
        if let Some(visitor) = self.visitors.get_mut(key) {
            let part = PagePart::new(
                now,
                EngineKey { visitor: key, load: 0 },
                Engine::new(now, setup),
                Manner::Honest,
            );
            visitor.client.page_part = Some(Box::new(part));
        }
        self.tell(key, Input::Circumstances(Circumstances::default()));
    }

    /// Everything that is admitted comes to be held: the node has it on the same disk.
    pub(crate) fn native_peer_keeps(&mut self, key: Key, shelf: &Shelf) -> Vec<Input> {
        let Some(visitor) = self.visitors.get_mut(key).filter(|visitor| visitor.is_native) else {
            return Vec::new();
        };
        let stored = &mut visitor.client.kept.stored;
        let segments =
            |asset: ShelfAsset| (0..segment_count(asset.size)).map(move |segment| (asset.hash, segment));
        let lacking = shelf.assets.iter().flat_map(segments).filter(|segment| stored.insert(*segment));
        lacking.map(|(hash, segment)| Input::Stored { hash, segment }).collect()
    }
}

/// What the rest of the world takes it for.
fn person(network: usize, country: usize) -> Person {
    Person {
        network,
        country,
        access: Access {
            kind: AccessKind::Fibre,
            down: supernode::BYTES_PER_S,
            up: supernode::BYTES_PER_S,
            latency_us: 0,
            loss: 0.0,
        },
        device: Device {
            form: Form::Desktop,
            browser: BrowserKind::Other,
            slowness: 1.0,
            webrtc: true,
            service_worker: true,
            saves_data: false,
            worker_start_us: 0,
        },
        nat: Nat::Open,
        household: u64::MAX,
    }
}

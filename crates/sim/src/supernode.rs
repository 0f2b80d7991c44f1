//! Supernodes: they stand in several countries, hold the contents of admitted assets, and give them by their names.
//! Names lead each visitor to the nearest.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use edgeweave_engine::Input;
use edgeweave_protocol::manifest::segment_count;
use edgeweave_protocol::{Digest, Timestamp};

use crate::browser::RequestKey;
use crate::content::Content;
use crate::event::{Arm, Event, Server};
use crate::http1::Ask;
use crate::origin::{Origin, is_public, mesh_lifetime};
use crate::page;
use crate::simulation::Simulation;
use crate::slab::Key;
use crate::world::World;

/// What a supernode takes to find a file.
const THINK: Duration = Duration::from_millis(1);

/// What a supernode sends to one visitor at most, in bytes a second: a gigabit.
pub(crate) const BYTES_PER_S: u64 = 125_000_000;

/// Larger contents are left to the origin, as the worker does.
const SIZE_MOST: u32 = 8 << 20;

/// All supernodes.
#[derive(Debug)]
pub(crate) struct Supernodes {
    /// The nearest to each network, and the round trip to its edge.
    nearest: Vec<Option<(usize, u64)>>,
    /// What each holds: which version, and until when that is known to be the origin's.
    held: Vec<BTreeMap<u32, (u32, Timestamp)>>,
    /// The one that is the node's own: what the node fetches anyway is kept there as it streams by.
    at_node: Option<usize>,
}

impl Supernodes {
    /// One in the largest network of each of these countries.
    pub(crate) fn new(world: &World, countries: &[String], node_network: usize) -> Self {
        if world.given.is_some() && !countries.is_empty() {
            // In a given network there is one, which is a part of the node.
            return Self { nearest: vec![Some((0, 0))], held: vec![BTreeMap::new()], at_node: Some(0) };
        }
        let place =
            |code: &String| world.countries.iter().position(|country| country.code == code.as_bytes());
        let of = |country: usize| world.networks.iter().position(|network| network.country == country);
        let networks: Vec<usize> = countries.iter().filter_map(|code| of(place(code)?)).collect();
        let nearest = |network: usize| {
            let distances = networks.iter().map(|there| world.round_trip_us(network, *there));
            distances.enumerate().min_by_key(|(_, round_trip)| *round_trip)
        };
        let nearest = (0..world.networks.len()).map(nearest).collect();
        let at_node = networks.iter().position(|network| *network == node_network);
        Self { nearest, held: vec![BTreeMap::new(); networks.len()], at_node }
    }

    /// The node has read a version of an asset, which is known to be the origin's until some time.
    pub(crate) fn read_by_node(&mut self, asset: u32, version: u32, until: Timestamp) {
        if let Some(place) = self.at_node {
            self.held[place].insert(asset, (version, until));
        }
    }

    /// The nearest to a network, and the round trip to its edge.
    pub(crate) fn nearest(&self, network: usize) -> Option<(usize, u64)> {
        self.nearest.get(network).copied().flatten()
    }
}

impl Simulation {
    /// From a visitor to the nearest supernode, and back.
    pub(crate) fn round_trip_to_supernode(&self, key: Key) -> Option<Duration> {
        let visitor = self.visitors.get(key)?;
        let person = &visitor.person;
        let (_, edge) = self.supernodes.nearest(person.network)?;
        if self.scenario.network.is_some() {
            return Some(self.round_trip_to_node(visitor));
        }
        Some(Duration::from_micros(2 * person.access.latency_us + edge))
    }

    /// The rungs below neighbours: the supernode where the engine says that it is quicker, or the browser's own way.
    pub(crate) fn ask_without_peers(&mut self, key: Key, request: RequestKey) {
        let asked = self.visitors.get_mut(key).and_then(|visitor| visitor.mesh.load.asked(request));
        if asked.is_none_or(|asked| std::mem::replace(&mut asked.next_rung_asked, true)) {
            // It was begun beside the mesh.
            return;
        }
        if !self.ask_supernode(key, request) {
            self.ask_browser(key, Arm::Mesh, request);
        }
    }

    /// The supernode has not what was asked of it, or is not there.
    pub(crate) fn supernode_fails(&mut self, key: Key, request: RequestKey) {
        let asked = self.visitors.get_mut(key).and_then(|visitor| visitor.mesh.load.asked(request));
        // Unless the mesh has begun to answer meanwhile.
        if asked.is_some_and(|asked| asked.next_rung_asked) {
            self.ask_browser(key, Arm::Mesh, request);
        }
    }

    /// Asks the nearest supernode; false where the worker would not.
    fn ask_supernode(&mut self, key: Key, request: RequestKey) -> bool {
        let now = self.now();
        let Some(round_trip) = self.round_trip_to_supernode(key) else { return false };
        let cold = self.cold_round_trips();
        let Some(visitor) = self.visitors.get_mut(key) else { return false };
        let Some((near, _)) = self.supernodes.nearest(visitor.person.network) else {
            return false;
        };
        let shelf = Rc::clone(&visitor.client.kept.shelf);
        let Some(asked) = visitor.mesh.load.asked(request) else { return false };
        let Some(asset) = asked.asset.filter(|_| !asked.origin_asked) else { return false };
        let Some(hash) = shelf.assets.get(self.origin.url(asset)).map(|shelved| shelved.hash) else {
            return false;
        };
        let bytes = self.site.assets[asset as usize].bytes;
        let patience = Duration::from_millis(shelf.supernode_ms.into());
        if patience.is_zero() || bytes > SIZE_MOST {
            return false;
        }
        let in_time = visitor.mesh.supernode.is_open(now) || round_trip * cold + THINK <= patience;
        asked.hash = Some(hash);
        if !in_time || !self.supernode_has(near, hash) {
            let at = now + if in_time { round_trip } else { patience };
            self.queue.plan(at, Event::SupernodeFails { visitor: key, request });
            return true;
        }
        let Some(visitor) = self.visitors.get_mut(key) else { return false };
        let urgency = page::urgency(&self.site.assets[asset as usize]);
        let ask = Ask { request, bytes: bytes.into(), think: THINK, urgency };
        if let Some(at) = visitor.mesh.supernode.ask(now, ask, round_trip) {
            self.queue.plan(at, Event::Pump { visitor: key, arm: Arm::Mesh, server: Server::Supernode });
        }
        true
    }

    /// Whether the supernode that is nearest to a network knows a content to be the origin's now.
    pub(crate) fn supernode_is_sure_of(&self, network: usize, hash: Digest) -> bool {
        let wanted = Content::of(hash);
        let near = self.supernodes.nearest(network).map(|(near, _)| &self.supernodes.held[near]);
        near.and_then(|held| held.get(&wanted.asset))
            .is_some_and(|(version, until)| *version == wanted.version && self.now() < *until)
    }

    /// Whether a supernode holds a content, and it is admitted; where it is not sure, it asks the origin meanwhile.
    fn supernode_has(&mut self, near: usize, hash: Digest) -> bool {
        let now = self.now();
        let wanted = Content::of(hash);
        let caching = self.site.assets[wanted.asset as usize].caching;
        let held = self.supernodes.held[near].get(&wanted.asset).copied();
        if let Some((version, until)) = held
            && now < until
        {
            return version == wanted.version;
        }
        if !is_public(caching) {
            return false;
        }
        let version = Origin::content(now, &self.site, wanted.asset, None).version;
        self.supernodes.held[near].insert(wanted.asset, (version, now + mesh_lifetime(caching)));
        let unchanged = held.is_some_and(|(before, _)| before == version);
        if !unchanged {
            self.figures.fetched_by_node(self.site.assets[wanted.asset as usize].bytes.into());
        }
        unchanged && version == wanted.version
    }

    /// The supernode has answered: the worker verifies, keeps and gives it, and tells the engine.
    pub(crate) fn answered_by_supernode(&mut self, key: Key, request: RequestKey) {
        let now = self.now();
        let Some(round_trip) = self.round_trip_to_supernode(key) else { return };
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let Some(asked) = visitor.mesh.load.asked(request).copied() else { return };
        let Some((asset, hash)) = asked.asset.zip(asked.hash) else { return };
        let size = self.site.assets[asset as usize].bytes;
        let took = now.since(asked.began);
        (0..segment_count(size.into()))
            .for_each(|segment| _ = visitor.client.kept.stored.insert((hash, segment)));
        self.laws.served(now, &self.site, asset, hash);
        self.figures.served_by_supernode(size.into());
        let served = Input::SupernodeServed {
            hash,
            bytes: size.into(),
            first_byte_ms: Some(round_trip.min(took).as_millis() as u32),
            total_ms: took.as_millis() as u32,
        };
        self.tell_or_keep(key, served);
        (0..segment_count(size.into()))
            .for_each(|segment| self.tell_or_keep(key, Input::Stored { hash, segment }));
        // Where the mesh has begun to answer meanwhile, it is kept for the next time.
        if asked.next_rung_asked {
            self.next_rung_answers(key, request);
        }
    }
}

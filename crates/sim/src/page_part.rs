//! The page part of the client: it runs an engine, turns what happens into inputs, and outputs into effects. It does what
//! `client/src/engine` and `client/src/page` do.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use edgeweave_coordinator::BrowserKind;
use edgeweave_coordinator::io::Whose;
use edgeweave_engine::io::{Circumstances, HeldSegment, Payload};
use edgeweave_engine::{Engine, Input, Output, Setup};
use edgeweave_protocol::limits::PIECE_BYTES;
use edgeweave_protocol::manifest::{ManifestDelta, piece_count, piece_len};
use edgeweave_protocol::message::ToPeer;
use edgeweave_protocol::{AssetId, Digest, PeerId, Reason, Signal};

use crate::browser::RequestKey;
use crate::content::{Content, Token};
use crate::event::{Arm, EngineKey, Event, Frame, Piece};
use crate::faults::wall_clock;
use crate::laws::Law;
use crate::link::Window;
use crate::native_peer::OPERATED;
use crate::node::SITE;
use crate::origin::Origin;
use crate::simulation::{Simulation, UNIX_MS};
use crate::slab::Key;
use crate::visitor::{Channel, PagePart, Visitor};
use crate::worker::confirmed_until;
use crate::world::person;

/// Round trips between two peers from the answer to an open channel: ICE, DTLS 1.2 and SCTP. With the two through the
/// node that make six, as measured between browsers.
const CHANNEL_ROUND_TRIPS: u32 = 4;

/// And with a native peer, which speaks DTLS 1.3 (docs/performance.md).
const NATIVE_CHANNEL_ROUND_TRIPS: u32 = 3;

/// How often the other side hears that a page with a channel was left: browsers do not wait for that.
const FAREWELL_CHANCE: f64 = 0.7;

/// Bytes of a frame besides its payload: SCTP, DTLS, UDP and IP headers of its packets.
const FRAME_OVERHEAD: u64 = 100;

/// What browsers signal to each other. Nobody reads it.
const OFFER: &str = "{\"offer\":1}";
const ANSWER: &str = "{\"answer\":1}";

impl Simulation {
    pub(crate) fn engine_starts(&mut self, key: EngineKey) {
        let now = self.now();
        let seed = self.dice.u64();
        self.disturb(key.visitor);
        let planted = self.scenario.planted;
        let number = self.visitors.get(key.visitor).map_or(0, |visitor| visitor.planned.visitor);
        let manner = self.manner_of(number);
        let Some(visitor) = self.visitors.get_mut(key.visitor) else { return };
        if visitor.mesh.load.number != key.load || visitor.client.page_part.is_some() {
            return;
        }
        let device = &visitor.person.device;
        let held_out = self.scenario.held_out.contains(&visitor.planned.visitor);
        let no_worker = (!device.service_worker).then_some(Reason::NoWorker);
        let circumstances = Circumstances {
            off: no_worker.or(held_out.then_some(Reason::Holdout)),
            alone: (!device.webrtc).then_some(Reason::NoWebRtc),
            selfish: (device.saves_data && planted != Some(Law::TheVisitorsBudget))
                .then_some(Reason::SaveData),
        };
        let client = &mut visitor.client;
        client.starting = false;
        let held =
            client.kept.stored.iter().map(|(hash, segment)| HeldSegment { hash: *hash, segment: *segment });
        let setup = Setup {
            site: SITE.clone(),
            release: "simulated".into(),
            seed,
            unix_ms: wall_clock(UNIX_MS, client),
            state: client.kept.state.take(),
            held: held.collect(),
        };
        client.page_part = Some(Box::new(PagePart::new(now, key, Engine::new(now, setup), manner)));
        let resources = std::mem::take(&mut client.fetched);
        let untold = std::mem::take(&mut client.untold);
        let waiting = std::mem::take(&mut client.waiting);
        let url = Origin::page_url(visitor.mesh.load.page);
        self.figures.engines += 1;
        self.tell(key.visitor, Input::Circumstances(circumstances));
        self.tell(key.visitor, Input::Page { url });
        self.tell_load(key.visitor);
        untold.into_iter().for_each(|input| self.tell(key.visitor, input));
        if !resources.is_empty() {
            self.tell(key.visitor, Input::Fetched { resources });
        }
        for request in waiting {
            let load = self.visitors.get(key.visitor).map(|visitor| &visitor.mesh.load);
            if let Some(asset) = load.and_then(|load| load.requests.get(usize::from(request.place))?.asset) {
                self.ask_engine(key.visitor, request, asset);
            }
        }
    }

    /// The page is left: the engine keeps what it knows, and is gone.
    pub(crate) fn engine_stops(&mut self, key: Key) {
        let now = self.now();
        // The page closes its socket before the engine's thread can say anything more.
        let part = self.visitors.get_mut(key).and_then(|visitor| visitor.client.page_part.as_mut());
        let session = part.and_then(|part| part.session.take());
        self.close_session(key, session);
        self.tell(key, Input::Suspend);
        let Some(part) = self.take_page_part(key) else { return };
        self.laws.engine_ended(now, key, part.payloads.len());
    }

    /// The page has no page part any more, and none is about to start.
    pub(crate) fn take_page_part(&mut self, key: Key) -> Option<Box<PagePart>> {
        let client = &mut self.visitors.get_mut(key)?.client;
        client.starting = false;
        client.waiting.clear();
        let part = client.page_part.take()?;
        if let Some(peer) = part.peer {
            self.peers.remove(&peer);
        }
        Some(part)
    }

    pub(crate) fn tick(&mut self, key: EngineKey) {
        let now = self.now();
        let Some(part) = self.part(key) else { return };
        if part.tick_at.is_some_and(|at| at <= now) {
            part.tick_at = None;
            self.tell(key.visitor, Input::Tick);
        }
    }

    pub(crate) fn socket_opened(&mut self, key: EngineKey) {
        let Some(visitor) = self.visitors.get(key.visitor) else { return };
        let place = self.place_of(visitor);
        let Some(part) = self.part(key) else { return };
        if part.session.is_some() {
            return;
        }
        let session = self.node.open(key);
        if let Some(part) = self.part(key) {
            part.session = Some(session);
        }
        self.tell_node(edgeweave_coordinator::Input::Opened {
            session,
            place,
            stun: vec!["stun:node".into()],
        });
        self.tell(key.visitor, Input::SocketOpened);
    }

    pub(crate) fn peer_hears(&mut self, key: EngineKey, message: ToPeer) {
        let now = self.now();
        if let ToPeer::Welcome { peer, .. } = &message {
            let peer = *peer;
            let Some(part) = self.part(key) else { return };
            part.peer = Some(peer);
            self.peers.insert(peer, key);
        }
        if let ToPeer::Manifest(delta) = &message
            && let Some(visitor) = self.visitors.get_mut(key.visitor)
        {
            visitor.client.epoch = Some(delta.version.epoch);
            if let Some(part) = &mut visitor.client.page_part {
                part.connected |= !delta.more;
            }
            visitor.mesh.down.carry(now, wire_bytes(delta));
        }
        if self.part(key).is_some() {
            let is_native = self.visitors.get(key.visitor).is_some_and(|visitor| visitor.is_native);
            let message = if is_native { OPERATED.heard(message) } else { message };
            self.tell(key.visitor, Input::Heard(message));
        }
    }

    /// The WebSocket is gone, without the engine having wanted it.
    pub(crate) fn socket_closes(&mut self, key: EngineKey) {
        let now = self.now();
        let Some(part) = self.part(key) else { return };
        part.session = None;
        let was_connected = std::mem::take(&mut part.connected);
        if let Some(visitor) = self.visitors.get_mut(key.visitor).filter(|_| was_connected) {
            visitor.client.confirmed_until = confirmed_until(now);
        }
        self.tell(key.visitor, Input::SocketClosed);
    }

    fn close_session(&mut self, key: Key, session: Option<u32>) {
        let Some((session, visitor)) = session.zip(self.visitors.get(key)) else { return };
        let at = self.now() + self.round_trip_to_node(visitor) / 2;
        self.node.hang_up(session);
        self.queue.plan(at, Event::NodeLoses { session });
    }

    pub(crate) fn channel_opens(&mut self, a: EngineKey, b: EngineKey) {
        let ends = [(a, b), (b, a)].map(|(here, there)| {
            let part = self.part(here)?;
            part.channels
                .iter()
                .find(|channel| channel.other == there && !channel.open)
                .map(|channel| channel.peer)
        });
        let [Some(peer_of_a), Some(peer_of_b)] = ends else { return };
        self.figures.channels += 1;
        let opens = self.sides_that_open();
        for ((here, peer), _) in
            [(a, peer_of_a), (b, peer_of_b)].into_iter().zip(opens).filter(|(_, opens)| *opens)
        {
            if let Some(channel) = self.part(here).and_then(|part| part.channel(peer)) {
                channel.open = true;
                self.tell(here.visitor, Input::PeerOpened { peer });
                self.harass(here, peer);
            }
        }
    }

    pub(crate) fn channel_closes(&mut self, key: EngineKey, peer: PeerId) {
        let Some(part) = self.part(key) else { return };
        let count = part.channels.len();
        part.channels.retain(|channel| channel.peer != peer);
        if part.channels.len() < count {
            self.tell(key.visitor, Input::PeerClosed { peer, reason: Reason::ChannelClosed });
        }
    }

    /// A piece is out of the access link: the next may follow, and this one is on its way.
    pub(crate) fn piece_leaves(&mut self, key: EngineKey, peer: PeerId, piece: Piece) {
        let now = self.now();
        let Piece { transfer, frame } = piece;
        let Some(part) = self.part(key) else { return };
        let Some((here, other)) = part.peer.zip(part.channel(peer).map(|channel| channel.other)) else {
            return;
        };
        let bytes = frame.payload.map_or(0, |(_, len)| u64::from(len)) + FRAME_OVERHEAD;
        let Some(latency) = self.latency(key.visitor, other.visitor) else { return };
        let again = self.retransmission(2 * latency);
        let apart = self.is_apart(key.visitor, other.visitor);
        if let Some(receiver) = self.visitors.get_mut(other.visitor).filter(|_| !apart) {
            let at = receiver.mesh.down.carry(now + latency, bytes) + again;
            let at = self.in_order(key, peer, at);
            self.queue.plan(at, Event::FrameArrives(other, here, Box::new(frame)));
        }
        self.tell(key.visitor, Input::PieceSent { peer, transfer });
    }

    pub(crate) fn frame_arrives(&mut self, key: EngineKey, from: PeerId, frame: Frame) {
        let Some(part) = self.part(key) else { return };
        if !part.channel(from).is_some_and(|channel| channel.open) {
            return;
        }
        let payload = frame.payload.map(|(token, len)| Payload { handle: part.payloads.keep(token), len });
        self.tell(key.visitor, Input::Frame { peer: from, header: frame.header, payload });
    }

    fn in_order(
        &mut self,
        key: EngineKey,
        peer: PeerId,
        at: edgeweave_protocol::Timestamp,
    ) -> edgeweave_protocol::Timestamp {
        let Some(channel) = self.part(key).and_then(|part| part.channel(peer)) else { return at };
        channel.last_arrival = channel.last_arrival.max(at);
        channel.last_arrival
    }

    fn latency(&self, a: Key, b: Key) -> Option<Duration> {
        let (a, b) = (self.visitors.get(a)?, self.visitors.get(b)?);
        Some(self.round_trip_between(a, b) / 2)
    }

    /// The page part that runs an engine, while it does.
    pub(crate) fn part(&mut self, key: EngineKey) -> Option<&mut PagePart> {
        self.visitors.get_mut(key.visitor)?.client.page_part.as_deref_mut().filter(|part| part.key == key)
    }

    /// Tells the engine of a visitor something, and does what it says, until it says nothing more.
    pub(crate) fn tell(&mut self, visitor: Key, input: Input) {
        let now = self.now();
        let part = self.visitors.get_mut(visitor).and_then(|visitor| visitor.client.page_part.take());
        let Some(mut part) = part else { return };
        let mut inputs = VecDeque::new();
        let mut after = Vec::new();
        let mut next = Some(input);
        while let Some(input) = next.take().or_else(|| inputs.pop_front()) {
            part.engine.handle_input(now, input);
            self.figures.inputs += 1;
            while let Some(output) = part.engine.poll_output() {
                self.act(visitor, &mut part, output, &mut inputs, &mut after);
            }
        }
        if let Some(at) = part.engine.poll_timeout()
            && part.tick_at.is_none_or(|planned| at < planned)
        {
            part.tick_at = Some(at);
            self.queue.plan(at, Event::Tick(part.key));
        }
        if let Some(visitor) = self.visitors.get_mut(visitor) {
            visitor.client.page_part = Some(part);
        }
        for effect in after {
            match effect {
                After::Answered(request) => self.answered(visitor, Arm::Mesh, request),
                After::AskBrowser(request) => self.ask_browser(visitor, Arm::Mesh, request),
                After::AskWithoutPeers(request) => self.ask_without_peers(visitor, request),
            }
        }
    }

    fn act(
        &mut self,
        key: Key,
        part: &mut PagePart,
        output: Output,
        inputs: &mut VecDeque<Input>,
        after: &mut Vec<After>,
    ) {
        let now = self.queue.now();
        match output {
            Output::Connect => {
                let Some(visitor) = self.visitors.get(key) else { return };
                let at = now + self.round_trip_to_node(visitor) * self.cold_round_trips();
                self.queue.plan(at, Event::SocketOpened(part.key));
            }
            Output::Disconnect => {
                if std::mem::take(&mut part.connected)
                    && let Some(visitor) = self.visitors.get_mut(key)
                {
                    visitor.client.confirmed_until = confirmed_until(now);
                }
                let session = part.session.take();
                self.close_session(key, session);
            }
            Output::Say(message) => {
                let Some((session, visitor)) = part.session.zip(self.visitors.get(key)) else { return };
                let at = now + self.round_trip_to_node(visitor) / 2 + self.node_delay();
                part.last_said = part.last_said.max(at);
                let at = part.last_said;
                let message = self.lie(part.manner, message);
                self.queue.plan(at, Event::NodeHears { session, message: Box::new(message) });
            }
            Output::OpenPeer { peer, offers, .. } => self.open_peer(key, part, peer, offers, inputs),
            Output::SignalPeer { peer, .. } => self.signal_peer(key, part, peer, inputs),
            Output::ClosePeer { peer } => self.close_peer(key, part, peer),
            Output::SendFrame { peer, bytes } => {
                let frame = Frame { header: bytes, payload: None };
                self.send_frame(key, part, peer, frame);
            }
            Output::SendPiece { peer, transfer, header, hash, segment, offset, len } => {
                if self.visitors.get(key).is_none_or(|it| !it.client.kept.stored.contains(&(hash, segment))) {
                    return inputs.push_back(Input::PieceLost { peer, transfer, hash, segment });
                }
                let token = Token::stored(hash, segment, offset);
                match self.tamper(part.manner, Frame { header, payload: Some((token, len)) }) {
                    Some(frame) => self.send_piece(key, part, peer, transfer, frame),
                    None => inputs.push_back(Input::PieceSent { peer, transfer }),
                }
            }
            Output::Hash { handle } => {
                if let Some(mut token) = part.payloads.get(handle) {
                    token.corrupt &= self.scenario.planted != Some(Law::OnlyTheOriginsBytes);
                    inputs.push_back(Input::Hashed { handle, digest: token.digest() });
                }
            }
            Output::Release { handle } => {
                if self.scenario.planted != Some(Law::Bounded) {
                    part.payloads.release(handle);
                }
            }
            Output::Head { id, status, .. } => self.mesh_answers(key, RequestKey::of(id), status),
            Output::Deliver { id, handle, skip, take } => {
                let token = part.payloads.get(handle);
                self.deliver(key, RequestKey::of(id), token, skip, take);
            }
            Output::End { .. } | Output::Fallback { .. }
                if self.scenario.planted == Some(Law::NeverWorse) => {}
            Output::End { id } => {
                self.laws.answered(now, key, id);
                after.push(After::Answered(RequestKey::of(id)));
            }
            Output::Fallback { id, reason, delivered } => {
                self.laws.answered(now, key, id);
                self.figures.fell_back(reason);
                let request = RequestKey::of(id);
                // What has begun is carried on from the origin.
                let carried_on = delivered > 0;
                after.push(if carried_on {
                    After::AskBrowser(request)
                } else {
                    After::AskWithoutPeers(request)
                });
            }
            Output::Hedge { id } => {
                self.figures.hedges += 1;
                after.push(After::AskWithoutPeers(RequestKey::of(id)));
            }
            Output::Adopt { asset, url, size } => self.adopt(key, part, asset, &url, size, inputs),
            Output::Load { hash, piece, segment, offset, len } => {
                let there =
                    self.visitors.get(key).is_some_and(|it| it.client.kept.stored.contains(&(hash, segment)));
                let token = Token::stored(hash, segment, offset);
                let payload = there.then(|| Payload { handle: part.payloads.keep(token), len });
                inputs.extend(self.disk_answers(part.key, Input::Loaded { hash, piece, payload }));
            }
            Output::Store { hash, segment, handles } => {
                self.laws.stored(now, &self.site, hash, &handles, &part.payloads);
                if let Some(visitor) = self.visitors.get_mut(key) {
                    visitor.client.kept.stored.insert((hash, segment));
                }
                inputs.extend(self.disk_answers(part.key, Input::Stored { hash, segment }));
            }
            Output::Drop { hash, segments } => {
                let Some(visitor) = self.visitors.get_mut(key) else { return };
                for segment in segments {
                    visitor.client.kept.stored.remove(&(hash, segment));
                }
            }
            Output::Shelf(shelf) => {
                inputs.extend(self.native_peer_keeps(key, &shelf));
                if let Some(visitor) = self.visitors.get_mut(key) {
                    visitor.client.kept.shelf = Rc::new(shelf);
                }
            }
            Output::Persist { state } => {
                if let Some(visitor) = self.visitors.get_mut(key) {
                    visitor.client.kept.state = Some(state);
                }
            }
            Output::Stats(stats) => {
                part.prefetch = stats.prefetch;
                // Before there is a session, the policy may not be the site's.
                if let Some(visitor) = self.visitors.get_mut(key).filter(|_| part.connected) {
                    visitor.client.kept.held_out = Some(stats.off == Some(Reason::Holdout));
                }
            }
            Output::Report(report) => self.figures.reported(&report),
        }
    }

    fn open_peer(
        &mut self,
        key: Key,
        part: &mut PagePart,
        peer: PeerId,
        offers: bool,
        inputs: &mut VecDeque<Input>,
    ) {
        self.laws.opened_peer(self.queue.now(), self.visitors.get(key));
        let Some(other) = self.peers.get(&peer).copied() else {
            return inputs.push_back(Input::PeerClosed { peer, reason: Reason::ConnectFailed });
        };
        let last_arrival = self.queue.now();
        part.channels.push(Channel {
            peer,
            other,
            offers,
            open: false,
            window: Window::default(),
            last_arrival,
        });
        if offers && let Ok(signal) = OFFER.parse::<Signal>() {
            inputs.push_back(Input::PeerSignal { peer, signal });
        }
    }

    fn signal_peer(&mut self, key: Key, part: &mut PagePart, peer: PeerId, inputs: &mut VecDeque<Input>) {
        let here = part.key;
        let Some(channel) = part.channel(peer) else { return };
        if !channel.offers {
            if let Ok(signal) = ANSWER.parse::<Signal>() {
                inputs.push_back(Input::PeerSignal { peer, signal });
            }
            return;
        }
        let other = channel.other;
        let Some((visitor, host)) = self.visitors.get(key).zip(self.visitors.get(other.visitor)) else {
            return;
        };
        if visitor.person.nat.can_meet(host.person.nat) {
            let is_native = visitor.is_native || host.is_native;
            let round_trips = if is_native { NATIVE_CHANNEL_ROUND_TRIPS } else { CHANNEL_ROUND_TRIPS };
            let at = self.queue.now() + self.round_trip_between(visitor, host) * round_trips;
            self.queue.plan(at, Event::ChannelOpens(here, other));
        }
    }

    fn close_peer(&mut self, key: Key, part: &mut PagePart, peer: PeerId) {
        let Some(at) = part.channels.iter().position(|channel| channel.peer == peer) else { return };
        let channel = part.channels.swap_remove(at);
        let Some((here, latency)) = part.peer.zip(self.latency(key, channel.other.visitor)) else { return };
        if self.dice.chance(FAREWELL_CHANCE) {
            self.queue.plan(self.queue.now() + latency, Event::ChannelCloses(channel.other, here));
        }
    }

    /// Sends what no engine has said.
    pub(crate) fn send_raw(&mut self, key: EngineKey, peer: PeerId, frame: Frame) {
        if self.part(key).is_none() {
            return;
        }
        let part = self.visitors.get_mut(key.visitor).and_then(|visitor| visitor.client.page_part.take());
        let Some(mut part) = part else { return };
        self.send_frame(key.visitor, &mut part, peer, frame);
        if let Some(visitor) = self.visitors.get_mut(key.visitor) {
            visitor.client.page_part = Some(part);
        }
    }

    fn send_frame(&mut self, key: Key, part: &mut PagePart, peer: PeerId, frame: Frame) {
        let now = self.queue.now();
        let Some(here) = part.peer else { return };
        let Some(channel) = part.channel(peer).filter(|channel| channel.open) else { return };
        let Some(latency) = self.latency(key, channel.other.visitor) else { return };
        channel.last_arrival = channel.last_arrival.max(now + latency);
        let (other, at) = (channel.other, channel.last_arrival);
        if !self.is_apart(key, other.visitor) {
            self.queue.plan(at, Event::FrameArrives(other, here, Box::new(frame)));
        }
    }

    fn send_piece(&mut self, key: Key, part: &mut PagePart, peer: PeerId, transfer: u32, frame: Frame) {
        let now = self.queue.now();
        let here = part.key;
        let Some(channel) = part.channel(peer).filter(|channel| channel.open) else { return };
        let Some(latency) = self.latency(key, channel.other.visitor) else { return };
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let len = frame.payload.map_or(0, |(_, len)| len);
        let bytes = u64::from(len) + FRAME_OVERHEAD;
        self.laws.uploaded(now, visitor, frame.payload, &self.site, &self.scenario.policy);
        self.figures.uploaded(visitor, frame.payload);
        let at = visitor.mesh.up.carry(now, bytes).max(now + channel.window.pace(bytes, latency * 2));
        self.queue.plan(at, Event::PieceLeaves(here, peer, Box::new(Piece { transfer, frame })));
    }

    /// The browser's own copy of an asset, read by pieces.
    fn adopt(
        &mut self,
        key: Key,
        part: &mut PagePart,
        asset: AssetId,
        url: &str,
        size: u64,
        inputs: &mut VecDeque<Input>,
    ) {
        let Some((number, visitor)) = Origin::asset(url).zip(self.visitors.get(key)) else { return };
        if let Some(copy) = visitor.mesh.http_cache.get(number) {
            let content = Content { asset: number, version: copy.version, made_for: None };
            for piece in 0..piece_count(size) {
                let handle = part.payloads.keep(Token { content, piece, corrupt: false });
                let payload = Payload { handle, len: piece_len(size, piece) };
                inputs.push_back(Input::Adopted { asset, piece, payload });
            }
        }
        inputs.push_back(Input::AdoptEnded { asset });
    }

    /// The mesh has begun to answer: what was started beside it is not needed.
    fn mesh_answers(&mut self, key: Key, request: RequestKey, status: u16) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        visitor.mesh.connection.cancel(request);
        if let Some(asked) = visitor.mesh.load.asked(request) {
            self.laws.begun(now, &self.site, asked.asset, status);
            (asked.next_rung_asked, asked.origin_asked) = (false, false);
        }
    }

    fn deliver(&mut self, key: Key, request: RequestKey, token: Option<Token>, skip: u32, take: u32) {
        let now = self.queue.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let load = &mut visitor.mesh.load;
        let Some(asked) = load.requests.get_mut(usize::from(request.place)) else { return };
        let at = token.map_or(0, |token| u64::from(token.piece) * u64::from(PIECE_BYTES) + u64::from(skip));
        self.laws.delivered(now, &self.site, asked.asset, token, at == asked.from_mesh);
        asked.from_mesh += u64::from(take);
        self.figures.served_by_peers(u64::from(take));
    }
}

/// What happens when the engine has said everything.
#[derive(Debug)]
enum After {
    Answered(RequestKey),
    AskBrowser(RequestKey),
    AskWithoutPeers(RequestKey),
}

/// What a manifest takes on the wire: as many bytes as its JSON has, near enough.
fn wire_bytes(delta: &ManifestDelta) -> u64 {
    /// The names, digits and quotes of an asset's JSON, and of a header's.
    const ASSET: usize = 90;
    const HEADER: usize = 6;
    let asset = |asset: &edgeweave_protocol::manifest::Asset| {
        let headers: usize =
            asset.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER).sum();
        let digests = 1 + asset.pieces.as_ref().map_or(0, |pieces| pieces.0.len());
        ASSET + asset.url.len() + headers + digests * Digest::TEXT_BYTES
    };
    let changes = 8 * delta.remove.len() + 30 * delta.renew.len();
    (delta.add.iter().map(asset).sum::<usize>() + changes) as u64
}

impl Simulation {
    /// Where the node sees a visitor.
    fn place_of(&self, visitor: &Visitor) -> edgeweave_coordinator::io::Place {
        let person = &visitor.person;
        edgeweave_coordinator::io::Place {
            network: self.world.asn(person.network),
            country: self.world.country_code(person.country),
            address: person.household,
            whose: if visitor.is_native { Whose::Operator } else { Whose::Visitor },
            browser: match person.device.browser {
                person::BrowserKind::Firefox => BrowserKind::Firefox,
                person::BrowserKind::Safari => BrowserKind::Safari,
                person::BrowserKind::Other => BrowserKind::Other,
                person::BrowserKind::Chrome | person::BrowserKind::Edge => BrowserKind::Chromium,
            },
        }
    }
}

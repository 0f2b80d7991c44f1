//! The loop that drives the engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgeweave_engine::io::{Circumstances, Handle, Payload};
use edgeweave_engine::{Engine, Input, Operated, Output, Setup};
use edgeweave_protocol::frame::PIECE_HEADER_BYTES;
use edgeweave_protocol::limits::MAX_FRAME_HEADER_BYTES;
use edgeweave_protocol::manifest::segment_count;
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{PeerId, Reason, Timestamp};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::Config;
use crate::contents::{Contents, FromContents, Read};
use crate::error::CannotStart;
use crate::metrics::{Metrics, SiteMetrics};
use crate::peer::{Datagram, Happened, Message, Outgoing, Peer, Received};
use crate::signalling::{FromNode, Node};

/// Longer than any datagram that a peer connection sends.
const DATAGRAM_BYTES: usize = 2048;

/// Datagrams that are taken in one go; then everything else has its turn.
const DATAGRAMS_TOGETHER: usize = 64;

/// How long nothing may happen at all: the loop then looks at everything again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The first byte of a piece's frame.
const PIECE_KIND: u8 = 4;

/// A native peer that is ready to be run.
pub struct Supernode {
    started: Instant,
    engine: Engine,
    operated: Operated,
    udp: UdpSocket,
    /// Where visitors reach the socket; the same port everywhere unless something translates it.
    addresses: Vec<SocketAddr>,
    node: Node,
    from_node: mpsc::UnboundedReceiver<(u64, FromNode)>,
    contents: Contents,
    from_contents: mpsc::UnboundedReceiver<FromContents>,
    peers: BTreeMap<PeerId, Peer>,
    /// Peers that may have something to say.
    touched: BTreeSet<PeerId>,
    /// From where each peer's datagrams came last.
    sources: HashMap<SocketAddr, PeerId>,
    datagrams: Vec<Datagram>,
    next_handle: Handle,
    metrics: SiteMetrics,
    /// What of the bytes that were sent is counted.
    counted: u64,
}

impl Supernode {
    /// Prepares everything that can fail.
    pub async fn start(config: Config, metrics: &Metrics) -> Result<Self, CannotStart> {
        let metrics = metrics.of(&config.site);
        let started = Instant::now();
        let (node, from_node) = Node::new(&config.node, &config.site, config.api_token.as_deref())?;
        let listen = |source| CannotStart::Listen { address: config.listen_udp, source };
        let udp = UdpSocket::bind(config.listen_udp).await.map_err(listen)?;
        let bound = udp.local_addr().map_err(listen)?;
        let addresses = addresses(&config, bound).await?;
        let (contents, from_contents) = Contents::open(&config, metrics.clone(), started)?;
        let seed = getrandom::u64().map_err(|error| CannotStart::System {
            doing: "draw a random number",
            about: error.to_string(),
        })?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let setup = Setup {
            site: config.site.clone(),
            release: concat!("supernode/", env!("CARGO_PKG_VERSION")).into(),
            seed,
            unix_ms: since_1970.as_millis() as u64,
            state: None,
            held: Vec::new(),
        };
        let mut engine = Engine::new(Timestamp::ZERO, setup);
        engine.handle_input(Timestamp::ZERO, Input::Circumstances(Circumstances::default()));
        Ok(Self {
            started,
            engine,
            operated: Operated {
                cache_bytes: config.disk_bytes,
                upload_bytes_per_second: config.upload_bytes_per_second,
                neighbours: config.neighbours,
            },
            udp,
            addresses,
            node,
            from_node,
            contents,
            from_contents,
            peers: BTreeMap::new(),
            touched: BTreeSet::new(),
            sources: HashMap::new(),
            datagrams: Vec::new(),
            next_handle: 0,
            metrics,
            counted: 0,
        })
    }

    /// Where visitors reach it.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Runs until it is told to end; then everybody is told.
    pub async fn run(mut self, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        let mut buffer = [0; DATAGRAM_BYTES];
        loop {
            self.settle();
            self.flush().await;
            let deadline = self.deadline();
            tokio::select! {
                () = &mut end => break,
                _ = self.udp.readable() => self.receive(&mut buffer),
                Some((number, said)) = self.from_node.recv() => {
                    if self.node.is_current(number) {
                        self.hear(said);
                    }
                }
                Some(found) = self.from_contents.recv() => self.found(found),
                () = tokio::time::sleep_until(deadline.into()) => self.tick(),
            }
        }
        self.handle(Input::Suspend);
        self.settle();
        self.flush().await;
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.started.elapsed().as_micros() as u64)
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.engine.handle_input(now, input);
    }

    fn deadline(&self) -> Instant {
        let engine =
            self.engine.poll_timeout().map(|at| self.started + Duration::from_micros(at.as_micros()));
        let peers = self.peers.values().map(Peer::due).min();
        let dues = [engine, peers, self.contents.due()];
        dues.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + LONGEST_WAIT)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for (id, peer) in &mut self.peers {
            if now >= peer.due() {
                peer.tick(now);
                self.touched.insert(*id);
            }
        }
        self.contents.tick(now);
        self.handle(Input::Tick);
    }

    /// Takes the datagrams that have arrived.
    fn receive(&mut self, buffer: &mut [u8]) {
        for _ in 0..DATAGRAMS_TOGETHER {
            // Errors are those of earlier datagrams (a visitor's port is closed), and concern nobody else.
            let Ok((length, from)) = self.udp.try_recv_from(buffer) else { return };
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            let Some(to) = self.addresses.iter().find(|to| to.is_ipv4() == from.is_ipv4()) else { continue };
            let Some(received) = Received::read(Instant::now(), from, *to, &buffer[..length]) else {
                continue;
            };
            let known = self.sources.get(&from).copied();
            let takes = |id: &PeerId| self.peers.get(id).is_some_and(|peer| peer.accepts(&received));
            let taker = known.filter(takes).or_else(|| self.peers.keys().copied().find(|id| takes(id)));
            let Some(id) = taker else { continue };
            if let Some(peer) = self.peers.get_mut(&id) {
                self.sources.insert(from, id);
                self.touched.insert(id);
                peer.receive(received);
            }
        }
    }

    fn hear(&mut self, said: FromNode) {
        match said {
            FromNode::Opened => self.handle(Input::SocketOpened),
            FromNode::Heard(message) => {
                let message = self.operated.heard(message);
                self.handle(Input::Heard(message));
            }
            FromNode::Unreadable(bytes) => self.handle(Input::Note {
                event: Event::Error,
                reason: Some(Reason::Malformed),
                about: "message from the node".into(),
                bytes,
            }),
            FromNode::Closed => {
                self.node.disconnect();
                self.handle(Input::SocketClosed);
            }
        }
    }

    fn found(&mut self, found: FromContents) {
        match found {
            FromContents::Got(wanted, got) => {
                if self.contents.got(Instant::now(), &wanted, got) {
                    let hash = wanted.hash;
                    (0..segment_count(wanted.size))
                        .for_each(|segment| self.handle(Input::Stored { hash, segment }));
                }
            }
            FromContents::Piece(Read { peer, transfer, hash, segment, .. }, None) => {
                self.contents.lost(Instant::now(), hash);
                self.handle(Input::PieceLost { peer, transfer, hash, segment });
            }
            FromContents::Piece(Read { peer, transfer, .. }, Some(bytes)) => {
                self.send(peer, Outgoing { bytes, transfer: Some(transfer) });
            }
        }
    }

    fn send(&mut self, id: PeerId, message: Outgoing) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.send(message);
            self.touched.insert(id);
        }
    }

    /// Does what the engine says and hears what peers say, until nobody says anything more.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.engine.poll_output() {
                self.act(output);
            }
            let Some(id) = self.touched.pop_first() else { return };
            while let Some(happened) = self.peers.get_mut(&id).and_then(Peer::poll_happened) {
                self.happened(id, happened);
            }
            if let Some(peer) = self.peers.get_mut(&id) {
                self.datagrams.extend(peer.take_datagrams());
            }
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Connect => self.node.connect(),
            Output::Disconnect => self.node.disconnect(),
            Output::Say(message) => self.node.say(message),
            Output::OpenPeer { peer, offers, .. } => self.open(peer, offers),
            Output::SignalPeer { peer: id, signal } => {
                let answer = self.peers.get_mut(&id).and_then(|peer| peer.hear(&signal));
                self.touched.insert(id);
                if let Some(signal) = answer {
                    self.handle(Input::PeerSignal { peer: id, signal });
                }
            }
            Output::ClosePeer { peer } => self.close(peer),
            Output::SendFrame { peer, bytes } => self.send(peer, Outgoing { bytes, transfer: None }),
            Output::SendPiece { peer, transfer, header, hash, segment, offset, len } => {
                self.contents.read(Read { peer, transfer, header, hash, segment, offset, len });
            }
            Output::Drop { hash, .. } => self.contents.dropped(Instant::now(), hash),
            Output::Shelf(shelf) => self.contents.admitted(Instant::now(), &shelf),
            Output::Stats(stats) => {
                self.metrics.connected.set(stats.connected.into());
                self.metrics.neighbours.set(stats.neighbours.into());
                self.metrics.contents.set(stats.held.into());
                self.metrics.bytes.set(i64::try_from(stats.stored).unwrap_or(i64::MAX));
                self.metrics.sent.inc_by(stats.uploaded.saturating_sub(self.counted));
                self.counted = stats.uploaded;
            }
            // Payloads of neighbours are not kept, because nothing is asked of them: here is no page and no
            // replication. Notes are a visitor's way to be understood from afar; here are metrics.
            Output::Hash { .. }
            | Output::Release { .. }
            | Output::Head { .. }
            | Output::Deliver { .. }
            | Output::End { .. }
            | Output::Fallback { .. }
            | Output::Hedge { .. }
            | Output::Adopt { .. }
            | Output::Load { .. }
            | Output::Store { .. }
            | Output::Persist { .. }
            | Output::Report(_) => {}
        }
    }

    fn open(&mut self, id: PeerId, offers: bool) {
        let now = Instant::now();
        let (peer, offer) = if offers {
            Peer::offering(now, &self.addresses)
        } else {
            (Peer::answering(now, &self.addresses), None)
        };
        self.peers.insert(id, peer);
        self.touched.insert(id);
        if let Some(signal) = offer {
            self.handle(Input::PeerSignal { peer: id, signal });
        }
    }

    fn close(&mut self, id: PeerId) {
        let Some(mut peer) = self.peers.remove(&id) else { return };
        peer.close();
        self.datagrams.extend(peer.take_datagrams());
        self.sources.retain(|_, known| *known != id);
    }

    fn happened(&mut self, id: PeerId, happened: Happened) {
        match happened {
            Happened::Opened => {
                self.metrics.opened.inc();
                self.handle(Input::PeerOpened { peer: id });
            }
            Happened::Message(message) => {
                let (header, payload) = self.split(message);
                self.handle(Input::Frame { peer: id, header, payload });
            }
            Happened::Sent(transfer) => self.handle(Input::PieceSent { peer: id, transfer }),
            Happened::Closed(reason) => {
                self.metrics.closed(reason);
                self.close(id);
                self.handle(Input::PeerClosed { peer: id, reason });
            }
        }
    }

    /// Splits what arrived on a channel. What is no frame is shown to the engine as an empty one, for which it parts.
    fn split(&mut self, message: Message) -> (Vec<u8>, Option<Payload>) {
        let Message { mut bytes, is_binary } = message;
        if !is_binary {
            return (Vec::new(), None);
        }
        if bytes.first() == Some(&PIECE_KIND) {
            let len = bytes.len().saturating_sub(PIECE_HEADER_BYTES) as u32;
            bytes.truncate(PIECE_HEADER_BYTES);
            self.next_handle = self.next_handle.wrapping_add(1);
            return (bytes, Some(Payload { handle: self.next_handle, len }));
        }
        if bytes.len() > MAX_FRAME_HEADER_BYTES {
            bytes.clear();
        }
        (bytes, None)
    }

    /// Sends what is to be sent. What cannot be sent is lost, as datagrams are.
    async fn flush(&mut self) {
        for Datagram { to, bytes } in self.datagrams.drain(..) {
            if let Err(error) = self.udp.send_to(&bytes, to).await {
                tracing::debug!(%error, %to, "a datagram was not sent");
            }
        }
    }
}

/// The addresses at which visitors reach the socket.
async fn addresses(config: &Config, bound: SocketAddr) -> Result<Vec<SocketAddr>, CannotStart> {
    if !config.public_addresses.is_empty() {
        return Ok(config.public_addresses.iter().map(|ip| SocketAddr::new(*ip, bound.port())).collect());
    }
    if !bound.ip().is_unspecified() {
        return Ok(vec![bound]);
    }
    // The address by which this machine reaches the node is the best guess of where it is itself reached.
    let cannot = |source| CannotStart::Address { address: bound, source };
    let host = config.node.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = config.node.port_or_known_default().unwrap_or_default();
    let nodes = tokio::net::lookup_host((host, port)).await.map_err(cannot)?;
    let node = nodes.into_iter().find(|node| bound.is_ipv6() || node.is_ipv4());
    let node = node.ok_or_else(|| cannot(std::io::ErrorKind::AddrNotAvailable.into()))?;
    let any: IpAddr =
        if node.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = UdpSocket::bind((any, 0)).await.map_err(cannot)?;
    // Nothing is sent by this: the system only chooses the way.
    probe.connect(node).await.map_err(cannot)?;
    let ip = probe.local_addr().map_err(cannot)?.ip();
    Ok(vec![SocketAddr::new(ip, bound.port())])
}

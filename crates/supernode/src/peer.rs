//! One peer connection: `str0m` with one data channel, without sockets or a clock. Times, datagrams and signals go in;
//! datagrams, signals, messages and the next deadline come out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use edgeweave_protocol::{Reason, Signal};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::DtlsVersion;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};

use crate::signal::{Description, Kind, Said, candidate};

/// Bytes that are written and not yet acknowledged. Below, throughput suffers (measured: it levels off at a megabyte);
/// above, only the memory that a neighbour takes grows.
const BUFFERED_MOST: usize = 1 << 20;

/// The longest message that is taken, in bytes: a piece and its header fit.
const MESSAGE_MOST: u32 = 64 * 1024;

/// The id of the one channel, which both sides know beforehand.
const CHANNEL: u16 = 0;

/// A datagram to send.
#[derive(Debug)]
pub struct Datagram {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// A datagram that arrived.
pub struct Received<'a>(Input<'a>);

impl<'a> Received<'a> {
    /// Reads a datagram; `None` for what belongs to no peer connection.
    pub fn read(now: Instant, from: SocketAddr, to: SocketAddr, bytes: &'a [u8]) -> Option<Self> {
        let receive = Receive::new(Protocol::Udp, from, to, bytes).ok()?;
        Some(Self(Input::Receive(now, receive)))
    }
}

/// What a connection did.
#[derive(Debug)]
pub enum Happened {
    /// The channel is open.
    Opened,
    /// A message arrived.
    Message(Message),
    /// The channel has taken a piece of this transfer.
    Sent(u32),
    /// The connection is over.
    Closed(Reason),
}

/// A message as it arrived.
#[derive(Debug)]
pub struct Message {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it was sent as binary, as every frame is.
    pub is_binary: bool,
}

/// A message to send.
#[derive(Debug)]
pub struct Outgoing {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The transfer that wants to know when it was taken, if it is a piece.
    pub transfer: Option<u32>,
}

/// A connection to one peer.
pub struct Peer {
    rtc: Rtc,
    /// None until there is an offer to be made for it.
    channel: Option<ChannelId>,
    /// An offer that awaits its answer.
    offered: Option<SdpPendingOffer>,
    outgoing: VecDeque<Outgoing>,
    datagrams: Vec<Datagram>,
    happened: VecDeque<Happened>,
    due: Instant,
    /// Whether the channel is agreed on, which may be with the answer already.
    is_agreed: bool,
    /// Whether there is a connection for it.
    is_connected: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    Closed,
}

impl Peer {
    /// A connection that waits for an offer.
    ///
    /// It only answers checks (ICE lite), as visitors come to an address that anybody can reach: a path is good when a
    /// visitor chooses it, a round trip before a check of our own would have said so. It does not say that it is lite (only
    /// the configuration would): towards such a side Chromium chooses a path only when its round trips have become stable,
    /// which took 3 s where they took 300 ms; towards others it takes the first that works.
    pub fn answering(now: Instant, addresses: &[SocketAddr]) -> Self {
        let mut peer = Self::new(now, addresses);
        peer.rtc.direct_api().set_ice_lite(true);
        peer.channel = Some(peer.rtc.direct_api().create_data_channel(channel()));
        peer.drain();
        peer
    }

    /// A connection that makes the offer; it is to be sent to the other side.
    pub fn offering(now: Instant, addresses: &[SocketAddr]) -> (Self, Option<Signal>) {
        let mut peer = Self::new(now, addresses);
        let mut api = peer.rtc.sdp_api();
        peer.channel = Some(api.add_channel_with_config(channel()));
        let offer = api.apply().and_then(|(offer, pending)| {
            peer.offered = Some(pending);
            Said::describe(Kind::Offer, offer.to_sdp_string())
        });
        peer.drain();
        (peer, offer)
    }

    fn new(now: Instant, addresses: &[SocketAddr]) -> Self {
        // SNAP (draft-hancke-tsvwg-snap) negotiates SCTP with offer and answer, and DTLS 1.3 takes a round trip less than
        // 1.2; both where the other side knows them, too.
        let config = RtcConfig::new()
            .clear_codecs()
            .set_snap_enabled(true)
            .set_dtls_version(DtlsVersion::Auto)
            .set_sctp_max_buffered_amount(BUFFERED_MOST)
            .set_sctp_max_message_size(MESSAGE_MOST);
        let mut rtc = config.build(now);
        for address in addresses {
            // An address that is none for a candidate (of a multicast group) is of no use to anybody.
            if let Ok(candidate) = Candidate::host(*address, Protocol::Udp) {
                rtc.add_local_candidate(candidate);
            }
        }
        Self {
            rtc,
            channel: None,
            offered: None,
            outgoing: VecDeque::new(),
            datagrams: Vec::new(),
            happened: VecDeque::new(),
            due: now,
            is_agreed: false,
            is_connected: false,
            stage: Stage::Opening,
        }
    }

    /// When [`tick`](Self::tick) is wanted, if nothing else happens before.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The deadline has come.
    pub fn tick(&mut self, now: Instant) {
        let done = self.rtc.handle_input(Input::Timeout(now));
        self.after(done);
    }

    /// The other side says something; the answer, if there is one.
    pub fn hear(&mut self, signal: &Signal) -> Option<Signal> {
        let heard = match Said::read(signal)? {
            Said::Candidate(one) => {
                candidate(&one.candidate).into_iter().for_each(|found| self.rtc.add_remote_candidate(found));
                Ok(None)
            }
            Said::Description(description) => self.describe(description),
        };
        let answer = heard.as_ref().ok().cloned().flatten();
        self.after(heard.map(|_| ()));
        answer
    }

    fn describe(&mut self, description: Description) -> Result<Option<Signal>, RtcError> {
        let kind = description.kind;
        let (sdp, candidates) = description.split();
        let unreadable = |error: str0m::error::SdpError| RtcError::RemoteSdp(error.to_string());
        let answer = match kind {
            Kind::Offer => {
                let offer = SdpOffer::from_sdp_string(&sdp).map_err(unreadable)?;
                let answer = self.rtc.sdp_api().accept_offer(offer)?;
                Said::describe(Kind::Answer, answer.to_sdp_string())
            }
            Kind::Answer => {
                let answer = SdpAnswer::from_sdp_string(&sdp).map_err(unreadable)?;
                // A second answer changes nothing.
                let Some(pending) = self.offered.take() else { return Ok(None) };
                self.rtc.sdp_api().accept_answer(pending, answer)?;
                None
            }
        };
        candidates.into_iter().for_each(|candidate| self.rtc.add_remote_candidate(candidate));
        Ok(answer)
    }

    /// Whether a datagram is for this connection.
    pub fn accepts(&self, received: &Received<'_>) -> bool {
        self.stage != Stage::Closed && self.rtc.accepts(&received.0)
    }

    /// A datagram has arrived.
    pub fn receive(&mut self, received: Received<'_>) {
        let done = match self.rtc.handle_input(received.0) {
            // An answer to the handshake that came out of order, or is nobody's, is no reason to end it: the other side
            // sends its own again.
            Err(RtcError::Dtls(error)) if self.stage == Stage::Opening => {
                tracing::debug!(%error, "a handshake goes on");
                Ok(())
            }
            done => done,
        };
        self.after(done);
    }

    /// Sends a message behind those that wait.
    pub fn send(&mut self, message: Outgoing) {
        self.outgoing.push_back(message);
        self.drain();
    }

    /// Says goodbye; what is to be sent for it comes from [`take_datagrams`](Self::take_datagrams).
    pub fn close(&mut self) {
        self.stage = Stage::Closed;
        let _ = self.rtc.close();
        self.drain();
    }

    /// What is to be sent now.
    pub fn take_datagrams(&mut self) -> std::vec::Drain<'_, Datagram> {
        self.datagrams.drain(..)
    }

    /// What happened next.
    pub fn poll_happened(&mut self) -> Option<Happened> {
        self.happened.pop_front()
    }

    fn after(&mut self, done: Result<(), RtcError>) {
        if let Err(error) = done {
            tracing::debug!(%error, "a connection fails");
            self.end(Reason::ConnectFailed);
        }
        self.drain();
    }

    /// Takes everything that the connection has to say: nothing else may be asked of it before.
    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.due = at;
                    if !self.write() {
                        return;
                    }
                }
                Ok(Output::Transmit(transmit)) => {
                    self.datagrams
                        .push(Datagram { to: transmit.destination, bytes: transmit.contents.into() });
                }
                Ok(Output::Event(event)) => self.happens(event),
                Err(error) => {
                    tracing::debug!(%error, "a connection fails");
                    return self.end(Reason::ConnectFailed);
                }
            }
        }
    }

    /// Gives the channel the next message, if it has room.
    fn write(&mut self) -> bool {
        if self.stage != Stage::Open {
            return false;
        }
        let Some(message) = self.outgoing.front() else { return false };
        let Some(mut channel) = self.channel.and_then(|id| self.rtc.channel(id)) else { return false };
        match channel.write(true, &message.bytes) {
            Ok(true) => {
                let transfer = message.transfer;
                self.outgoing.pop_front();
                self.happened.extend(transfer.map(Happened::Sent));
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::debug!(%error, "a channel takes nothing more");
                self.end(Reason::ChannelClosed);
                false
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::ChannelOpen(id, _) if Some(id) == self.channel => self.is_agreed = true,
            Event::Connected => self.is_connected = true,
            Event::ChannelData(data) if Some(data.id) == self.channel && self.stage == Stage::Open => {
                let message = Message { bytes: data.data, is_binary: data.binary };
                self.happened.push_back(Happened::Message(message));
            }
            Event::ChannelClose(id) if Some(id) == self.channel => self.end(Reason::ChannelClosed),
            Event::Closed | Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.end(Reason::ChannelClosed);
            }
            _ => {}
        }
        if self.stage == Stage::Opening && self.is_agreed && self.is_connected {
            self.stage = Stage::Open;
            self.happened.push_back(Happened::Opened);
        }
    }

    fn end(&mut self, reason: Reason) {
        // What was never open failed.
        let reason = if self.stage == Stage::Opening { Reason::ConnectFailed } else { reason };
        if std::mem::replace(&mut self.stage, Stage::Closed) != Stage::Closed {
            self.happened.push_back(Happened::Closed(reason));
        }
    }
}

/// The one channel: ordered and reliable, negotiated beforehand.
fn channel() -> ChannelConfig {
    ChannelConfig { label: "edgeweave".into(), negotiated: Some(CHANNEL), ..ChannelConfig::default() }
}

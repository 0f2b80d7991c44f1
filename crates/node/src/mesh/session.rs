//! One peer's session: reads its socket, greets it, hands what it says to its swarm.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use edgeweave_coordinator::io::Place;
use edgeweave_coordinator::{Input, SessionId};
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::{Reason, SiteId};
use slab::Slab;
use tokio::net::TcpStream;

use super::Swarms;
use super::socket::{Received, Socket, WriteBuffer};
use super::swarm::Swarm;
use crate::metrics::MeshMetrics;
use crate::web_origin::WebOrigin;

/// A new connection must say hello within so many sweeps.
const HELLO_SWEEPS: u16 = 2;
/// A peer that is silent for so many sweeps is asked for a sign of life: 45 s with a sweep every 5 s, which is less
/// than the minute after which common proxies cut idle connections.
const PING_SWEEPS: u16 = 9;
/// After so many unanswered pings a peer is gone.
const PINGS: u16 = 2;
/// A closed connection whose peer does not answer is dropped after so many sweeps.
const LINGER_SWEEPS: u16 = 2;

/// Who arrives, from where.
pub(super) struct Guest {
    /// Where the peer connects from.
    pub(super) place: Place,
    /// Addresses of STUN servers, as the peer can reach them.
    pub(super) stun: Vec<Box<str>>,
    /// The origin of the page, if a browser said one.
    pub(super) origin: Option<WebOrigin>,
}

/// A peer's session. It is kept small: there are many, and most are idle.
pub(super) struct Session {
    socket: Socket,
    id: Cell<SessionId>,
    state: Cell<State>,
    /// Sweeps since the peer was last heard.
    silent: Cell<u16>,
    /// The swarm, once the peer has said its site.
    swarm: OnceCell<Rc<Swarm>>,
    /// Needed only until then.
    guest: RefCell<Option<Box<Guest>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The peer has not said hello.
    Greeting,
    /// The coordinator knows it.
    Joined,
    /// The node has closed the session.
    Closing,
}

/// All sessions of a mesh thread.
#[derive(Default)]
pub(super) struct Sessions(RefCell<Slab<Rc<Session>>>);

impl Sessions {
    /// The session of a number.
    pub(super) fn get(&self, id: SessionId) -> Option<Rc<Session>> {
        self.0.borrow().get(id as usize).cloned()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// The numbers from `from` on of at most `count` sessions, and where to go on.
    pub(super) fn some(&self, from: usize, count: usize) -> (Vec<Rc<Session>>, Option<usize>) {
        let all = self.0.borrow();
        let end = (from + count).min(all.capacity());
        let sessions = (from..end).filter_map(|key| all.get(key).cloned()).collect();
        (sessions, (end < all.capacity()).then_some(end))
    }

    fn add(&self, session: &Rc<Session>) {
        let mut all = self.0.borrow_mut();
        let entry = all.vacant_entry();
        // A node's limit of sessions is far below the 32 bits of a session's number.
        session.id.set(entry.key() as SessionId);
        entry.insert(session.clone());
    }

    fn remove(&self, id: SessionId) {
        let mut all = self.0.borrow_mut();
        all.try_remove(id as usize);
        // Numbers are given from the lowest, but the table keeps its length after a rush.
        if all.is_empty() {
            all.shrink_to_fit();
        }
    }
}

/// Serves one peer until its connection ends.
pub(super) async fn serve(swarms: Rc<Swarms>, tcp: TcpStream, read_ahead: Bytes, guest: Box<Guest>) {
    let session = Rc::new(Session {
        socket: Socket::new(tcp, read_ahead),
        id: Cell::new(0),
        state: Cell::new(State::Greeting),
        silent: Cell::new(0),
        swarm: OnceCell::new(),
        guest: RefCell::new(Some(guest)),
    });
    if swarms.sessions.len() >= swarms.max_sessions {
        session.refuse(Reason::Full, "this node has all the sessions it can take", &swarms.metrics);
    }
    swarms.sessions.add(&session);
    swarms.metrics.sessions.inc();
    let hear = |received: Received<'_>| match received {
        Received::Text(text) => session.hear(&swarms, text),
        Received::Alive => session.hear_sign_of_life(),
        Received::Unreadable(reason, about) => session.misunderstand(&swarms, reason, about),
    };
    session.socket.hear_out(&swarms.read_buffer, hear).await;
    swarms.sessions.remove(session.id.get());
    swarms.metrics.sessions.dec();
    if session.state.get() == State::Joined
        && let Some(swarm) = session.swarm.get()
    {
        swarm.handle(Input::Closed { session: session.id.get() });
    }
}

impl Session {
    /// Sends a frame. A peer that takes nothing for long enough to fill its outbox is let go.
    pub(super) fn send(&self, frame: &[u8]) {
        if self.socket.send(frame).is_err() {
            self.socket.give_up();
        }
    }

    /// Ends the session behind all that was sent.
    pub(super) fn close(&self, reason: Reason) {
        self.state.set(State::Closing);
        self.silent.set(0);
        self.socket.close(reason);
    }

    /// Tells the peer that the node is going down.
    pub(super) fn say_goodbye(&self) {
        if self.state.get() == State::Closing {
            return;
        }
        self.send_error(Reason::ShuttingDown, "the node is going down; come again");
        self.close(Reason::ShuttingDown);
    }

    /// Called every sweep: time is counted in sweeps, so that sessions need no timers.
    pub(super) fn sweep(&self, metrics: &MeshMetrics) {
        let silent = self.silent.get().saturating_add(1);
        self.silent.set(silent);
        if self.socket.is_stuck() {
            metrics.closed(Reason::SlowReader);
            return self.socket.give_up();
        }
        match self.state.get() {
            State::Greeting if silent > HELLO_SWEEPS => {
                self.refuse(Reason::OutOfOrder, "no hello came in time", metrics);
            }
            State::Closing if silent > LINGER_SWEEPS => self.socket.give_up(),
            State::Joined if silent > PING_SWEEPS * (PINGS + 1) => {
                metrics.closed(Reason::Silent);
                self.socket.give_up();
            }
            State::Joined if silent.is_multiple_of(PING_SWEEPS) && self.socket.ping().is_err() => {
                self.socket.give_up();
            }
            _ => {}
        }
    }

    fn hear_sign_of_life(&self) {
        // Before hello only hello counts, or a connection could be held for ever with pings.
        if self.state.get() == State::Joined {
            self.silent.set(0);
        }
    }

    fn hear(self: &Rc<Self>, swarms: &Swarms, text: &str) {
        self.silent.set(0);
        swarms.metrics.received.inc();
        if self.state.get() == State::Closing {
            return;
        }
        match serde_json::from_str::<ToNode>(text) {
            Ok(message) => {
                if self.state.get() == State::Greeting && !self.greet(swarms, &message) {
                    return;
                }
                self.tell(|session| Input::Message { session, message });
            }
            Err(error) => self.misunderstand(swarms, Reason::Malformed, error.to_string().into()),
        }
    }

    fn misunderstand(&self, swarms: &Swarms, reason: Reason, about: Box<str>) {
        self.silent.set(0);
        swarms.metrics.unreadable(reason);
        match self.state.get() {
            State::Greeting => self.refuse(reason, &about, &swarms.metrics),
            State::Joined => self.tell(|session| Input::Unreadable { session, reason, about }),
            State::Closing => {}
        }
    }

    /// Finds the swarm of a peer by its first message; false when the peer was refused.
    fn greet(&self, swarms: &Swarms, message: &ToNode) -> bool {
        let ToNode::Hello { site, .. } = message else {
            self.refuse(Reason::OutOfOrder, "the first message is hello", &swarms.metrics);
            return false;
        };
        let Some(guest) = self.guest.take() else { return false };
        let Some(swarm) = find_swarm(swarms, site, guest.origin.as_ref()) else {
            self.refuse(Reason::UnknownSite, site.as_str(), &swarms.metrics);
            return false;
        };
        let Guest { place, stun, .. } = *guest;
        self.state.set(State::Joined);
        let swarm = self.swarm.get_or_init(|| swarm);
        swarm.handle(Input::Opened { session: self.id.get(), place, stun });
        true
    }

    /// Says why to a peer that no coordinator knows, and closes.
    fn refuse(&self, reason: Reason, about: &str, metrics: &MeshMetrics) {
        metrics.closed(reason);
        self.send_error(reason, about);
        self.close(reason);
    }

    fn send_error(&self, reason: Reason, about: &str) {
        if let Some(frame) = WriteBuffer::default().text(&ToPeer::Error { reason, about: about.into() }) {
            self.send(frame);
        }
    }

    fn tell(&self, input: impl FnOnce(SessionId) -> Input) {
        // The coordinator may have closed the session in answer to `Opened`.
        if self.state.get() == State::Joined
            && let Some(swarm) = self.swarm.get()
        {
            swarm.handle(input(self.id.get()));
        }
    }
}

/// The swarm of a site, if pages of this origin may join it.
fn find_swarm(swarms: &Swarms, site: &SiteId, origin: Option<&WebOrigin>) -> Option<Rc<Swarm>> {
    let swarm = swarms.find(site)?;
    let welcome = origin.is_none_or(|origin| swarm.site.accepts(origin));
    welcome.then_some(swarm)
}

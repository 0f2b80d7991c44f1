//! A visitor who is on the site, in both arms of the experiment, and what remains when the visitor leaves.

use std::collections::BTreeSet;
use std::rc::Rc;

use edgeweave_engine::io::{FetchedResource, Shelf};
use edgeweave_engine::{Engine, Input, State};
use edgeweave_protocol::manifest::segment_count;
use edgeweave_protocol::policy::Prefetch;
use edgeweave_protocol::{Digest, PeerId, Timestamp};

use crate::browser::{Browser, HttpCache, RequestKey};
use crate::content::Token;
use crate::event::{Arm, EngineKey};
use crate::faults::Manner;
use crate::link::Window;
use crate::plan::Planned;
use crate::world::Person;
use crate::world::visits::Session;

/// Somebody who looks at pages now.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// Whether it is no visitor, but the operator's own peer.
    pub(crate) is_native: bool,
    pub(crate) planned: Planned,
    pub(crate) person: Person,
    pub(crate) session: Session,
    /// The next of the session's views.
    pub(crate) next_view: usize,
    /// Which of the plan's visits it is.
    pub(crate) visit: usize,
    pub(crate) holdout: Browser,
    pub(crate) mesh: Browser,
    pub(crate) client: Client,
}

impl Visitor {
    pub(crate) fn browser_mut(&mut self, arm: Arm) -> &mut Browser {
        match arm {
            Arm::Holdout => &mut self.holdout,
            Arm::Mesh => &mut self.mesh,
        }
    }
}

/// Our client in the visitor's browser: the worker, what is stored, and the page part while it runs.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) kept: Kept,
    /// Until when the worker runs if nothing more is asked of it.
    pub(crate) worker_until: Timestamp,
    /// Until when purges are known to arrive, unless there is a session.
    pub(crate) confirmed_until: Timestamp,
    /// What the node says of what is admitted, where the worker asked.
    pub(crate) word: Option<Word>,
    /// Requests that wait for an engine to take them.
    pub(crate) waiting: Vec<RequestKey>,
    /// What the browser fetched by its own means and no engine has heard of.
    pub(crate) fetched: Vec<FetchedResource>,
    /// What an engine has to be told, and there was none.
    pub(crate) untold: Vec<Input>,
    /// By how much this computer's clock is wrong, in milliseconds.
    pub(crate) clock_ms: i64,
    /// The epoch of the manifest that the engine heard of last.
    pub(crate) epoch: Option<u32>,
    /// Whether an engine is about to start.
    pub(crate) starting: bool,
    pub(crate) page_part: Option<Box<PagePart>>,
}

/// The node's word of what is admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    /// When it is here, or no longer waited for.
    pub(crate) known_at: Timestamp,
    /// Whether it comes in time.
    pub(crate) comes: bool,
}

/// What outlives a page, and a visit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Whether the worker is installed.
    pub(crate) installed: bool,
    pub(crate) state: Option<State>,
    pub(crate) stored: BTreeSet<(Digest, u32)>,
    /// What the worker knows.
    pub(crate) shelf: Rc<Shelf>,
    /// Whether the site's policy leaves this visitor alone, when an engine has said.
    pub(crate) held_out: Option<bool>,
}

impl Kept {
    /// Whether all of a content is stored.
    pub(crate) fn holds(&self, hash: Digest, size: u64) -> bool {
        (0..segment_count(size)).all(|segment| self.stored.contains(&(hash, segment)))
    }
}

/// The page part: an engine and what its body keeps for it.
#[derive(Debug)]
pub(crate) struct PagePart {
    pub(crate) key: EngineKey,
    pub(crate) engine: Engine,
    pub(crate) session: Option<u32>,
    pub(crate) connected: bool,
    /// What the browser fetches of linked pages ahead.
    pub(crate) prefetch: Prefetch,
    pub(crate) peer: Option<PeerId>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) payloads: Payloads,
    pub(crate) tick_at: Option<Timestamp>,
    pub(crate) manner: Manner,
    /// When the last message in each direction of the WebSocket arrives: they arrive in order.
    pub(crate) last_said: Timestamp,
    pub(crate) last_heard: Timestamp,
}

impl PagePart {
    pub(crate) fn new(now: Timestamp, key: EngineKey, engine: Engine, manner: Manner) -> Self {
        Self {
            key,
            engine,
            session: None,
            connected: false,
            prefetch: Prefetch::Off,
            peer: None,
            channels: Vec::new(),
            payloads: Payloads::default(),
            tick_at: None,
            manner,
            last_said: now,
            last_heard: now,
        }
    }

    pub(crate) fn channel(&mut self, peer: PeerId) -> Option<&mut Channel> {
        self.channels.iter_mut().find(|channel| channel.peer == peer)
    }
}

/// A peer connection as one side sees it.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) peer: PeerId,
    pub(crate) other: EngineKey,
    pub(crate) offers: bool,
    pub(crate) open: bool,
    pub(crate) window: Window,
    /// When the last frame that was sent arrives: they arrive in order.
    pub(crate) last_arrival: Timestamp,
}

/// Payloads by handle.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    tokens: Vec<Option<Token>>,
    kept: usize,
}

impl Payloads {
    pub(crate) fn keep(&mut self, token: Token) -> u32 {
        self.tokens.push(Some(token));
        self.kept += 1;
        self.tokens.len() as u32 - 1
    }

    pub(crate) fn get(&self, handle: u32) -> Option<Token> {
        self.tokens.get(handle as usize).copied().flatten()
    }

    pub(crate) fn release(&mut self, handle: u32) {
        if self.tokens.get_mut(handle as usize).and_then(Option::take).is_some() {
            self.kept -= 1;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept
    }
}

/// What a visitor who comes again finds: the HTTP cache of each arm, and what the client kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remains {
    pub(crate) holdout: HttpCache,
    pub(crate) mesh: HttpCache,
    pub(crate) kept: Kept,
}

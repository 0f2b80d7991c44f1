//! What a browser is without the mesh, and with it: an HTTP cache, a connection to the origin, and a page that loads.
//! Both arms of an experiment have one of these each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use edgeweave_protocol::{Digest, Timestamp};

use crate::http1::{Ask, Pool};
use crate::link::{Lane, Roughness, Window, transmission};
use crate::world::Access;
use crate::world::given::{GivenNetwork, Http};

/// An idle connection to the origin is closed after so long, as servers do.
const ORIGIN_KEEPS: Duration = Duration::from_secs(60);

/// One to a supernode, which closes none, is closed by browsers after so long (Chromium's `used_idle_socket_timeout`).
const BROWSER_KEEPS: Duration = Duration::from_secs(300);

/// Bytes that are sent in one go.
const CHUNK_BYTES: u64 = 64 * 1024;

/// Bytes of an answer besides its content: its header fields.
pub(crate) const HEAD_BYTES: u64 = 400;

/// How far a sender may be ahead of what the access link has carried: the queue before it.
pub(crate) const QUEUE: Duration = Duration::from_millis(50);

/// One arm's browser.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) down: Lane,
    pub(crate) up: Lane,
    pub(crate) http_cache: HttpCache,
    /// What pages under a worker's control have used during this visit, and until when it is fresh: the browser still has it
    /// in memory, and asks neither the worker nor its HTTP cache for it.
    pub(crate) memory: BTreeMap<u32, Timestamp>,
    /// To the origin.
    pub(crate) connection: Transport,
    pub(crate) supernode: Transport,
    pub(crate) load: Load,
    /// The next page's document, if it is asked for already.
    pub(crate) ahead: Option<Ahead>,
}

/// A document that the browser fetches before its visitor goes there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    pub(crate) bytes: u64,
    /// Whether all of it is here.
    pub(crate) here: bool,
}

impl Browser {
    /// Whether a page gets an asset from memory.
    pub(crate) fn remembers(&self, asset: u32, now: Timestamp) -> bool {
        self.memory.get(&asset).is_some_and(|fresh_until| now < *fresh_until)
    }

    pub(crate) fn new(access: &Access, http_cache: HttpCache, network: Option<&GivenNetwork>) -> Self {
        let http = network.map_or(Http::H2, |network| network.http);
        let roughness = network.map(GivenNetwork::roughness).unwrap_or_default();
        Self {
            down: Lane::new(access.down),
            up: Lane::new(access.up),
            http_cache,
            memory: BTreeMap::new(),
            connection: Transport::new(http, ORIGIN_KEEPS, false, roughness),
            supernode: Transport::new(http, BROWSER_KEEPS, true, roughness),
            load: Load::default(),
            ahead: None,
        }
    }
}

/// The browser's own HTTP cache, as far as the site's assets are in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpCache {
    /// Sorted by asset.
    copies: Vec<Copy>,
    /// Pages whose documents it has. They are asked for each time, and the origin says whether they have changed.
    pub(crate) documents: BTreeSet<usize>,
}

/// A copy of an asset in a browser's HTTP cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    asset: u32,
    pub(crate) version: u32,
    pub(crate) fresh_until: Timestamp,
}

impl HttpCache {
    pub(crate) fn get(&self, asset: u32) -> Option<Copy> {
        let place = self.copies.binary_search_by_key(&asset, |copy| copy.asset).ok()?;
        self.copies.get(place).copied()
    }

    pub(crate) fn put(&mut self, asset: u32, version: u32, fresh_until: Timestamp) {
        let copy = Copy { asset, version, fresh_until };
        match self.copies.binary_search_by_key(&asset, |copy| copy.asset) {
            Ok(place) => self.copies[place] = copy,
            Err(place) => self.copies.insert(place, copy),
        }
    }
}

/// A page on its way.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Counts the views of a browser: an answer to an earlier page is nobody's.
    pub(crate) number: u16,
    pub(crate) page: usize,
    pub(crate) began: Timestamp,
    /// Whether a worker is in control.
    pub(crate) controlled: bool,
    /// Whether this visitor has never been here before.
    pub(crate) first_ever: bool,
    pub(crate) requests: Vec<Request>,
    /// Requests without an answer.
    pub(crate) open: u32,
    /// How many of the page's assets have been asked for, in the document's order, fonts aside.
    pub(crate) discovered: usize,
    /// Styles without an answer: fonts wait for them.
    pub(crate) styles_open: u32,
    pub(crate) fonts: Vec<u32>,
    /// Until when the browser makes a page of what is here.
    pub(crate) busy_until: Timestamp,
    /// Until when the worker deals with the requests before.
    pub(crate) worker_busy_until: Timestamp,
    pub(crate) loaded: Option<Timestamp>,
    /// Whether the visitor left before it had loaded.
    pub(crate) is_unfinished: bool,
    /// What the origin was asked for.
    pub(crate) origin_bytes: u64,
}

impl Load {
    /// How long the page took, in milliseconds, once it has ended.
    pub(crate) fn took_ms(&self) -> f64 {
        self.loaded.map_or(0.0, |loaded| loaded.since(self.began).as_secs_f64() * 1e3)
    }

    /// A request, if it is one of this page's.
    pub(crate) fn asked(&mut self, request: RequestKey) -> Option<&mut Request> {
        self.requests.get_mut(usize::from(request.place)).filter(|_| self.number == request.load)
    }
}

/// One of a page's requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// The asset; `None` for the document itself.
    pub(crate) asset: Option<u32>,
    pub(crate) began: Timestamp,
    /// Bytes of it that the mesh has delivered.
    pub(crate) from_mesh: u64,
    /// Whether an engine has taken it.
    pub(crate) engine_asked: bool,
    /// The content that the supernode was asked for.
    pub(crate) hash: Option<Digest>,
    /// Whether the rungs below neighbours are asked, and what they bring is waited for.
    pub(crate) next_rung_asked: bool,
    /// Whether the origin has been asked, too.
    pub(crate) origin_asked: bool,
    pub(crate) answered: bool,
}

/// Names a request of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestKey {
    pub(crate) load: u16,
    pub(crate) place: u16,
}

impl RequestKey {
    /// Whether it is for a page's document, which is asked for first.
    pub(crate) fn is_documents(self) -> bool {
        self.place == 0
    }

    /// The number by which an engine knows it.
    pub(crate) fn id(self) -> u32 {
        u32::from(self.load) << 16 | u32::from(self.place)
    }

    /// The request of which an engine speaks.
    pub(crate) fn of(id: u32) -> Self {
        Self { load: (id >> 16) as u16, place: id as u16 }
    }
}

/// How a browser speaks to a server.
#[derive(Debug)]
pub(crate) enum Transport {
    H1(Pool),
    H2(Connection),
}

impl Transport {
    fn new(http: Http, keep_alive: Duration, together: bool, roughness: Roughness) -> Self {
        match http {
            Http::H1 => Self::H1(Pool::new(keep_alive, together, roughness)),
            Http::H2 => Self::H2(Connection::new(keep_alive)),
        }
    }

    /// Whether nothing has to be set up before a request.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        match self {
            Self::H1(pool) => pool.is_open(now),
            Self::H2(connection) => connection.is_open(now),
        }
    }

    /// Sets a connection up where none is open.
    pub(crate) fn open(&mut self, now: Timestamp, round_trip: Duration) {
        match self {
            Self::H1(pool) => pool.open(now, round_trip),
            Self::H2(connection) => drop(connection.open(now, round_trip)),
        }
    }

    /// Asks; returns when [`pump`](Self::pump) is wanted, if it is not going on already.
    pub(crate) fn ask(&mut self, now: Timestamp, ask: Ask, round_trip: Duration) -> Option<Timestamp> {
        match self {
            Self::H1(pool) => pool.ask(now, ask, round_trip),
            Self::H2(connection) => connection.ask(now, ask.request, ask.bytes, ask.think, round_trip),
        }
    }

    /// Sends the next part of what is asked for.
    pub(crate) fn pump(
        &mut self,
        now: Timestamp,
        down: &mut Lane,
        round_trip: Duration,
        rate: u64,
    ) -> Pumped {
        match self {
            Self::H1(pool) => pool.pump(now, down, round_trip, rate),
            Self::H2(connection) => connection.pump(now, down, round_trip, rate),
        }
    }

    /// An answer is not needed any more: what has not been sent of it is not sent.
    pub(crate) fn cancel(&mut self, request: RequestKey) {
        match self {
            Self::H1(pool) => pool.cancel(request),
            Self::H2(connection) => connection.cancel(request),
        }
    }

    /// The page has gone: nothing more of it is wanted.
    pub(crate) fn abandon(&mut self, load: u16) {
        match self {
            Self::H1(pool) => pool.abandon(load),
            Self::H2(connection) => connection.abandon(load),
        }
    }
}

/// A connection to a server over which answers come one after the other, as HTTP/2 sends them where all are of one
/// priority.
#[derive(Debug)]
pub(crate) struct Connection {
    keep_alive: Duration,
    ready_at: Option<Timestamp>,
    used_at: Timestamp,
    window: Window,
    answers: VecDeque<Answer>,
    pumping: bool,
}

/// An answer that the server is sending, or about to.
#[derive(Clone, Copy, Debug)]
struct Answer {
    request: RequestKey,
    ready_at: Timestamp,
    left: u64,
}

/// What comes of a turn of [`Connection::pump`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pumped {
    /// The answer that is complete, and when its last byte is here.
    pub(crate) complete: Option<(RequestKey, Timestamp)>,
    /// The answer that is not, how much of it is on its way, in bytes, and when that is here.
    pub(crate) partial: Option<(RequestKey, u64, Timestamp)>,
    /// When there is more to send.
    pub(crate) again: Option<Timestamp>,
}

impl Connection {
    fn new(keep_alive: Duration) -> Self {
        Self {
            keep_alive,
            ready_at: None,
            used_at: Timestamp::ZERO,
            window: Window::default(),
            answers: VecDeque::new(),
            pumping: false,
        }
    }

    /// Whether nothing has to be set up before a request.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.ready_at.is_some_and(|ready| now < ready.max(self.used_at) + self.keep_alive)
    }

    /// Sets it up where it is not open; returns when it is there.
    pub(crate) fn open(&mut self, now: Timestamp, round_trip: Duration) -> Timestamp {
        let open = self.ready_at.filter(|_| self.is_open(now));
        let ready = open.unwrap_or_else(|| {
            self.window = Window::default();
            now + round_trip * Http::H2.setup_round_trips()
        });
        self.ready_at = Some(ready);
        self.used_at = self.used_at.max(now);
        ready
    }

    /// Asks for so many bytes, which take the origin `think` to find. Returns when [`pump`](Self::pump) is wanted, if it
    /// is not going on already.
    pub(crate) fn ask(
        &mut self,
        now: Timestamp,
        request: RequestKey,
        bytes: u64,
        think: Duration,
        round_trip: Duration,
    ) -> Option<Timestamp> {
        let ready = self.open(now, round_trip);
        let ready_at = ready.max(now) + round_trip / 2 + think;
        let later =
            self.answers.iter().rposition(|answer| answer.ready_at <= ready_at).map_or(0, |at| at + 1);
        // What is being sent is not interrupted.
        let place = if self.pumping { later.max(1).min(self.answers.len()) } else { later };
        self.answers.insert(place, Answer { request, ready_at, left: bytes + HEAD_BYTES });
        (!std::mem::replace(&mut self.pumping, true)).then_some(ready_at)
    }

    /// Sends the next part of what is asked for.
    pub(crate) fn pump(
        &mut self,
        now: Timestamp,
        down: &mut Lane,
        round_trip: Duration,
        rate: u64,
    ) -> Pumped {
        let Some(answer) = self.answers.front_mut() else {
            self.pumping = false;
            return Pumped::default();
        };
        if answer.ready_at > now {
            return Pumped { again: Some(answer.ready_at), ..Pumped::default() };
        }
        let chunk = answer.left.min(CHUNK_BYTES);
        answer.left -= chunk;
        let pace = self.window.pace(chunk, round_trip).max(transmission(chunk, rate));
        let here = down.carry(now + pace + round_trip / 2, chunk);
        self.used_at = here;
        let complete = (answer.left == 0).then_some((answer.request, here));
        if complete.is_some() {
            self.answers.pop_front();
        }
        let next =
            self.answers.front().map(|next| next.ready_at.max(now + pace).max(here - QUEUE - round_trip / 2));
        self.pumping = next.is_some();
        Pumped { complete, again: next, ..Pumped::default() }
    }

    /// An answer is not needed any more: what has not been sent of it is not sent.
    pub(crate) fn cancel(&mut self, request: RequestKey) {
        self.answers.retain(|answer| answer.request != request);
    }

    /// The page has gone: nothing more of it is wanted.
    pub(crate) fn abandon(&mut self, load: u16) {
        self.answers.retain(|answer| answer.request.load != load);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    fn run(connection: &mut Connection, mut next: Option<Timestamp>) -> Vec<(u16, u64)> {
        let mut down = Lane::new(10_000_000);
        let mut done = Vec::new();
        while let Some(now) = next {
            let pumped = connection.pump(now, &mut down, ROUND_TRIP, u64::MAX);
            done.extend(pumped.complete.map(|(request, at)| (request.place, at.as_micros() / 1000)));
            next = pumped.again;
        }
        done
    }

    #[test]
    fn a_cold_connection_takes_three_round_trips_more_than_a_warm_one() {
        let mut connection = Connection::new(ORIGIN_KEEPS);
        let key = |place| RequestKey { load: 0, place };
        let first = connection.ask(Timestamp::ZERO, key(0), 1_000, Duration::ZERO, ROUND_TRIP);
        let cold = run(&mut connection, first);
        assert!((400..420).contains(&cold[0].1), "{cold:?}");
        let start = Timestamp::from_millis(1_000);
        let second = connection.ask(start, key(1), 1_000, Duration::ZERO, ROUND_TRIP);
        let warm = run(&mut connection, second);
        assert!((1_100..1_110).contains(&warm[0].1), "{warm:?}");
        let third = connection.ask(Timestamp::from_millis(90_000), key(2), 1_000, Duration::ZERO, ROUND_TRIP);
        assert!(run(&mut connection, third)[0].1 >= 90_400, "an idle connection was closed");
    }

    #[test]
    fn answers_come_in_turn_and_large_ones_take_slow_start_s_round_trips() {
        let mut connection = Connection::new(ORIGIN_KEEPS);
        let start = connection.ask(
            Timestamp::ZERO,
            RequestKey { load: 0, place: 0 },
            1_000_000,
            Duration::ZERO,
            ROUND_TRIP,
        );
        connection.ask(Timestamp::ZERO, RequestKey { load: 0, place: 1 }, 1_000, Duration::ZERO, ROUND_TRIP);
        let done = run(&mut connection, start);
        assert_eq!([done[0].0, done[1].0], [0, 1]);
        assert!((700..1_500).contains(&done[0].1), "{done:?}");
    }

    #[test]
    fn a_cache_keeps_the_last_copy() {
        let mut cache = HttpCache::default();
        cache.put(7, 1, Timestamp::ZERO);
        cache.put(7, 2, Timestamp::from_millis(1));
        assert_eq!(cache.get(7).map(|copy| copy.version), Some(2));
        assert!(cache.get(8).is_none());
    }
}

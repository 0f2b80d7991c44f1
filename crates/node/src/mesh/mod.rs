//! The mesh thread: it alone owns the coordinators and the peers' sockets, so nothing in it needs a lock, and a
//! relayed signal goes from one socket to another without leaving the thread.

mod frames;
mod session;
mod socket;
mod swarm;

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use edgeweave_coordinator::io::{Fetched, Place};
use edgeweave_coordinator::{Coordinator, Input, Introductions, Setup};
use edgeweave_protocol::manifest::Headers;
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{Reason, SiteId, Timestamp};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

use self::session::{Guest, Sessions};
use self::socket::ReadBuffer;
use self::swarm::Swarm;
use crate::metrics::MeshMetrics;
use crate::site::Site;
use crate::web_origin::WebOrigin;

/// How often sessions are looked at: the unit of all their timeouts.
const SWEEP: Duration = Duration::from_secs(5);
/// Sessions that are looked at in one go; then others have their turn.
const SWEEP_SESSIONS: usize = 10_000;
/// How long peers have to take the farewell when the node ends.
const FAREWELL: Duration = Duration::from_millis(500);

/// A fetch that a coordinator wants.
pub(crate) struct FetchOrder {
    /// The site.
    pub(crate) site: Arc<Site>,
    /// The absolute URL, as visitors see it.
    pub(crate) url: Box<str>,
    /// Validators for a revalidation.
    pub(crate) validators: Headers,
    /// The most bytes of content.
    pub(crate) max_bytes: u64,
}

/// A peer whose WebSocket upgrade was answered.
pub(crate) struct Arrival {
    /// Its connection.
    pub(crate) tcp: std::net::TcpStream,
    /// What was read behind the request.
    pub(crate) read_ahead: Bytes,
    /// Where it connects from.
    pub(crate) place: Place,
    /// Addresses of STUN servers, as it can reach them.
    pub(crate) stun: Vec<Box<str>>,
    /// The page's origin, if it said one.
    pub(crate) origin: Option<WebOrigin>,
}

/// What became of a URL that the operator wants admitted: why it is not.
pub(crate) type Warmed = Result<(), Reason>;

type Look = Box<dyn FnOnce(&Coordinator, Timestamp) + Send>;

enum Command {
    Adopt(Box<Arrival>),
    Tell(SiteId, Box<Input>),
    /// What the origin answered; whether that admitted something is told.
    Fetched {
        site: SiteId,
        url: Box<str>,
        outcome: Result<Fetched, Reason>,
        admitted: oneshot::Sender<bool>,
    },
    Look(SiteId, Look),
    Warm {
        site: SiteId,
        url: Box<str>,
        told: oneshot::Sender<Warmed>,
    },
    ShutDown(oneshot::Sender<()>),
}

/// The way into the mesh thread.
#[derive(Clone)]
pub(crate) struct Mesh {
    commands: mpsc::UnboundedSender<Command>,
}

/// What the mesh thread works on.
struct Swarms {
    sessions: Rc<Sessions>,
    by_site: BTreeMap<SiteId, Rc<Swarm>>,
    max_sessions: usize,
    metrics: MeshMetrics,
    read_buffer: ReadBuffer,
}

impl Swarms {
    fn find(&self, site: &SiteId) -> Option<Rc<Swarm>> {
        self.by_site.get(site).cloned()
    }
}

/// Starts the mesh thread. It ends when the last [`Mesh`] is dropped or [`Mesh::shut_down`] was called.
pub(crate) fn start(
    sites: Vec<Arc<Site>>,
    max_sessions: usize,
    metrics: MeshMetrics,
    fetches: mpsc::UnboundedSender<FetchOrder>,
) -> io::Result<(Mesh, JoinHandle<()>)> {
    let (commands, inbox) = mpsc::unbounded_channel();
    let (started, has_started) = std::sync::mpsc::channel();
    let seeds =
        sites.iter().map(|_| getrandom::u64()).collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    let thread = std::thread::Builder::new().name("mesh".into()).spawn(move || {
        // It can only run where it was made.
        let runtime =
            Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error))),
        };
        let _ = started.send(Ok(()));
        runtime.block_on(async move {
            let sessions = Rc::new(Sessions::default());
            let mut by_site = BTreeMap::new();
            for (site, seed) in sites.into_iter().zip(seeds) {
                let setup = setup_of(&site, seed);
                let id = site.id.clone();
                let swarm = Swarm::new(site, setup, sessions.clone(), fetches.clone(), metrics.clone());
                by_site.insert(id, Rc::new(swarm));
            }
            let read_buffer = ReadBuffer::default();
            run(Rc::new(Swarms { sessions, by_site, max_sessions, metrics, read_buffer }), inbox).await;
        });
    })?;
    has_started.recv().map_err(io::Error::other)??;
    Ok((Mesh { commands }, thread))
}

fn setup_of(site: &Site, seed: u64) -> Setup {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Setup {
        site: site.id.clone(),
        origins: site.origins.iter().map(|origin| origin.as_str().into()).collect(),
        policy: site.policy(),
        admission: site.admission.clone(),
        introductions: Introductions::Ranked,
        seed,
        unix_ms: since_1970.as_millis() as u64,
    }
}

async fn run(swarms: Rc<Swarms>, mut inbox: mpsc::UnboundedReceiver<Command>) {
    for swarm in swarms.by_site.values() {
        tokio::task::spawn_local(swarm.clone().keep_time());
    }
    tokio::task::spawn_local(sweep(swarms.clone()));
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Adopt(arrival) => adopt(&swarms, *arrival),
            Command::Tell(site, input) => {
                if let Some(swarm) = swarms.find(&site) {
                    swarm.handle(*input);
                }
            }
            Command::Fetched { site, url, outcome, admitted } => {
                if let Some(swarm) = swarms.find(&site) {
                    // Whoever asked may be gone.
                    let _ = admitted.send(swarm.fetched(url, outcome));
                }
            }
            Command::Look(site, at) => {
                if let Some(swarm) = swarms.find(&site) {
                    swarm.look(at);
                }
            }
            Command::Warm { site, url, told } => {
                if let Some(swarm) = swarms.find(&site) {
                    swarm.warm(url, told);
                }
            }
            Command::ShutDown(done) => {
                farewell(&swarms).await;
                let _ = done.send(());
                return;
            }
        }
    }
}

fn adopt(swarms: &Rc<Swarms>, arrival: Arrival) {
    let Arrival { tcp, read_ahead, place, stun, origin } = arrival;
    // The connection moves from the reactor that read its request to the one of this thread.
    match TcpStream::from_std(tcp) {
        Ok(tcp) => {
            let guest = Box::new(Guest { place, stun, origin });
            tokio::task::spawn_local(session::serve(swarms.clone(), tcp, read_ahead, guest));
        }
        Err(error) => tracing::warn!(%error, "a peer's connection could not be taken over"),
    }
}

async fn sweep(swarms: Rc<Swarms>) {
    let mut sweeps = tokio::time::interval(SWEEP);
    loop {
        sweeps.tick().await;
        let mut next = Some(0);
        while let Some(from) = next {
            let (sessions, rest) = swarms.sessions.some(from, SWEEP_SESSIONS);
            sessions.iter().for_each(|session| session.sweep(&swarms.metrics));
            next = rest;
            tokio::task::yield_now().await;
        }
    }
}

async fn farewell(swarms: &Swarms) {
    let (sessions, _) = swarms.sessions.some(0, usize::MAX >> 1);
    sessions.iter().for_each(|session| session.say_goodbye());
    drop(sessions);
    let gone = async {
        while swarms.sessions.len() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = tokio::time::timeout(FAREWELL, gone).await;
}

impl Mesh {
    /// Hands a peer over.
    pub(crate) fn adopt(&self, arrival: Arrival) {
        self.send(Command::Adopt(Box::new(arrival)));
    }

    /// Tells a site's coordinator what the origin answered; true when that admitted its content.
    pub(crate) async fn fetched(
        &self,
        site: &SiteId,
        url: Box<str>,
        outcome: Result<Fetched, Reason>,
    ) -> bool {
        let (admitted, is_admitted) = oneshot::channel();
        self.send(Command::Fetched { site: site.clone(), url, outcome, admitted });
        is_admitted.await.unwrap_or(false)
    }

    /// Purges one URL of a site, or everything.
    pub(crate) fn purge(&self, site: &SiteId, url: Option<Box<str>>) {
        self.tell(site, Input::Purge { url });
    }

    /// Lets a URL of a site be admitted without waiting for visitors; what became of it comes when the origin has
    /// answered, or never when the node is going down.
    pub(crate) fn warm(&self, site: &SiteId, url: Box<str>) -> oneshot::Receiver<Warmed> {
        let (told, became) = oneshot::channel();
        self.send(Command::Warm { site: site.clone(), url, told });
        became
    }

    /// Changes a site's policy.
    pub(crate) fn set_policy(&self, site: &SiteId, policy: Policy) {
        self.tell(site, Input::SetPolicy(policy));
    }

    /// Looks at a site's coordinator; `None` when there is no such site, or the node is going down.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        site: &SiteId,
        at: impl FnOnce(&Coordinator, Timestamp) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let look = Box::new(move |coordinator: &Coordinator, now| {
            let _ = answer.send(at(coordinator, now));
        });
        self.send(Command::Look(site.clone(), look));
        answered.await.ok()
    }

    /// Tells all peers that the node is going down, and ends the thread.
    pub(crate) async fn shut_down(&self) {
        let (done, wait) = oneshot::channel();
        self.send(Command::ShutDown(done));
        let _ = wait.await;
    }

    fn tell(&self, site: &SiteId, input: Input) {
        self.send(Command::Tell(site.clone(), Box::new(input)));
    }

    fn send(&self, command: Command) {
        // The thread is gone only while the node is going down.
        let _ = self.commands.send(command);
    }
}

//! One swarm: a coordinator, and the effects of its outputs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use edgeweave_coordinator::io::Fetched;
use edgeweave_coordinator::{Coordinator, Input, Output, Setup};
use edgeweave_protocol::{Reason, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot};

use super::session::Sessions;
use super::socket::WriteBuffer;
use super::{FetchOrder, Warmed};
use crate::metrics::MeshMetrics;
use crate::site::Site;

/// A site's coordinator with all that it needs to act.
pub(super) struct Swarm {
    /// The site.
    pub(super) site: std::sync::Arc<Site>,
    coordinator: RefCell<Coordinator>,
    sessions: Rc<Sessions>,
    fetches: mpsc::UnboundedSender<FetchOrder>,
    metrics: MeshMetrics,
    write_buffer: RefCell<WriteBuffer>,
    /// Who waits for what becomes of a URL.
    warming: RefCell<BTreeMap<Box<str>, Vec<oneshot::Sender<Warmed>>>>,
    /// What [`Timestamp::ZERO`] is.
    start: Instant,
    /// The deadline that the timer waits for.
    armed: Cell<Option<Timestamp>>,
    /// Tells the timer that there is an earlier one.
    earlier: Notify,
}

impl Swarm {
    /// A swarm without peers.
    pub(super) fn new(
        site: std::sync::Arc<Site>,
        setup: Setup,
        sessions: Rc<Sessions>,
        fetches: mpsc::UnboundedSender<FetchOrder>,
        metrics: MeshMetrics,
    ) -> Self {
        Self {
            site,
            coordinator: RefCell::new(Coordinator::new(Timestamp::ZERO, setup)),
            sessions,
            fetches,
            metrics,
            write_buffer: RefCell::default(),
            warming: RefCell::default(),
            start: Instant::now(),
            armed: Cell::new(None),
            earlier: Notify::new(),
        }
    }

    /// Tells the coordinator what happened, and does what it says.
    pub(super) fn handle(&self, input: Input) {
        self.coordinator.borrow_mut().handle_input(self.now(), input);
        // The coordinator is not borrowed while an output is acted upon.
        while let Some(output) = self.next_output() {
            self.act(output);
        }
        let deadline = self.coordinator.borrow().poll_timeout();
        let is_earlier = match (deadline, self.armed.get()) {
            (Some(new), Some(armed)) => new < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_earlier {
            self.armed.set(deadline);
            self.earlier.notify_one();
        }
    }

    /// Tells the coordinator what the origin answered; true when that admitted its content.
    pub(super) fn fetched(&self, url: Box<str>, outcome: Result<Fetched, Reason>) -> bool {
        let admissions = || self.coordinator.borrow().counts().admissions;
        let before = admissions();
        self.handle(Input::Fetched { url, outcome });
        admissions() > before
    }

    /// Lets a URL be admitted; whoever asked is told what became of it.
    pub(super) fn warm(&self, url: Box<str>, told: oneshot::Sender<Warmed>) {
        self.warming.borrow_mut().entry(url.clone()).or_default().push(told);
        self.handle(Input::Warm { url });
    }

    /// Looks at the coordinator.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Coordinator, Timestamp) -> T) -> T {
        at(&self.coordinator.borrow(), self.now())
    }

    /// Gives the coordinator its ticks; never ends.
    pub(super) async fn keep_time(self: Rc<Self>) {
        loop {
            let deadline = self.coordinator.borrow().poll_timeout();
            self.armed.set(deadline);
            let tick = async {
                match deadline {
                    Some(deadline) => {
                        tokio::time::sleep_until((self.start + since_start(deadline)).into()).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tick => {
                    self.armed.set(None);
                    self.handle(Input::Tick);
                }
                () = self.earlier.notified() => {}
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.start.elapsed()
    }

    fn next_output(&self) -> Option<Output> {
        self.coordinator.borrow_mut().poll_output()
    }

    fn act(&self, output: Output) {
        match output {
            Output::Send { session, message } => {
                self.metrics.sent(&message);
                let Some(session) = self.sessions.get(session) else { return };
                if let Some(frame) = self.write_buffer.borrow_mut().text(&message) {
                    session.send(frame);
                }
            }
            Output::Close { session, reason } => {
                self.metrics.closed(reason);
                if let Some(session) = self.sessions.get(session) {
                    session.close(reason);
                }
            }
            Output::Fetch { url, validators, max_bytes } => {
                self.metrics.fetches.inc();
                let order = FetchOrder { site: self.site.clone(), url, validators, max_bytes };
                // The receiver is gone only while the node is going down.
                let _ = self.fetches.send(order);
            }
            Output::Warmed { url, outcome } => {
                for told in self.warming.borrow_mut().remove(&url).unwrap_or_default() {
                    // Whoever asked may be gone.
                    let _ = told.send(outcome);
                }
            }
        }
    }
}

fn since_start(deadline: Timestamp) -> Duration {
    deadline.since(Timestamp::ZERO)
}

//! The laws of the design, checked at every step.

use std::collections::BTreeMap;
use std::time::Duration;

use edgeweave_protocol::limits::SEGMENT_PIECES;
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{Digest, Timestamp};
use serde::Serialize;

use crate::content::{Content, Token};
use crate::origin::{self, Origin, is_public, mesh_lifetime};
use crate::slab::Key;
use crate::visitor::{Payloads, Visitor};
use crate::world::site::Site;

/// A request that an engine has taken is decided within so long.
const DECIDED: Duration = Duration::from_secs(60);

/// Payloads that an engine may leave behind at its end: what is being verified or stored just then.
const LEFT_MOST: usize = 256;

/// A violation is described in full only for so many.
const DESCRIBED: usize = 20;

/// Past its lifetime an asset may be used for as long as messages are under way.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// A law of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// Only the origin's bytes reach a page.
    OnlyTheOriginsBytes,
    /// Only public bytes are kept for, and given to, others.
    OnlyPublicBytes,
    /// Every request is answered once, and in time.
    NeverWorse,
    /// What a visitor gives is within the budget.
    TheVisitorsBudget,
    /// Nothing is served past its freshness.
    Fresh,
    /// Memory is bounded.
    Bounded,
}

/// What was checked, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    /// The number of the event that is being dealt with.
    pub(crate) event: u64,
    checks: u64,
    violations: BTreeMap<Law, u64>,
    described: Vec<Violation>,
    /// Requests that engines have taken, and when.
    open: BTreeMap<(Key, u32), Timestamp>,
    /// What each visitor has given: bytes, in which month.
    given: BTreeMap<u32, u64>,
}

/// A law that did not hold.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// The law.
    pub law: Law,
    /// Microseconds since the start.
    pub at_us: u64,
    /// The number of the event at which it was found.
    pub event: u64,
    /// What happened.
    pub what: String,
}

/// What was checked, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Checks that were made.
    pub checks: u64,
    /// How many failed.
    pub violations: u64,
    /// How many of each law's.
    pub by_law: BTreeMap<Law, u64>,
    /// The first ones.
    pub first: Vec<Violation>,
}

impl Laws {
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict {
            checks: self.checks,
            violations: self.violations.values().sum(),
            by_law: self.violations.clone(),
            first: self.described.clone(),
        }
    }

    /// Whether any law was violated.
    pub(crate) fn are_broken(&self) -> bool {
        !self.violations.is_empty()
    }

    pub(crate) fn check(&mut self, now: Timestamp, law: Law, holds: bool, what: impl FnOnce() -> String) {
        self.checks += 1;
        if holds {
            return;
        }
        *self.violations.entry(law).or_default() += 1;
        if self.described.len() < DESCRIBED {
            self.described.push(Violation { law, at_us: now.as_micros(), event: self.event, what: what() });
        }
    }

    /// The worker answers from the secondary cache.
    pub(crate) fn served(&mut self, now: Timestamp, site: &Site, asset: u32, hash: Digest) {
        let content = Content::of(hash);
        self.check(now, Law::OnlyTheOriginsBytes, content.asset == asset, || {
            format!("asset {asset} was answered with {content:?}")
        });
        self.check_fresh(now, site, content);
    }

    /// The mesh delivers part of an answer to a page.
    pub(crate) fn delivered(
        &mut self,
        now: Timestamp,
        site: &Site,
        asset: Option<u32>,
        token: Option<Token>,
        in_order: bool,
    ) {
        let Some(token) = token else {
            return self.check(now, Law::OnlyTheOriginsBytes, false, || "a payload that is gone".into());
        };
        let right = asset == Some(token.content.asset) && !token.corrupt && in_order;
        self.check(now, Law::OnlyTheOriginsBytes, right, || {
            format!("asset {asset:?} was answered with {token:?}, in order: {in_order}")
        });
        self.check_fresh(now, site, token.content);
    }

    /// The mesh begins to answer a request for all of something.
    pub(crate) fn begun(&mut self, now: Timestamp, site: &Site, asset: Option<u32>, status: u16) {
        let right = asset.map(|asset| origin::status(site.assets[asset as usize].caching));
        self.check(now, Law::OnlyTheOriginsBytes, right == Some(status), || {
            format!("asset {asset:?} was answered with {status}, and the origin answers with {right:?}")
        });
    }

    fn check_fresh(&mut self, now: Timestamp, site: &Site, content: Content) {
        let until = Origin::replaced_at(now, site, content)
            .map(|at| at + mesh_lifetime(site.assets[content.asset as usize].caching) + UNDER_WAY);
        self.check(now, Law::Fresh, until.is_none_or(|until| now <= until), || {
            format!("{content:?} was served though it was fresh until {until:?} only")
        });
    }

    /// An engine stores a segment.
    pub(crate) fn stored(
        &mut self,
        now: Timestamp,
        site: &Site,
        hash: Digest,
        handles: &[u32],
        payloads: &Payloads,
    ) {
        let content = Content::of(hash);
        let tokens: Vec<Option<Token>> = handles.iter().map(|handle| payloads.get(*handle)).collect();
        let right =
            tokens.iter().flatten().filter(|token| token.content == content && !token.corrupt).count();
        self.check(
            now,
            Law::OnlyTheOriginsBytes,
            right == handles.len() && right <= SEGMENT_PIECES as usize,
            || format!("{content:?} was stored as {tokens:?}"),
        );
        let public = is_public(site.assets[content.asset as usize].caching) && content.made_for.is_none();
        self.check(now, Law::OnlyPublicBytes, public, || format!("{content:?} was stored"));
    }

    /// An engine is asked for something.
    pub(crate) fn asked(&mut self, now: Timestamp, visitor: Key, request: u32) {
        let before = self.open.insert((visitor, request), now);
        self.check(now, Law::NeverWorse, before.is_none(), || format!("request {request} was asked twice"));
    }

    /// An engine has answered, or left it to the origin.
    pub(crate) fn answered(&mut self, now: Timestamp, visitor: Key, request: u32) {
        let asked = self.open.remove(&(visitor, request));
        let in_time = asked.is_some_and(|asked| now.since(asked) <= DECIDED);
        self.check(now, Law::NeverWorse, in_time, || {
            format!("request {request}, asked at {asked:?}, was answered twice or too late")
        });
    }

    /// A body has another answer to what it asked an engine; false when it had asked nothing, or has its answer.
    pub(crate) fn withdrawn(&mut self, visitor: Key, request: u32) -> bool {
        self.open.remove(&(visitor, request)).is_some()
    }

    /// A piece goes to a neighbour.
    pub(crate) fn uploaded(
        &mut self,
        now: Timestamp,
        visitor: &Visitor,
        payload: Option<(Token, u32)>,
        site: &Site,
        policy: &Policy,
    ) {
        let Some((token, len)) = payload else { return };
        let public = is_public(site.assets[token.content.asset as usize].caching);
        self.check(now, Law::OnlyPublicBytes, public && token.content.made_for.is_none(), || {
            format!("{token:?} left a browser")
        });
        if visitor.is_native {
            // What spares visitors does not bind it.
            return;
        }
        let device = &visitor.person.device;
        self.check(now, Law::TheVisitorsBudget, !device.saves_data, || {
            format!("visitor {} saves data, and gave", visitor.planned.visitor)
        });
        let given = self.given.entry(visitor.planned.visitor).or_default();
        *given += u64::from(len);
        let given = *given;
        let within = given <= policy.upload_bytes_per_month;
        self.check(now, Law::TheVisitorsBudget, within, || {
            format!("visitor {} gave {given} bytes", visitor.planned.visitor)
        });
    }

    /// An engine opens a peer connection.
    pub(crate) fn opened_peer(&mut self, now: Timestamp, visitor: Option<&Visitor>) {
        let may = visitor.is_some_and(|visitor| visitor.person.device.webrtc);
        self.check(now, Law::TheVisitorsBudget, may, || {
            "a browser without WebRTC opened a connection".into()
        });
    }

    /// A page has ended without a word, and what it had asked for with it.
    pub(crate) fn page_vanished(&mut self, visitor: Key) {
        self.take_open(visitor);
    }

    /// The requests of a visitor's that have no answer are nobody's any more.
    fn take_open(&mut self, visitor: Key) -> Vec<(Key, u32)> {
        self.open.extract_if((visitor, 0)..=(visitor, u32::MAX), |_, _| true).map(|(key, _)| key).collect()
    }

    /// An engine has come to its end.
    pub(crate) fn engine_ended(&mut self, now: Timestamp, visitor: Key, payloads: usize) {
        let left = self.take_open(visitor);
        self.check(now, Law::NeverWorse, left.is_empty(), || format!("requests without an answer: {left:?}"));
        self.check(now, Law::Bounded, payloads <= LEFT_MOST, || {
            format!("{payloads} payloads were left behind")
        });
    }
}

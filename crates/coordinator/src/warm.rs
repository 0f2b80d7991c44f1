//! URLs that the operator wants admitted before any visitor has seen them, and what becomes of each.

use std::collections::BTreeSet;

use edgeweave_protocol::Reason;

use crate::Coordinator;
use crate::admission::{self, Presence};
use crate::fetches::Task;
use crate::io::Output;
use crate::manifest::Entry;

/// URLs of which the operator has not been told what became; never more than are fetched or wait for it.
pub(crate) type Warming = BTreeSet<Box<str>>;

impl Coordinator {
    /// The operator wants a URL admitted. An earlier refusal does not count: whoever asks may have mended its cause.
    pub(crate) fn warm(&mut self, url: Box<str>) {
        let refusal = match admission::judge_url(&url, &self.setup.origins) {
            Ok(()) => (!self.setup.policy.enabled).then_some(Reason::SwitchedOff),
            Err(reason) => Some(reason),
        };
        if let Some(reason) = refusal {
            // Who asked before, and waits, hears the same.
            self.warming.remove(&url);
            return self.out.push(Output::Warmed { url, outcome: Err(reason) });
        }
        self.seen.refused.remove(&url);
        self.warming.insert(url.clone());
        self.go_on_warming(&url);
    }

    /// Lets a URL that is warmed be fetched, unless it is under way. What was under way may have been for something
    /// else, or have been voided by a purge: then it says nothing of the URL, and it is fetched again.
    pub(crate) fn go_on_warming(&mut self, url: &str) {
        if !self.warming.contains(url) {
            return;
        }
        if let Some(asset) = self.manifest.by_url(url).and_then(|id| self.manifest.get(id)).map(Entry::asset)
        {
            if Presence::of_asset(asset) == Presence::Here {
                return self.warmed(url, Ok(()));
            }
            // What was missing is to be there now.
            self.remove(self.latest, asset.id, Reason::Changed);
        }
        self.fetches.push(url, Task::Consider(Presence::Here));
        if !self.fetches.contains(url) {
            self.warmed(url, Err(Reason::Busy));
        }
    }

    /// Tells what became of a URL, if it is warmed.
    pub(crate) fn warmed(&mut self, url: &str, outcome: Result<(), Reason>) {
        if let Some(url) = self.warming.take(url) {
            self.out.push(Output::Warmed { url, outcome });
        }
    }

    /// Everything is purged, and with it what is warmed.
    pub(crate) fn give_up_warming(&mut self) {
        for url in std::mem::take(&mut self.warming) {
            self.out.push(Output::Warmed { url, outcome: Err(Reason::Purged) });
        }
    }
}

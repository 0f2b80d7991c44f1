//! Fetches from the origin: which are under way, and which wait for a turn.

use std::collections::{BTreeMap, VecDeque};

use edgeweave_protocol::manifest::Headers;
use edgeweave_protocol::{AssetId, Digest};

use crate::admission::Presence;

/// Fetches under way at a time: the origin serves visitors, too.
const AT_A_TIME: usize = 8;

/// Fetches that wait; further URLs have to be sighted again. Checks of what is admitted always find room.
const MAX_WAITING: usize = 4096;

/// What a fetch is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// To see whether a URL can be admitted as what visitors saw.
    Consider(Presence),
    /// To see whether the answer is the same for another anonymous request.
    Confirm(Presence, Digest),
    /// To see whether an admitted asset still is what the origin has; with validators, unless visitors doubt it.
    Check(AssetId, Headers),
}

/// Fetches under way and waiting, one a URL.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    active: BTreeMap<Box<str>, Active>,
    waiting: VecDeque<Box<str>>,
    tasks: BTreeMap<Box<str>, Task>,
}

#[derive(Debug)]
enum Active {
    For(Task),
    /// What comes of it does not count: the URL was purged in the meantime.
    Void,
}

impl Fetches {
    /// Whether a URL is being fetched, or will be.
    pub(crate) fn contains(&self, url: &str) -> bool {
        self.active.contains_key(url) || self.tasks.contains_key(url)
    }

    /// Lets a fetch wait for its turn; one that follows another comes first.
    pub(crate) fn push(&mut self, url: &str, task: Task) {
        let full = matches!(task, Task::Consider(_)) && self.waiting.len() >= MAX_WAITING;
        if full || self.contains(url) {
            return;
        }
        match task {
            Task::Confirm(..) => self.waiting.push_front(url.into()),
            Task::Consider(_) | Task::Check(..) => self.waiting.push_back(url.into()),
        }
        self.tasks.insert(url.into(), task);
    }

    /// The next fetch to begin, if there is one and there is a turn.
    pub(crate) fn begin(&mut self) -> Option<(Box<str>, Task)> {
        if self.active.len() >= AT_A_TIME {
            return None;
        }
        loop {
            let url = self.waiting.pop_front()?;
            // Those that were given up are still in the queue.
            if let Some(task) = self.tasks.remove(&url) {
                self.active.insert(url.clone(), Active::For(task.clone()));
                return Some((url, task));
            }
        }
    }

    /// A fetch has ended; returns what it was for, if it counts.
    pub(crate) fn end(&mut self, url: &str) -> Option<Task> {
        match self.active.remove(url)? {
            Active::For(task) => Some(task),
            Active::Void => None,
        }
    }

    /// What was begun for a URL, or waits, does not count.
    pub(crate) fn give_up(&mut self, url: &str) {
        if self.tasks.remove(url).is_some() {
            self.waiting.retain(|waiting| &**waiting != url);
        }
        if let Some(active) = self.active.get_mut(url) {
            *active = Active::Void;
        }
    }

    /// Nothing that was begun, or waits, counts.
    pub(crate) fn give_up_all(&mut self) {
        self.tasks.clear();
        self.waiting.clear();
        self.active.values_mut().for_each(|active| *active = Active::Void);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_taken_in_order_and_confirmations_come_first() {
        let mut fetches = Fetches::default();
        for n in 0..AT_A_TIME + 2 {
            fetches.push(&n.to_string(), Task::Consider(Presence::Here));
        }
        for n in 0..AT_A_TIME {
            assert_eq!(fetches.begin().unwrap().0, n.to_string().into());
        }
        assert_eq!(fetches.begin(), None);
        assert_eq!(fetches.end("3"), Some(Task::Consider(Presence::Here)));
        fetches.push("3", Task::Confirm(Presence::Here, Digest([0; 32])));
        assert_eq!(&*fetches.begin().unwrap().0, "3");
        assert_eq!(fetches.end("unknown"), None);
    }

    #[test]
    fn what_is_given_up_does_not_count() {
        let mut fetches = Fetches::default();
        fetches.push("a", Task::Consider(Presence::Here));
        fetches.begin();
        fetches.push("b", Task::Consider(Presence::Here));
        fetches.give_up("a");
        fetches.give_up("b");
        assert!(fetches.contains("a") && !fetches.contains("b"));
        assert_eq!(fetches.end("a"), None);
        assert_eq!(fetches.begin(), None);
    }
}

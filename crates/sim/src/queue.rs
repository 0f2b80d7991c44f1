//! The virtual clock: what happens next, and a hash of all that has happened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use edgeweave_protocol::Timestamp;

/// Events in the order of their times; those of one time in the order in which they were planned.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    planned: u64,
    now: Timestamp,
    hash: EventHash,
    taken: u64,
}

/// How many bits of a heap key's second word name the slot; the rest count plans, which keeps equal times in order.
const SLOT_BITS: u32 = 24;

/// What an event adds to the hash of a run.
pub(crate) trait Fingerprint {
    /// A number that tells this event from others at the same time.
    fn fingerprint(&self) -> u64;
}

impl<E: Fingerprint> Queue<E> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            planned: 0,
            now: Timestamp::ZERO,
            hash: EventHash::default(),
            taken: 0,
        }
    }

    /// The time of the event that was taken last.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// How many events have been taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// The hash of all events taken so far, in their order.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }

    /// Plans an event; one for the past happens now.
    pub(crate) fn plan(&mut self, at: Timestamp, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                self.slots.len() as u32 - 1
            }
        };
        debug_assert!(slot < 1 << SLOT_BITS, "more events are planned than slots can be named");
        let at = at.max(self.now).as_micros();
        self.heap.push(Reverse((at, self.planned << SLOT_BITS | u64::from(slot))));
        self.planned += 1;
    }

    /// The next event; time moves on to it.
    pub(crate) fn take(&mut self) -> Option<E> {
        let Reverse((at, key)) = self.heap.pop()?;
        let slot = (key & ((1 << SLOT_BITS) - 1)) as u32;
        let event = self.slots[slot as usize].take()?;
        self.free.push(slot);
        self.now = Timestamp::from_micros(at);
        self.taken += 1;
        self.hash.add(at);
        self.hash.add(event.fingerprint());
        Some(event)
    }
}

/// An order-dependent hash: FNV-1a over 64-bit words with a rotation, the same on every machine.
#[derive(Clone, Copy, Debug)]
struct EventHash(u64);

impl Default for EventHash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl EventHash {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Fingerprint for u64 {
        fn fingerprint(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn events_come_in_the_order_of_their_times_and_then_of_their_plans() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 1u64), (3, 2), (5, 3), (3, 4)] {
            queue.plan(Timestamp::from_micros(at), event);
        }
        let order: Vec<u64> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(order, [2, 4, 1, 3]);
        assert_eq!((queue.now(), queue.taken()), (Timestamp::from_micros(5), 4));
    }

    #[test]
    fn another_order_has_another_hash() {
        let hash = |events: [u64; 2]| {
            let mut queue = Queue::new();
            events.into_iter().for_each(|event| queue.plan(Timestamp::ZERO, event));
            while queue.take().is_some() {}
            queue.hash()
        };
        assert_eq!(hash([1, 2]), hash([1, 2]));
        assert_ne!(hash([1, 2]), hash([2, 1]));
    }

    #[test]
    fn what_is_planned_for_the_past_happens_now() {
        let mut queue = Queue::new();
        queue.plan(Timestamp::from_micros(9), 1u64);
        queue.take();
        queue.plan(Timestamp::from_micros(2), 2);
        queue.take();
        assert_eq!(queue.now(), Timestamp::from_micros(9));
    }
}

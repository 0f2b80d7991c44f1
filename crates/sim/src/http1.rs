//! HTTP/1.1 without TLS, as Chromium speaks it to one host: at most six connections, each with one request at a time, what
//! is needed to draw the page first.

use std::collections::VecDeque;
use std::time::Duration;

use edgeweave_protocol::Timestamp;
use edgeweave_protocol::limits::MAX_TOGETHER;

use crate::browser::{HEAD_BYTES, Pumped, QUEUE, RequestKey};
use crate::link::{Lane, Losses, Roughness, SlowStart, transmission};

/// Chromium opens no more to one host.
const LINES_MOST: usize = 6;

/// While something that holds up drawing is on its way, so many pictures are (Chromium's and Blink's schedulers).
const LATER_MOST: usize = 1;

/// Round trips before a line's first request: TCP alone.
const SETUP_ROUND_TRIPS: u32 = 1;

/// How soon something is asked for, when there are more requests than lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Nothing is drawn before it is there.
    Blocking,
    /// Scripts and fonts.
    Soon,
    /// Pictures and films.
    Later,
}

/// A request for so many bytes, which take the server `think` to find.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) request: RequestKey,
    pub(crate) bytes: u64,
    pub(crate) think: Duration,
    pub(crate) urgency: Urgency,
}

/// The connections to one host.
#[derive(Debug)]
pub(crate) struct Pool {
    keep_alive: Duration,
    /// Whether those who wait for a line may be asked for together.
    together: bool,
    roughness: Roughness,
    losses: Losses,
    lines: Vec<Line>,
    /// In the order in which they get lines.
    waiting: VecDeque<Ask>,
    /// When the server's sending to this visitor is free again: its rate is for all lines together.
    sender_free_at: Timestamp,
    /// When the next turn is.
    planned: Option<Timestamp>,
}

/// A connection.
#[derive(Debug)]
struct Line {
    /// When it is set up, or had its last answer.
    free_at: Timestamp,
    window: SlowStart,
    answer: Option<Answer>,
    /// What was asked for together with it, and follows it.
    behind: VecDeque<Ask>,
    /// Whether it has had a request: the first comes alone, because it is there before the others are.
    used: bool,
}

/// What a line carries.
#[derive(Clone, Copy, Debug)]
struct Answer {
    ask: Ask,
    left: u64,
    /// When more of it can be sent, or when all of it is here.
    next_at: Timestamp,
    /// When all is here that has been sent.
    here_at: Timestamp,
}

impl Line {
    /// One that is being set up.
    fn set_up(now: Timestamp, round_trip: Duration) -> Self {
        Self {
            free_at: now + round_trip * SETUP_ROUND_TRIPS,
            window: SlowStart::default(),
            answer: None,
            behind: VecDeque::new(),
            used: false,
        }
    }

    fn is_free(&self, now: Timestamp) -> bool {
        match self.answer {
            None => self.free_at <= now,
            Some(Answer { left, next_at, .. }) => left == 0 && next_at <= now,
        }
    }

    fn is_being_set_up(&self, now: Timestamp) -> bool {
        self.answer.is_none() && self.free_at > now
    }
}

impl Pool {
    pub(crate) fn new(keep_alive: Duration, together: bool, roughness: Roughness) -> Self {
        Self {
            keep_alive,
            together,
            roughness,
            losses: Losses::default(),
            lines: Vec::new(),
            waiting: VecDeque::new(),
            sender_free_at: Timestamp::ZERO,
            planned: None,
        }
    }

    /// Whether nothing has to be set up before a request.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.lines.iter().any(|line| line.answer.is_some() || now < line.free_at + self.keep_alive)
    }

    /// Sets a line up where none is open.
    pub(crate) fn open(&mut self, now: Timestamp, round_trip: Duration) {
        if !self.is_open(now) {
            self.lines.push(Line::set_up(now, round_trip));
        }
    }

    /// Asks; returns when [`pump`](Self::pump) is wanted, if not when it already is.
    pub(crate) fn ask(&mut self, now: Timestamp, ask: Ask, round_trip: Duration) -> Option<Timestamp> {
        let place = self.waiting.partition_point(|waiting| waiting.urgency <= ask.urgency);
        self.waiting.insert(place, ask);
        self.give_lines(now, round_trip);
        self.plan_turn(now)
    }

    /// Sends the next part of the answer that has waited longest.
    pub(crate) fn pump(
        &mut self,
        now: Timestamp,
        down: &mut Lane,
        round_trip: Duration,
        rate: u64,
    ) -> Pumped {
        // A turn that an earlier one has replaced is none.
        if self.planned != Some(now) {
            return Pumped::default();
        }
        self.planned = None;
        let sent = self.send(now, down, round_trip, rate);
        self.give_lines(now, round_trip);
        Pumped { again: self.plan_turn(now), ..sent }
    }

    fn send(&mut self, now: Timestamp, down: &mut Lane, round_trip: Duration, rate: u64) -> Pumped {
        let nothing = Pumped::default();
        if self.sender_free_at > now {
            return nothing;
        }
        let due = self
            .lines
            .iter_mut()
            .filter_map(|line| Some((line.answer.as_mut()?, &mut line.window, &mut line.behind)));
        let due = due.filter(|(answer, ..)| answer.left > 0 && answer.next_at <= now);
        let Some((answer, window, behind)) = due.min_by_key(|(answer, ..)| answer.next_at) else {
            return nothing;
        };
        // The queue before the access is short.
        let backlog = down.free_at().since(now);
        if backlog > QUEUE {
            answer.next_at = now + (backlog - QUEUE);
            return nothing;
        }
        let part = match window.room(now) {
            Ok(part) => part.min(answer.left),
            Err(later) => {
                answer.next_at = later;
                return nothing;
            }
        };
        self.sender_free_at = now + transmission(part, rate);
        let mut here = down.carry(self.sender_free_at, part) + round_trip / 2;
        if self.losses.strike(part, self.roughness.loss) {
            // It is sent again, and what comes after it has to wait for it.
            here = here + round_trip;
            window.halve();
        }
        window.sent(part, here + round_trip / 2);
        answer.left -= part;
        answer.here_at = answer.here_at.max(here);
        if answer.left > 0 {
            answer.next_at = self.sender_free_at;
            let sent = answer.ask.bytes + HEAD_BYTES - answer.left;
            return Pumped { partial: Some((answer.ask.request, sent, answer.here_at)), ..nothing };
        }
        answer.next_at = answer.here_at + self.roughness.jitter;
        let complete = Some((answer.ask.request, answer.next_at));
        if let Some(ask) = behind.pop_front() {
            let next_at = self.sender_free_at;
            *answer = Answer { ask, left: ask.bytes, next_at, here_at: answer.here_at };
        }
        Pumped { complete, ..nothing }
    }

    /// Gives lines to those who wait, and opens more where there are too few.
    fn give_lines(&mut self, now: Timestamp, round_trip: Duration) {
        for line in &mut self.lines {
            if let Some(answer) = line.answer.filter(|answer| answer.left == 0 && answer.next_at <= now) {
                (line.free_at, line.answer) = (answer.next_at, None);
            }
        }
        self.lines.retain(|line| line.answer.is_some() || now < line.free_at + self.keep_alive);
        while self.may_begin(now) {
            let free = self.lines.iter().filter(|line| line.is_free(now)).count().max(1);
            let share = self.waiting.len().div_ceil(free).min(MAX_TOGETHER);
            // The one that was used last: its window is the largest.
            let free = self.lines.iter_mut().filter(|line| line.is_free(now)).max_by_key(|line| line.free_at);
            let Some(line) = free else { break };
            let Some(ask) = self.waiting.pop_front() else { break };
            let next_at = now + round_trip / 2 + ask.think;
            line.window.resume(now);
            line.answer = Some(Answer { ask, left: ask.bytes + HEAD_BYTES, next_at, here_at: next_at });
            if self.together && std::mem::replace(&mut line.used, true) {
                let others = self.waiting.len().min(share - 1);
                line.behind = self.waiting.drain(..others).collect();
            }
        }
        let being_set_up = self.lines.iter().filter(|line| line.is_being_set_up(now)).count();
        let wanted = self.waiting.len().saturating_sub(being_set_up).min(LINES_MOST - self.lines.len());
        for _ in 0..if self.may_begin(now) { wanted } else { 0 } {
            self.lines.push(Line::set_up(now, round_trip));
        }
    }

    /// Whether anything waits that may be asked for now.
    fn may_begin(&self, now: Timestamp) -> bool {
        let Some(first) = self.waiting.front() else { return false };
        let under_way = |urgency: Urgency| {
            let answers = self.lines.iter().filter(|line| !line.is_free(now)).filter_map(|line| line.answer);
            answers.filter(|answer| answer.ask.urgency == urgency).count()
        };
        first.urgency != Urgency::Later
            || under_way(Urgency::Blocking) == 0
            || under_way(Urgency::Later) < LATER_MOST
    }

    /// When the next turn is, if it is earlier than what is planned.
    fn plan_turn(&mut self, now: Timestamp) -> Option<Timestamp> {
        let waits = !self.waiting.is_empty();
        let next = self.lines.iter().filter_map(|line| match line.answer {
            Some(answer) if answer.left > 0 => Some(answer.next_at.max(self.sender_free_at)),
            Some(answer) => waits.then_some(answer.next_at),
            None => (waits && line.free_at > now).then_some(line.free_at),
        });
        let next = next.min()?.max(now);
        if self.planned.is_some_and(|planned| planned <= next) {
            return None;
        }
        self.planned = Some(next);
        self.planned
    }

    /// An answer is not needed any more: without HTTP/2 that ends its connection.
    pub(crate) fn cancel(&mut self, request: RequestKey) {
        self.waiting.retain(|ask| ask.request != request);
        self.lines.retain_mut(|line| {
            line.behind.retain(|ask| ask.request != request);
            // What was asked for together comes all the same.
            let goes_on = |answer: Answer| answer.left == 0 || answer.ask.request != request;
            !line.behind.is_empty() || line.answer.is_none_or(goes_on)
        });
    }

    /// The page has gone: nothing more of it is wanted.
    pub(crate) fn abandon(&mut self, load: u16) {
        self.waiting.retain(|ask| ask.request.load != load);
        let stays = |answer: Answer| answer.left == 0 || answer.ask.request.load != load;
        self.lines.retain(|line| line.answer.is_none_or(stays));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);
    const KEEP: Duration = Duration::from_secs(60);
    const NO_LIMIT: u64 = 1 << 50;

    /// A pool, an access link, and when its next turn is.
    struct Browser {
        pool: Pool,
        down: Lane,
        rate: u64,
        next: Option<Timestamp>,
        done: Vec<(u16, u64)>,
        /// How much of which answer was here when, in bytes and milliseconds.
        grown: Vec<(u16, u64, u64)>,
    }

    fn browser(down: u64, rate: u64) -> Browser {
        Browser {
            pool: Pool::new(KEEP, false, Roughness::default()),
            down: Lane::new(down),
            rate,
            next: None,
            done: Vec::new(),
            grown: Vec::new(),
        }
    }

    impl Browser {
        fn ask(&mut self, at_ms: u64, place: u16, bytes: u64, urgency: Urgency) {
            let request = RequestKey { load: 0, place };
            let ask = Ask { request, bytes: bytes - HEAD_BYTES, think: Duration::ZERO, urgency };
            let next = self.pool.ask(Timestamp::from_millis(at_ms), ask, ROUND_TRIP);
            self.next = next.or(self.next);
        }

        /// Goes on to the end; which answers were here when, in milliseconds.
        fn run(&mut self) -> &[(u16, u64)] {
            while let Some(now) = self.next {
                let pumped = self.pool.pump(now, &mut self.down, ROUND_TRIP, self.rate);
                let done = pumped.complete.map(|(request, at)| (request.place, at.as_micros() / 1_000));
                self.done.extend(done);
                let grown =
                    pumped.partial.map(|(request, bytes, at)| (request.place, bytes, at.as_micros() / 1_000));
                self.grown.extend(grown);
                self.next = pumped.again;
            }
            &self.done
        }
    }

    #[test]
    fn a_new_line_takes_one_round_trip_more_than_one_that_is_there() {
        let mut browser = browser(NO_LIMIT, NO_LIMIT);
        browser.ask(0, 0, 1_000, Urgency::Blocking);
        assert_eq!(browser.run(), [(0, 200)]);
        browser.ask(300, 1, 1_000, Urgency::Later);
        assert_eq!(browser.run()[1], (1, 400));
        browser.ask(400 + 60_001, 2, 1_000, Urgency::Later);
        assert_eq!(browser.run()[2], (2, 60_601), "the idle line was closed");
    }

    #[test]
    fn six_lines_carry_twelve_answers_in_two_round_trips_and_another_for_what_is_new() {
        let mut browser = browser(NO_LIMIT, NO_LIMIT);
        browser.ask(0, 0, 1_000, Urgency::Blocking);
        browser.run();
        (1..=12).for_each(|place| browser.ask(200, place, 1_000, Urgency::Later));
        // At 200 the one line that is there takes the first; at 300 it and five new ones the next six, and then five.
        let done = browser.run().to_vec();
        let at = |ms| done.iter().filter(|(_, at)| *at == ms).count();
        assert_eq!([at(200), at(300), at(400), at(500)], [1, 1, 6, 5]);
    }

    #[test]
    fn a_large_answer_takes_the_rounds_in_which_its_window_doubles() {
        let mut browser = browser(NO_LIMIT, NO_LIMIT);
        // 10, 20, 40, 80, 160 and 320 packets are 919,800 bytes: a seventh round is needed, which leaves at 750.
        browser.ask(0, 0, 1_000_000, Urgency::Blocking);
        assert_eq!(browser.run(), [(0, 800)]);
    }

    #[test]
    fn what_is_here_of_an_answer_is_known_before_the_rest_is() {
        let mut browser = browser(NO_LIMIT, NO_LIMIT);
        // 10 and 20 packets of 1,460 bytes, and what is left.
        browser.ask(0, 0, 50_000, Urgency::Blocking);
        assert_eq!(browser.run(), [(0, 400)]);
        let at = |ms| browser.grown.iter().filter(|(.., at)| *at == ms).map(|(_, bytes, _)| *bytes).max();
        assert_eq!([at(200), at(300), at(400)], [Some(14_600), Some(43_800), None]);
    }

    #[test]
    fn answers_share_the_origin_s_rate() {
        // Six of 100 kB at 1 MB/s. The six first windows are sent in 87.6 of the 100 ms until the first is confirmed; but for
        // that gap, the rate is used from when the first byte leaves.
        let mut browser = browser(NO_LIMIT, 1_000_000);
        (0..6).for_each(|place| browser.ask(0, place, 100_000, Urgency::Later));
        let done = browser.run().to_vec();
        let (first, last) = (done[0].1, done[5].1);
        assert!(
            (811..=817).contains(&last),
            "100 to set up, 50 to ask, 12 of a gap, 600 to send and 50 to come: {done:?}"
        );
        assert!(last - first < 80, "they come side by side: {done:?}");
    }

    #[test]
    fn answers_share_the_access() {
        let mut browser = browser(500_000, 2_500_000);
        (0..2).for_each(|place| browser.ask(0, place, 250_000, Urgency::Later));
        let last = browser.run()[1].1;
        // Two first windows are 58 ms of the link's, and so there is a gap of 42.
        assert!((1_240..=1_260).contains(&last), "200 ms, a gap of 42, and a second on the link: {last}");
    }

    #[test]
    fn pictures_wait_for_what_holds_up_drawing() {
        let mut browser = browser(NO_LIMIT, NO_LIMIT);
        browser.ask(0, 0, 1_000, Urgency::Later);
        browser.ask(0, 1, 1_000, Urgency::Later);
        browser.ask(0, 2, 1_000, Urgency::Blocking);
        let mut done = browser.run().to_vec();
        done.sort_unstable();
        // All lines are there at 100, and the style and one picture are asked for.
        assert_eq!(done, [(0, 200), (1, 300), (2, 200)]);
    }

    #[test]
    fn what_is_lost_comes_a_round_trip_later_and_jitter_is_added_once() {
        let mut browser = browser(NO_LIMIT, NO_LIMIT);
        // Every tenth packet: the second answer has it.
        browser.pool.roughness = Roughness { jitter: Duration::from_millis(2), loss: 0.1 };
        browser.ask(0, 0, 8_000, Urgency::Soon);
        assert_eq!(browser.run(), [(0, 202)]);
        browser.ask(300, 1, 8_000, Urgency::Soon);
        assert_eq!(browser.run()[1], (1, 502));
    }

    #[test]
    fn an_answer_that_is_not_needed_ends_its_line() {
        let mut browser = browser(NO_LIMIT, NO_LIMIT);
        browser.ask(0, 0, 1_000, Urgency::Soon);
        browser.run();
        browser.ask(200, 1, 1_000, Urgency::Soon);
        browser.pool.cancel(RequestKey { load: 0, place: 1 });
        browser.ask(210, 2, 1_000, Urgency::Soon);
        assert_eq!(browser.run().to_vec(), [(0, 200), (2, 410)]);
        browser.ask(500, 3, 1_000, Urgency::Soon);
        browser.pool.abandon(0);
        assert!(browser.run().len() == 2 && !browser.pool.is_open(Timestamp::from_millis(510)));
    }

    #[test]
    fn what_waits_for_a_line_comes_together() {
        let ends = |together| {
            let mut browser = browser(NO_LIMIT, NO_LIMIT);
            browser.pool.together = together;
            (0..60).for_each(|place| browser.ask(0, place, 1_000, Urgency::Soon));
            let done = browser.run().to_vec();
            assert_eq!(done.len(), 60);
            done.into_iter().map(|(_, at)| at).max()
        };
        // The lines are set up, and then each has its ten requests after each other, or one, and the others with it.
        assert_eq!((ends(false), ends(true)), (Some(1_100), Some(300)));
    }
}

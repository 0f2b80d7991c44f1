//! The flight recorder: a ring buffer of recent notes, and what of it the node has yet to be told.

use std::collections::VecDeque;
use std::time::Duration;

use edgeweave_protocol::Timestamp;
use edgeweave_protocol::report::{Event, Note};

/// Notes kept; the oldest leave first.
const CAPACITY: usize = 256;

/// Notes in one report: a report stays below `MAX_REPORT_BYTES` with the longest URLs cut to [`MAX_ABOUT_BYTES`].
const NOTES_PER_REPORT: usize = 64;

/// What a note is about is cut to so many bytes.
const MAX_ABOUT_BYTES: usize = 200;

/// Notes wait so long for company before they are reported.
const REPORT_AFTER: Duration = Duration::from_secs(20);

/// After an error, they wait only so long.
const REPORT_ERROR_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    notes: VecDeque<Note>,
    /// How many of the newest notes have not been reported.
    unreported: usize,
    /// When the next report is due.
    due: Option<Timestamp>,
}

impl Recorder {
    pub(crate) fn record(&mut self, mut note: Note) {
        let cut = note.about.floor_char_boundary(MAX_ABOUT_BYTES);
        if let Some((kept, _)) = note.about.split_at_checked(cut) {
            note.about = kept.into();
        }
        let delay = if note.event == Event::Error { REPORT_ERROR_AFTER } else { REPORT_AFTER };
        let due = Timestamp::from_millis(u64::from(note.at_ms)) + delay;
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        if self.notes.len() == CAPACITY {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
        self.unreported = (self.unreported + 1).min(CAPACITY);
    }

    /// When a report is due.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// The notes to report now, oldest first. What does not fit is due again at once.
    pub(crate) fn take_unreported(&mut self, now: Timestamp) -> Vec<Note> {
        let first = self.notes.len() - self.unreported;
        let notes: Vec<Note> = self.notes.range(first..).take(NOTES_PER_REPORT).cloned().collect();
        self.unreported -= notes.len();
        self.due = (self.unreported > 0).then_some(now);
        notes
    }

    /// Everything that is remembered, oldest first.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter()
    }
}

//! What happened to the topics of a feed, for the ledger and for `Health`: kept until it is taken. Pure.

use std::collections::VecDeque;

use facade_model::{Channel, GapCause, GapState, StateReason, StreamPhase};

use crate::publish::GapDetail;
use crate::topic::Topic;

/// Notes that are kept; the oldest goes if nobody takes them.
const NOTES_MAX: usize = 10_000;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Canonical symbol.
    pub symbol: String,
    /// Channel.
    pub channel: Channel,
    /// Canonical text of the variant; empty: none.
    pub variant: Box<str>,
    /// Number of the record that told it.
    pub seq: u64,
    /// When, wall ns UTC.
    pub ts: i64,
    /// Venue time of the last data before, ns UTC; 0: none.
    pub ts_event_last: i64,
    /// What.
    pub event: NoteEvent,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteEvent {
    /// The topic entered a state.
    State {
        /// State.
        phase: StreamPhase,
        /// Why.
        reason: StateReason,
    },
    /// A gap was told: opened, or closed under the same number.
    Gap {
        /// Number of the gap.
        gap_id: u64,
        /// What became of it.
        state: GapState,
        /// Why.
        cause: GapCause,
        /// Time of the last good event before it, ns UTC.
        ts_first: i64,
        /// Time of the first good event behind it, ns UTC.
        ts_last: i64,
        /// How many events are missing, if known.
        count: Option<u64>,
        /// How many of them came.
        filled: u64,
    },
}

/// Notes in order.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    queue: VecDeque<Note>,
    /// Notes that nobody took in time.
    pub lost: u64,
}

impl Notes {
    /// Notes a state that a topic has just told.
    pub fn state(&mut self, symbol: &str, topic: &Topic, ts: i64) {
        self.push(symbol, topic, ts, NoteEvent::State { phase: topic.phase, reason: topic.reason });
    }

    /// Notes a gap that a topic has just told.
    pub fn gap(&mut self, symbol: &str, topic: &Topic, detail: &GapDetail, (gap_id, ts): (u64, i64)) {
        let &GapDetail { state, cause, ts_first, ts_last, count, filled, .. } = detail;
        let event = NoteEvent::Gap { gap_id, state, cause, ts_first, ts_last, count, filled };
        self.push(symbol, topic, ts, event);
    }

    /// Takes all notes, oldest first.
    pub fn take(&mut self) -> Vec<Note> {
        self.queue.drain(..).collect()
    }

    fn push(&mut self, symbol: &str, topic: &Topic, ts: i64, event: NoteEvent) {
        if self.queue.len() >= NOTES_MAX {
            self.queue.pop_front();
            self.lost += 1;
        }
        self.queue.push_back(Note {
            symbol: symbol.to_owned(),
            channel: topic.channel,
            variant: topic.variant_text.clone(),
            seq: topic.seq,
            ts,
            ts_event_last: topic.ts_event_last,
            event,
        });
    }
}

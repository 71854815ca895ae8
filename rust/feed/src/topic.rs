//! One topic of a feed: its numbers, its state, its counts.

use facade_hub::TopicId;
use facade_model::{Channel, GapCause, StateReason, StreamPhase, Variant};

use crate::publish::Times;

/// A hole that will be told before the next data record.
#[derive(Debug, Clone, Copy)]
pub struct PendingGap {
    /// Why.
    pub cause: GapCause,
    /// Venue number of the first lost event, if there are numbers.
    pub venue_sequence_first: Option<u64>,
    /// Venue or receive time of the last good event, ns UTC.
    pub ts_first: i64,
    /// Its number, if it was told and is not over.
    pub gap_id: Option<u64>,
}

/// Counts of one topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct TopicCounts {
    /// Data records published.
    pub records: u64,
    /// Events that were already contained.
    pub duplicates: u64,
    /// Gap records published.
    pub gaps: u64,
}

/// A (venue, symbol, channel, variant) that this feed publishes.
#[derive(Debug)]
pub struct Topic {
    /// The hub's name of it.
    pub id: TopicId,
    /// Channel.
    pub channel: Channel,
    /// Variant of the channel.
    pub variant: Variant,
    /// Canonical text of the variant, as records carry it.
    pub variant_text: Box<str>,
    /// Whether a subscriber asked for it; else it is there for the topics that are made of it.
    pub is_asked: bool,
    /// Number of the newest topic record; 0: none.
    pub seq: u64,
    /// State, as last told.
    pub phase: StreamPhase,
    /// Why.
    pub reason: StateReason,
    /// Venue time at which the state began, ns UTC; 0: unknown.
    pub since_event: i64,
    /// Our time at which the state began, ns UTC.
    pub since_recv: i64,
    /// Attempt number, as last told.
    pub attempt: u32,
    /// Wall time of the next attempt, ns UTC; 0: none planned.
    pub next_attempt: i64,
    /// Monotonic time of the last record.
    pub published_at: i64,
    /// Venue time of the last data, ns UTC.
    pub ts_event_last: i64,
    /// Receive time of the last data, ns UTC.
    pub ts_recv_last: i64,
    /// A hole not yet told.
    pub gap: Option<PendingGap>,
    /// Counts.
    pub counts: TopicCounts,
}

impl Topic {
    /// Makes a topic that nothing is known of; `head` is the hub's newest number of it.
    #[must_use]
    pub fn new(id: TopicId, channel: Channel, variant: Variant, head: u64) -> Self {
        Self {
            id,
            channel,
            variant,
            variant_text: variant.to_string().into(),
            is_asked: false,
            seq: head,
            phase: StreamPhase::Empty,
            reason: StateReason::Unspecified,
            since_event: 0,
            since_recv: 0,
            attempt: 0,
            next_attempt: 0,
            published_at: 0,
            ts_event_last: 0,
            ts_recv_last: 0,
            gap: None,
            counts: TopicCounts::default(),
        }
    }

    /// Times of the last data.
    #[must_use]
    pub const fn times_last(&self) -> Times {
        Times { event: self.ts_event_last, recv: self.ts_recv_last }
    }

    /// Whether its reader holds what it told for whole: what a lost connection takes is a hole then.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self.phase, StreamPhase::Live | StreamPhase::Stale | StreamPhase::Halted)
    }

    /// Notes a hole; the oldest cause and beginning stand.
    pub fn open_gap(&mut self, cause: GapCause, venue_sequence_first: Option<u64>) {
        let ts_first = if self.ts_event_last == 0 { self.ts_recv_last } else { self.ts_event_last };
        self.gap.get_or_insert(PendingGap { cause, venue_sequence_first, ts_first, gap_id: None });
    }
}

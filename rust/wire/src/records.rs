//! Records about a stream itself. Each struct mirrors the contract's message of its name; times are ns UTC.

use facade_model::{Channel, GapCause, GapScope, GapState, StateReason, StreamPhase};

use crate::digits::Exponents;
use crate::field::{bytes, delimited, element, optional_uint, time, uint};
use crate::update::{Header, update};

/// Field numbers of `Update`.
const GAP: u32 = 24;
const STREAM_STATE: u32 = 25;
const CHECKPOINT: u32 = 26;
const HEARTBEAT: u32 = 27;
const SUBSCRIPTION_STATUS: u32 = 30;
const DELIVERY_CHANGE: u32 = 31;
const DRAINING: u32 = 32;

/// Records without prices.
const NO_NUMBERS: Exponents = Exponents { price: 0, quantity: 0 };

/// A hole in a topic or in its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Number of the gap, from 1.
    pub gap_id: u64,
    /// Where it arose.
    pub scope: GapScope,
    /// First missing `seq`; 0: what was lost never had one.
    pub seq_first: u64,
    /// Last missing `seq`; 0: what was lost never had one.
    pub seq_last: u64,
    /// First missing number of the venue, if known.
    pub venue_sequence_first: Option<u64>,
    /// Last missing number of the venue, if known.
    pub venue_sequence_last: Option<u64>,
    /// Time of the last good record before it; 0: none.
    pub ts_first: i64,
    /// Time at which it ends; 0: not ended.
    pub ts_last: i64,
    /// Missing events, if known.
    pub count: Option<u64>,
    /// Why.
    pub cause: GapCause,
    /// What became of it.
    pub state: GapState,
    /// Events that were backfilled.
    pub filled: u64,
}

/// A change of a topic's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState<'a> {
    /// The new state.
    pub state: StreamPhase,
    /// Why.
    pub reason: StateReason,
    /// Since when, by the venue's clock; 0: unknown.
    pub ts_since_event: i64,
    /// Since when, by ours.
    pub ts_since_recv: i64,
    /// The last good number of the venue.
    pub venue_sequence_last_good: Option<u64>,
    /// Number of the connection; 0: none yet.
    pub connection: u32,
    /// Number of the attempt; 0: none under way.
    pub attempt: u32,
    /// Time of the next attempt; 0: none planned.
    pub ts_next_attempt: i64,
    /// Close code of the venue.
    pub close_code: Option<u32>,
    /// For people.
    pub message: &'a str,
}

/// Proof of a book at one `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Levels per side under the hash; 0: all.
    pub levels: u32,
    /// Hash of CONTRACT "Hash".
    pub sha256: [u8; 32],
    /// Bid levels held.
    pub bid_levels: u32,
    /// Ask levels held.
    pub ask_levels: u32,
    /// Our last proven `seq`; 0: nothing proven.
    pub proof_seq: u64,
    /// Levels per side that the proof covers; 0: all.
    pub proof_levels: u32,
    /// The venue's last proven number.
    pub proof_venue_sequence: Option<u64>,
}

/// Sign of life of a silent topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time of the venue's last frame; 0: none yet.
    pub ts_frame_last: i64,
    /// State of the topic.
    pub state: StreamPhase,
}

/// How updates reach a subscriber; the discriminant is the contract's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum DeliveryMode {
    /// Not in force.
    #[default]
    Unspecified = 0,
    /// Each update.
    Every = 1,
    /// The newest one when behind.
    Latest = 2,
    /// At most one per interval.
    Interval = 3,
}

/// Where a subscription stands; the discriminant is the contract's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SubscriptionPhase {
    /// Records follow.
    Accepted = 1,
    /// Refused.
    Rejected = 2,
    /// Continues exactly.
    Resumed = 3,
    /// The position is no longer held.
    ResumeLost = 4,
    /// A replay has reached the head.
    CaughtUp = 5,
    /// No more records follow.
    Ended = 6,
}

/// What happened to one item of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionStatus<'a> {
    /// Number of the request; 0: none given.
    pub request_id: u64,
    /// Number of the subscription; 0: none given.
    pub subscription_id: u32,
    /// Where it stands.
    pub phase: SubscriptionPhase,
    /// `google.rpc.Code` of a refusal; 0: none.
    pub code: u32,
    /// Reason of a refusal in `UPPER_SNAKE`.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
    /// Nearest known symbols.
    pub suggestions: &'a [&'a str],
    /// Delivery in force.
    pub delivery: DeliveryMode,
    /// Interval in force, ms; 0: none.
    pub interval_ms: u32,
    /// First live `seq` that follows; 0: none.
    pub seq_next: u64,
    /// Oldest `seq` held; 0: none.
    pub seq_oldest: u64,
    /// The symbol as the client spelled it.
    pub requested_symbol: &'a str,
    /// The venue's id of the last trade of the history rows.
    pub history_trade_id_last: Option<u64>,
}

/// Why the server changed a delivery; the discriminant is the contract's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum DeliveryCause {
    /// Nothing changed: the count of what an INTERVAL left out.
    Unspecified = 0,
    /// The client falls behind; the mode is kept.
    LagWarning = 1,
    /// The client keeps up again; the mode is kept.
    LagCleared = 2,
    /// The client is behind by more than the bound of time.
    Behind = 3,
    /// The client owes more bytes than the bound.
    Bytes = 4,
    /// The client keeps up: every record is sent again.
    KeepsUp = 5,
}

/// A switch of delivery that the server makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryChange {
    /// Mode until here.
    pub mode_old: DeliveryMode,
    /// Mode from here.
    pub mode_new: DeliveryMode,
    /// Why.
    pub cause: DeliveryCause,
    /// Records skipped since the last change.
    pub skipped: u64,
    /// How far behind, ms.
    pub lag_ms: u32,
}

/// A place in one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'a> {
    /// Venue and product.
    pub venue: &'a str,
    /// Canonical symbol.
    pub symbol: &'a str,
    /// Channel.
    pub channel: Channel,
    /// Variant; empty: the default.
    pub variant: &'a str,
    /// Start of the publisher, unix seconds.
    pub epoch: u32,
    /// Last processed number; 0: none.
    pub seq: u64,
}

/// The server is about to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining<'a> {
    /// Where each topic of the call stands.
    pub positions: &'a [Position<'a>],
    /// When the call ends at the latest; 0: at once.
    pub ts_deadline: i64,
}

/// Appends a hole.
pub fn gap(out: &mut Vec<u8>, header: &Header<'_>, gap: &Gap) {
    update(out, header, NO_NUMBERS, GAP, 0, |out| {
        uint(out, 1, gap.gap_id);
        uint(out, 2, gap.scope as u64);
        uint(out, 3, gap.seq_first);
        uint(out, 4, gap.seq_last);
        optional_uint(out, 5, gap.venue_sequence_first);
        optional_uint(out, 6, gap.venue_sequence_last);
        time(out, 7, gap.ts_first);
        time(out, 8, gap.ts_last);
        optional_uint(out, 9, gap.count);
        uint(out, 10, gap.cause as u64);
        uint(out, 11, gap.state as u64);
        uint(out, 12, gap.filled);
    });
}

/// Appends a change of state.
pub fn stream_state(out: &mut Vec<u8>, header: &Header<'_>, state: &StreamState<'_>) {
    update(out, header, NO_NUMBERS, STREAM_STATE, 0, |out| {
        uint(out, 1, state.state as u64);
        uint(out, 2, state.reason as u64);
        time(out, 3, state.ts_since_event);
        time(out, 4, state.ts_since_recv);
        optional_uint(out, 5, state.venue_sequence_last_good);
        uint(out, 6, u64::from(state.connection));
        uint(out, 7, u64::from(state.attempt));
        time(out, 8, state.ts_next_attempt);
        optional_uint(out, 9, state.close_code.map(u64::from));
        bytes(out, 10, state.message.as_bytes());
    });
}

/// Appends the proof of a book.
pub fn checkpoint(out: &mut Vec<u8>, header: &Header<'_>, checkpoint: &Checkpoint) {
    update(out, header, NO_NUMBERS, CHECKPOINT, 0, |out| {
        uint(out, 1, u64::from(checkpoint.levels));
        bytes(out, 2, &checkpoint.sha256);
        uint(out, 3, u64::from(checkpoint.bid_levels));
        uint(out, 4, u64::from(checkpoint.ask_levels));
        uint(out, 5, checkpoint.proof_seq);
        uint(out, 6, u64::from(checkpoint.proof_levels));
        optional_uint(out, 7, checkpoint.proof_venue_sequence);
    });
}

/// Appends a sign of life.
pub fn heartbeat(out: &mut Vec<u8>, header: &Header<'_>, heartbeat: &Heartbeat) {
    update(out, header, NO_NUMBERS, HEARTBEAT, 0, |out| {
        time(out, 1, heartbeat.ts_frame_last);
        uint(out, 2, heartbeat.state as u64);
    });
}

/// Appends what happened to one item of a subscription.
pub fn subscription_status(out: &mut Vec<u8>, header: &Header<'_>, status: &SubscriptionStatus<'_>) {
    update(out, header, NO_NUMBERS, SUBSCRIPTION_STATUS, 0, |out| {
        uint(out, 1, status.request_id);
        uint(out, 2, u64::from(status.subscription_id));
        uint(out, 3, status.phase as u64);
        uint(out, 4, u64::from(status.code));
        bytes(out, 5, status.reason.as_bytes());
        bytes(out, 6, status.message.as_bytes());
        for suggestion in status.suggestions {
            element(out, 7, suggestion.as_bytes());
        }
        uint(out, 8, status.delivery as u64);
        uint(out, 9, u64::from(status.interval_ms));
        uint(out, 10, status.seq_next);
        uint(out, 11, status.seq_oldest);
        bytes(out, 12, status.requested_symbol.as_bytes());
        optional_uint(out, 13, status.history_trade_id_last);
    });
}

/// Appends a switch of delivery.
pub fn delivery_change(out: &mut Vec<u8>, header: &Header<'_>, change: &DeliveryChange) {
    update(out, header, NO_NUMBERS, DELIVERY_CHANGE, 0, |out| {
        uint(out, 1, change.mode_old as u64);
        uint(out, 2, change.mode_new as u64);
        uint(out, 3, change.cause as u64);
        uint(out, 4, change.skipped);
        uint(out, 5, u64::from(change.lag_ms));
    });
}

/// Appends that the server is about to stop: a record about the whole call, so it names no topic.
pub fn draining(out: &mut Vec<u8>, epoch: u32, ts_publish: i64, draining: &Draining<'_>) {
    uint(out, 4, u64::from(epoch));
    time(out, 8, ts_publish);
    delimited(out, DRAINING, 0, |out| {
        for position in draining.positions {
            delimited(out, 1, 0, |out| write_position(out, position));
        }
        time(out, 2, draining.ts_deadline);
    });
}

fn write_position(out: &mut Vec<u8>, position: &Position<'_>) {
    bytes(out, 1, position.venue.as_bytes());
    bytes(out, 2, position.symbol.as_bytes());
    uint(out, 3, position.channel as u64);
    bytes(out, 4, position.variant.as_bytes());
    uint(out, 5, u64::from(position.epoch));
    uint(out, 6, position.seq);
}

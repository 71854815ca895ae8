//! Cursors: how far one subscriber is with one topic.

use std::cmp::Ordering;

use crate::attach::{AttachOptions, Start};
use crate::delivery::Pace;
use crate::record::{RecordKind, Stamp};
use crate::ring::{Position, Record, Ring};
use crate::topic::{Topic, TopicId};

/// Whether a cursor has a base to stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Needs a snapshot or a cut first; until then it gets state records only.
    Waiting,
    /// Gets everything but cuts.
    Live,
}

/// The part of the past that a cursor gives first, lossless.
#[derive(Debug)]
pub(crate) struct Replay {
    /// Its last `seq`.
    seq_last: u64,
    /// What is told behind it: a bare `Update`, perhaps empty.
    pub caught_up: Box<[u8]>,
}

/// One subscriber's place in one topic.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub topic: TopicId,
    pub phase: Phase,
    /// `seq` of the next topic record that is due.
    pub seq_next: u64,
    /// End of the log when the cursor began to wait: a cut from there on serves it.
    pub waits_since: Position,
    /// What of the past it still has to give.
    pub replay: Option<Replay>,
    /// When it was attached, nanoseconds of the monotonic clock: what is older makes nobody late.
    pub since_ns: u64,
    /// Framed bytes that its topic had published then: what lies before is not owed.
    pub since_bytes: u64,
    /// How it skips; `None`: never.
    pub pace: Option<Box<Pace>>,
    /// Whether it stands on a base, or did: from then on each record is given, counted as skipped, or in a gap.
    pub is_counted: bool,
    /// Where those look for it who publish.
    pub rest: Rest,
    /// Whether it stands in its topic's list of those who wait.
    pub is_listed: bool,
}

/// What a cursor does while it has no record to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing: it has some, or has caught up.
    Not,
    /// It waits for a base.
    Waits,
    /// It waits for its interval to pass, or for a record that ends the wait.
    Parked,
}

impl Cursor {
    /// Makes a cursor at the seam of its start.
    pub fn new(id: TopicId, topic: &Topic, options: AttachOptions, ring: &Ring, now: Stamp) -> Self {
        let seq_next = if let Start::After { seq } = options.start { seq + 1 } else { topic.head + 1 };
        Self {
            topic: id,
            phase: if options.start == Start::Cut { Phase::Waiting } else { Phase::Live },
            seq_next,
            waits_since: ring.end(),
            replay: None,
            since_ns: now.mono_ns,
            since_bytes: topic.bytes,
            pace: Pace::new(options.delivery, options.conflate, now.mono_ns),
            is_counted: options.start != Start::Cut,
            rest: Rest::Not,
            is_listed: false,
        }
    }

    /// Notes that the records up to `seq_last` are a replay, behind which `caught_up` is told.
    pub fn replay(&mut self, seq_last: u64, caught_up: &[u8]) {
        self.replay = Some(Replay { seq_last, caught_up: caught_up.into() });
    }

    /// Returns the replay if the cursor has come to its end.
    pub fn end_replay(&mut self) -> Option<Replay> {
        self.replay.take_if(|replay| self.seq_next > replay.seq_last)
    }

    /// Whether it may skip records now.
    pub fn is_paced(&self) -> bool {
        self.pace.is_some() && self.replay.is_none()
    }

    /// Moves to `seq` without giving what lies before it, and counts that.
    pub fn skip_to(&mut self, seq: u64, now_ns: u64) {
        if let Some(pace) = self.pace.as_mut().filter(|_| self.is_counted) {
            pace.skip(seq.saturating_sub(self.seq_next), now_ns);
        }
        self.seq_next = self.seq_next.max(seq);
    }

    /// Whether the record is for this cursor. Position records describe what the cursor has already passed.
    pub fn wants(&self, record: &Record) -> bool {
        match (self.phase, record.kind) {
            (_, RecordKind::State | RecordKind::Gap | RecordKind::Snapshot)
            | (Phase::Live, RecordKind::Data)
            | (Phase::Waiting, RecordKind::Cut) => true,
            (Phase::Live, RecordKind::Position) => record.seq < self.seq_next && self.replay.is_none(),
            (Phase::Live, RecordKind::Cut) | (Phase::Waiting, RecordKind::Data | RecordKind::Position) => {
                false
            }
        }
    }

    /// Notes that a record was given at this time of the taker.
    pub fn given(&mut self, record: &Record, turn_ns: u64) {
        if let Some(pace) = &mut self.pace
            && !matches!(record.kind, RecordKind::State | RecordKind::Gap | RecordKind::Position)
        {
            pace.given(turn_ns);
        }
    }

    /// Moves past the record. Returns whether it ended the wait for a base.
    pub fn pass(&mut self, record: &Record) -> bool {
        match record.kind {
            RecordKind::State | RecordKind::Gap => self.seq_next = record.seq + 1,
            RecordKind::Data if self.phase == Phase::Live => self.seq_next = record.seq + 1,
            RecordKind::Snapshot if !record.more => self.seq_next = record.seq + 1,
            RecordKind::Cut if !record.more && self.phase == Phase::Waiting => self.seq_next = record.seq + 1,
            RecordKind::Data | RecordKind::Snapshot | RecordKind::Cut | RecordKind::Position => return false,
        }
        let is_base = matches!(record.kind, RecordKind::Snapshot | RecordKind::Cut);
        let is_served = is_base && self.phase == Phase::Waiting;
        if is_served {
            self.phase = Phase::Live;
            self.is_counted = true;
        }
        is_served
    }
}

/// A cursor with records to take. The oldest is the greatest, so that a max-heap yields the order of publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Next record to look at.
    pub at: Position,
    /// Slot of the cursor.
    pub cursor: u32,
    /// Whether it may skip records.
    pub is_paced: bool,
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at).then_with(|| other.cursor.cmp(&self.cursor))
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Values in numbered slots; freed slots are used again.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Slot that the next [`Slab::insert`] will use.
    pub fn next_slot(&self) -> u32 {
        self.free.last().copied().unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX))
    }

    pub fn insert(&mut self, value: T) -> u32 {
        let slot = self.next_slot();
        if self.free.pop().is_none() {
            self.slots.push(Some(value));
        } else if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(value);
        }
        slot
    }

    pub fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub fn remove(&mut self, slot: u32) -> Option<T> {
        let value = self.slots.get_mut(slot as usize)?.take();
        if value.is_some() {
            self.free.push(slot);
        }
        value
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

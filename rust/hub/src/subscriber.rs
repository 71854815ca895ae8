//! Subscribers: a set of cursors, a queue of stream records, and the waker of whoever waits for them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::task::Waker;

use crate::cursor::{Cursor, Pending, Rest, Slab};
use crate::flight::{Flight, Load};
use crate::record::Stamp;
use crate::ring::{TAG, frame, framed_len};
use crate::take::EndReason;
use crate::topic::TopicId;

/// So many bytes may lie taken in a queue before they are given back.
const COMPACT_BYTES_MIN: usize = 64 << 10;

/// An entry's length fits 35 bits: five bytes of seven.
const LENGTH_BITS_MAX: u32 = 28;

/// Handle of a subscriber. It is never used twice, so a late call after the end finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub(crate) u64);

impl SubscriberId {
    pub(crate) fn new(made: u32, slot: u32) -> Self {
        Self(u64::from(made) << 32 | u64::from(slot))
    }

    pub(crate) fn slot(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// Returns the handle as a number, for borders that carry numbers only.
    #[must_use]
    pub fn to_raw(self) -> u64 {
        self.0
    }

    /// Returns the handle of a number from [`SubscriberId::to_raw`]; any other number is a subscriber that ended.
    #[must_use]
    pub fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

/// Why entries were not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The bytes are no entries of field 4, one behind the other.
    #[error("expected entries of field 4, one behind the other")]
    Malformed,
}

/// Splits the first entry of field 4 off; `None` if there is none, or no whole one.
fn split_entry(framed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&tag, mut rest) = framed.split_first()?;
    let (mut length, mut shift) = (0_usize, 0_u32);
    loop {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        length |= usize::from(byte & 0x7F).checked_shl(shift)?;
        shift += 7;
        if byte < 0x80 {
            break;
        }
        if shift > LENGTH_BITS_MAX {
            return None;
        }
    }
    let head = framed.len() - rest.len();
    if tag == TAG { framed.split_at_checked(head.checked_add(length)?) } else { None }
}

/// Checks that the bytes are whole entries of field 4.
pub(crate) fn check_entries(mut framed: &[u8]) -> Result<(), PushError> {
    while !framed.is_empty() {
        (_, framed) = split_entry(framed).ok_or(PushError::Malformed)?;
    }
    Ok(())
}

/// Framed records for one subscriber, first in, first out.
#[derive(Debug, Default)]
pub(crate) struct StreamQueue {
    bytes: Vec<u8>,
    /// Bytes of `bytes` that were taken.
    taken: usize,
    lengths: VecDeque<usize>,
}

impl StreamQueue {
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Frames a bare `Update` and appends it; nothing if the encoder wrote nothing. Returns the bytes added.
    pub fn push(&mut self, body: &[u8]) -> usize {
        if body.is_empty() {
            return 0;
        }
        let framed = framed_len(body.len());
        self.compact();
        frame(body, &mut self.bytes);
        self.lengths.push_back(framed);
        framed
    }

    /// Appends a record that is framed already.
    pub fn push_framed(&mut self, framed: &[u8]) {
        self.compact();
        self.bytes.extend_from_slice(framed);
        self.lengths.push_back(framed.len());
    }

    /// Appends entries that were checked by [`check_entries`].
    pub fn push_entries(&mut self, mut framed: &[u8]) {
        while let Some((entry, rest)) = split_entry(framed) {
            self.push_framed(entry);
            framed = rest;
        }
    }

    /// Moves what waits to the front once most of the buffer was taken: a queue that never runs empty stays bounded.
    fn compact(&mut self) {
        if self.taken > COMPACT_BYTES_MIN && self.taken > self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Returns the oldest record.
    pub fn front(&self) -> Option<&[u8]> {
        let length = *self.lengths.front()?;
        self.bytes.get(self.taken..self.taken + length)
    }

    /// Drops the oldest record.
    pub fn pop(&mut self) {
        self.taken += self.lengths.pop_front().unwrap_or(0);
        if self.lengths.is_empty() {
            self.bytes.clear();
            self.taken = 0;
        }
    }
}

/// Cursors with records to take, in the order of publication.
#[derive(Debug, Default)]
pub(crate) struct PendingQueue {
    /// Those that must have every record: only they are owed something.
    lossless: BinaryHeap<Pending>,
    /// Those that may skip.
    paced: BinaryHeap<Pending>,
}

impl PendingQueue {
    pub fn is_empty(&self) -> bool {
        self.lossless.is_empty() && self.paced.is_empty()
    }

    /// Makes room for `cursors` in all.
    pub fn reserve(&mut self, cursors: usize) {
        self.lossless.reserve(cursors - self.lossless.len());
        self.paced.reserve(cursors - self.paced.len());
    }

    pub fn push(&mut self, pending: Pending) {
        if pending.is_paced { &mut self.paced } else { &mut self.lossless }.push(pending);
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<Pending> {
        if self.paced.peek() > self.lossless.peek() { self.paced.pop() } else { self.lossless.pop() }
    }

    /// Exchanges `pending` for an older one, if there is any.
    pub fn exchange(&mut self, pending: &mut Pending) {
        let (own, other) = if pending.is_paced {
            (&mut self.paced, &mut self.lossless)
        } else {
            (&mut self.lossless, &mut self.paced)
        };
        if other.peek().is_some_and(|oldest| oldest.at < pending.at && own.peek() < Some(oldest)) {
            own.push(*pending);
            *pending = other.pop().unwrap_or(*pending);
        } else if let Some(mut oldest) = own.peek_mut()
            && oldest.at < pending.at
        {
            std::mem::swap(&mut *oldest, pending);
        }
    }

    /// Returns the oldest.
    pub fn peek(&self) -> Option<Pending> {
        self.lossless.peek().max(self.paced.peek()).copied()
    }

    /// Returns the oldest that must have every record.
    pub fn peek_lossless(&self) -> Option<Pending> {
        self.lossless.peek().copied()
    }

    /// Returns those that must have every record, in no order.
    pub fn lossless(&self) -> impl Iterator<Item = Pending> {
        self.lossless.iter().copied()
    }

    /// Returns all, in no order.
    pub fn all(&self) -> impl Iterator<Item = Pending> {
        self.lossless.iter().chain(&self.paced).copied()
    }

    fn forget(&mut self, cursor: u32) {
        self.lossless.retain(|pending| pending.cursor != cursor);
        self.paced.retain(|pending| pending.cursor != cursor);
    }
}

/// One subscriber.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub id: SubscriberId,
    /// Its cursors, by topic.
    pub cursors: BTreeMap<TopicId, u32>,
    pub pending: PendingQueue,
    /// When the intervals of parked cursors have passed, nanoseconds of the taker's clock; some went on meanwhile.
    pub timers: BinaryHeap<Reverse<(u64, u32)>>,
    /// The cursor whose group was cut off by the bound of the last take.
    pub open: Option<Pending>,
    pub stream: StreamQueue,
    pub waker: Option<Waker>,
    /// Why it ends once its stream records are taken.
    pub end: Option<EndReason>,
    /// Bytes published by the whole hub before which it cannot owe more than the next bound.
    pub owed_check_at: u64,
    /// Bytes taken before which it cannot owe less than what takes a warning back.
    pub clear_check_at: u64,
    /// The topic with which it was warned; `None`: it is not.
    pub warned: Option<TopicId>,
    /// Whether the queue holds that warning alone: it goes although the window is full.
    pub is_warning_alone: bool,
    pub flight: Flight,
    /// When it last had taken all, nanoseconds of the hub's monotonic time: nothing that waits has waited longer.
    pub rested_ns: u64,
    /// Newest watermark told; it never goes back.
    pub watermark_wall_ns: i64,
    pub records_taken: u64,
    pub bytes_taken: u64,
    pub stream_seq_acked: u64,
}

impl Subscriber {
    /// Makes a subscriber; whoever acknowledges may have so many bytes on their way.
    pub fn new(id: SubscriberId, flight_bytes_max: u64) -> Self {
        Self {
            id,
            cursors: BTreeMap::new(),
            pending: PendingQueue::default(),
            timers: BinaryHeap::new(),
            open: None,
            stream: StreamQueue::default(),
            waker: None,
            end: None,
            owed_check_at: 0,
            clear_check_at: 0,
            warned: None,
            is_warning_alone: false,
            flight: Flight::new(flight_bytes_max),
            rested_ns: 0,
            watermark_wall_ns: 0,
            records_taken: 0,
            bytes_taken: 0,
            stream_seq_acked: 0,
        }
    }

    /// Notes bytes that it is owed beside what the hub publishes.
    pub fn note_owed(&mut self, bytes: u64) {
        self.owed_check_at = self.owed_check_at.saturating_sub(bytes);
    }

    /// Forgets a cursor.
    pub fn forget(&mut self, cursor: u32) {
        self.pending.forget(cursor);
        self.timers.retain(|Reverse((_, timer))| *timer != cursor);
        self.open = self.open.filter(|open| open.cursor != cursor);
    }

    /// Whether there is anything to take.
    pub fn has_records(&self) -> bool {
        !self.stream.is_empty() || self.open.is_some() || !self.pending.is_empty()
    }

    /// Notes that it has taken all that was published until now.
    pub fn rest(&mut self, now: Stamp) {
        self.flight.rest();
        self.rested_ns = now.mono_ns;
        self.complete_until(now.wall_ns);
    }

    /// Notes that it has taken all that was published before this wall time; that never goes back.
    pub fn complete_until(&mut self, wall_ns: i64) {
        self.watermark_wall_ns = self.watermark_wall_ns.max(wall_ns);
    }

    /// Hands the cursors whose interval has passed back to those with records to take.
    pub fn unpark(&mut self, cursors: &mut Slab<Cursor>, turn_ns: u64) {
        while let Some(&Reverse((due_ns, slot))) = self.timers.peek()
            && due_ns <= turn_ns
        {
            self.timers.pop();
            let Some(cursor) = cursors.get_mut(slot) else { continue };
            let Some(pace) = cursor.pace.as_mut().filter(|pace| pace.timer_ns == due_ns) else { continue };
            pace.timer_ns = 0;
            if let Some(at) = pace.parked.take() {
                cursor.rest = Rest::Not;
                self.pending.push(Pending { at, cursor: slot, is_paced: true });
            }
        }
    }

    /// Returns what may be given now; `None`: nothing, before something is acknowledged.
    pub fn room(&mut self, turn_ns: u64) -> Option<Load> {
        let is_warning = std::mem::take(&mut self.is_warning_alone);
        let warning = Load { bytes: u64::MAX, records: 1 };
        self.flight.room(turn_ns).or_else(|| is_warning.then_some(warning))
    }

    /// Returns all cursors with records to take, in no order.
    pub fn all_pending(&self) -> impl Iterator<Item = Pending> {
        self.open.into_iter().chain(self.pending.all())
    }

    /// Returns the cursors with records to take that must have every record, in no order.
    pub fn lossless(&self) -> impl Iterator<Item = Pending> {
        self.open.into_iter().filter(|open| !open.is_paced).chain(self.pending.lossless())
    }

    /// Returns the one with the oldest record.
    pub fn oldest_lossless(&self) -> Option<Pending> {
        self.open.into_iter().filter(|open| !open.is_paced).chain(self.pending.peek_lossless()).max()
    }

    /// Returns the cursor with the oldest record to take.
    pub fn oldest(&self) -> Option<Pending> {
        self.open.into_iter().chain(self.pending.peek()).max()
    }
}

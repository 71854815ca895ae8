//! Taking: what waits for one subscriber is joined, in the order of publication, up to a bound of bytes.

use std::cmp::Reverse;
use std::task::Waker;

use crate::conflate::{Sight, Step};
use crate::cursor::{Cursor, Pending, Slab};
use crate::encoder::{ResumePosition, StreamEncoder};
use crate::flight::Load;
use crate::record::Stamp;
use crate::ring::Ring;
use crate::state::State;
use crate::subscriber::{Subscriber, SubscriberId};
use crate::topic::{TopicId, Topics};

/// One turn of whoever takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    /// Number of the response that is to be filled, for acknowledgements; 0: it has none, and nothing bounds it.
    pub stream_seq: u64,
    /// Bytes to take at most, but at least one record is given.
    pub bytes_max: usize,
    /// Time of whoever takes, nanoseconds of a monotonic clock: intervals and acknowledgements are measured by it.
    pub mono_ns: u64,
}

/// What a take gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenRecords {
    /// Bytes appended.
    pub bytes: usize,
    /// Records appended.
    pub records: u32,
    /// All that was published on the subscriber's topics before this wall time has been taken. It never goes back.
    pub watermark_wall_ns: i64,
    /// Monotonic time of publication of the oldest topic record in this take; `None` if it holds stream records only.
    pub published_mono_ns: Option<u64>,
    /// Whether more waits already.
    pub has_more: bool,
}

/// Why a stream ends. The subscriber is gone when this is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// It was owed too much or for too long. Delivery gaps were taken before.
    SlowReader {
        /// Where to resume, by topic.
        positions: Vec<ResumePosition>,
    },
    /// The hub drains. All that was published has been taken, and the draining record.
    Draining {
        /// Where to resume, by topic.
        positions: Vec<ResumePosition>,
    },
    /// It was closed, or never was.
    Closed,
}

/// Answer of a take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Entries were appended to the buffer.
    Some(TakenRecords),
    /// Nothing waits; the waker, if one was given, is signalled when something does.
    Empty {
        /// As in [`TakenRecords`].
        watermark_wall_ns: i64,
        /// When to take again although no waker was signalled, nanoseconds of the clock of [`Turn::mono_ns`]: an
        /// interval has passed by then, or a bound of time. `None`: whenever the waker is signalled.
        wake_at_mono_ns: Option<u64>,
    },
    /// The stream is over.
    Ended(EndReason),
}

/// The buffer that is filled, and its bounds.
pub(crate) struct Window<'a> {
    out: &'a mut Vec<u8>,
    bytes_max: usize,
    records_max: u64,
    bytes: usize,
    records: u32,
    published_mono_ns: Option<u64>,
}

impl<'a> Window<'a> {
    fn new(out: &'a mut Vec<u8>, bytes_max: usize, room: Load) -> Self {
        let bytes_max = bytes_max.min(usize::try_from(room.bytes).unwrap_or(usize::MAX));
        Self { out, bytes_max, records_max: room.records, bytes: 0, records: 0, published_mono_ns: None }
    }

    /// Whether a record fits; the first one always does.
    fn admits(&self, framed: &[u8]) -> bool {
        self.records == 0
            || (self.bytes + framed.len() <= self.bytes_max && u64::from(self.records) < self.records_max)
    }

    fn append(&mut self, framed: &[u8]) {
        self.out.extend_from_slice(framed);
        self.bytes += framed.len();
        self.records += 1;
    }

    fn append_published(&mut self, framed: &[u8], mono_ns: u64) {
        self.append(framed);
        self.published_mono_ns = Some(self.published_mono_ns.map_or(mono_ns, |oldest| oldest.min(mono_ns)));
    }
}

/// One subscriber and what its cursors point into.
pub(crate) struct Walk<'a> {
    pub subscriber: &'a mut Subscriber,
    pub ring: &'a Ring,
    pub topics: &'a mut Topics,
    pub cursors: &'a mut Slab<Cursor>,
    pub encoder: &'a dyn StreamEncoder,
    pub scratch: &'a mut Vec<u8>,
    /// Topics of which somebody waits for a cut.
    pub cuts: &'a mut Vec<TopicId>,
    /// Whether one of them is new.
    pub is_cut_wanted: bool,
    /// Time of the hub.
    pub now: Stamp,
    pub sight: Sight,
}

impl Walk<'_> {
    /// Fills the window: the rest of an open group, then stream records, then records of topics.
    fn fill(&mut self, window: &mut Window<'_>) {
        if let Some(open) = self.subscriber.open.take()
            && !self.follow(open, true, window)
        {
            return;
        }
        loop {
            while let Some(framed) = self.subscriber.stream.front() {
                if !window.admits(framed) {
                    return;
                }
                window.append(framed);
                self.subscriber.stream.pop();
            }
            let Some(pending) = self.subscriber.pending.pop() else { return };
            if !self.follow(pending, false, window) {
                return;
            }
        }
    }

    /// Follows a cursor, and at group borders whichever cursor is then the oldest, until one is caught up or a stream
    /// record is due. Returns false if the window is full.
    fn follow(&mut self, mut pending: Pending, mut in_group: bool, window: &mut Window<'_>) -> bool {
        loop {
            if pending.is_paced && (!in_group || self.ring.get(pending.at).is_none()) {
                match self.next_paced(pending) {
                    Step::Give(at) => pending.at = at,
                    Step::Tell(at) => {
                        self.put_back(Pending { at, ..pending }, false);
                        return true;
                    }
                    Step::Leave => return true,
                }
            }
            let Some((record, framed)) = self.ring.get(pending.at) else { return true };
            let Some(cursor) = self.cursors.get_mut(pending.cursor) else { return true };
            let is_wanted = cursor.wants(record);
            if is_wanted {
                if !window.admits(framed) {
                    self.put_back(pending, in_group);
                    return false;
                }
                window.append_published(framed, record.stamp.mono_ns);
                cursor.given(record, self.sight.turn_ns);
            }
            if cursor.pass(record) {
                self.subscriber.owed_check_at = 0;
            }
            if let Some(replay) = cursor.end_replay() {
                cursor.since_ns = self.now.mono_ns;
                pending.is_paced = cursor.is_paced();
                self.subscriber.stream.push(&replay.caught_up);
            }
            in_group = is_wanted && record.more;
            let Some(next) = record.next else {
                self.settle(pending.cursor);
                return true;
            };
            pending.at = next;
            if in_group {
                continue;
            }
            if !self.subscriber.stream.is_empty() {
                self.put_back(pending, false);
                return true;
            }
            self.subscriber.pending.exchange(&mut pending);
        }
    }

    fn put_back(&mut self, pending: Pending, in_group: bool) {
        if in_group {
            self.subscriber.open = Some(pending);
        } else {
            self.subscriber.pending.push(pending);
        }
    }

    /// Files a cursor that has caught up with its topic.
    pub fn settle(&mut self, slot: u32) {
        let Some(cursor) = self.cursors.get_mut(slot) else { return };
        let Some(topic) = self.topics.get_mut(cursor.topic) else { return };
        topic.settle(self.subscriber.id.slot(), slot, cursor);
    }
}

impl State {
    pub fn take(&mut self, id: SubscriberId, turn: Turn, out: &mut Vec<u8>, waker: Option<&Waker>) -> Taken {
        let subscriber = self.subscribers.get_mut(id.slot()).filter(|subscriber| subscriber.id == id);
        let Some(subscriber) = subscriber else { return Taken::Ended(EndReason::Closed) };
        subscriber.unpark(&mut self.cursors, turn.mono_ns);
        if subscriber.has_records() || subscriber.warned.is_some() {
            self.judge(id, turn.mono_ns);
            if let Some(taken) = self.fill(id, turn, out) {
                return Taken::Some(taken);
            }
        } else {
            subscriber.rest(self.now);
        }
        if self.is_draining
            && self.end_drained(id)
            && let Some(taken) = self.fill(id, turn, out)
        {
            return Taken::Some(taken);
        }
        let lag_ns_max = self.bounds.lag_ns;
        let Some(subscriber) = self.subscriber_mut(id) else { return Taken::Ended(EndReason::Closed) };
        if let Some(end) = subscriber.end.take() {
            self.subscribers.remove(id.slot());
            return Taken::Ended(end);
        }
        if let Some(waker) = waker {
            subscriber.waker = Some(waker.clone());
        }
        let timer_ns = subscriber.timers.peek().map(|Reverse((due_ns, _))| *due_ns);
        let stall_ns = subscriber
            .flight
            .stalled_since_ns()
            .map(|since| since.saturating_add(lag_ns_max).saturating_add(1));
        Taken::Empty {
            watermark_wall_ns: subscriber.watermark_wall_ns,
            wake_at_mono_ns: timer_ns.into_iter().chain(stall_ns).min(),
        }
    }

    /// Joins what waits; `None` if nothing does, nothing may be given now, or nobody is there.
    fn fill(&mut self, id: SubscriberId, turn: Turn, out: &mut Vec<u8>) -> Option<TakenRecords> {
        let subscriber = self.subscribers.get_mut(id.slot()).filter(|subscriber| subscriber.id == id)?;
        let is_free = turn.stream_seq == 0 || subscriber.end.is_some() || self.is_draining;
        let room = if is_free { Some(Load::ALL) } else { subscriber.room(turn.mono_ns) };
        let mut window = Window::new(out, turn.bytes_max, room?);
        let mut walk = Walk {
            subscriber,
            ring: &self.ring,
            topics: &mut self.topics,
            cursors: &mut self.cursors,
            encoder: self.encoder.as_ref(),
            scratch: &mut self.scratch,
            cuts: &mut self.cuts,
            is_cut_wanted: false,
            now: self.now,
            sight: Sight {
                now_ns: self.now.mono_ns,
                turn_ns: turn.mono_ns,
                owed_bytes: self.bounds.owed_bytes,
            },
        };
        walk.fill(&mut window);
        self.is_cut_wanted |= walk.is_cut_wanted;
        let Window { bytes, records, published_mono_ns, .. } = window;
        let load = Load { bytes: bytes as u64, records: u64::from(records) };
        subscriber.records_taken += load.records;
        subscriber.bytes_taken += load.bytes;
        self.stats.records_taken += load.records;
        self.stats.bytes_taken += load.bytes;
        if records > 0 && turn.stream_seq > 0 {
            subscriber.flight.send(turn.stream_seq, load, turn.mono_ns);
            subscriber.note_owed(if subscriber.flight.is_acknowledged() { load.bytes } else { 0 });
        }
        let has_more = subscriber.has_records();
        match subscriber.oldest().and_then(|oldest| self.ring.get(oldest.at)) {
            Some((record, _)) => subscriber.complete_until(record.stamp.wall_ns),
            None if has_more => {}
            None => subscriber.rest(self.now),
        }
        let watermark_wall_ns = subscriber.watermark_wall_ns;
        (records > 0).then_some(TakenRecords {
            bytes,
            records,
            watermark_wall_ns,
            published_mono_ns,
            has_more,
        })
    }
}

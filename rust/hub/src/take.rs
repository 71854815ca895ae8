//! Taking: what waits for one subscriber is joined, in the order of publication, up to a bound of bytes.

use std::task::Waker;

use crate::cursor::{Cursor, Pending, Slab};
use crate::encoder::{DeliveryGap, ResumePosition};
use crate::ring::Ring;
use crate::state::State;
use crate::subscriber::{Subscriber, SubscriberId};
use crate::topic::{Caught, Topics};

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
    },
    /// The stream is over.
    Ended(EndReason),
}

/// The buffer that is filled, and its bound.
struct Window<'a> {
    out: &'a mut Vec<u8>,
    bytes_max: usize,
    bytes: usize,
    records: u32,
    published_mono_ns: Option<u64>,
}

impl Window<'_> {
    /// Whether a record fits; the first one always does.
    fn admits(&self, framed: &[u8]) -> bool {
        self.records == 0 || self.bytes + framed.len() <= self.bytes_max
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
struct Walk<'a> {
    subscriber: &'a mut Subscriber,
    ring: &'a Ring,
    topics: &'a mut Topics,
    cursors: &'a mut Slab<Cursor>,
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
            let Some((record, framed)) = self.ring.get(pending.at) else { return true };
            let Some(cursor) = self.cursors.get_mut(pending.cursor) else { return true };
            let is_wanted = cursor.wants(record);
            if is_wanted {
                if !window.admits(framed) {
                    self.put_back(pending, in_group);
                    return false;
                }
                window.append_published(framed, record.stamp.mono_ns);
            }
            if cursor.pass(record) {
                self.subscriber.owed_check_at = 0;
            }
            if let Some(replay) = cursor.end_replay() {
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
            if let Some(mut oldest) = self.subscriber.pending.peek_mut()
                && oldest.at < next
            {
                std::mem::swap(&mut *oldest, &mut pending);
            }
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
    fn settle(&mut self, slot: u32) {
        let Some(cursor) = self.cursors.get(slot) else { return };
        let Some(topic) = self.topics.get_mut(cursor.topic) else { return };
        topic.settle(Caught { subscriber: self.subscriber.id.slot(), cursor: slot }, cursor.phase);
    }
}

impl State {
    pub fn take(
        &mut self,
        id: SubscriberId,
        bytes_max: usize,
        out: &mut Vec<u8>,
        waker: Option<&Waker>,
    ) -> Taken {
        if self.is_slow(id) {
            self.end_slow(id);
        }
        if let Some(taken) = self.fill(id, bytes_max, out) {
            return Taken::Some(taken);
        }
        if self.is_draining
            && self.end_drained(id)
            && let Some(taken) = self.fill(id, bytes_max, out)
        {
            return Taken::Some(taken);
        }
        let Some(subscriber) = self.subscriber_mut(id) else { return Taken::Ended(EndReason::Closed) };
        if let Some(end) = subscriber.end.take() {
            self.subscribers.remove(id.slot());
            return Taken::Ended(end);
        }
        if let Some(waker) = waker {
            subscriber.waker = Some(waker.clone());
        }
        Taken::Empty { watermark_wall_ns: subscriber.watermark_wall_ns }
    }

    /// Joins what waits; `None` if nothing does, or nobody is there.
    fn fill(&mut self, id: SubscriberId, bytes_max: usize, out: &mut Vec<u8>) -> Option<TakenRecords> {
        let subscriber = self.subscribers.get_mut(id.slot()).filter(|subscriber| subscriber.id == id)?;
        let mut window = Window { out, bytes_max, bytes: 0, records: 0, published_mono_ns: None };
        let mut walk =
            Walk { subscriber, ring: &self.ring, topics: &mut self.topics, cursors: &mut self.cursors };
        walk.fill(&mut window);
        let Window { bytes, records, published_mono_ns, .. } = window;
        subscriber.records_taken += u64::from(records);
        subscriber.bytes_taken += bytes as u64;
        self.stats.records_taken += u64::from(records);
        self.stats.bytes_taken += bytes as u64;
        let oldest = subscriber.oldest();
        let has_more = oldest.is_some() || !subscriber.stream.is_empty();
        let complete_until = match oldest {
            Some(oldest) => self.ring.get(oldest.at).map_or(i64::MIN, |(record, _)| record.stamp.wall_ns),
            None if has_more => i64::MIN,
            None => self.now.wall_ns,
        };
        subscriber.watermark_wall_ns = subscriber.watermark_wall_ns.max(complete_until);
        let watermark_wall_ns = subscriber.watermark_wall_ns;
        (records > 0).then_some(TakenRecords {
            bytes,
            records,
            watermark_wall_ns,
            published_mono_ns,
            has_more,
        })
    }

    /// Whether a subscriber has lost a record to the ring, or is owed too much or for too long.
    fn is_slow(&mut self, id: SubscriberId) -> bool {
        let Some(subscriber) = self.subscriber(id).filter(|subscriber| subscriber.end.is_none()) else {
            return false;
        };
        let is_lost = subscriber.oldest().is_some_and(|oldest| oldest.at < self.ring.tail());
        if is_lost || self.lag_ns(subscriber) > self.bounds.lag_ns {
            return true;
        }
        if self.bytes < subscriber.owed_check_at {
            return false;
        }
        let owed = self.owed_bytes(subscriber);
        let Some(room) = self.bounds.owed_bytes.checked_sub(owed) else { return true };
        // It cannot owe more than `room` beyond this before the whole hub has published as much.
        let owed_check_at = self.bytes.saturating_add(room);
        if let Some(subscriber) = self.subscriber_mut(id) {
            subscriber.owed_check_at = owed_check_at;
        }
        false
    }

    /// Ends a slow reader: a gap for each topic of which it misses records, then the end.
    pub fn end_slow(&mut self, id: SubscriberId) {
        let Some(subscriber) = self.subscriber(id) else { return };
        let positions = self.positions(subscriber);
        let mut pending: Vec<Pending> = subscriber.all_pending().collect();
        pending.sort_by_key(|pending| self.cursors.get(pending.cursor).map(|cursor| cursor.topic));
        for pending in pending {
            self.tell_gap(id, pending);
        }
        self.stats.slow_readers += 1;
        self.end(id, EndReason::SlowReader { positions });
    }

    /// Queues the gap that covers what a cursor still had to take.
    fn tell_gap(&mut self, id: SubscriberId, pending: Pending) {
        let Some(cursor) = self.cursors.get(pending.cursor) else { return };
        let Some(topic) = self.topics.get(cursor.topic).filter(|topic| cursor.seq_next <= topic.head) else {
            return;
        };
        let (seq_first, seq_last) = (cursor.seq_next, topic.head);
        let count = seq_last - seq_first + 1;
        let wall_ns_first = self.ring.get(pending.at).map_or(0, |(record, _)| record.stamp.wall_ns);
        let (topic, now) = (topic.name.as_key(), self.now);
        self.scratch.clear();
        self.encoder
            .gap(&DeliveryGap { topic, seq_first, seq_last, count, wall_ns_first, now }, &mut self.scratch);
        self.stats.records_lost += count;
        if let Some(subscriber) = self.subscribers.get_mut(id.slot()) {
            subscriber.stream.push(&self.scratch);
        }
    }

    /// Ends a subscriber that has taken all, because the hub drains. Returns false if it has ended already.
    fn end_drained(&mut self, id: SubscriberId) -> bool {
        let Some(subscriber) = self.subscriber(id).filter(|subscriber| subscriber.end.is_none()) else {
            return false;
        };
        let positions = self.positions(subscriber);
        self.scratch.clear();
        self.encoder.draining(&positions, self.now, &mut self.scratch);
        if let Some(subscriber) = self.subscribers.get_mut(id.slot()) {
            subscriber.stream.push(&self.scratch);
        }
        self.end(id, EndReason::Draining { positions });
        true
    }

    fn end(&mut self, id: SubscriberId, reason: EndReason) {
        self.detach_all(id);
        if let Some(subscriber) = self.subscriber_mut(id) {
            subscriber.end = Some(reason);
        }
    }
}

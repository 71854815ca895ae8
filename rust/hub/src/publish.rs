//! Publishing: a batch is checked whole, then appended, then those who follow its topics are marked.

use std::task::Waker;

use crate::cursor::{Cursor, Pending, Rest, Slab};
use crate::record::{Batch, Entry, PublishError, RecordKind, Stamp};
use crate::ring::{Position, Record, Ring};
use crate::state::State;
use crate::subscriber::Subscriber;
use crate::topic::{Caught, Topic};

/// A data record beyond this is not kept for joiners once it leaves the ring.
const KEPT_BYTES_MAX: usize = 4 << 10;

impl State {
    pub fn publish(&mut self, batch: &Batch, now: Stamp, wakes: &mut Vec<Waker>) -> Result<(), PublishError> {
        if let Err(error) = self.check(batch) {
            self.stats.batches_refused += 1;
            return Err(error);
        }
        self.advance(now);
        self.evict();
        for entry in &batch.entries {
            if let Some(body) = batch.body(entry) {
                self.append(entry, body, wakes);
                self.evict();
            }
        }
        self.stats.batches_published += 1;
        Ok(())
    }

    /// Drops records, the oldest first, until the bounds hold.
    pub fn evict(&mut self) {
        while let Some((at, record, framed)) = self.ring.front() {
            let age_ns = self.now.mono_ns - record.stamp.mono_ns;
            if self.ring.bytes() <= self.bounds.ring_bytes && age_ns <= self.bounds.ring_age_ns {
                return;
            }
            if let Some(topic) = self.topics.get_mut(record.topic) {
                topic.forget(at, record, framed);
            }
            self.ring.evict();
        }
    }

    /// Checks a batch as if its entries were appended one by one.
    fn check(&mut self, batch: &Batch) -> Result<(), PublishError> {
        self.batches += 1;
        let (mut bytes, mut groups_open, bytes_max) = (0, 0_usize, self.bounds.ring_bytes);
        let mut topic_last = None;
        for entry in &batch.entries {
            let &Entry { topic: id, start, end, .. } = entry;
            let topic = self.topics.get_mut(id).ok_or(PublishError::UnknownTopic { topic: id })?;
            let bytes_batch = batch.bytes.len();
            let body = batch.body(entry).ok_or(PublishError::Range { start, end, bytes: bytes_batch })?;
            bytes += Ring::cost(body.len());
            let was_open = topic.check(self.batches, entry)?;
            groups_open = groups_open + usize::from(entry.more) - usize::from(was_open);
            topic_last = Some(id);
        }
        match topic_last {
            Some(topic) if groups_open > 0 => Err(PublishError::Group { topic }),
            _ if bytes > bytes_max => Err(PublishError::TooLarge { bytes, bytes_max }),
            _ => Ok(()),
        }
    }

    /// Appends one checked record and marks who follows its topic.
    fn append(&mut self, entry: &Entry, body: &[u8], wakes: &mut Vec<Waker>) {
        let Some(topic) = self.topics.get_mut(entry.topic) else { return };
        let record = Record::new(entry.topic, entry.kind, entry.more, entry.seq, self.now, topic.bytes);
        let (at, framed) = self.ring.append(record, body);
        if let Some(last) = topic.last.replace(at) {
            self.ring.link(last, at);
        }
        if entry.kind != RecordKind::Cut {
            topic.bytes += framed as u64;
            self.bytes += framed as u64;
        }
        self.stats.records_published += 1;
        self.stats.bytes_published += framed as u64;
        topic.note(entry, at);
        if entry.kind == RecordKind::State
            && let Some((_, framed)) = self.ring.get(at)
        {
            topic.kept_state.set(entry.seq, framed);
        }
        if entry.kind != RecordKind::Cut {
            mark(&mut topic.caught, at, &mut self.subscribers, wakes);
        }
        if !matches!(entry.kind, RecordKind::Data | RecordKind::Position) {
            mark_waiting(topic, at, entry.kind, &mut self.cursors, &mut self.subscribers, wakes);
        }
    }
}

/// Hands a new record to cursors that had none to take.
fn mark(list: &mut Vec<Caught>, at: Position, subscribers: &mut Slab<Subscriber>, wakes: &mut Vec<Waker>) {
    for Caught { subscriber, cursor, is_paced } in list.drain(..) {
        if let Some(subscriber) = subscribers.get_mut(subscriber) {
            subscriber.pending.push(Pending { at, cursor, is_paced });
            wakes.extend(subscriber.waker.take());
        }
    }
}

/// Hands a notice or a base to cursors that wait for one. A parked one goes on where it was parked.
fn mark_waiting(
    topic: &mut Topic,
    at: Position,
    kind: RecordKind,
    cursors: &mut Slab<Cursor>,
    subscribers: &mut Slab<Subscriber>,
    wakes: &mut Vec<Waker>,
) {
    topic.waiting.retain(|caught| {
        let Some(cursor) = cursors.get_mut(caught.cursor) else { return false };
        let at = match cursor.rest {
            Rest::Parked if kind == RecordKind::Cut => return true,
            Rest::Parked => cursor.pace.as_mut().and_then(|pace| pace.parked.take()).unwrap_or(at),
            Rest::Waits => at,
            Rest::Not => {
                cursor.is_listed = false;
                return false;
            }
        };
        (cursor.rest, cursor.is_listed) = (Rest::Not, false);
        if let Some(subscriber) = subscribers.get_mut(caught.subscriber) {
            let Caught { cursor, is_paced, .. } = *caught;
            subscriber.pending.push(Pending { at, cursor, is_paced });
            wakes.extend(subscriber.waker.take());
        }
        false
    });
}

impl Topic {
    /// Checks the next entry of this topic in a batch. Returns whether it continues a group.
    fn check(&mut self, batch: u64, entry: &Entry) -> Result<bool, PublishError> {
        let check = &mut self.check;
        if check.batch != batch {
            (check.batch, check.head, check.group) = (batch, self.head, None);
        }
        let &Entry { topic, seq, kind, more, .. } = entry;
        let was_open = check.group.is_some();
        if check.group.is_some_and(|group| group != kind) || (more && !kind.is_groupable()) {
            return Err(PublishError::Group { topic });
        }
        let expected = match kind {
            RecordKind::Data | RecordKind::State | RecordKind::Gap => check.head.saturating_add(1),
            RecordKind::Snapshot if !was_open => check.head.saturating_add(1),
            RecordKind::Snapshot | RecordKind::Position | RecordKind::Cut => check.head.max(1),
        };
        let is_before_first = check.head == 0 && matches!(kind, RecordKind::Position | RecordKind::Cut);
        if seq != expected || is_before_first {
            return Err(PublishError::Sequence { topic, expected, received: seq });
        }
        check.head = seq;
        check.group = more.then_some(kind);
        Ok(was_open)
    }

    /// Notes what a new record means to joiners and to those who wait.
    fn note(&mut self, entry: &Entry, at: Position) {
        let is_first = !self.is_group_open;
        self.is_group_open = entry.more;
        self.head = entry.seq;
        self.first = self.first.or(Some(at));
        self.places.note(entry.seq, at);
        match entry.kind {
            RecordKind::Data => {
                self.newest.seq_last = entry.seq;
                if is_first {
                    self.newest.at = Some(at);
                    self.newest.seq_first = entry.seq;
                    self.newest.kept.clear();
                }
            }
            RecordKind::State | RecordKind::Gap => self.notices.push_back(at),
            RecordKind::Snapshot | RecordKind::Cut if is_first => {
                self.cut_last = Some(at);
                self.cuts_owed = 0;
            }
            _ => {}
        }
    }

    /// Notes that a record leaves the ring.
    fn forget(&mut self, at: Position, record: &Record, framed: &[u8]) {
        if !matches!(record.kind, RecordKind::Position | RecordKind::Cut) {
            self.seq_evicted = record.seq;
        }
        if self.newest.at == Some(at) {
            self.newest.at = None;
            if !record.more && framed.len() <= KEPT_BYTES_MAX {
                self.newest.kept.extend_from_slice(framed);
            }
        }
        self.first = record.next;
        self.places.forget(at);
        self.notices.pop_front_if(|notice| *notice <= at);
        if self.last == Some(at) {
            self.last = None;
        }
    }
}

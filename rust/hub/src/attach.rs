//! Subscribers come and go; cursors are attached to topics and detached from them.

use std::task::Waker;

use crate::cursor::{Cursor, Pending, Phase};
use crate::delivery::{Conflate, Delivery};
use crate::ring::{Position, Ring};
use crate::state::{FeedWaker, State};
use crate::subscriber::{PushError, StreamQueue, Subscriber, SubscriberId, check_entries};
use crate::topic::{Topic, TopicId};

/// Where a joiner starts. Every joiner is first given the newest state record of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// At the next record (trades).
    #[default]
    Next,
    /// With the newest data record, if there is one, then the next (top of book, ticker).
    Newest,
    /// At the next snapshot or cut (books): a cut is asked of the feed; until it comes only state records flow.
    Cut,
    /// Behind a position: what the ring holds from `seq` + 1 on, each record once and lossless whatever the delivery,
    /// then the next. Position records and cuts of the past are not replayed; nor is the newest state record told first.
    After {
        /// The last topic record that the client has processed; 0: none.
        seq: u64,
    },
}

/// How a subscriber follows a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttachOptions {
    /// Where it starts.
    pub start: Start,
    /// What it must have.
    pub delivery: Delivery,
    /// What it gets instead of the rest; without meaning for [`Delivery::Every`].
    pub conflate: Conflate,
}

/// Which status of a subscription is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The one before the first record.
    Begins,
    /// The one behind the last replayed record of [`Start::After`]; its [`Seam`] begins at the first live record.
    CaughtUp,
}

/// Where the live records of a joiner begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seam {
    /// First live `seq`. From here on `seq` rises by one; what comes before it describes the present. A cut replaces
    /// it: then the first live `seq` is the cut's + 1.
    pub seq_next: u64,
    /// Oldest `seq` that the ring still holds; `seq_next` or more if it holds none.
    pub seq_oldest: u64,
}

/// Why a subscriber was not attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The subscriber was closed or has ended.
    #[error("unknown or ended subscriber")]
    UnknownSubscriber,
    /// The topic is not one of this hub.
    #[error("unknown topic {topic:?}")]
    UnknownTopic {
        /// The handle.
        topic: TopicId,
    },
    /// The subscriber follows this topic already.
    #[error("topic {topic:?} is attached already")]
    AlreadyAttached {
        /// The handle.
        topic: TopicId,
    },
    /// The ring no longer holds the record behind the position.
    #[error("the oldest record held is {seq_oldest}")]
    Evicted {
        /// Oldest `seq` that the ring still holds; the head + 1 if it holds none.
        seq_oldest: u64,
    },
    /// The position lies above the head: it is not one of this topic.
    #[error("the newest record is {head}")]
    AboveHead {
        /// The newest `seq`; 0: none.
        head: u64,
    },
}

/// Writes the statuses of one topic.
pub(crate) type Status<'a> = &'a mut dyn FnMut(Notice, Seam, &mut Vec<u8>);

impl State {
    pub fn add_subscriber(&mut self) -> SubscriberId {
        self.subscribers_made = self.subscribers_made.wrapping_add(1);
        let id = SubscriberId::new(self.subscribers_made, self.subscribers.next_slot());
        self.subscribers.insert(Subscriber::new(id, self.bounds.owed_bytes / 2));
        id
    }

    /// Attaches a topic: status, what describes the present, then the records from the seam on.
    pub fn attach(
        &mut self,
        id: SubscriberId,
        topic_id: TopicId,
        options: AttachOptions,
        status: Status<'_>,
        wakes: &mut Vec<Waker>,
    ) -> Result<Seam, AttachError> {
        let topic = self.topics.get_mut(topic_id).ok_or(AttachError::UnknownTopic { topic: topic_id })?;
        let subscriber = self.subscribers.get_mut(id.slot());
        let subscriber = subscriber.filter(|subscriber| subscriber.id == id && subscriber.end.is_none());
        let subscriber = subscriber.ok_or(AttachError::UnknownSubscriber)?;
        if subscriber.cursors.contains_key(&topic_id) {
            return Err(AttachError::AlreadyAttached { topic: topic_id });
        }
        let seam = topic.seam(options.start)?;
        let queued = subscriber.stream.len();
        self.scratch.clear();
        status(Notice::Begins, seam, &mut self.scratch);
        subscriber.stream.push(&self.scratch);
        topic.describe(options.start, &self.ring, &mut subscriber.stream);
        let mut cursor = Cursor::new(topic_id, topic, options, &self.ring, self.now);
        let replayed = topic.replay(options.start, &self.ring);
        if let Start::After { .. } = options.start {
            self.scratch.clear();
            let seam = Seam { seq_next: topic.head + 1, ..seam };
            status(Notice::CaughtUp, seam, &mut self.scratch);
            match replayed {
                Some(_) => cursor.replay(topic.head, &self.scratch),
                None => {
                    subscriber.stream.push(&self.scratch);
                }
            }
        }
        subscriber.note_owed((subscriber.stream.len() - queued) as u64);
        wakes.extend(subscriber.waker.take());
        let phase = cursor.phase;
        let slot = self.cursors.insert(cursor);
        subscriber.cursors.insert(topic_id, slot);
        subscriber.pending.reserve(subscriber.cursors.len());
        topic.admit(phase);
        let Some(cursor) = self.cursors.get_mut(slot) else { return Ok(seam) };
        match replayed {
            Some(at) => {
                let is_paced = cursor.is_paced();
                subscriber.pending.push(Pending { at, cursor: slot, is_paced });
            }
            None => topic.settle(id.slot(), slot, cursor),
        }
        if phase == Phase::Waiting {
            self.is_cut_wanted = true;
            if !std::mem::replace(&mut topic.is_cut_listed, true) {
                self.cuts.push(topic_id);
            }
        }
        Ok(seam)
    }

    pub fn detach(&mut self, id: SubscriberId, topic_id: TopicId) -> Option<u64> {
        let subscriber = self.subscribers.get_mut(id.slot()).filter(|subscriber| subscriber.id == id)?;
        let slot = *subscriber.cursors.get(&topic_id)?;
        self.tell_rest(id, slot);
        let subscriber = self.subscriber_mut(id)?;
        subscriber.cursors.remove(&topic_id);
        if subscriber.warned == Some(topic_id) {
            // The warning went with its topic; what the others owe is looked at anew.
            (subscriber.warned, subscriber.owed_check_at) = (None, 0);
        }
        subscriber.clear_check_at = 0;
        subscriber.forget(slot);
        let cursor = self.cursors.remove(slot)?;
        self.topics.get_mut(topic_id)?.dismiss(slot, &cursor);
        (cursor.phase == Phase::Live).then_some(cursor.seq_next - 1)
    }

    pub fn push(&mut self, id: SubscriberId, update: &[u8], wakes: &mut Vec<Waker>) -> bool {
        let bound = self.bounds.owed_bytes;
        let Some(subscriber) = self.subscriber_mut(id).filter(|subscriber| subscriber.end.is_none()) else {
            return false;
        };
        wakes.extend(subscriber.waker.take());
        if subscriber.stream.len() as u64 + update.len() as u64 > bound {
            self.end_slow(id);
            return false;
        }
        let framed = subscriber.stream.push(update);
        subscriber.note_owed(framed as u64);
        true
    }

    /// Queues entries that are framed already, all or none: not beyond the bound, unless nothing is queued.
    pub fn push_entries(
        &mut self,
        id: SubscriberId,
        framed: &[u8],
        wakes: &mut Vec<Waker>,
    ) -> Result<bool, PushError> {
        check_entries(framed)?;
        let bound = self.bounds.owed_bytes;
        let Some(subscriber) = self.subscriber_mut(id).filter(|subscriber| subscriber.end.is_none()) else {
            return Ok(false);
        };
        let queued = subscriber.stream.len() as u64;
        if queued > 0 && queued + framed.len() as u64 > bound {
            return Ok(false);
        }
        subscriber.stream.push_entries(framed);
        subscriber.note_owed(framed.len() as u64);
        wakes.extend(subscriber.waker.take());
        Ok(true)
    }

    /// Notes an acknowledgement; whoever waits for it may go on.
    pub fn ack(&mut self, id: SubscriberId, stream_seq: u64, turn_ns: u64, wakes: &mut Vec<Waker>) {
        let Some(subscriber) = self.subscriber_mut(id) else { return };
        subscriber.stream_seq_acked = subscriber.stream_seq_acked.max(stream_seq);
        subscriber.flight.ack(stream_seq, turn_ns);
        if subscriber.flight.stalled_since_ns().is_some() {
            wakes.extend(subscriber.waker.take());
        }
    }

    pub fn close(&mut self, id: SubscriberId, wakes: &mut Vec<Waker>) {
        let Some(subscriber) = self.subscriber_mut(id) else { return };
        wakes.extend(subscriber.waker.take());
        self.detach_all(id);
        self.subscribers.remove(id.slot());
    }

    pub fn detach_all(&mut self, id: SubscriberId) {
        while let Some(topic) =
            self.subscriber(id).and_then(|subscriber| subscriber.cursors.keys().next().copied())
        {
            self.detach(id, topic);
        }
    }

    /// Returns what tells the feeds that a cut is wanted, unless they were told and have not looked yet.
    pub fn feed_to_wake(&mut self) -> Option<FeedWaker> {
        if !std::mem::take(&mut self.is_cut_wanted) || self.is_feed_woken {
            return None;
        }
        let wake = self.feed_waker.clone()?;
        self.is_feed_woken = true;
        Some(wake)
    }
}

impl Topic {
    /// Returns the seam of a joiner: the next record, or the data that describes the present if nothing came after it.
    fn seam(&self, start: Start) -> Result<Seam, AttachError> {
        let seq_oldest = self.seq_evicted + 1;
        let seq_next = match start {
            Start::After { seq } if seq > self.head => {
                return Err(AttachError::AboveHead { head: self.head });
            }
            Start::After { seq } if seq < self.seq_evicted => {
                return Err(AttachError::Evicted { seq_oldest });
            }
            Start::After { seq } => seq + 1,
            Start::Newest if self.newest.is_known() && self.newest.seq_last == self.head => {
                self.newest.seq_first
            }
            Start::Newest | Start::Next | Start::Cut => self.head + 1,
        };
        Ok(Seam { seq_next, seq_oldest })
    }

    /// Returns where a replay begins; `None` if there is nothing to replay.
    fn replay(&self, start: Start, ring: &Ring) -> Option<Position> {
        let Start::After { seq } = start else { return None };
        let mut at = self.places.before(seq).or(self.first).filter(|_| seq < self.head)?;
        while let Some((record, _)) = ring.get(at) {
            if record.seq > seq {
                return Some(at);
            }
            at = record.next?;
        }
        None
    }

    /// Queues the records that describe the present, in the order of their `seq`.
    fn describe(&self, start: Start, ring: &Ring, stream: &mut StreamQueue) {
        if let Start::After { .. } = start {
            return;
        }
        let with_data = start == Start::Newest && self.newest.is_known();
        let is_state_newer = !with_data || self.kept_state.seq > self.newest.seq_last;
        if self.kept_state.seq > 0 && !is_state_newer {
            stream.push_framed(&self.kept_state.bytes);
        }
        if with_data {
            self.describe_data(ring, stream);
        }
        if self.kept_state.seq > 0 && is_state_newer {
            stream.push_framed(&self.kept_state.bytes);
        }
    }

    /// Queues the newest group of data, from the ring or from what was kept of it.
    fn describe_data(&self, ring: &Ring, stream: &mut StreamQueue) {
        let mut at = self.newest.at;
        if at.is_none() {
            stream.push_framed(&self.newest.kept);
        }
        while let Some((record, framed)) = at.and_then(|at| ring.get(at)) {
            stream.push_framed(framed);
            at = record.next.filter(|_| record.more);
        }
    }

    /// Takes in a cursor. Room is made now, so that none is made later.
    fn admit(&mut self, phase: Phase) {
        self.attached += 1;
        let attached = self.attached as usize;
        self.caught.reserve(attached - self.caught.len());
        self.waiting.reserve(attached - self.waiting.len());
        self.cuts_owed += u32::from(phase == Phase::Waiting);
    }

    /// Forgets a cursor.
    fn dismiss(&mut self, slot: u32, cursor: &Cursor) {
        self.attached -= 1;
        self.caught.retain(|caught| caught.cursor != slot);
        self.waiting.retain(|caught| caught.cursor != slot);
        let is_served = self.cut_last.is_some_and(|cut| cut >= cursor.waits_since);
        if cursor.phase == Phase::Waiting && !is_served {
            self.cuts_owed -= 1;
        }
    }
}

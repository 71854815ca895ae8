//! Subscribers come and go; cursors are attached to topics and detached from them.

use std::task::Waker;

use crate::cursor::{Cursor, Phase};
use crate::encoder::DeliveryGap;
use crate::state::State;
use crate::subscriber::{Subscriber, SubscriberId};
use crate::take::EndReason;
use crate::topic::{Caught, Topic, TopicId};

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
}

/// How a subscriber follows a topic. Delivery is EVERY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttachOptions {
    /// Where it starts.
    pub start: Start,
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
}

impl State {
    pub fn add_subscriber(&mut self) -> SubscriberId {
        self.subscribers_made = self.subscribers_made.wrapping_add(1);
        let id = SubscriberId::new(self.subscribers_made, self.subscribers.next_slot());
        self.subscribers.insert(Subscriber::new(id));
        id
    }

    /// Attaches a topic: status, what is kept, then the records from the seam on.
    pub fn attach(
        &mut self,
        id: SubscriberId,
        topic_id: TopicId,
        options: AttachOptions,
        status: &mut dyn FnMut(Seam, &mut Vec<u8>),
    ) -> Result<Seam, AttachError> {
        let topic = self.topics.get_mut(topic_id).ok_or(AttachError::UnknownTopic { topic: topic_id })?;
        let subscriber = self
            .subscribers
            .get_mut(id.slot())
            .filter(|subscriber| subscriber.id == id && subscriber.end.is_none())
            .ok_or(AttachError::UnknownSubscriber)?;
        if subscriber.cursors.contains_key(&topic_id) {
            return Err(AttachError::AlreadyAttached { topic: topic_id });
        }
        let is_newest = options.start == Start::Newest;
        let kept_data = topic.kept_data.seq > 0 && topic.newest_data.is_none();
        let phase = if options.start == Start::Cut { Phase::Waiting } else { Phase::Live };
        let seq_live = topic.head + 1;
        let _ = (is_newest, kept_data);
        let seam = Seam { seq_next: seq_live, seq_oldest: topic.seq_evicted + 1 };
        self.scratch.clear();
        status(seam, &mut self.scratch);
        subscriber.stream.push(&self.scratch);
        let cursor = self.cursors.insert(Cursor {
            topic: topic_id,
            phase,
            seq_next: seq_live,
            waits_since: self.ring.end(),
        });
        subscriber.cursors.insert(topic_id, cursor);
        topic.admit(Caught { subscriber: id.slot(), cursor }, phase);
        subscriber.pending.reserve(subscriber.cursors.len());
        Ok(seam)
    }
}

impl Topic {
    /// Takes in a cursor without a pending record. Room is made now, so that none is made later.
    fn admit(&mut self, caught: Caught, phase: Phase) {
        self.attached += 1;
        let attached = self.attached as usize;
        self.caught.reserve(attached - self.caught.len());
        self.waiting.reserve(attached - self.waiting.len());
        match phase {
            Phase::Live => self.caught.push(caught),
            Phase::Waiting => {
                self.waiting.push(caught);
                self.cuts_owed += 1;
            }
        }
    }
}

impl State {
    pub fn detach(&mut self, _id: SubscriberId, _topic: TopicId) -> Option<u64> {
        None
    }

    pub fn push(&mut self, _id: SubscriberId, _update: &[u8], _wakes: &mut Vec<Waker>) -> bool {
        false
    }

    pub fn close(&mut self, _id: SubscriberId, _wakes: &mut Vec<Waker>) {}

    pub fn feed_to_wake(&mut self) -> Option<crate::state::FeedWaker> {
        None
    }

    pub fn evict(&mut self) {}
}

//! All that the lock of the hub protects.

use std::sync::Arc;
use std::task::Waker;

use crate::cursor::{Cursor, Pending, Phase, Slab};
use crate::encoder::{ResumePosition, StreamEncoder};
use crate::record::Stamp;
use crate::ring::Ring;
use crate::stats::{HubStats, SubscriberStats};
use crate::subscriber::{Subscriber, SubscriberId};
use crate::topic::{TopicId, Topics};

/// Bounds of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubBounds {
    /// Bytes of all records held, bookkeeping included; one more chunk (a 64th, at most 256 KiB) may be in use.
    pub ring_bytes: usize,
    /// Age of the oldest record held, in nanoseconds.
    pub ring_age_ns: u64,
    /// Bytes that a subscriber may be owed.
    pub owed_bytes: u64,
    /// Age of the oldest record that a subscriber may be owed, in nanoseconds.
    pub lag_ns: u64,
}

impl Default for HubBounds {
    /// 64 MiB or 60 s held; 4 MiB or 30 s owed.
    fn default() -> Self {
        Self {
            ring_bytes: 64 << 20,
            ring_age_ns: 60_000_000_000,
            owed_bytes: 4 << 20,
            lag_ns: 30_000_000_000,
        }
    }
}

pub(crate) type FeedWaker = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct State {
    pub bounds: HubBounds,
    pub encoder: Box<dyn StreamEncoder>,
    pub ring: Ring,
    pub topics: Topics,
    pub cursors: Slab<Cursor>,
    pub subscribers: Slab<Subscriber>,
    pub subscribers_made: u32,
    /// Newest stamp given: the time of the hub.
    pub now: Stamp,
    /// Framed bytes published, cuts left out.
    pub bytes: u64,
    pub batches: u64,
    pub is_draining: bool,
    /// Topics of which somebody waits for a cut; may hold some of which nobody does any more.
    pub cuts: Vec<TopicId>,
    pub feed_waker: Option<FeedWaker>,
    pub is_feed_woken: bool,
    /// Whether somebody has begun to wait for a cut of which the feeds were not told.
    pub is_cut_wanted: bool,
    /// Emptied buffer of wakers, lent to whoever has some to signal.
    pub wakes: Vec<Waker>,
    /// Buffer for records that the encoder writes.
    pub scratch: Vec<u8>,
    pub stats: HubStats,
}

impl State {
    pub fn new(bounds: HubBounds, encoder: Box<dyn StreamEncoder>) -> Self {
        Self {
            bounds,
            encoder,
            ring: Ring::new(bounds.ring_bytes),
            topics: Topics::default(),
            cursors: Slab::default(),
            subscribers: Slab::default(),
            subscribers_made: 0,
            now: Stamp::default(),
            bytes: 0,
            batches: 0,
            is_draining: false,
            cuts: Vec::new(),
            feed_waker: None,
            is_feed_woken: false,
            is_cut_wanted: false,
            wakes: Vec::new(),
            scratch: Vec::new(),
            stats: HubStats::default(),
        }
    }

    /// Time never goes back, whatever the order in which publishers got the lock.
    pub fn advance(&mut self, now: Stamp) {
        self.now.wall_ns = self.now.wall_ns.max(now.wall_ns);
        self.now.mono_ns = self.now.mono_ns.max(now.mono_ns);
    }

    pub fn subscriber(&self, id: SubscriberId) -> Option<&Subscriber> {
        self.subscribers.get(id.slot()).filter(|subscriber| subscriber.id == id)
    }

    pub fn subscriber_mut(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(id.slot()).filter(|subscriber| subscriber.id == id)
    }

    /// Bytes that wait for a subscriber: its stream records, the records of its live cursors that may not skip, and
    /// what it has not acknowledged if it does. Cuts do not count:
    /// a joiner of many books would be cut off for what it has asked.
    pub fn owed_bytes(&self, subscriber: &Subscriber) -> u64 {
        let topics = subscriber.lossless().filter_map(|pending| {
            let cursor = self.cursors.get(pending.cursor).filter(|cursor| cursor.phase == Phase::Live)?;
            let (record, _) = self.ring.get(pending.at)?;
            Some(self.topics.get(cursor.topic)?.bytes - record.topic_bytes.max(cursor.since_bytes))
        });
        subscriber.stream.len() as u64 + subscriber.flight.bytes() + topics.sum::<u64>()
    }

    /// Age of the record that a cursor has to take next; that of the whole ring if it fell out. What was published
    /// before it was attached is no older than that.
    pub fn age_ns(&self, pending: Pending) -> u64 {
        let published = self.ring.get(pending.at).map_or(0, |(record, _)| record.stamp.mono_ns);
        let since = self.cursors.get(pending.cursor).map_or(0, |cursor| cursor.since_ns);
        self.now.mono_ns.saturating_sub(published.max(since))
    }

    /// Age of the oldest record that waits for a subscriber.
    pub fn lag_ns(&self, subscriber: &Subscriber) -> u64 {
        subscriber.oldest().map_or(0, |oldest| self.age_ns(oldest))
    }

    /// Returns the last `seq` given of each topic that the subscriber has a base of.
    pub fn positions(&self, subscriber: &Subscriber) -> Vec<ResumePosition> {
        let live = subscriber.cursors.iter().filter_map(|(&topic, &slot)| {
            let cursor = self.cursors.get(slot).filter(|cursor| cursor.phase == Phase::Live)?;
            let name = self.topics.get(topic)?.name.clone();
            Some(ResumePosition { topic: name, seq: cursor.seq_next - 1 })
        });
        live.collect()
    }

    pub fn wanted_cuts(&mut self, out: &mut Vec<TopicId>) {
        self.is_feed_woken = false;
        let topics = &mut self.topics;
        self.cuts.retain(|&id| {
            topics.get_mut(id).is_some_and(|topic| {
                topic.is_cut_listed = topic.cuts_owed > 0;
                topic.is_cut_listed
            })
        });
        out.extend_from_slice(&self.cuts);
    }

    pub fn drain(&mut self, wakes: &mut Vec<Waker>) {
        self.is_draining = true;
        wakes.extend(self.subscribers.iter_mut().filter_map(|subscriber| subscriber.waker.take()));
    }

    pub fn hub_stats(&self) -> HubStats {
        let oldest = self.ring.front().map_or(self.now.mono_ns, |(_, record, _)| record.stamp.mono_ns);
        HubStats {
            ring_records: self.ring.records(),
            ring_bytes: self.ring.bytes() as u64,
            ring_age_ns: self.now.mono_ns - oldest,
            topics: self.topics.len() as u64,
            subscribers: self.subscribers.len() as u64,
            cursors: self.cursors.len() as u64,
            owed_bytes_max: self.subscribers.iter().map(|s| self.owed_bytes(s)).max().unwrap_or(0),
            lag_ns_max: self.subscribers.iter().map(|s| self.lag_ns(s)).max().unwrap_or(0),
            ..self.stats
        }
    }

    pub fn subscriber_stats(&self, id: SubscriberId) -> Option<SubscriberStats> {
        let subscriber = self.subscriber(id)?;
        Some(SubscriberStats {
            topics: subscriber.cursors.len() as u64,
            owed_bytes: self.owed_bytes(subscriber),
            lag_ns: self.lag_ns(subscriber),
            records_taken: subscriber.records_taken,
            bytes_taken: subscriber.bytes_taken,
            stream_seq_acked: subscriber.stream_seq_acked,
            unacknowledged_bytes: subscriber.flight.bytes(),
        })
    }
}

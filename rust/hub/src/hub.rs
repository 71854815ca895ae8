//! The hub as its users see it: one lock, and wakers signalled outside it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::attach::{AttachError, AttachOptions, Seam, Status};
use crate::encoder::{ResumePosition, StreamEncoder};
use crate::log::{LogBatch, LogPosition, LogRead};
use crate::record::{Batch, PublishError, Stamp};
use crate::state::{HubBounds, State};
use crate::stats::{HubStats, SubscriberStats};
use crate::subscriber::{PushError, SubscriberId};
use crate::take::{Taken, Turn};
use crate::topic::{TopicId, TopicKey, TopicName};

/// The bus. Share it as `Arc<Hub>`; every method may be called from any thread.
pub struct Hub {
    state: Mutex<State>,
}

/// A panic under the lock is a fault of ours that the border reports; the other topics go on.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the feeds, outside the lock, that a cut is wanted.
#[cold]
fn wake_feed(mut state: MutexGuard<'_, State>) {
    let waker = state.feed_to_wake();
    drop(state);
    if let Some(wake) = waker {
        wake();
    }
}

impl Hub {
    /// Makes a hub. `encoder` writes the records that concern one subscriber.
    #[must_use]
    pub fn new(bounds: HubBounds, encoder: Box<dyn StreamEncoder>) -> Self {
        Self { state: Mutex::new(State::new(bounds, encoder)) }
    }

    /// Returns the topic of that name, made if it is new. For names resolved from instrument lists only: topics are
    /// never dropped.
    pub fn topic(&self, key: &TopicKey<'_>) -> TopicId {
        lock(&self.state).topics.find_or_make(key)
    }

    /// Returns the topic of that name if it is known.
    #[must_use]
    pub fn find(&self, key: &TopicKey<'_>) -> Option<TopicId> {
        lock(&self.state).topics.find(key)
    }

    /// Returns the name of a topic.
    #[must_use]
    pub fn name(&self, topic: TopicId) -> Option<TopicName> {
        lock(&self.state).topics.get(topic).map(|topic| topic.name.clone())
    }

    /// Returns the `seq` of the newest topic record; 0: none, or no such topic.
    #[must_use]
    pub fn head(&self, topic: TopicId) -> u64 {
        lock(&self.state).topics.get(topic).map_or(0, |topic| topic.head)
    }

    /// Returns how many subscribers follow the topic.
    #[must_use]
    pub fn subscribers(&self, topic: TopicId) -> u32 {
        lock(&self.state).topics.get(topic).map_or(0, |topic| topic.attached)
    }

    /// Publishes the records of one venue frame at `now` and signals each waiting subscriber at most once.
    ///
    /// # Errors
    /// See [`PublishError`]; nothing is published then.
    pub fn publish(&self, batch: &Batch, now: Stamp) -> Result<(), PublishError> {
        self.waking(|state, wakes| state.publish(batch, now, wakes))
    }

    /// Publishes as [`Hub::publish`], but signals nobody yet: more follows in the same turn, and whoever waits is
    /// better woken once. The next publication, or [`Hub::release`], signals.
    ///
    /// # Errors
    /// See [`PublishError`]; nothing is published then.
    pub fn publish_held(&self, batch: &Batch, now: Stamp) -> Result<(), PublishError> {
        let mut state = lock(&self.state);
        let mut wakes = std::mem::take(&mut state.wakes);
        let result = state.publish(batch, now, &mut wakes);
        state.wakes = wakes;
        result
    }

    /// Signals those whom [`Hub::publish_held`] left waiting.
    pub fn release(&self) {
        self.waking(|_, _| ());
    }

    /// Tells the hub the time although nothing is published: old records are evicted, the watermark rises.
    pub fn advance(&self, now: Stamp) {
        self.waking(|state, _| {
            state.advance(now);
            state.evict();
        });
    }

    /// Adds a subscriber without topics.
    pub fn subscriber(&self) -> SubscriberId {
        lock(&self.state).add_subscriber()
    }

    /// Attaches a topic. `status` is called once for each [`Notice`](crate::Notice) that applies, under the lock, and
    /// appends a bare `SubscriptionStatus` update or nothing; it must not call the hub. It is not called on an error.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn attach(
        &self,
        subscriber: SubscriberId,
        topic: TopicId,
        options: AttachOptions,
        status: Status<'_>,
    ) -> Result<Seam, AttachError> {
        let (result, feed_waker) = self.waking(|state, wakes| {
            let result = state.attach(subscriber, topic, options, status, wakes);
            (result, state.feed_to_wake())
        });
        if let Some(wake) = feed_waker {
            wake();
        }
        result
    }

    /// Detaches a topic: none of its records is taken any more, but what was queued when it was attached still is; a
    /// group that was half taken stays so. Returns the `seq` of the last topic record that was taken (or before which
    /// the seam stood); `None` if it was not attached or still waited for its base.
    pub fn detach(&self, subscriber: SubscriberId, topic: TopicId) -> Option<u64> {
        lock(&self.state).detach(subscriber, topic)
    }

    /// Queues a stream record (a bare `Update` with `seq` 0) for one subscriber, before every record that it has not
    /// taken yet. Returns whether it was queued: not if the subscriber ended, or ends by it as a slow reader.
    pub fn push(&self, subscriber: SubscriberId, update: &[u8]) -> bool {
        self.waking(|state, wakes| state.push(subscriber, update, wakes))
    }

    /// Queues entries of field 4 that are framed already, as the journal or history has them, all or none. Returns
    /// whether they were queued: not if the subscriber ended, nor beyond the bound of what it may be owed (then try
    /// again once [`Hub::owed`] is less; a first push always fits).
    ///
    /// # Errors
    /// [`PushError::Malformed`] if the bytes are no whole entries.
    pub fn push_entries(&self, subscriber: SubscriberId, framed: &[u8]) -> Result<bool, PushError> {
        self.waking(|state, wakes| state.push_entries(subscriber, framed, wakes))
    }

    /// Returns the bytes that wait for the subscriber, so that a replay is pushed with credit; `None`: it has ended.
    #[must_use]
    pub fn owed(&self, subscriber: SubscriberId) -> Option<u64> {
        let state = lock(&self.state);
        let subscriber = state.subscriber(subscriber).filter(|subscriber| subscriber.end.is_none())?;
        Some(state.owed_bytes(subscriber))
    }

    /// Returns the place of the oldest record in the log of all topics.
    #[must_use]
    pub fn log_start(&self) -> LogPosition {
        lock(&self.state).log_start()
    }

    /// Returns the place behind the newest record in the log of all topics.
    #[must_use]
    pub fn log_end(&self) -> LogPosition {
        lock(&self.state).log_end()
    }

    /// Appends to `batch` what was published from `position` on, on all topics in order, and moves `position` behind
    /// it: at most `bytes_max` bytes, but at least one record if there is one. Keep `bytes_max` small (256 KiB): the
    /// hub is locked meanwhile. Nobody is woken by a publication: poll every few milliseconds.
    pub fn read_log(&self, position: &mut LogPosition, bytes_max: usize, batch: &mut LogBatch) -> LogRead {
        lock(&self.state).read_log(position, bytes_max, batch)
    }

    /// Appends to `out` what waits for the subscriber, as entries of field 4 of the response: at most `bytes_max`
    /// bytes, but at least one record. With nothing waiting, `waker` is parked under the same lock. The response has no
    /// number, so acknowledgements do not bound it, and intervals are measured by the time of the hub.
    pub fn take(
        &self,
        subscriber: SubscriberId,
        bytes_max: usize,
        out: &mut Vec<u8>,
        waker: Option<&Waker>,
    ) -> Taken {
        let mut state = lock(&self.state);
        let turn = Turn { stream_seq: 0, bytes_max, mono_ns: state.now.mono_ns };
        let taken = state.take(subscriber, turn, out, waker);
        if state.is_cut_wanted {
            wake_feed(state);
        }
        taken
    }

    /// Takes as [`Hub::take`] for the response of that number at that time.
    pub fn take_turn(
        &self,
        subscriber: SubscriberId,
        turn: Turn,
        out: &mut Vec<u8>,
        waker: Option<&Waker>,
    ) -> Taken {
        let mut state = lock(&self.state);
        let taken = state.take(subscriber, turn, out, waker);
        if state.is_cut_wanted {
            wake_feed(state);
        }
        taken
    }

    /// Notes the newest `stream_seq` that the client has processed, at a time of the clock of [`Turn::mono_ns`]. From
    /// the first one on what is not acknowledged is bounded: by what the client handles in half a second.
    pub fn ack(&self, subscriber: SubscriberId, stream_seq: u64, mono_ns: u64) {
        self.waking(|state, wakes| state.ack(subscriber, stream_seq, mono_ns, wakes));
    }

    /// Returns the time of the hub: the newest stamp it was given.
    #[must_use]
    pub fn now(&self) -> Stamp {
        lock(&self.state).now
    }

    /// Returns the bounds of the hub.
    #[must_use]
    pub fn bounds(&self) -> HubBounds {
        lock(&self.state).bounds
    }

    /// Removes a subscriber. Whoever waits for it learns that it ended.
    pub fn close(&self, subscriber: SubscriberId) {
        self.waking(|state, wakes| state.close(subscriber, wakes));
    }

    /// Ends all streams in order: each is given what waits, a draining record, and [`EndReason::Draining`].
    ///
    /// [`EndReason::Draining`]: crate::EndReason::Draining
    pub fn drain(&self) {
        self.waking(State::drain);
    }

    /// Returns the last `seq` taken of each topic that the subscriber has a base of.
    #[must_use]
    pub fn positions(&self, subscriber: SubscriberId) -> Vec<ResumePosition> {
        let state = lock(&self.state);
        state.subscriber(subscriber).map_or_else(Vec::new, |subscriber| state.positions(subscriber))
    }

    /// Appends the topics of which somebody waits for a cut; each stays listed until a cut or a snapshot is published.
    pub fn cuts_wanted(&self, out: &mut Vec<TopicId>) {
        lock(&self.state).wanted_cuts(out);
    }

    /// Sets what is called when a cut becomes wanted: at most once until [`Hub::cuts_wanted`] is asked, outside the
    /// lock, on the thread of whoever attached or fell behind.
    pub fn set_feed_waker(&self, wake: Box<dyn Fn() + Send + Sync>) {
        lock(&self.state).feed_waker = Some(Arc::from(wake));
    }

    /// Returns the figures of the hub. Costs a walk over all subscribers.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        lock(&self.state).hub_stats()
    }

    /// Returns the figures of one subscriber.
    #[must_use]
    pub fn subscriber_stats(&self, subscriber: SubscriberId) -> Option<SubscriberStats> {
        lock(&self.state).subscriber_stats(subscriber)
    }

    /// Runs `work` under the lock, then signals the wakers it collected, outside the lock.
    fn waking<T>(&self, work: impl FnOnce(&mut State, &mut Vec<Waker>) -> T) -> T {
        let mut state = lock(&self.state);
        let mut wakes = std::mem::take(&mut state.wakes);
        let result = work(&mut state, &mut wakes);
        state.stats.wakes += wakes.len() as u64;
        if wakes.is_empty() {
            state.wakes = wakes;
            return result;
        }
        drop(state);
        wakes.drain(..).for_each(Waker::wake);
        lock(&self.state).wakes = wakes;
        result
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hub").finish_non_exhaustive()
    }
}

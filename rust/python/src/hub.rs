//! `Hub` for Python: subscriptions are made and judged there, bytes stay here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use facade_edge::Doorbell;
use facade_hub::{
    AttachError, AttachOptions, EndReason, Hub, HubBounds, Notice, ResumePosition, Seam, Stamp, SubscriberId,
    Taken, TopicId, TopicKey, Turn,
};
use facade_model::{GapScope, GapState};
use facade_wire as wire;
use facade_wire::{DeliveryMode, SubscriptionPhase, SubscriptionStatus};
use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::records::{Encoder, blank_status, stream_header};
use crate::words::{conflate_of, delivery_of, gap_cause_of, phase_of, start_of};

create_exception!(
    datafacade._core,
    PositionLost,
    PyValueError,
    "The ring no longer holds what follows a position; `args` is (seq_oldest,)."
);
create_exception!(
    datafacade._core,
    PositionAhead,
    PyValueError,
    "A position lies above the head of its topic; `args` is (head,)."
);

/// Maps a refused attachment.
fn from_attach(error: AttachError) -> PyErr {
    match error {
        AttachError::Evicted { seq_oldest } => PositionLost::new_err((seq_oldest,)),
        AttachError::AboveHead { head } => PositionAhead::new_err((head,)),
        other => PyValueError::new_err(other.to_string()),
    }
}

/// Rings when a subscriber of Python has something to take.
struct Ready {
    bell: Arc<Doorbell>,
    subscribers: Mutex<Vec<u64>>,
}

struct ReadyWaker {
    ready: Arc<Ready>,
    subscriber: u64,
}

impl Wake for ReadyWaker {
    fn wake(self: Arc<Self>) {
        self.ready.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(self.subscriber);
        self.ready.bell.ring();
    }
}

/// Topics of which somebody waits for a cut: hand it to every `Feed.serve_cuts`.
#[pyclass(frozen, name = "Cuts", module = "datafacade._core")]
pub(crate) struct PyCuts(pub(crate) Vec<TopicId>);

/// The bus between feeds and subscribers: bounded rings of encoded records.
///
/// Args:
///     epoch: Unix seconds of this start of the publisher.
///     ring_bytes: Bytes of all rings.
///     ring_age_ms: Age of the oldest record held.
///     owed_bytes: Bytes that a subscriber may be owed.
///     lag_ms: Age of the oldest record that a subscriber may be owed.
///
/// Raises:
///     OSError: The system has no descriptor left.
#[pyclass(frozen, name = "Hub", module = "datafacade._core")]
pub(crate) struct PyHub {
    hub: Arc<Hub>,
    epoch: u32,
    cuts: Arc<Doorbell>,
    ready: Arc<Ready>,
    /// Where subscribers of Python stood that have ended and are not closed yet.
    ended: Mutex<BTreeMap<u64, Vec<ResumePosition>>>,
}

impl PyHub {
    fn ended(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<ResumePosition>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shared(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }
}

#[pymethods]
impl PyHub {
    #[new]
    #[pyo3(signature = (*, epoch, ring_bytes = 67_108_864, ring_age_ms = 60_000, owed_bytes = 4_194_304, lag_ms = 30_000))]
    fn py_new(
        epoch: u32,
        ring_bytes: usize,
        ring_age_ms: u64,
        owed_bytes: u64,
        lag_ms: u64,
    ) -> PyResult<Self> {
        let bounds = HubBounds {
            ring_bytes,
            ring_age_ns: ring_age_ms.saturating_mul(1_000_000),
            owed_bytes,
            lag_ns: lag_ms.saturating_mul(1_000_000),
        };
        let hub = Arc::new(Hub::new(bounds, Box::new(Encoder { epoch })));
        let bell = || Doorbell::new().map(Arc::new).map_err(PyOSError::new_err);
        let (cuts, ready) = (bell()?, bell()?);
        let pressed = Arc::clone(&cuts);
        hub.set_feed_waker(Box::new(move || pressed.ring()));
        Ok(Self {
            hub,
            epoch,
            cuts,
            ready: Arc::new(Ready { bell: ready, subscribers: Mutex::default() }),
            ended: Mutex::default(),
        })
    }

    /// Add a subscriber without topics; return its handle.
    fn subscriber(&self) -> u64 {
        self.hub.subscriber().to_raw()
    }

    /// Attach a topic; a status in `phase` goes before its first record ("": none). Return (seq_next, seq_oldest).
    ///
    /// `start`: `next` (trades), `newest` (top of book, ticker), `cut` (books), `after` (behind the record `seq_after`:
    /// what the ring holds is replayed, each record once, then CAUGHT_UP, then the live records).
    /// `delivery`: `every`, `latest`, `interval` (with `interval_ms`). `conflate`: what stands for skipped records:
    /// `newest` data, or a `cut` of a book.
    ///
    /// Raises:
    ///     PositionLost: The ring no longer holds what follows `seq_after`; `args` is (seq_oldest,).
    ///     PositionAhead: `seq_after` lies above the head; `args` is (head,).
    ///     ValueError: The subscriber ended, follows the topic already, or the arguments name nothing.
    #[pyo3(signature = (subscriber, venue, symbol, channel, variant, *, start, wall_ns, request_id, subscription_id,
        requested_symbol, seq_after = 0, delivery = "every", interval_ms = 0, conflate = "newest", phase = "accepted",
        history_trade_id_last = None))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn attach(
        &self,
        subscriber: u64,
        venue: &str,
        symbol: &str,
        channel: u8,
        variant: &str,
        start: &str,
        wall_ns: i64,
        request_id: u64,
        subscription_id: u32,
        requested_symbol: &str,
        seq_after: u64,
        delivery: &str,
        interval_ms: u32,
        conflate: &str,
        phase: &str,
        history_trade_id_last: Option<u64>,
    ) -> PyResult<(u64, u64)> {
        let key = TopicKey { venue, symbol, channel, variant };
        let header = stream_header(self.epoch, wall_ns, &key);
        let (delivery, mode) = delivery_of(delivery, interval_ms)?;
        let begins = if phase.is_empty() { None } else { Some(phase_of(phase)?) };
        let mut status = |notice: Notice, seam: Seam, out: &mut Vec<u8>| {
            let phase = match notice {
                Notice::Begins => begins,
                Notice::CaughtUp => Some(SubscriptionPhase::CaughtUp),
            };
            let Some(phase) = phase else { return };
            let told = SubscriptionStatus {
                seq_next: seam.seq_next,
                seq_oldest: seam.seq_oldest,
                delivery: mode,
                interval_ms: if mode == DeliveryMode::Interval { interval_ms } else { 0 },
                history_trade_id_last,
                ..blank_status(phase, request_id, subscription_id, requested_symbol)
            };
            wire::subscription_status(out, &header, &told);
        };
        let options =
            AttachOptions { start: start_of(start, seq_after)?, delivery, conflate: conflate_of(conflate)? };
        let topic = self.hub.topic(&key);
        let seam = self
            .hub
            .attach(SubscriberId::from_raw(subscriber), topic, options, &mut status)
            .map_err(from_attach)?;
        Ok((seam.seq_next, seam.seq_oldest))
    }

    /// Tell one subscriber where an item stands (`resumed`, `resume_lost`, `caught_up`, ...). Return whether it was
    /// queued, behind what was queued before and before every record of a topic that it has not taken yet.
    ///
    /// Raises:
    ///     ValueError: The arguments name nothing.
    #[pyo3(signature = (subscriber, venue, symbol, channel, variant, *, phase, wall_ns, request_id, subscription_id,
        requested_symbol, code = 0, reason = "", message = "", delivery = "every", interval_ms = 0, seq_next = 0,
        seq_oldest = 0, history_trade_id_last = None))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn status(
        &self,
        subscriber: u64,
        venue: &str,
        symbol: &str,
        channel: u8,
        variant: &str,
        phase: &str,
        wall_ns: i64,
        request_id: u64,
        subscription_id: u32,
        requested_symbol: &str,
        code: u32,
        reason: &str,
        message: &str,
        delivery: &str,
        interval_ms: u32,
        seq_next: u64,
        seq_oldest: u64,
        history_trade_id_last: Option<u64>,
    ) -> PyResult<bool> {
        let (_, mode) = delivery_of(delivery, interval_ms)?;
        let told = SubscriptionStatus {
            code,
            reason,
            message,
            delivery: mode,
            interval_ms,
            seq_next,
            seq_oldest,
            history_trade_id_last,
            ..blank_status(phase_of(phase)?, request_id, subscription_id, requested_symbol)
        };
        let header = stream_header(self.epoch, wall_ns, &TopicKey { venue, symbol, channel, variant });
        let mut update = Vec::new();
        wire::subscription_status(&mut update, &header, &told);
        Ok(self.hub.push(SubscriberId::from_raw(subscriber), &update))
    }

    /// Tell one subscriber what it will not be given: a Gap of scope DELIVERY, state LOST. Return whether it was queued.
    ///
    /// `epoch`: that of the missing records. `cause`: `server_restart`, `resume_too_old` or `slow_reader`. `gap_id`:
    /// unique within the call; 0: `seq_first`. `count`: None: unknown. Times in ns UTC; 0: unknown.
    ///
    /// Raises:
    ///     ValueError: The arguments name nothing.
    #[pyo3(signature = (subscriber, venue, symbol, channel, variant, *, epoch, seq_first, seq_last, cause, wall_ns,
        gap_id = 0, count = None, ts_first = 0, ts_last = 0))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn gap(
        &self,
        subscriber: u64,
        venue: &str,
        symbol: &str,
        channel: u8,
        variant: &str,
        epoch: u32,
        seq_first: u64,
        seq_last: u64,
        cause: &str,
        wall_ns: i64,
        gap_id: u64,
        count: Option<u64>,
        ts_first: i64,
        ts_last: i64,
    ) -> PyResult<bool> {
        let record = wire::Gap {
            gap_id: if gap_id == 0 { seq_first.max(1) } else { gap_id },
            scope: GapScope::Delivery,
            seq_first,
            seq_last,
            venue_sequence_first: None,
            venue_sequence_last: None,
            ts_first,
            ts_last,
            count,
            cause: gap_cause_of(cause)?,
            state: GapState::Lost,
            filled: 0,
        };
        let header = stream_header(epoch, wall_ns, &TopicKey { venue, symbol, channel, variant });
        let mut update = Vec::new();
        wire::gap(&mut update, &header, &record);
        Ok(self.hub.push(SubscriberId::from_raw(subscriber), &update))
    }

    /// Tell one subscriber that an item is refused; `code` is a `google.rpc.Code`. Return whether it was queued.
    #[pyo3(signature = (subscriber, venue, symbol, channel, variant, *, wall_ns, request_id, subscription_id, requested_symbol, code, reason, message, suggestions))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn reject(
        &self,
        subscriber: u64,
        venue: &str,
        symbol: &str,
        channel: u8,
        variant: &str,
        wall_ns: i64,
        request_id: u64,
        subscription_id: u32,
        requested_symbol: &str,
        code: u32,
        reason: &str,
        message: &str,
        suggestions: Vec<String>,
    ) -> bool {
        let suggestions: Vec<&str> = suggestions.iter().map(String::as_str).collect();
        let status = SubscriptionStatus {
            code,
            reason,
            message,
            suggestions: &suggestions,
            ..blank_status(SubscriptionPhase::Rejected, request_id, subscription_id, requested_symbol)
        };
        let header = stream_header(self.epoch, wall_ns, &TopicKey { venue, symbol, channel, variant });
        let mut update = Vec::new();
        wire::subscription_status(&mut update, &header, &status);
        self.hub.push(SubscriberId::from_raw(subscriber), &update)
    }

    /// Detach a topic and tell it (ENDED); return whether it was attached.
    #[pyo3(signature = (subscriber, venue, symbol, channel, variant, *, wall_ns, request_id, subscription_id, requested_symbol))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn detach(
        &self,
        subscriber: u64,
        venue: &str,
        symbol: &str,
        channel: u8,
        variant: &str,
        wall_ns: i64,
        request_id: u64,
        subscription_id: u32,
        requested_symbol: &str,
    ) -> bool {
        let key = TopicKey { venue, symbol, channel, variant };
        let Some(topic) = self.hub.find(&key) else { return false };
        let id = SubscriberId::from_raw(subscriber);
        let seq = self.hub.detach(id, topic);
        let status = SubscriptionStatus {
            seq_next: seq.map_or(0, |seq| seq + 1),
            ..blank_status(SubscriptionPhase::Ended, request_id, subscription_id, requested_symbol)
        };
        let mut update = Vec::new();
        wire::subscription_status(&mut update, &stream_header(self.epoch, wall_ns, &key), &status);
        self.hub.push(id, &update)
    }

    /// Queue one bare `Update` with seq 0 for one subscriber; return whether it was queued.
    fn push(&self, subscriber: u64, update: &[u8]) -> bool {
        self.hub.push(SubscriberId::from_raw(subscriber), update)
    }

    /// Queue entries of field 4 that are framed already (journal, history), all or none. Return whether they were
    /// queued: not if the subscriber ended, nor beyond what it may be owed; try again once `owed` is less.
    ///
    /// Raises:
    ///     ValueError: The bytes are no whole entries.
    fn push_entries(&self, subscriber: u64, entries: &[u8]) -> PyResult<bool> {
        let pushed = self.hub.push_entries(SubscriberId::from_raw(subscriber), entries);
        pushed.map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Return the bytes that wait for a subscriber, so that a replay is pushed with credit; None: it has ended.
    fn owed(&self, subscriber: u64) -> Option<u64> {
        self.hub.owed(SubscriberId::from_raw(subscriber))
    }

    /// Take what waits, joined as entries of field 4 of `HotSubscribeResponse`.
    ///
    /// `stream_seq`: number of the response that is filled, for acknowledgements; 0: none, nothing bounds it.
    /// `monotonic_ns`: the time, for intervals and acknowledgements; None: the newest that the hub was told.
    ///
    /// Return (entries, watermark in ns UTC, end, wake_at_ns): `end` is None while the stream goes on, else
    /// `slow_reader`, `draining` or `closed`. With nothing waiting, `ready_fd` rings when something does; take again at
    /// `wake_at_ns` (monotonic; None: no need) although it did not.
    #[pyo3(signature = (subscriber, bytes_max, *, monotonic_ns = None, stream_seq = 0))]
    fn take<'py>(
        &self,
        py: Python<'py>,
        subscriber: u64,
        bytes_max: usize,
        monotonic_ns: Option<u64>,
        stream_seq: u64,
    ) -> (Bound<'py, PyBytes>, i64, Option<&'static str>, Option<u64>) {
        let waker = Waker::from(Arc::new(ReadyWaker { ready: Arc::clone(&self.ready), subscriber }));
        let mut out = Vec::new();
        let mono_ns = monotonic_ns.unwrap_or_else(|| self.hub.now().mono_ns);
        let turn = Turn { stream_seq, bytes_max, mono_ns };
        let taken = self.hub.take_turn(SubscriberId::from_raw(subscriber), turn, &mut out, Some(&waker));
        let (watermark, end, wake_at_ns) = match taken {
            Taken::Some(records) => (records.watermark_wall_ns, None, None),
            Taken::Empty { watermark_wall_ns, wake_at_mono_ns } => (watermark_wall_ns, None, wake_at_mono_ns),
            Taken::Ended(EndReason::SlowReader { positions }) => {
                self.ended().insert(subscriber, positions);
                (0, Some("slow_reader"), None)
            }
            Taken::Ended(EndReason::Draining { positions }) => {
                self.ended().insert(subscriber, positions);
                (0, Some("draining"), None)
            }
            Taken::Ended(_) => (0, Some("closed"), None),
        };
        (PyBytes::new(py, &out), watermark, end, wake_at_ns)
    }

    /// Note the newest `stream_seq` that the client has processed, at a monotonic time (None: as in `take`).
    ///
    /// From the first one on what is not acknowledged is bounded: by what the client handles in half a second.
    #[pyo3(signature = (subscriber, stream_seq, *, monotonic_ns = None))]
    fn ack(&self, subscriber: u64, stream_seq: u64, monotonic_ns: Option<u64>) {
        let mono_ns = monotonic_ns.unwrap_or_else(|| self.hub.now().mono_ns);
        self.hub.ack(SubscriberId::from_raw(subscriber), stream_seq, mono_ns);
    }

    /// Remove a subscriber.
    fn close(&self, subscriber: u64) {
        self.ended().remove(&subscriber);
        self.hub.close(SubscriberId::from_raw(subscriber));
    }

    /// End all streams in order: each gets what waits, a `Draining` record, and its end.
    fn drain(&self) {
        self.hub.drain();
    }

    /// Tell the hub the time although nothing is published: old records leave.
    fn advance(&self, wall_ns: i64, monotonic_ns: i64) {
        self.hub.advance(Stamp { wall_ns, mono_ns: monotonic_ns.unsigned_abs() });
    }

    /// Return the positions of one subscriber: (venue, symbol, channel, variant, seq) each; of one that `take` told
    /// to have ended, those at its end, until it is closed.
    fn positions(&self, subscriber: u64) -> Vec<(String, String, u8, String, u64)> {
        let ended = self.ended().get(&subscriber).cloned();
        let positions = ended.unwrap_or_else(|| self.hub.positions(SubscriberId::from_raw(subscriber)));
        positions
            .into_iter()
            .map(|position| {
                let topic = position.topic;
                (topic.venue.into(), topic.symbol.into(), topic.channel, topic.variant.into(), position.seq)
            })
            .collect()
    }

    /// Return how many subscribers follow a topic.
    fn subscribers(&self, venue: &str, symbol: &str, channel: u8, variant: &str) -> u32 {
        let topic = self.hub.find(&TopicKey { venue, symbol, channel, variant });
        topic.map_or(0, |topic| self.hub.subscribers(topic))
    }

    /// Return the newest number of a topic; 0: none.
    fn head(&self, venue: &str, symbol: &str, channel: u8, variant: &str) -> u64 {
        self.hub.find(&TopicKey { venue, symbol, channel, variant }).map_or(0, |topic| self.hub.head(topic))
    }

    /// Return a descriptor that is readable while somebody waits for a cut.
    fn cuts_fd(&self) -> i32 {
        self.cuts.fd()
    }

    /// Silence `cuts_fd` and return the topics of which somebody waits for a cut.
    fn cuts_wanted(&self) -> PyCuts {
        self.cuts.silence();
        let mut wanted = Vec::new();
        self.hub.cuts_wanted(&mut wanted);
        PyCuts(wanted)
    }

    /// Return a descriptor that is readable while a subscriber of Python has something to take.
    fn ready_fd(&self) -> i32 {
        self.ready.bell.fd()
    }

    /// Silence `ready_fd` and return the subscribers that have something to take.
    fn ready(&self) -> Vec<u64> {
        self.ready.bell.silence();
        std::mem::take(&mut *self.ready.subscribers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Return the figures of the hub, by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.hub.stats();
        let dict = PyDict::new(py);
        for (name, value) in [
            ("batches_published", stats.batches_published),
            ("records_published", stats.records_published),
            ("bytes_published", stats.bytes_published),
            ("batches_refused", stats.batches_refused),
            ("records_taken", stats.records_taken),
            ("bytes_taken", stats.bytes_taken),
            ("wakes", stats.wakes),
            ("records_lost", stats.records_lost),
            ("slow_readers", stats.slow_readers),
            ("ring_records", stats.ring_records),
            ("ring_bytes", stats.ring_bytes),
            ("ring_age_ns", stats.ring_age_ns),
            ("topics", stats.topics),
            ("subscribers", stats.subscribers),
            ("cursors", stats.cursors),
            ("owed_bytes_max", stats.owed_bytes_max),
            ("lag_ns_max", stats.lag_ns_max),
        ] {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}

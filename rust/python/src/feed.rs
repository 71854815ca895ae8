//! `Feed` for Python: one call per frame, commands back as tuples, nothing on the usual way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use facade_feed::{Feed, FeedConfig, Past, PastRow};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::clock::PyClock;
use crate::consolidated::PyConsolidator;
use crate::feed_reports::{all_books, note_dict, stats_dict, topic_dict};
use crate::feed_words::{Commands, configure, dial_reason, drain, find_variant};
use crate::hub::{PyCuts, PyHub};
use crate::instruments::{describe, find_product};

/// Rows of key, venue time and `Update`, and the cursor of the next page.
type HistoryPage<'py> = (Vec<(i64, i64, Bound<'py, PyBytes>)>, String);

/// The machine of one venue connection: frames and answers in, commands and records out.
///
/// Args:
///     venue: `binance`, `okx`, ...
///     product: `spot`, `usdm`, `coinm`, `public`, `advanced`, `exchange`.
///     hub: Where records are published.
///     clock: Time; the feed reads no other.
///     epoch: Unix seconds of this start of the publisher.
///     seed: Seed of the reconnect jitter.
///     figures: Figures of FAULTS 1.3 by name, times in milliseconds (`liveness_ms`, `ack_ms`, ...).
///     is_replay: Timers off; every topic that shows up is followed.
///     report_every: Make a book report after every this many updates; 0: never.
///     klines: Variants of klines that a replay makes of all trades.
///     consolidator: Who joins its best prices with those of other venues.
///     is_standby: It keeps what it receives until `take_over`, and publishes nothing before.
///
/// Raises:
///     ValueError: An unknown product, figure or variant.
#[pyclass(frozen, name = "Feed", module = "datafacade._core")]
pub(crate) struct PyFeed {
    feed: Mutex<Feed>,
    failpoint: Mutex<bool>,
}

#[pymethods]
impl PyFeed {
    #[new]
    #[pyo3(signature = (*, venue, product, hub, clock, epoch, seed = 0, figures = None, is_replay = false, report_every = 0, klines = None, consolidator = None, is_standby = false))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn py_new(
        venue: &str,
        product: &str,
        hub: &PyHub,
        clock: &PyClock,
        epoch: u32,
        seed: u64,
        figures: Option<Vec<(String, i64)>>,
        is_replay: bool,
        report_every: u64,
        klines: Option<Vec<String>>,
        consolidator: Option<&PyConsolidator>,
        is_standby: bool,
    ) -> PyResult<Self> {
        let product = find_product(venue, product)?;
        let mut config = FeedConfig { is_replay, report_every, ..FeedConfig::new(product, epoch, seed) };
        configure(&mut config, figures.unwrap_or_default(), klines.unwrap_or_default())?;
        let mut feed = Feed::new(config, hub.shared(), Box::new(clock.0.clone()));
        if let Some(consolidator) = consolidator {
            feed.join(consolidator.shared());
        }
        if is_standby {
            feed.stand_by();
        }
        Ok(Self { feed: Mutex::new(feed), failpoint: Mutex::new(false) })
    }

    /// Read an instrument list of the venue; return how many instruments it names.
    ///
    /// Raises:
    ///     ValueError: The body is no list of this venue.
    fn add_instruments(&self, py: Python<'_>, body: &[u8]) -> PyResult<usize> {
        py.detach(|| self.lock().add_instruments(body))
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Take the instruments that another feed of the same product knows; return how many.
    fn adopt_instruments(&self, old: &Self) -> usize {
        self.lock().adopt_instruments(&old.lock())
    }

    /// Describe all known instruments, one dict each.
    fn instruments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.lock().instruments().map(|instrument| describe(py, instrument)).collect()
    }

    /// Follow a topic of an instrument, named by the venue's spelling; return the commands, if any.
    ///
    /// `told`: id and time (ns UTC) of the newest trade that an earlier start of the service told; None: none is known.
    ///
    /// Raises:
    ///     ValueError: The instrument or the channel is unknown, or the channel has no such variant.
    #[pyo3(signature = (venue_symbol, channel, variant = "", *, told = None))]
    fn subscribe<'py>(
        &self,
        py: Python<'py>,
        venue_symbol: &str,
        channel: u8,
        variant: &str,
        told: Option<(u64, i64)>,
    ) -> Commands<'py> {
        let (channel, variant) = find_variant(channel, variant)?;
        let mut feed = self.lock();
        if !feed.subscribe(venue_symbol, channel, variant) {
            return Err(PyValueError::new_err(format!("unknown instrument {venue_symbol:?}")));
        }
        if let Some((trade_id, ts_event)) = told {
            feed.note_told(venue_symbol, trade_id, ts_event);
        }
        drain(py, &mut feed)
    }

    /// Give a topic of an instrument up.
    ///
    /// Raises:
    ///     ValueError: The channel is unknown or has no such variant.
    #[pyo3(signature = (venue_symbol, channel, variant = ""))]
    fn unsubscribe<'py>(
        &self,
        py: Python<'py>,
        venue_symbol: &str,
        channel: u8,
        variant: &str,
    ) -> Commands<'py> {
        let (channel, variant) = find_variant(channel, variant)?;
        let mut feed = self.lock();
        feed.unsubscribe(venue_symbol, channel, variant);
        drain(py, &mut feed)
    }

    /// Ask for the first dial.
    fn start<'py>(&self, py: Python<'py>) -> Commands<'py> {
        self.run(py, Feed::start)
    }

    /// Tell that the socket is open.
    fn on_opened<'py>(&self, py: Python<'py>) -> Commands<'py> {
        self.run(py, Feed::on_opened)
    }

    /// Take one frame; `ts_recv` is the wall time of the socket read in nanoseconds.
    ///
    /// `has_more`: the next frame was read too and follows at once; subscribers are woken for all of them together.
    #[pyo3(signature = (frame, ts_recv, has_more = false))]
    fn on_frame<'py>(&self, py: Python<'py>, frame: &[u8], ts_recv: i64, has_more: bool) -> Commands<'py> {
        self.run(py, |feed| self.frame(feed, frame, ts_recv, has_more))
    }

    /// Take one large frame, detached from the interpreter: call it from a worker thread.
    fn on_large_frame<'py>(&self, py: Python<'py>, frame: &[u8], ts_recv: i64) -> Commands<'py> {
        py.detach(|| {
            let mut feed = self.lock();
            guarded(&mut feed, |feed| self.frame(feed, frame, ts_recv, false));
        });
        drain(py, &mut self.lock())
    }

    /// Take the answer of a fetch; `status` 0: there was none.
    fn on_response<'py>(
        &self,
        py: Python<'py>,
        request_id: u64,
        status: u16,
        body: &[u8],
        ts_recv: i64,
    ) -> Commands<'py> {
        self.run(py, |feed| feed.on_response(request_id, status, body, ts_recv))
    }

    /// Take a large answer, detached from the interpreter: call it from a worker thread.
    fn on_large_response<'py>(
        &self,
        py: Python<'py>,
        request_id: u64,
        status: u16,
        body: &[u8],
        ts_recv: i64,
    ) -> Commands<'py> {
        py.detach(|| {
            let mut feed = self.lock();
            guarded(&mut feed, |feed| feed.on_response(request_id, status, body, ts_recv));
        });
        drain(py, &mut self.lock())
    }

    /// Take a REST snapshot that a capture holds, named by the venue's symbol.
    fn on_recorded_snapshot<'py>(
        &self,
        py: Python<'py>,
        venue_symbol: &str,
        body: &[u8],
        ts_recv: i64,
    ) -> Commands<'py> {
        self.run(py, |feed| feed.on_recorded_snapshot(venue_symbol, body, ts_recv))
    }

    /// Do what is due; call it when `deadline_ns` is reached.
    fn on_tick<'py>(&self, py: Python<'py>) -> Commands<'py> {
        self.run(py, Feed::on_tick)
    }

    /// Return why the connection should be renewed soon; `None`: it should not.
    fn roll_due(&self) -> Option<&'static str> {
        self.lock().roll_due()
    }

    /// Take all topics of `old` over if both lines meet; return whether it has, and commands.
    ///
    /// Call it on a standby after each frame and tick of either connection, while no worker is inside one of them.
    fn take_over<'py>(
        &self,
        py: Python<'py>,
        old: &Self,
    ) -> PyResult<(bool, Option<Vec<Bound<'py, PyTuple>>>)> {
        let mut feed = self.lock();
        let mut before = old.lock();
        let mut is_done = false;
        guarded(&mut feed, |feed| is_done = feed.take_over(&mut before));
        Ok((is_done, drain(py, &mut feed)?))
    }

    /// Tell that the socket is gone, or never came up: `code` 0.
    #[pyo3(signature = (code, message = ""))]
    fn on_closed<'py>(&self, py: Python<'py>, code: u16, message: &str) -> Commands<'py> {
        self.run(py, |feed| feed.on_closed(code, message))
    }

    /// Tell that a dial failed: `tls`, `upgrade_refused`, `rate_limited` or anything else; the next one is
    /// wanted after `wait_ns` at the earliest.
    #[pyo3(signature = (cause, message = "", wait_ns = 0))]
    fn on_dial_failed<'py>(
        &self,
        py: Python<'py>,
        cause: &str,
        message: &str,
        wait_ns: i64,
    ) -> Commands<'py> {
        self.run(py, |feed| feed.on_dial_failed(dial_reason(cause), message, wait_ns.max(0)))
    }

    /// Publish a CUT for each topic of `Hub.cuts_wanted` that this feed owns and whose book is LIVE.
    fn serve_cuts<'py>(&self, py: Python<'py>, wanted: &PyCuts) -> Commands<'py> {
        self.run(py, |feed| feed.serve_cuts(&wanted.0))
    }

    /// Monotonic time in nanoseconds at which `on_tick` is due.
    fn deadline_ns(&self) -> i64 {
        self.lock().deadline_ns()
    }

    /// Set the depth of books that are subscribed from now on (a replay learns it from the capture).
    fn set_book_depth(&self, depth: u32) {
        self.lock().set_book_depth(depth);
    }

    /// Return the best `depth` levels (0: all) of a book as two encoded `Update`s: snapshot and checkpoint.
    ///
    /// `None`: no book of this symbol is followed.
    ///
    /// Raises:
    ///     ValueError: The numbers do not fit 64 bits.
    fn book<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        depth: usize,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(encoded) = self.lock().encode_book(symbol, depth) else { return Ok(None) };
        let (snapshot, checkpoint) = encoded.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let pair = [PyBytes::new(py, &snapshot), PyBytes::new(py, &checkpoint)];
        PyTuple::new(py, pair).map(Some)
    }

    /// Describe counts, latencies and the connection: one dict.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats_dict(py, &self.lock())
    }

    /// Return path and weight of a page of a topic's past; `None`: this venue has no such history.
    ///
    /// Times in nanoseconds UTC; `cursor` empty: the first page, else what `history_page` said.
    ///
    /// Raises:
    ///     ValueError: The channel is unknown or has no such variant.
    #[pyo3(signature = (symbol, channel, variant, *, ts_from, ts_until, cursor))]
    fn history_path(
        &self,
        symbol: &str,
        channel: u8,
        variant: &str,
        ts_from: i64,
        ts_until: i64,
        cursor: &str,
    ) -> PyResult<Option<(String, u32)>> {
        let (channel, variant) = find_variant(channel, variant)?;
        let past = Past { symbol, channel, variant, ts_from, ts_until, cursor };
        Ok(self.lock().history_request(&past).map(|request| (request.path, request.weight)))
    }

    /// Read such a page: rows of key, venue time and bare `Update` (seq 0, flag HISTORY) inside `[ts_from, ts_until)` by
    /// ascending key, and the cursor of the next page (empty: that was the last one).
    ///
    /// A key is the venue's trade id, or a kline's opening time; pages may repeat one.
    ///
    /// Raises:
    ///     ValueError: The body is no such page.
    #[pyo3(signature = (symbol, channel, variant, body, *, ts_from, ts_until, cursor))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn history_page<'py>(
        &self,
        py: Python<'py>,
        symbol: &str,
        channel: u8,
        variant: &str,
        body: &[u8],
        ts_from: i64,
        ts_until: i64,
        cursor: &str,
    ) -> PyResult<HistoryPage<'py>> {
        let (channel, variant) = find_variant(channel, variant)?;
        let past = Past { symbol, channel, variant, ts_from, ts_until, cursor };
        let (rows, next) = self
            .lock()
            .history_rows(&past, body)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let told = |row: &PastRow| (row.key, row.ts_event, PyBytes::new(py, &row.update));
        Ok((rows.iter().map(told).collect(), next))
    }

    /// Take what happened to the topics since the last call, oldest first: one dict each.
    ///
    /// All have `kind` (`state` or `gap`), `symbol`, `channel`, `variant`, `seq`, `ts`, `ts_event_last`; a state has `state`
    /// and `reason`, a gap has `gap_id`, `gap_state`, `cause`, `ts_first`, `ts_last`, `count` (None: unknown), `filled`.
    fn take_notes<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let notes = self.lock().take_notes();
        notes.iter().map(|note| note_dict(py, note)).collect()
    }

    /// Describe every topic: one dict each.
    fn topics<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.lock().topics().iter().map(|topic| topic_dict(py, topic)).collect()
    }

    /// Describe every book as a replay prints it: a dict by symbol, decimals as plain text.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        all_books(py, &self.lock())
    }

    /// Make the next frame panic inside the core: a failpoint for the test of row H01.
    fn arm_failpoint(&self) {
        *self.failpoint.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

impl PyFeed {
    /// Locks the feed; a panic was already answered by [`Feed::on_panic`], so a poisoned lock is whole.
    fn lock(&self) -> MutexGuard<'_, Feed> {
        match self.feed.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => self.feed.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn run<'py>(&self, py: Python<'py>, work: impl FnOnce(&mut Feed)) -> Commands<'py> {
        let mut feed = self.lock();
        guarded(&mut feed, work);
        drain(py, &mut feed)
    }

    fn frame(&self, feed: &mut Feed, frame: &[u8], ts_recv: i64, has_more: bool) {
        let is_armed = std::mem::take(&mut *self.failpoint.lock().unwrap_or_else(PoisonError::into_inner));
        assert!(!is_armed, "failpoint of row H01");
        feed.on_frame(frame, ts_recv, has_more);
    }
}

/// Runs work on a feed; a panic ends in a rebuilt feed, never in Python (row H01).
fn guarded(feed: &mut Feed, work: impl FnOnce(&mut Feed)) {
    if catch_unwind(AssertUnwindSafe(|| work(feed))).is_err() {
        feed.on_panic();
    }
}

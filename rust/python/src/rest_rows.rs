//! Rows of REST answers for Python: tables over Arrow, and encoded messages.

use std::ops::Range;

use facade_model::{Sum, UpdateFlags};
use facade_venues::{AskKind, Interval, KlineRow, PageOrder, Rows};
use facade_wire::{self as wire, Completeness, Exponents, Hole, KlineState, Ohlc, Whose, WireError};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict};

use crate::arrow::export;
use crate::rest_columns::to_batch;

/// Rows of one or several pages: sorted, each once. Lends itself over the Arrow C stream interface.
#[pyclass(frozen, name = "Rows", module = "datafacade._core")]
pub(crate) struct PyRows {
    pub(crate) kind: AskKind,
    pub(crate) rows: Rows,
    pub(crate) ts_told: i64,
    pub(crate) cursor: String,
    pub(crate) order: PageOrder,
    pub(crate) usual: Exponents,
    pub(crate) ts_recv: i64,
    pub(crate) shows_empty: bool,
}

#[pymethods]
impl PyRows {
    /// Lend the table; the schema that is asked for is ignored, as the interface allows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        export(py, &to_batch(&self.rows, self.interval(), self.usual)?)
    }

    fn __len__(&self) -> usize {
        self.rows.len()
    }

    /// What the next page begins or ends with; "": that was the last one.
    #[getter]
    fn cursor(&self) -> &str {
        &self.cursor
    }

    /// When the newest page was read, wall ns.
    #[getter]
    fn ts_recv(&self) -> i64 {
        self.ts_recv
    }

    /// The newest instant that the rows know of, ns UTC; 0: the venue tells no time. Of klines, the end of the newest
    /// one, or when it was read if it was open then.
    #[getter]
    fn ts_newest(&self) -> i64 {
        self.known_until(self.rows.ts_newest())
    }

    /// The same of all that the venue told, also outside what was asked for.
    #[getter]
    fn ts_told(&self) -> i64 {
        self.ts_told
    }

    /// Whether the venue shows klines without a trade; else a hole says that nothing was traded.
    #[getter]
    fn shows_empty(&self) -> bool {
        self.shows_empty
    }

    /// Return the cursor of the page that is needed for so many rows, 0: for all; "": none is.
    #[pyo3(signature = (limit=0))]
    fn next_cursor(&self, limit: usize) -> &str {
        let is_enough = limit > 0 && self.order == PageOrder::Backward && self.rows.len() >= limit;
        if is_enough { "" } else { &self.cursor }
    }

    /// Return these rows with those of the next page; of rows that both have, a closed kline and a settled rate win,
    /// then the page that was read last.
    ///
    /// Raises:
    ///     TypeError: The other rows are of another kind.
    fn extend(&self, other: &Self) -> PyResult<Self> {
        if self.kind != other.kind {
            return Err(PyTypeError::new_err("rows of another kind"));
        }
        let mut rows = self.rows.clone();
        rows.extend(other.rows.clone(), other.ts_recv >= self.ts_recv);
        let (ts_recv, ts_told) = (self.ts_recv.max(other.ts_recv), self.ts_told.max(other.ts_told));
        Ok(Self { rows, cursor: other.cursor.clone(), ts_recv, ts_told, ..self.copied() })
    }

    /// Return the newest rows only; of a book, the best levels a side.
    fn tail(&self, limit: usize) -> Self {
        let mut rows = self.rows.clone();
        rows.tail(limit);
        Self { rows, ..self.copied() }
    }

    /// Return the spans of closed intervals for which there is no kline: (start, end, reason), ns UTC, oldest first.
    ///
    /// Args:
    ///     ts_from, ts_until: As `kline_range` gave them.
    ///     now: Our wall time when the question began; intervals that were open then are not missing.
    #[pyo3(signature = (*, ts_from, ts_until, now))]
    fn holes(&self, ts_from: i64, ts_until: i64, now: i64) -> Vec<(i64, i64, &'static str)> {
        let Some(interval) = self.interval() else { return Vec::new() };
        let range = ts_from..ts_until.min(interval.floor(now));
        let holes = self.rows.holes(interval, range, self.shows_empty);
        holes.into_iter().map(|(hole, reason)| (hole.start, hole.end, reason.name())).collect()
    }

    /// Return the one row of a ticker: exact decimal text by name; what the venue does not tell is left out.
    ///
    /// Raises:
    ///     TypeError: These are no ticker.
    fn ticker<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Rows::Ticker { ticker, .. } = &self.rows else { return Err(PyTypeError::new_err("no ticker")) };
        let dict = PyDict::new(py);
        let bid = ticker.top.bid.map(|level| level.px).or(ticker.bid_px);
        let ask = ticker.top.ask.map(|level| level.px).or(ticker.ask_px);
        for (name, number) in [
            ("last_price", ticker.last_px),
            ("last_quantity", ticker.last_qty),
            ("bid_price", bid),
            ("bid_quantity", ticker.top.bid.map(|level| level.qty)),
            ("ask_price", ask),
            ("ask_quantity", ticker.top.ask.map(|level| level.qty)),
            ("open_24h", ticker.open_px),
            ("high_24h", ticker.high_px),
            ("low_24h", ticker.low_px),
            ("change_percent_24h", ticker.change_percent),
        ] {
            set_number(&dict, name, number.map(Sum::from))?;
        }
        for (name, sum) in [
            ("volume_24h", ticker.volume),
            ("quote_volume_24h", ticker.quote_volume),
            ("vwap_24h", ticker.vwap),
        ] {
            set_number(&dict, name, sum)?;
        }
        Ok(dict)
    }

    /// Encode a `WarmKlinesResponse` without lineage.
    ///
    /// Args:
    ///     venue: Venue and product, as clients name it.
    ///     symbol: Canonical symbol.
    ///     holes: As `holes` returned them.
    ///
    /// Raises:
    ///     TypeError: These are no klines.
    ///     ValueError: No exponent holds all prices.
    #[pyo3(signature = (venue, symbol, interval, holes))]
    fn encode_klines<'py>(
        &self,
        py: Python<'py>,
        venue: &str,
        symbol: &str,
        interval: &str,
        holes: Vec<(i64, i64, String)>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (Rows::Klines(rows), Some(length)) = (&self.rows, self.interval()) else {
            return Err(PyTypeError::new_err("no klines"));
        };
        let klines: Vec<wire::Kline> =
            rows.iter().map(|row| kline_of(row, length.next(row.ts_open))).collect();
        let told = |(start, end, reason): &'_ (i64, i64, String)| (*start..*end, reason.clone());
        let holes: Vec<(Range<i64>, String)> = holes.iter().map(told).collect();
        let holes: Vec<Hole<'_>> =
            holes.iter().map(|(range, reason)| Hole { range: range.clone(), reason }).collect();
        encoded(py, |out| {
            wire::warm_klines(out, Whose { venue, symbol }, interval, self.usual, &klines, &holes)
        })
    }

    /// Encode a `WarmTradesResponse` without lineage; arguments and errors as `encode_klines`.
    fn encode_trades<'py>(
        &self,
        py: Python<'py>,
        venue: &str,
        symbol: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let Rows::Trades(trades) = &self.rows else { return Err(PyTypeError::new_err("no trades")) };
        encoded(py, |out| wire::warm_trades(out, Whose { venue, symbol }, self.usual, trades))
    }

    /// Encode a `WarmTickerResponse` without lineage; arguments and errors as `encode_klines`.
    fn encode_ticker<'py>(
        &self,
        py: Python<'py>,
        venue: &str,
        symbol: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let Rows::Ticker { ts_event, ticker } = &self.rows else {
            return Err(PyTypeError::new_err("no ticker"));
        };
        let times = (*ts_event, self.ts_recv);
        encoded(py, |out| wire::warm_ticker(out, Whose { venue, symbol }, self.usual, times, ticker))
    }

    /// Encode a `WarmFundingResponse` without lineage; arguments and errors as `encode_klines`.
    fn encode_funding<'py>(
        &self,
        py: Python<'py>,
        venue: &str,
        symbol: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let Rows::Funding(rates) = &self.rows else { return Err(PyTypeError::new_err("no funding rates")) };
        encoded(py, |out| {
            wire::warm_funding(out, Whose { venue, symbol }, rates);
            Ok(())
        })
    }

    /// Encode a `L2BookResponse` without state, integrity, spread and lineage, which the caller judges.
    ///
    /// Args:
    ///     flags: Bits of UpdateFlag.
    ///
    /// Raises:
    ///     TypeError: These are no book.
    ///     ValueError: No exponents hold all numbers.
    #[pyo3(signature = (venue, symbol, *, flags=0))]
    fn encode_book<'py>(
        &self,
        py: Python<'py>,
        venue: &str,
        symbol: &str,
        flags: u32,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let Rows::Book { ts_event, sequence, bids, asks } = &self.rows else {
            return Err(PyTypeError::new_err("no book"));
        };
        let facts = wire::BookFacts {
            ts_event: *ts_event,
            ts_recv: self.ts_recv,
            venue_sequence: *sequence,
            flags: UpdateFlags(flags),
        };
        encoded(py, |out| wire::warm_book(out, Whose { venue, symbol }, self.usual, &facts, (bids, asks)))
    }
}

impl PyRows {
    fn interval(&self) -> Option<Interval> {
        match self.kind {
            AskKind::Klines(interval) => Some(interval),
            _ => None,
        }
    }

    /// The instant until which something is known by a row of this time.
    pub(crate) fn known_until(&self, ts: i64) -> i64 {
        match self.interval() {
            Some(interval) if ts > 0 => interval.next(ts).min(self.ts_recv),
            _ => ts,
        }
    }

    /// Everything but the rows.
    fn copied(&self) -> Self {
        Self { rows: Rows::Trades(Vec::new()), cursor: self.cursor.clone(), ..*self }
    }
}

fn set_number(dict: &Bound<'_, PyDict>, name: &str, number: Option<Sum>) -> PyResult<()> {
    number.map_or(Ok(()), |number| dict.set_item(name, number.to_string()))
}

fn encoded(
    py: Python<'_>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>,
) -> PyResult<Bound<'_, PyBytes>> {
    let mut out = Vec::new();
    encode(&mut out).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &out))
}

/// The contract's row: no prices where nothing was traded; the venue's own word, so nothing proves that it is whole.
fn kline_of(row: &KlineRow, ts_close: i64) -> wire::Kline {
    let prices = Ohlc { open: row.open, high: row.high, low: row.low, close: row.close };
    let is_closed = row.is_closed.unwrap_or_default();
    wire::Kline {
        ts_open: row.ts_open,
        ts_close,
        prices: (!row.is_empty()).then_some(prices),
        volume: Some(row.volume),
        quote_volume: row.quote_volume,
        vwap: row.vwap,
        taker_buy_volume: row.taker_buy_volume,
        trade_count: row.trade_count,
        state: Some(if is_closed { KlineState::Final } else { KlineState::Provisional }),
        revision: 0,
        completeness: Completeness::Unknown,
        trades_seq_first: 0,
        trades_seq_last: 0,
        flags: UpdateFlags::default(),
    }
}

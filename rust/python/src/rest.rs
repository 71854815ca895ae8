//! Questions to venues' REST for Python: the request of a page, and what its answer says.

use std::ops::Range;

use facade_venues::{Ask, AskKind, Interval, RestSource};
use facade_wire::Exponents;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::rest_rows::PyRows;

/// Bytes of a body from which on it is read detached from the interpreter: some 100 us (STYLE R15).
const DETACHED_BYTES_MIN: usize = 32_768;

/// Return path with query and weight of a page; None: the venue cannot tell that.
///
/// Args:
///     venue, product: As in `decode_instruments`; also ("kraken", "futures"), which has funding only.
///     kind: klines, trades, ticker, funding or book.
///     venue_symbol: As the venue's instrument list spells it.
///     now: Our wall time when the question began, ns UTC; the same for all pages.
///     interval: Of klines: 1m, 4h, 1d, 1w, 1M.
///     limit: Rows wanted, the newest ones; levels a side of a book; 0: no limit, but 500 klines without `ts_from`.
///     ts_from, ts_until: Half open range, ns UTC; 0: as early as `limit` allows, until now.
///     cursor: What the page before said; "": the first page.
///
/// Raises:
///     ValueError: Venue, product, kind or interval is unknown.
#[pyfunction]
#[pyo3(signature = (venue, product, kind, venue_symbol, *, now, interval="", limit=0, ts_from=0, ts_until=0, cursor=""))]
#[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
pub(crate) fn rest_request(
    venue: &str,
    product: &str,
    kind: &str,
    venue_symbol: &str,
    now: i64,
    interval: &str,
    limit: u32,
    ts_from: i64,
    ts_until: i64,
    cursor: &str,
) -> PyResult<Option<(String, u32)>> {
    let source = find_source(venue, product)?;
    let kind = find_kind(kind, interval)?;
    let ask = Ask { kind, venue_symbol, limit, ts_from, ts_until, now, cursor };
    Ok(source.request(&ask).map(|request| (request.path, request.weight)))
}

/// Read the answer to `rest_request` of the same arguments.
///
/// Args:
///     price_exponent, quantity_exponent: Usual digits of the instrument, 0 or less.
///     ts_recv: When the answer was read, wall ns.
///
/// Raises:
///     ValueError: The body is no such page; the text names the kind of fault.
#[pyfunction]
#[pyo3(signature = (
    venue, product, kind, body, *, now, ts_recv, price_exponent=0, quantity_exponent=0,
    interval="", limit=0, ts_from=0, ts_until=0, cursor=""
))]
#[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
pub(crate) fn rest_rows(
    py: Python<'_>,
    venue: &str,
    product: &str,
    kind: &str,
    body: &[u8],
    now: i64,
    ts_recv: i64,
    price_exponent: i8,
    quantity_exponent: i8,
    interval: &str,
    limit: u32,
    ts_from: i64,
    ts_until: i64,
    cursor: &str,
) -> PyResult<PyRows> {
    let source = find_source(venue, product)?;
    let kind = find_kind(kind, interval)?;
    let ask = Ask { kind, venue_symbol: "", limit, ts_from, ts_until, now, cursor };
    let read = || source.page(&ask, body);
    let page = if body.len() < DETACHED_BYTES_MIN { read() } else { py.detach(read) };
    let page = page.map_err(|error| PyValueError::new_err(error.to_string()))?;
    let mut rows = PyRows {
        kind,
        rows: page.rows,
        ts_told: 0,
        cursor: page.cursor,
        order: page.order,
        usual: Exponents { price: price_exponent, quantity: quantity_exponent },
        ts_recv,
        shows_empty: source.shows_empty_klines(),
    };
    rows.ts_told = rows.known_until(page.ts_told);
    Ok(rows)
}

/// Return first opening time wanted and the first one behind the range, ns UTC; arguments as in `rest_request`.
///
/// Raises:
///     ValueError: No interval of time.
#[pyfunction]
#[pyo3(signature = (interval, *, now, limit=0, ts_from=0, ts_until=0))]
pub(crate) fn kline_range(
    interval: &str,
    now: i64,
    limit: u32,
    ts_from: i64,
    ts_until: i64,
) -> PyResult<(i64, i64)> {
    let interval = find_interval(interval)?;
    let kind = AskKind::Klines(interval);
    let ask = Ask { kind, venue_symbol: "", limit, ts_from, ts_until, now, cursor: "" };
    let Range { start, end } = ask.kline_range(interval);
    Ok((start, end))
}

fn find_source(venue: &str, product: &str) -> PyResult<RestSource> {
    RestSource::from_names(venue, product)
        .ok_or_else(|| PyValueError::new_err(format!("unknown product {product:?} of venue {venue:?}")))
}

fn find_interval(interval: &str) -> PyResult<Interval> {
    Interval::parse(interval)
        .ok_or_else(|| PyValueError::new_err(format!("no interval of time: {interval:?}")))
}

fn find_kind(kind: &str, interval: &str) -> PyResult<AskKind> {
    Ok(match kind {
        "klines" => AskKind::Klines(find_interval(interval)?),
        "trades" => AskKind::Trades,
        "ticker" => AskKind::Ticker,
        "funding" => AskKind::Funding,
        "book" => AskKind::Book,
        _ => {
            let text = format!("kind {kind:?}: expected klines, trades, ticker, funding or book");
            return Err(PyValueError::new_err(text));
        }
    })
}

//! Unary answers of the warm tier, and the book of REST: whole messages but for `lineage` and `served`, which others
//! append (protobuf merges what is concatenated).

use std::ops::Range;

use facade_model::{FundingRate, Level, Statistics, Sum, Trade, UpdateFlags};

use crate::WireError;
use crate::digits::{Exponents, encode_exactly};
use crate::field::{bytes, delimited, optional_uint, sint, time, uint};
use crate::kline::{Kline, kline_fields, survey_kline};
use crate::levels::book_fields;
use crate::market::{survey_ticker, text, ticker_fields, trade_fields};

/// Whose data an answer holds.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// Venue and product; empty: reconciled.
    pub venue: &'a str,
    /// Canonical symbol.
    pub symbol: &'a str,
}

/// A span without rows, ns UTC, and why.
#[derive(Debug, Clone)]
pub struct Hole<'a> {
    /// The span.
    pub range: Range<i64>,
    /// Why, in `UPPER_SNAKE`.
    pub reason: &'a str,
}

/// Appends a `WarmKlinesResponse`.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponent holds all prices.
pub fn warm_klines(
    out: &mut Vec<u8>,
    whose: Whose<'_>,
    interval: &str,
    usual: Exponents,
    klines: &[Kline],
    holes: &[Hole<'_>],
) -> Result<(), WireError> {
    encode_exactly(
        out,
        usual,
        |finest| klines.iter().for_each(|kline| survey_kline(finest, kline)),
        |out, exponents| {
            head(out, whose);
            bytes(out, 3, interval.as_bytes());
            sint(out, 4, i64::from(exponents.price));
            sint(out, 5, i64::from(exponents.quantity));
            for kline in klines {
                delimited(out, 6, 0, |out| kline_fields(out, kline, exponents.price))?;
            }
            for Hole { range, reason } in holes {
                delimited(out, 7, 0, |out| {
                    time(out, 1, range.start);
                    time(out, 2, range.end);
                    bytes(out, 3, reason.as_bytes());
                });
            }
            Some(())
        },
    )
}

/// Appends a `WarmTradesResponse`.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponents hold all numbers.
pub fn warm_trades(
    out: &mut Vec<u8>,
    whose: Whose<'_>,
    usual: Exponents,
    trades: &[Trade],
) -> Result<(), WireError> {
    encode_exactly(
        out,
        usual,
        |finest| trades.iter().for_each(|trade| finest.level(trade.px, trade.qty)),
        |out, exponents| {
            head(out, whose);
            sint(out, 3, i64::from(exponents.price));
            sint(out, 4, i64::from(exponents.quantity));
            for trade in trades {
                delimited(out, 5, 0, |out| {
                    delimited(out, 1, 0, |out| trade_fields(out, trade, exponents))?;
                    time(out, 2, trade.ts_event);
                    Some(())
                })?;
            }
            Some(())
        },
    )
}

/// Appends a `WarmTickerResponse`. Times ns UTC.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponent holds the prices, or the quantities.
pub fn warm_ticker(
    out: &mut Vec<u8>,
    whose: Whose<'_>,
    usual: Exponents,
    times: (i64, i64),
    ticker: &Statistics,
) -> Result<(), WireError> {
    let (ts_event, ts_recv) = times;
    encode_exactly(
        out,
        usual,
        |finest| survey_ticker(finest, ticker),
        |out, exponents| {
            head(out, whose);
            sint(out, 3, i64::from(exponents.price));
            sint(out, 4, i64::from(exponents.quantity));
            time(out, 5, ts_event);
            time(out, 6, ts_recv);
            delimited(out, 7, 0, |out| ticker_fields(out, ticker, exponents))
        },
    )
}

/// Appends a `WarmFundingResponse`: of what is not settled, the last is the one ahead.
pub fn warm_funding(out: &mut Vec<u8>, whose: Whose<'_>, rates: &[FundingRate]) {
    head(out, whose);
    for rate in rates.iter().filter(|rate| rate.is_settled) {
        delimited(out, 3, 0, |out| funding_fields(out, rate));
    }
    if let Some(next) = rates.iter().rfind(|rate| !rate.is_settled) {
        delimited(out, 4, 0, |out| funding_fields(out, next));
    }
}

/// What a REST book tells beside its levels. Times ns UTC.
#[derive(Debug, Clone, Copy)]
pub struct BookFacts {
    /// Time of the venue; 0: none.
    pub ts_event: i64,
    /// When the answer was read.
    pub ts_recv: i64,
    /// The venue's number of the last change.
    pub venue_sequence: Option<u64>,
    /// Bits.
    pub flags: UpdateFlags,
}

/// Appends a `L2BookResponse` without state, integrity and spread, which the caller judges.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponents hold all numbers.
pub fn warm_book(
    out: &mut Vec<u8>,
    whose: Whose<'_>,
    usual: Exponents,
    facts: &BookFacts,
    sides: (&[Level], &[Level]),
) -> Result<(), WireError> {
    let (bids, asks) = sides;
    encode_exactly(
        out,
        usual,
        |finest| bids.iter().chain(asks).for_each(|level| finest.level(level.px, level.qty)),
        |out, exponents| {
            head(out, whose);
            time(out, 5, facts.ts_event);
            time(out, 6, facts.ts_recv);
            sint(out, 9, i64::from(exponents.price));
            sint(out, 10, i64::from(exponents.quantity));
            delimited(out, 11, 0, |out| {
                book_fields(out, bids.iter().copied(), asks.iter().copied(), exponents)
            })?;
            uint(out, 13, u64::from(facts.flags.0));
            optional_uint(out, 16, facts.venue_sequence);
            Some(())
        },
    )
}

fn head(out: &mut Vec<u8>, whose: Whose<'_>) {
    bytes(out, 1, whose.venue.as_bytes());
    bytes(out, 2, whose.symbol.as_bytes());
}

fn funding_fields(out: &mut Vec<u8>, rate: &FundingRate) {
    time(out, 1, rate.ts_funding);
    text(out, 2, Some(Sum::from(rate.rate)));
    uint(out, 3, u64::from(rate.interval_s));
    uint(out, 4, if rate.is_settled { 2 } else { 1 });
    text(out, 5, rate.mark_px.map(Sum::from));
    text(out, 6, rate.index_px.map(Sum::from));
}

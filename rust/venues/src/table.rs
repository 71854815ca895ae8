//! Rows of REST answers, joined over pages: sorted, each once, what is missing named.

use std::ops::Range;

use facade_model::{BookSide, FundingRate, Level, LevelChange, Statistics, Trade};

use crate::{BookEvent, Interval, KlineRow};

/// What one or several pages tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// By opening time.
    Klines(Vec<KlineRow>),
    /// By id.
    Trades(Vec<Trade>),
    /// One row.
    Ticker {
        /// Venue time, ns UTC; 0: none.
        ts_event: i64,
        /// Statistics.
        ticker: Box<Statistics>,
    },
    /// By time; an estimate stands before the settled rate of the same time.
    Funding(Vec<FundingRate>),
    /// One book, best levels first.
    Book {
        /// Venue time, ns UTC; 0: none.
        ts_event: i64,
        /// The venue's number of the last change, if it has one.
        sequence: Option<u64>,
        /// Bids.
        bids: Vec<Level>,
        /// Asks.
        asks: Vec<Level>,
    },
}

/// Why a venue has no row for a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoleReason {
    /// The venue leaves out intervals without a trade: this is how it says so.
    NoTrades,
    /// Older than what the venue keeps, or than the instrument.
    NotKept,
    /// The venue shows intervals without a trade, so this one is missing.
    Missing,
}

impl HoleReason {
    /// Returns the name in `UPPER_SNAKE`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoTrades => "NO_TRADES",
            Self::NotKept => "NOT_KEPT",
            Self::Missing => "MISSING",
        }
    }
}

impl Rows {
    /// Makes a book of a snapshot's levels.
    pub(crate) fn book(event: &BookEvent, levels: &[LevelChange]) -> Self {
        let side = |side: BookSide| {
            let held = levels.iter().filter(|level| level.side == side && !level.qty.is_zero());
            let mut held: Vec<Level> = held.map(|level| Level { px: level.px, qty: level.qty }).collect();
            held.sort_by(|left, right| {
                let order = left.px.compare(right.px);
                if side == BookSide::Bid { order.reverse() } else { order }
            });
            held.dedup_by_key(|level| level.px);
            held
        };
        let (bids, asks) = (side(BookSide::Bid), side(BookSide::Ask));
        Self::Book { ts_event: event.ts_event, sequence: event.sequence.last, bids, asks }
    }

    /// Returns the number of rows; of a book, of its levels.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Klines(rows) => rows.len(),
            Self::Trades(rows) => rows.len(),
            Self::Funding(rows) => rows.len(),
            Self::Ticker { .. } => 1,
            Self::Book { bids, asks, .. } => bids.len() + asks.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the newest time that the venue tells, ns UTC; 0: none. Of klines, where the newest opens.
    #[must_use]
    pub fn ts_newest(&self) -> i64 {
        match self {
            Self::Klines(rows) => rows.last().map_or(0, |row| row.ts_open),
            Self::Trades(rows) => rows.iter().map(|row| row.ts_event).max().unwrap_or_default(),
            Self::Funding(rows) => rows.last().map_or(0, |row| row.ts_funding),
            Self::Ticker { ts_event, .. } | Self::Book { ts_event, .. } => *ts_event,
        }
    }

    /// Adds the rows of another page of the same question, whichever lies first; `is_newer` tells which one was read
    /// last. Rows that both have stand once: a closed kline, a settled rate beats an open one, then the newer page.
    ///
    /// Rows of another kind are left out.
    pub fn extend(&mut self, other: Self, is_newer: bool) {
        match (self, other) {
            (Self::Klines(rows), Self::Klines(more)) => {
                let rank = |row: &KlineRow| row.is_closed.unwrap_or_default();
                merge(rows, more, is_newer, |row| row.ts_open, rank);
            }
            (Self::Trades(rows), Self::Trades(more)) => merge(rows, more, is_newer, |row| row.id, |_| true),
            (Self::Funding(rows), Self::Funding(more)) => {
                merge(rows, more, is_newer, |row| row.ts_funding, |row| row.is_settled);
            }
            (Self::Ticker { ts_event, ticker }, Self::Ticker { ts_event: ts_other, ticker: other }) => {
                *ts_event = (*ts_event).max(ts_other);
                **ticker = joined(ticker, &other);
            }
            (book @ Self::Book { .. }, other @ Self::Book { .. }) if is_newer => *book = other,
            _ => {}
        }
    }

    /// Keeps the newest rows; of a book, the best levels of each side. The funding rate ahead is kept beside them.
    pub fn tail(&mut self, limit: usize) {
        match self {
            Self::Klines(rows) => keep_last(rows, limit),
            Self::Trades(rows) => keep_last(rows, limit),
            Self::Funding(rows) => {
                let ahead = rows.iter().filter(|row| !row.is_settled).count();
                keep_last(rows, limit.saturating_add(ahead));
            }
            Self::Ticker { .. } => {}
            Self::Book { bids, asks, .. } => {
                bids.truncate(limit);
                asks.truncate(limit);
            }
        }
    }

    /// Returns the spans inside a range for which there is no kline, oldest first, and why. `range` holds opening
    /// times of closed intervals only: one that is still open is not missing yet.
    ///
    /// `shows_empty`: see [`crate::Product::shows_empty_klines`].
    #[must_use]
    pub fn holes(
        &self,
        interval: Interval,
        range: Range<i64>,
        shows_empty: bool,
    ) -> Vec<(Range<i64>, HoleReason)> {
        let Self::Klines(rows) = self else { return Vec::new() };
        let mut holes = Vec::new();
        let mut expected = range.start;
        if let Some(first) = rows.first().filter(|_| !interval.is_anchored()) {
            expected += (first.ts_open - expected).rem_euclid(interval.length_ns());
        }
        let mut reason = HoleReason::NotKept;
        for row in rows {
            if row.ts_open > expected {
                holes.push((expected..row.ts_open.min(range.end), reason));
            }
            expected = expected.max(interval.next(row.ts_open));
            reason = HoleReason::Missing;
        }
        holes.push((expected..range.end, reason));
        holes.retain(|(hole, _)| hole.start < hole.end);
        if !shows_empty {
            for (_, reason) in &mut holes {
                *reason = HoleReason::NoTrades;
            }
        }
        holes
    }
}

/// Merges by key: of two rows with one key the one of higher rank, then the newer one.
fn merge<T: Copy, K: Ord, R: Ord>(
    rows: &mut Vec<T>,
    more: Vec<T>,
    is_newer: bool,
    key: impl Fn(&T) -> K,
    rank: impl Fn(&T) -> R,
) {
    let old = std::mem::replace(rows, more);
    let start = rows.len();
    rows.extend(old);
    if is_newer {
        rows.rotate_left(start); // the newer page stands last
    }
    rows.sort_by_key(|row| (key(row), rank(row))); // stable, so the best of each key stands last
    rows.reverse();
    rows.dedup_by_key(|row| key(row));
    rows.reverse();
}

fn keep_last<T>(rows: &mut Vec<T>, limit: usize) {
    rows.drain(..rows.len().saturating_sub(limit));
}

/// Fills what one ticker leaves out from another.
fn joined(ticker: &Statistics, other: &Statistics) -> Statistics {
    Statistics {
        last_px: ticker.last_px.or(other.last_px),
        last_qty: ticker.last_qty.or(other.last_qty),
        open_px: ticker.open_px.or(other.open_px),
        high_px: ticker.high_px.or(other.high_px),
        low_px: ticker.low_px.or(other.low_px),
        volume: ticker.volume.or(other.volume),
        quote_volume: ticker.quote_volume.or(other.quote_volume),
        vwap: ticker.vwap.or(other.vwap),
        change_percent: ticker.change_percent.or(other.change_percent),
        trade_count: ticker.trade_count.or(other.trade_count),
        top: facade_model::TopOfBook {
            bid: ticker.top.bid.or(other.top.bid),
            ask: ticker.top.ask.or(other.top.ask),
        },
        bid_px: ticker.bid_px.or(other.bid_px),
        ask_px: ticker.ask_px.or(other.ask_px),
    }
}

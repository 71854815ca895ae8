//! What REST tells of the past: the part that is asked for, and rows of klines.

use facade_model::{Decimal, Sum};

/// Nanoseconds of one second.
pub(crate) const SECOND_NS: i64 = 1_000_000_000;
/// Nanoseconds of one millisecond.
pub(crate) const MILLI_NS: i64 = 1_000_000;

/// Path and query of a REST request, and what the venue charges for it in its own unit (weight, or requests).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestRequest {
    /// Path and query.
    pub path: String,
    /// Price.
    pub weight: u32,
}

/// Which trades are asked for. Every bound is inclusive, and a wish: a venue pages by what it can, and may answer
/// more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TradesSpan {
    /// Smallest id wanted.
    pub id_first: Option<u64>,
    /// Largest id wanted; absent: the newest.
    pub id_last: Option<u64>,
    /// Venue time of the oldest one wanted, ns UTC; 0: unknown.
    pub ts_first: i64,
    /// Venue time of the newest one wanted, ns UTC; 0: unknown.
    pub ts_last: i64,
    /// Rows wanted of the newest; 0: as many as the venue gives.
    pub rows_max: u32,
}

impl TradesSpan {
    /// Returns how many rows to ask for of a venue that gives at most `most`.
    pub(crate) fn rows(&self, most: u32) -> u32 {
        if self.rows_max == 0 { most } else { self.rows_max.min(most) }
    }
}

/// Which klines are asked for. Times ns UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KlinesSpan {
    /// Length of one kline.
    pub interval_ns: i64,
    /// Opening time of the first one wanted.
    pub ts_first: i64,
    /// Opening time of the last one wanted.
    pub ts_last: i64,
    /// Our time: some venues keep recent klines apart.
    pub now: i64,
}

impl KlinesSpan {
    /// The newest opening time that one answer of at most `rows` rows, from the first one on, reaches.
    pub(crate) fn last_of(&self, rows: i64) -> i64 {
        self.ts_last.min(self.ts_first.saturating_add(self.interval_ns.saturating_mul(rows - 1)))
    }
}

/// One kline as a venue tells it; what it leaves out is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KlineRow {
    /// Opening time, ns UTC.
    pub ts_open: i64,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Volume, base units (contracts where the venue counts contracts).
    pub volume: Sum,
    /// Volume, quote units.
    pub quote_volume: Option<Sum>,
    /// Mean price by volume.
    pub vwap: Option<Sum>,
    /// Volume that takers bought, base units.
    pub taker_buy_volume: Option<Sum>,
    /// Trades.
    pub trade_count: Option<u64>,
    /// Whether the kline is closed; absent: the venue does not tell, compare its end with the clock.
    pub is_closed: Option<bool>,
}

impl KlineRow {
    /// Starts a row with what every venue tells: open, high, low, close, and the volume.
    pub(crate) const fn new(ts_open: i64, prices: [Decimal; 4], volume: Sum) -> Self {
        let [open, high, low, close] = prices;
        Self {
            ts_open,
            open,
            high,
            low,
            close,
            volume,
            quote_volume: None,
            vwap: None,
            taker_buy_volume: None,
            trade_count: None,
            is_closed: None,
        }
    }

    /// Whether the venue shows the interval though nothing was traded in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.volume.is_zero() && self.trade_count.is_none_or(|count| count == 0)
    }
}

//! Bars of whole columns: the arithmetic of the streaming aggregator, without its lateness and its gaps.

mod exact;
mod fill;
mod roll_up;
mod run;
mod trades;

pub use exact::{mantissa_of_float, mantissa_of_sum, mantissa_of_text};
pub use fill::{Fill, fill_empty};
pub use roll_up::bars_from_bars;
pub use trades::{Bits, Sides, Trades, bars_from_trades, join};

/// One bar of a batch: numbers are mantissas at the exponents of the columns that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Row {
    /// First instant, ns UTC; for bars by trades the time of the first one.
    pub ts_open: i64,
    /// First instant behind it, ns UTC.
    pub ts_close: i64,
    /// Price of the first trade.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Price of the last trade.
    pub close: i64,
    /// Sum of quantities.
    pub volume: i128,
    /// Sum of price times quantity, at the sum of both exponents.
    pub quote_volume: i128,
    /// Sum of quantities that takers bought.
    pub buy_volume: i128,
    /// Sum of quantities that takers sold.
    pub sell_volume: i128,
    /// Trades.
    pub trade_count: u64,
    /// Whether no trade made it.
    pub is_synthetic: bool,
}

impl Row {
    /// Mean price by volume: the mantissa with `digits` more behind the point than prices have, rounded half to
    /// even; `None` where nothing was traded, or beyond 128 bits.
    #[must_use]
    pub fn vwap(&self, digits: u32) -> Option<i128> {
        let mut whole = self.quote_volume.checked_div_euclid(self.volume)?;
        let mut rest = self.quote_volume.checked_rem_euclid(self.volume)?;
        for _ in 0..digits {
            let tenfold = rest.checked_mul(10)?;
            whole = whole.checked_mul(10)?.checked_add(tenfold / self.volume)?;
            rest = tenfold % self.volume;
        }
        let half = self.volume - rest;
        Some(whole + i128::from(rest > half || (rest == half && whole % 2 != 0)))
    }

    /// Takes in a bar of the same interval that comes behind this one.
    fn merge(&mut self, later: &Self) -> Option<()> {
        let volume = self.volume.checked_add(later.volume)?;
        let quote_volume = self.quote_volume.checked_add(later.quote_volume)?;
        self.buy_volume = self.buy_volume.checked_add(later.buy_volume)?;
        self.sell_volume = self.sell_volume.checked_add(later.sell_volume)?;
        (self.volume, self.quote_volume) = (volume, quote_volume);
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.trade_count = self.trade_count.checked_add(later.trade_count)?;
        Some(())
    }
}

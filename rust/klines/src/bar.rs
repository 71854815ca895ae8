//! One bar and its arithmetic.

use facade_model::{Decimal, Sum};

use crate::KlineError;

/// One trade as bars see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Time that orders it, ns UTC: the venue's, or that of receipt where the venue's is flagged `BAD_TS`.
    pub ts_event: i64,
    /// Time of the socket read, ns UTC.
    pub ts_recv: i64,
    /// Price, quote units.
    pub price: Decimal,
    /// Quantity, base units (or contracts), 0 or more.
    pub quantity: Decimal,
    /// Whether the taker bought; `None`: the venue does not tell.
    pub is_buy: Option<bool>,
    /// Our number of the trade's record, from 1; 0: none.
    pub seq: u64,
    /// The venue's number, rising; it orders trades of one instant. 0: none, the order of arrival counts.
    pub id: u64,
    /// Whether it was fetched to fill a gap.
    pub is_backfilled: bool,
}

/// Whether a bar holds all trades of its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Completeness {
    /// All of them.
    #[default]
    Complete,
    /// A gap touches it.
    Incomplete,
}

/// One bar. Prices are mantissas at `price_exponent`; both exponents are the usual ones of the instrument, made
/// finer where a trade of this bar needed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// First instant, ns UTC; for bars by trades the time of the first one.
    pub ts_open: i64,
    /// First instant behind it, ns UTC; 0: not known yet, as for open bars by trades.
    pub ts_close: i64,
    /// Power of ten of the prices.
    pub price_exponent: i8,
    /// Power of ten of the quantities.
    pub quantity_exponent: i8,
    /// Price of the earliest trade.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Price of the latest trade.
    pub close: i64,
    /// Trades in it.
    pub trade_count: u64,
    /// Smallest `seq` of its trades.
    pub trades_seq_first: u64,
    /// Largest `seq` of its trades.
    pub trades_seq_last: u64,
    /// Whether it is closed.
    pub is_final: bool,
    /// How often it was issued again after it was final.
    pub revision: u32,
    /// Whether all trades are in it.
    pub completeness: Completeness,
    pub(crate) volume: i128,
    pub(crate) quote_volume: i128,
    pub(crate) buy_volume: i128,
    pub(crate) sell_volume: i128,
    first: (i64, u64), // time and id of the earliest trade
    last: (i64, u64),
}

impl Bar {
    /// Makes a bar without trades.
    pub(crate) const fn empty(
        ts_open: i64,
        ts_close: i64,
        price_exponent: i8,
        quantity_exponent: i8,
    ) -> Self {
        Self {
            ts_open,
            ts_close,
            price_exponent,
            quantity_exponent,
            open: 0,
            high: 0,
            low: 0,
            close: 0,
            trade_count: 0,
            trades_seq_first: 0,
            trades_seq_last: 0,
            is_final: false,
            revision: 0,
            completeness: Completeness::Complete,
            volume: 0,
            quote_volume: 0,
            buy_volume: 0,
            sell_volume: 0,
            first: (0, 0),
            last: (0, 0),
        }
    }

    /// Sum of quantities.
    #[must_use]
    pub const fn volume(&self) -> Sum {
        Sum::new(self.volume, self.quantity_exponent)
    }

    /// Sum of price times quantity.
    #[must_use]
    pub const fn quote_volume(&self) -> Sum {
        Sum::new(self.quote_volume, self.price_exponent.saturating_add(self.quantity_exponent))
    }

    /// Sum of quantities that takers bought.
    #[must_use]
    pub const fn taker_buy_volume(&self) -> Sum {
        Sum::new(self.buy_volume, self.quantity_exponent)
    }

    /// Sum of quantities that takers sold.
    #[must_use]
    pub const fn taker_sell_volume(&self) -> Sum {
        Sum::new(self.sell_volume, self.quantity_exponent)
    }

    /// Mean price by volume, see [`Sum::quotient`]; `None` where no quantity was traded.
    #[must_use]
    pub fn vwap(&self) -> Option<Sum> {
        self.quote_volume().quotient(self.volume())
    }

    /// A price of this bar as a decimal.
    #[must_use]
    pub const fn price(&self, mantissa: i64) -> Decimal {
        Decimal::new(mantissa, self.price_exponent)
    }

    /// Time of its latest trade, ns UTC.
    pub(crate) const fn ts_last(&self) -> i64 {
        self.last.0
    }

    /// Adds one trade.
    ///
    /// # Errors
    /// [`KlineError`]; then the bar is as it was.
    #[inline]
    pub(crate) fn add(&mut self, tick: &Tick) -> Result<(), KlineError> {
        if tick.quantity.mantissa < 0 {
            return Err(KlineError::NegativeQuantity);
        }
        let px = tick.price.rescale(self.price_exponent);
        let qty = tick.quantity.rescale(self.quantity_exponent);
        let (Some(px), Some(qty)) = (px, qty) else {
            return self.add_finer(tick);
        };
        let (wide, qty) = (i128::from(px), i128::from(qty));
        self.accumulate(tick, px, qty, wide * qty)
    }

    /// Adds a trade whose digits ask for finer exponents, or whose quantity needs more than 64 bits.
    #[cold]
    fn add_finer(&mut self, tick: &Tick) -> Result<(), KlineError> {
        let mut wider = *self;
        wider.widen(tick.price.canonical().exponent, tick.quantity.canonical().exponent)?;
        let px = tick.price.rescale(wider.price_exponent).ok_or(KlineError::NumberRange)?;
        let qty = Sum::from(tick.quantity).rescale(wider.quantity_exponent).ok_or(KlineError::NumberRange)?;
        let value = i128::from(px).checked_mul(qty).ok_or(KlineError::NumberRange)?;
        wider.accumulate(tick, px, qty, value)?;
        *self = wider;
        Ok(())
    }

    /// Makes the exponents at least as fine as those given.
    fn widen(&mut self, price_exponent: i8, quantity_exponent: i8) -> Result<(), KlineError> {
        let price = price_exponent.min(self.price_exponent);
        let quantity = quantity_exponent.min(self.quantity_exponent);
        let value = price.saturating_add(quantity);
        for px in [&mut self.open, &mut self.high, &mut self.low, &mut self.close] {
            *px = Decimal::new(*px, self.price_exponent).rescale(price).ok_or(KlineError::NumberRange)?;
        }
        let before = self.quantity_exponent;
        for sum in [&mut self.volume, &mut self.buy_volume, &mut self.sell_volume] {
            *sum = Sum::new(*sum, before).rescale(quantity).ok_or(KlineError::NumberRange)?;
        }
        self.quote_volume = self.quote_volume().rescale(value).ok_or(KlineError::NumberRange)?;
        (self.price_exponent, self.quantity_exponent) = (price, quantity);
        Ok(())
    }

    #[inline]
    fn accumulate(&mut self, tick: &Tick, px: i64, qty: i128, value: i128) -> Result<(), KlineError> {
        let volume = self.volume.checked_add(qty).ok_or(KlineError::NumberRange)?;
        let quote_volume = self.quote_volume.checked_add(value).ok_or(KlineError::NumberRange)?;
        (self.volume, self.quote_volume) = (volume, quote_volume);
        match tick.is_buy {
            Some(true) => self.buy_volume += qty, // a part of the volume: it fits
            Some(false) => self.sell_volume += qty,
            None => {}
        }
        self.take_price((tick.ts_event, tick.id), px);
        self.take_seq(tick.seq);
        self.trade_count += 1;
        Ok(())
    }

    /// Takes the price of the trade at `at`: the earliest opens, the latest closes, ties by id, then by arrival.
    #[inline]
    fn take_price(&mut self, at: (i64, u64), px: i64) {
        if self.trade_count == 0 {
            (self.open, self.high, self.low, self.close) = (px, px, px, px);
            (self.first, self.last) = (at, at);
            return;
        }
        self.high = self.high.max(px);
        self.low = self.low.min(px);
        if at >= self.last {
            (self.close, self.last) = (px, at);
        } else if at < self.first {
            (self.open, self.first) = (px, at);
        }
    }

    #[inline]
    fn take_seq(&mut self, seq: u64) {
        self.trades_seq_last = self.trades_seq_last.max(seq);
        if self.trade_count == 0 || seq < self.trades_seq_first {
            self.trades_seq_first = seq;
        }
    }
}

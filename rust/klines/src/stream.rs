//! The streaming aggregator: one for each instrument and variant.

use facade_model::Sum;

use crate::KlineError;
use crate::bar::{Bar, Tick};
use crate::by_time::ByTime;
use crate::by_trades::ByTrades;
use crate::kind::{BarKind, Grid};

/// When bars are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What closes a bar.
    pub kind: BarKind,
    /// How long after its end a bar of time waits before it is final, ns.
    pub close_after_ns: i64,
    /// How long after its end a bar of time still takes late trades, ns.
    pub late_ns: i64,
    /// At most one provisional bar in so long, ns; 0: none.
    pub provisional_ns: i64,
}

impl Rules {
    /// The usual rules: final after 250 ms, late up to 2 s, provisional once a second.
    #[must_use]
    pub const fn of(kind: BarKind) -> Self {
        Self { kind, close_after_ns: 250_000_000, late_ns: 2_000_000_000, provisional_ns: 1_000_000_000 }
    }
}

/// Trades that came too late for their bar: they are in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Late {
    /// How many.
    pub count: u64,
    /// Sum of their quantities.
    pub volume: Sum,
    /// Sum of their price times quantity.
    pub quote_volume: Sum,
}

impl Late {
    /// Counts one trade.
    pub(crate) fn add(&mut self, tick: &Tick) -> Result<(), KlineError> {
        if tick.quantity.mantissa < 0 {
            return Err(KlineError::NegativeQuantity);
        }
        let (price, quantity) = (Sum::from(tick.price), Sum::from(tick.quantity));
        let value =
            Sum::new(price.mantissa * quantity.mantissa, price.exponent.saturating_add(quantity.exponent));
        let volume = self.volume.checked_add(quantity).ok_or(KlineError::NumberRange)?;
        let quote_volume = self.quote_volume.checked_add(value).ok_or(KlineError::NumberRange)?;
        *self = Self { count: self.count + 1, volume, quote_volume };
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Machine {
    Time(ByTime),
    Trades(ByTrades),
}

/// Makes bars of trades as they come. Memory is bounded: open bars, bars that may still be revised (`late_ns`),
/// and for at most 10 minutes those that an open gap touches. Steady state allocates nothing.
///
/// What is told here becomes bars at the next [`Aggregator::drain`], which belongs behind each turn.
#[derive(Debug, Clone)]
pub struct Aggregator(Machine);

impl Aggregator {
    /// Makes an aggregator; exponents are the usual ones of the instrument (its tick and lot).
    #[must_use]
    pub fn new(rules: Rules, price_exponent: i8, quantity_exponent: i8) -> Self {
        Self(match rules.kind {
            BarKind::Time { interval_ns } => {
                Machine::Time(ByTime::new(rules, Grid::new(interval_ns), price_exponent, quantity_exponent))
            }
            _ => Machine::Trades(ByTrades::new(rules, price_exponent, quantity_exponent)),
        })
    }

    /// Takes one trade; its own time may close bars.
    ///
    /// # Errors
    /// [`KlineError`]: the trade is in no bar, and nothing else changed. Then its bar lacks it: tell
    /// [`Aggregator::on_gap`].
    #[inline]
    pub fn on_trade(&mut self, tick: &Tick) -> Result<(), KlineError> {
        match &mut self.0 {
            Machine::Time(machine) => machine.on_trade(tick),
            Machine::Trades(machine) => machine.on_trade(tick),
        }
    }

    /// Takes the time, ns UTC by the venue's clock as well as it is known: closes bars without further trades.
    #[inline]
    pub fn on_time(&mut self, now_event_ns: i64) {
        match &mut self.0 {
            Machine::Time(machine) => machine.on_time(now_event_ns),
            Machine::Trades(machine) => machine.on_time(now_event_ns),
        }
    }

    /// Learns that trades are missing from the last one before to the first one behind, ns UTC, both inside;
    /// `i64::MAX`: not over yet. Told again with the same begin, it ends that gap, or makes it longer.
    ///
    /// Bars of time that it touches are INCOMPLETE, and issued again if they were final. Of bars by trades the
    /// open one is INCOMPLETE, or the next one.
    pub fn on_gap(&mut self, ts_first: i64, ts_last: i64) {
        match &mut self.0 {
            Machine::Time(machine) => machine.on_gap(ts_first, ts_last),
            Machine::Trades(machine) => machine.on_gap(),
        }
    }

    /// Learns that a gap is closed. Filled whole: bars of time that no other gap touches are COMPLETE again; not
    /// whole: they stay INCOMPLETE. Those that changed are issued again. Bars by trades stay as they are.
    pub fn on_fill(&mut self, ts_first: i64, ts_last: i64, is_whole: bool) {
        if let Machine::Time(machine) = &mut self.0 {
            machine.on_fill(ts_first, ts_last, is_whole);
        }
    }

    /// Begins, or begins again, at `ts`, ns UTC: what came between the newest known time and then is missing. A
    /// bar in whose middle that lies is INCOMPLETE, unless [`Aggregator::on_fill`] fills it from its open on.
    pub fn restart(&mut self, ts: i64) {
        match &mut self.0 {
            Machine::Time(machine) => machine.restart(ts),
            Machine::Trades(machine) => machine.on_gap(),
        }
    }

    /// Hands over the bars to publish, in the order of their open.
    #[inline]
    pub fn drain(&mut self, publish: impl FnMut(&Bar)) {
        match &mut self.0 {
            Machine::Time(machine) => machine.drain(publish),
            Machine::Trades(machine) => machine.drain(publish),
        }
    }

    /// Trades that came too late.
    #[must_use]
    pub const fn late(&self) -> Late {
        match &self.0 {
            Machine::Time(machine) => machine.late(),
            Machine::Trades(machine) => machine.late(),
        }
    }
}

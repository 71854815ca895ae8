//! Bars by count of trades, by volume and by value: in the order in which trades come.

use std::collections::VecDeque;

use crate::KlineError;
use crate::bar::{Bar, Completeness, Tick};
use crate::bound::Bound;
use crate::stream::{Late, Rules};

/// Closed bars for which memory is held from the start.
const CLOSED_USUAL: usize = 16;

/// Bars by count, volume or value: the open one, and those closed since the last drain.
#[derive(Debug, Clone)]
pub struct ByTrades {
    bound: Bound,
    provisional_ns: i64,
    price_exponent: i8,
    quantity_exponent: i8,
    open: Option<Bar>,
    closed: VecDeque<Bar>,
    late: Late,
    is_torn: bool, // a gap lies in the open bar, or before the next
    is_changed: bool,
    watermark: i64,
    provisional_at: i64,
}

impl ByTrades {
    pub fn new(rules: Rules, price_exponent: i8, quantity_exponent: i8) -> Self {
        Self {
            bound: Bound::of(rules.kind),
            provisional_ns: rules.provisional_ns,
            price_exponent,
            quantity_exponent,
            open: None,
            closed: VecDeque::with_capacity(CLOSED_USUAL),
            late: Late::default(),
            is_torn: false,
            is_changed: false,
            watermark: i64::MIN,
            provisional_at: i64::MIN,
        }
    }

    #[inline]
    pub fn on_trade(&mut self, tick: &Tick) -> Result<(), KlineError> {
        if tick.is_backfilled {
            return self.late.add(tick); // its place was in a bar that is closed
        }
        self.on_time(tick.ts_event);
        let empty = || Bar::empty(tick.ts_event, 0, self.price_exponent, self.quantity_exponent);
        let bar = self.open.get_or_insert_with(empty);
        if let Err(error) = bar.add(tick) {
            if bar.trade_count == 0 {
                self.open = None;
            }
            return Err(error);
        }
        self.is_changed = true;
        if self.bound.is_reached(bar) {
            self.close();
        }
        Ok(())
    }

    /// Closes the open bar.
    #[cold]
    fn close(&mut self) {
        let completeness = self.completeness();
        if let Some(mut bar) = self.open.take() {
            bar.ts_close = bar.ts_last().saturating_add(1);
            bar.is_final = true;
            bar.completeness = completeness;
            self.closed.push_back(bar);
        }
        (self.is_torn, self.is_changed) = (false, false);
    }

    #[inline]
    pub fn on_time(&mut self, now: i64) {
        self.watermark = self.watermark.max(now);
    }

    pub fn on_gap(&mut self) {
        self.is_torn = true;
        self.is_changed |= self.open.is_some();
    }

    fn completeness(&self) -> Completeness {
        if self.is_torn { Completeness::Incomplete } else { Completeness::Complete }
    }

    #[inline]
    pub fn drain(&mut self, publish: impl FnMut(&Bar)) {
        let is_provisional_due =
            self.is_changed && self.provisional_ns > 0 && self.watermark >= self.provisional_at;
        if is_provisional_due || !self.closed.is_empty() {
            self.issue(is_provisional_due, publish);
        }
    }

    fn issue(&mut self, is_provisional_due: bool, mut publish: impl FnMut(&Bar)) {
        self.closed.iter().for_each(&mut publish);
        self.closed.clear();
        let completeness = self.completeness();
        if is_provisional_due && let Some(bar) = &mut self.open {
            bar.completeness = completeness;
            publish(bar);
            self.is_changed = false;
            self.provisional_at = self.watermark.saturating_add(self.provisional_ns);
        }
    }

    pub const fn late(&self) -> Late {
        self.late
    }
}

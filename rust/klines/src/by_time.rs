//! Bars of time.

use std::collections::VecDeque;

use crate::KlineError;
use crate::bar::{Bar, Completeness, Tick};
use crate::gaps::Gaps;
use crate::kind::Grid;
use crate::stream::{Late, Rules};

/// How long bars wait for an open gap to be filled, ns: 10 minutes.
const GAP_WAIT_NS: i64 = 600_000_000_000;
/// Bars for which memory is held from the start.
const SLOTS_USUAL: usize = 16;

/// A bar that may still change.
#[derive(Debug, Clone, Copy)]
struct Slot {
    bar: Bar,
    told: Option<Completeness>, // what the last final issue said
    is_changed: bool,           // since it was last issued
    is_deferred: bool,          // changed by backfill only: issued once the gap is closed
}

impl Slot {
    fn completeness(&self, gaps: &Gaps) -> Completeness {
        let is_torn = gaps.touch(self.bar.ts_open, self.bar.ts_close);
        if is_torn { Completeness::Incomplete } else { Completeness::Complete }
    }

    /// Whether a final bar has something to tell.
    fn is_final_due(&self, gaps: &Gaps) -> bool {
        let is_waiting = || self.is_deferred && gaps.may_fill(self.bar.ts_open, self.bar.ts_close);
        match self.told {
            Some(told) if told != self.completeness(gaps) => true,
            Some(_) => self.is_changed && !is_waiting(),
            None => !is_waiting(),
        }
    }

    /// Sets what an issue of the bar says.
    fn mark_issued(&mut self, gaps: &Gaps) {
        self.bar.completeness = self.completeness(gaps);
        if self.bar.is_final {
            self.bar.revision += u32::from(self.told.is_some());
            self.told = Some(self.bar.completeness);
        }
        (self.is_changed, self.is_deferred) = (false, false);
    }
}

/// Bars of time: those that may still change, in order of their open.
#[derive(Debug, Clone)]
pub struct ByTime {
    rules: Rules,
    grid: Grid,
    price_exponent: i8,
    quantity_exponent: i8,
    slots: VecDeque<Slot>,
    gaps: Gaps,
    late: Late,
    watermark: i64,      // newest time told, by trades or by the clock
    wake: i64,           // watermark at which there is something to do
    provisional_at: i64, // watermark at which the next provisional bar may leave
    is_due: bool,        // a bar may wait to be issued
}

impl ByTime {
    pub fn new(rules: Rules, grid: Grid, price_exponent: i8, quantity_exponent: i8) -> Self {
        Self {
            rules,
            grid,
            price_exponent,
            quantity_exponent,
            slots: VecDeque::with_capacity(SLOTS_USUAL),
            gaps: Gaps::new(GAP_WAIT_NS),
            late: Late::default(),
            watermark: i64::MIN,
            wake: i64::MAX,
            provisional_at: i64::MIN,
            is_due: false,
        }
    }

    #[inline]
    pub fn on_trade(&mut self, tick: &Tick) -> Result<(), KlineError> {
        match self.slots.back_mut() {
            Some(slot) if slot.bar.ts_open <= tick.ts_event && tick.ts_event < slot.bar.ts_close => {
                if slot.bar.is_final {
                    return self.on_late(tick);
                }
                slot.bar.add(tick)?;
                slot.is_changed = true;
            }
            Some(slot) if tick.ts_event < slot.bar.ts_open => return self.on_late(tick),
            _ => self.on_newer(tick)?,
        }
        self.on_time(tick.ts_event);
        Ok(())
    }

    #[inline]
    pub fn on_time(&mut self, now: i64) {
        if now > self.watermark {
            self.watermark = now;
        }
        if self.watermark >= self.wake {
            self.advance();
        }
    }

    /// Takes the first trade of a bar behind all others.
    #[cold]
    fn on_newer(&mut self, tick: &Tick) -> Result<(), KlineError> {
        let ts_open = self.grid.open_of(tick.ts_event);
        if self.takes(ts_open) { self.begin(self.slots.len(), ts_open, tick) } else { self.late.add(tick) }
    }

    /// Takes a trade of a bar that is not the newest open one.
    #[cold]
    fn on_late(&mut self, tick: &Tick) -> Result<(), KlineError> {
        let ts_open = self.grid.open_of(tick.ts_event);
        if !self.takes(ts_open) {
            return self.late.add(tick);
        }
        let at = self.slots.partition_point(|slot| slot.bar.ts_open < ts_open);
        let is_waiting = self.is_waiting(tick, ts_open);
        match self.slots.get_mut(at) {
            Some(slot) if slot.bar.ts_open == ts_open => {
                slot.bar.add(tick)?;
                slot.is_deferred = is_waiting && slot.bar.is_final && (slot.is_deferred || !slot.is_changed);
                slot.is_changed = true;
                self.is_due = true;
                Ok(())
            }
            _ => self.begin(at, ts_open, tick),
        }
    }

    /// Begins a bar at a place among the others.
    fn begin(&mut self, at: usize, ts_open: i64, tick: &Tick) -> Result<(), KlineError> {
        let ts_close = self.grid.close_of(ts_open);
        let mut bar = Bar::empty(ts_open, ts_close, self.price_exponent, self.quantity_exponent);
        bar.add(tick)?;
        bar.is_final = self.watermark >= ts_close.saturating_add(self.rules.close_after_ns);
        let is_deferred = bar.is_final && self.is_waiting(tick, ts_open);
        self.is_due |= bar.is_final;
        self.slots.insert(at, Slot { bar, told: None, is_changed: true, is_deferred });
        self.advance();
        Ok(())
    }

    /// Whether the trade is one of several that fill an open gap, so that its bar may wait for the others.
    fn is_waiting(&self, tick: &Tick, ts_open: i64) -> bool {
        tick.is_backfilled && self.gaps.may_fill(ts_open, self.grid.close_of(ts_open))
    }

    /// Whether the bar still takes trades.
    fn takes(&self, ts_open: i64) -> bool {
        let ts_close = self.grid.close_of(ts_open);
        let may_fill = || self.gaps.may_fill(ts_open, ts_close);
        self.watermark <= ts_close.saturating_add(self.revisable_ns())
            || (self.watermark <= ts_close.saturating_add(GAP_WAIT_NS) && may_fill())
    }

    fn revisable_ns(&self) -> i64 {
        self.rules.late_ns.max(self.rules.close_after_ns)
    }

    /// Closes the bars whose time is over, and lets the provisional one leave.
    fn advance(&mut self) {
        let (watermark, wait) = (self.watermark, self.rules.close_after_ns);
        self.is_due |= self.gaps.expire(watermark);
        let mut wake = self.gaps.wake();
        for slot in self.slots.iter_mut().filter(|slot| !slot.bar.is_final) {
            let due = slot.bar.ts_close.saturating_add(wait);
            if watermark >= due {
                slot.bar.is_final = true;
                self.is_due = true;
            } else {
                wake = wake.min(due);
            }
        }
        let newest = self.slots.back().filter(|slot| self.rules.provisional_ns > 0 && !slot.bar.is_final);
        if let Some(slot) = newest {
            self.is_due |= slot.is_changed && watermark >= self.provisional_at;
            wake = wake.min(self.provisional_at);
        }
        self.wake = wake;
    }

    pub fn on_gap(&mut self, ts_first: i64, ts_last: i64) {
        self.gaps.open(ts_first, ts_last);
        self.recheck();
    }

    pub fn on_fill(&mut self, ts_first: i64, ts_last: i64, is_whole: bool) {
        self.gaps.fill(ts_first, ts_last, is_whole);
        self.recheck();
    }

    pub fn restart(&mut self, ts: i64) {
        let known = self.slots.back().map_or(i64::MIN, |slot| slot.bar.ts_last());
        self.on_gap(known, ts.saturating_sub(1).max(known)); // clocks differ: never an empty gap
    }

    fn recheck(&mut self) {
        self.is_due = true;
        self.advance();
    }

    #[inline]
    pub fn drain(&mut self, publish: impl FnMut(&Bar)) {
        if self.is_due {
            self.issue(publish);
        }
    }

    fn issue(&mut self, mut publish: impl FnMut(&Bar)) {
        self.is_due = false;
        let is_provisional_due = self.rules.provisional_ns > 0 && self.watermark >= self.provisional_at;
        let newest = self.slots.len();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let is_due = if slot.bar.is_final {
                slot.is_final_due(&self.gaps)
            } else {
                is_provisional_due && slot.is_changed && at + 1 == newest
            };
            if is_due {
                if !slot.bar.is_final {
                    self.provisional_at = self.watermark.saturating_add(self.rules.provisional_ns);
                }
                slot.mark_issued(&self.gaps);
                publish(&slot.bar);
            }
        }
        self.prune();
        self.advance();
    }

    /// Lets bars go that cannot change any more. The newest stays: a gap may begin at its last trade.
    fn prune(&mut self) {
        while let Some(slot) = self.slots.front().filter(|_| self.slots.len() > 1) {
            let is_settled = slot.told.is_some() && !slot.is_changed;
            if !is_settled || self.takes(slot.bar.ts_open) {
                break;
            }
            self.slots.pop_front();
        }
        if !self.gaps.is_empty() {
            let oldest = self.slots.front().map_or(self.watermark, |slot| slot.bar.ts_open);
            let takes_from = self.watermark.saturating_sub(self.revisable_ns());
            self.gaps
                .forget(oldest.min(self.grid.open_of(takes_from).saturating_sub(self.grid.interval_ns())));
        }
    }

    pub const fn late(&self) -> Late {
        self.late
    }
}

//! Bars of several sources (REQUIREMENTS 9, D3: bars).

use facade_model::Decimal;

use crate::evidence::{Outcome, Reason};
use crate::middle::{Held, align, estimate, near, twice_median};
use crate::rules::Rules;

/// Prices of one source for one interval, all at the exponent that its caller holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bar {
    /// First price.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Last price.
    pub close: i64,
}

impl Bar {
    fn reason(&self) -> Reason {
        if [self.open, self.high, self.low, self.close].into_iter().any(|price| price <= 0) {
            return Reason::NotPositive;
        }
        let is_ordered = self.low <= self.open.min(self.close) && self.high >= self.open.max(self.close);
        if is_ordered { Reason::Used } else { Reason::NotOrdered }
    }
}

/// What became of the bars of one interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BarVerdict {
    /// Whether there is an answer; the prices below are 0 otherwise.
    pub outcome: Outcome,
    /// Open, high, low and close in tenths of the unit of the bars: a median is exact, a mean rounded half to even.
    pub prices: [i128; 4],
    /// Lower one of the confidences in open and close.
    pub confidence_ratio: f64,
    /// Sources that took part.
    pub accepted: usize,
}

/// Judges interval after interval without allocating.
#[derive(Debug)]
pub struct BarReconciler {
    rules: Rules,
    opens: Vec<Held>,
    closes: Vec<Held>,
    ranges: Vec<Held>,
}

impl BarReconciler {
    /// Takes the rules for all intervals to come.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, opens: Vec::new(), closes: Vec::new(), ranges: Vec::new() }
    }

    /// Judges the bars of one interval, each source once; writes the reason for each to the same place.
    ///
    /// A source is in or out as a whole, by its open and close: so the medians of the four prices are over the same
    /// sources and keep their order. High and low are medians whatever the method, since one false tick makes them;
    /// then the range is widened to hold open and close, which only a mean can leave.
    pub fn judge(&mut self, bars: &[Bar], reasons: &mut [Reason]) -> BarVerdict {
        for (bar, reason) in bars.iter().zip(reasons.iter_mut()) {
            *reason = bar.reason();
        }
        fill(&mut self.opens, bars, reasons, |bar| bar.open);
        fill(&mut self.closes, bars, reasons, |bar| bar.close);
        for held in [&self.opens, &self.closes] {
            let places = near(held, &self.rules);
            for (_, one) in held.iter().enumerate().filter(|(place, _)| !places.contains(place)) {
                if let Some(reason) = reasons.get_mut(one.place()) {
                    *reason = Reason::Outlier;
                }
            }
        }
        for held in [&mut self.opens, &mut self.closes] {
            held.retain(|one| reasons.get(one.place()) == Some(&Reason::Used));
        }
        self.settle(bars, reasons)
    }

    fn settle(&mut self, bars: &[Bar], reasons: &[Reason]) -> BarVerdict {
        let accepted = self.opens.len();
        let mut verdict = BarVerdict {
            outcome: Outcome::InsufficientSources,
            prices: [0; 4],
            confidence_ratio: 0.0,
            accepted,
        };
        if accepted < self.rules.sources_min {
            return verdict;
        }
        let trimmed = self.rules.trimmed_each(accepted);
        let open = estimate(&self.opens, &self.rules, trimmed);
        let close = estimate(&self.closes, &self.rules, trimmed);
        let deviation = open.deviation_ratio.max(close.deviation_ratio);
        verdict.confidence_ratio = self.rules.confidence(deviation, accepted);
        if verdict.confidence_ratio < self.rules.confidence_min {
            verdict.outcome = Outcome::LowConfidence;
            return verdict;
        }
        fill(&mut self.ranges, bars, reasons, |bar| bar.high);
        let (open, close) = (open.tenths(), close.tenths());
        let high = (twice_median(&self.ranges) * 5).max(open).max(close);
        fill(&mut self.ranges, bars, reasons, |bar| bar.low);
        let low = (twice_median(&self.ranges) * 5).min(open).min(close);
        verdict.outcome = Outcome::Accepted;
        verdict.prices = [open, high, low, close];
        verdict
    }
}

/// Takes one price of each bar that is not refused, in order.
fn fill(held: &mut Vec<Held>, bars: &[Bar], reasons: &[Reason], price: impl Fn(&Bar) -> i64) {
    held.clear();
    let usable = bars.iter().zip(reasons).enumerate().filter(|(_, (_, reason))| **reason == Reason::Used);
    held.extend(usable.map(|(at, (bar, _))| Held::new(Decimal::new(price(bar), 0), at, false)));
    let _ = align(held); // one exponent: nothing can be too wide
}

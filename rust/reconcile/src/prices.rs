//! One price of what several sources say (REQUIREMENTS 9, D3).

use facade_model::{Decimal, Sum};

use crate::evidence::{Outcome, Reason};
use crate::middle::{Held, align, estimate, half, is_correlated, near, twice_median};
use crate::quote::{Quote, narrowed};
use crate::rules::Rules;

/// What became of the quotes of one symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Whether there is an answer.
    pub outcome: Outcome,
    /// The price; `None` unless the outcome is [`Outcome::Accepted`].
    pub price: Option<Sum>,
    /// Median of all usable quotes, from which outliers are measured; `None`: there is none.
    pub median: Option<Sum>,
    /// Confidence, 0 to 1; 0 where too few sources are left.
    pub confidence_ratio: f64,
    /// Sample standard deviation of the quotes that are no outliers, over their price; 0 where too few are left.
    pub deviation_ratio: f64,
    /// Quotes that are no outliers.
    pub accepted: usize,
    /// Whether aggregators agree with one another against the venues.
    pub is_correlated: bool,
}

impl Verdict {
    fn refused(outcome: Outcome) -> Self {
        Self {
            outcome,
            price: None,
            median: None,
            confidence_ratio: 0.0,
            deviation_ratio: 0.0,
            accepted: 0,
            is_correlated: false,
        }
    }

    /// Returns the price where 64 bits hold it, as those of most symbols.
    #[must_use]
    pub fn price_narrow(&self) -> Option<Decimal> {
        narrowed(self.price?)
    }
}

/// Judges symbol after symbol without allocating.
#[derive(Debug)]
pub struct Reconciler {
    rules: Rules,
    held: Vec<Held>,
    space: Vec<Held>,
}

impl Reconciler {
    /// Takes the rules for all symbols to come.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, held: Vec::new(), space: Vec::new() }
    }

    /// Returns the rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Judges the quotes of one symbol, each source once; writes the reason for each to the same place.
    ///
    /// The order of the quotes decides nothing but which of several equal prices at a trimmed end is called trimmed:
    /// give them sorted by source.
    pub fn judge(&mut self, quotes: &[Quote], reasons: &mut [Reason]) -> Verdict {
        self.collect(quotes, reasons);
        let usable = self.held.len();
        let Some(exponent) = align(&mut self.held) else {
            return self.torn(reasons);
        };
        let mut verdict = Verdict::refused(Outcome::InsufficientSources);
        if usable > 0 {
            verdict.median = Some(half(twice_median(&self.held), exponent));
        }
        verdict.is_correlated = is_correlated(&self.held, &self.rules, &mut self.space);
        let places = near(&self.held, &self.rules);
        let trimmed = self.rules.trimmed_each(places.len());
        let kept = places.start + trimmed..places.end - trimmed;
        for (place, one) in self.held.iter().enumerate() {
            if let Some(reason) = reasons.get_mut(one.place()).filter(|_| !kept.contains(&place)) {
                *reason = if places.contains(&place) { Reason::Trimmed } else { Reason::Outlier };
            }
        }
        verdict.accepted = places.len();
        if places.len() < self.rules.sources_min {
            return verdict;
        }
        let estimate = estimate(self.held.get(places).unwrap_or_default(), &self.rules, trimmed);
        verdict.deviation_ratio = estimate.deviation_ratio;
        verdict.confidence_ratio = self.rules.confidence(estimate.deviation_ratio, verdict.accepted);
        if verdict.confidence_ratio < self.rules.confidence_min {
            verdict.outcome = Outcome::LowConfidence;
        } else {
            verdict.outcome = Outcome::Accepted;
            verdict.price = Some(estimate.price(exponent));
        }
        verdict
    }

    /// Takes the usable quotes and names what is wrong with the others.
    fn collect(&mut self, quotes: &[Quote], reasons: &mut [Reason]) {
        self.held.clear();
        for (at, (quote, reason)) in quotes.iter().zip(reasons).enumerate() {
            *reason = match quote.usable() {
                Ok(price) => {
                    self.held.push(Held::new(price, at, quote.is_aggregator));
                    Reason::Used
                }
                Err(reason) => reason,
            };
        }
    }

    /// Judges quotes of which the middle two are not even of one size: nothing is near their mean.
    fn torn(&self, reasons: &mut [Reason]) -> Verdict {
        if self.held.len() > 2 {
            for one in &self.held {
                if let Some(reason) = reasons.get_mut(one.place()) {
                    *reason = Reason::Outlier;
                }
            }
            return Verdict::refused(Outcome::InsufficientSources);
        }
        let mut verdict = Verdict::refused(Outcome::InsufficientSources);
        verdict.accepted = self.held.len();
        verdict.deviation_ratio = std::f64::consts::SQRT_2; // of two prices of which one is nothing beside the other
        if verdict.accepted >= self.rules.sources_min {
            verdict.outcome = Outcome::LowConfidence;
        }
        verdict
    }
}

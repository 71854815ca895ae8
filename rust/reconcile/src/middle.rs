//! Prices of one instant on one scale: their middle, who is near it, and what they make together.

use std::cmp::Ordering;
use std::ops::Range;

use facade_model::{Decimal, POW10, Sum};

use crate::rules::{BILLION, Method, Rules};

/// Bound of values on the common scale: far below what 128 bits hold, so that sums and doubles cannot overflow.
const WIDEST: i128 = 1 << 100;
/// Prices further than this factor from the middle are outliers whatever the rules allow.
const FAR: f64 = 3.0;

/// A price with the place of its quote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// The price on the scale of all prices beside it; until they are aligned, its own digits.
    pub(crate) value: i128,
    /// Place of the quote.
    pub(crate) at: u32,
    /// Exponent of its own digits.
    exponent: i8,
    /// Whether it averages over venues.
    is_aggregator: bool,
}

impl Held {
    /// Holds a price that is not on a scale yet.
    pub(crate) fn new(price: Decimal, at: usize, is_aggregator: bool) -> Self {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        Self { value: i128::from(price.mantissa), at, exponent: price.exponent, is_aggregator }
    }

    /// Returns the place of the quote.
    pub(crate) fn place(&self) -> usize {
        usize::try_from(self.at).unwrap_or(usize::MAX)
    }

    /// Whether the price lies so far off that it has no true value on the scale.
    fn is_far(&self) -> bool {
        self.value == 0 || self.value == WIDEST
    }

    /// Returns the value at an exponent that is not above that of the price; `None`: it would be too wide.
    fn scaled(&self, exponent: i8) -> Option<i128> {
        if self.exponent == exponent {
            return Some(self.value);
        }
        let power = i128::from(*POW10.get(usize::from(self.exponent.abs_diff(exponent)))?);
        Some(self.value * power).filter(|&value| value < WIDEST) // digits of 63 bits each
    }

    /// Returns the price before it was aligned.
    fn approximate(&self) -> f64 {
        float(self.value) * 10_f64.powi(i32::from(self.exponent))
    }

    /// Compares prices before they are aligned.
    fn compare(&self, other: &Self) -> Ordering {
        let price = |one: &Self| Decimal::new(i64::try_from(one.value).unwrap_or(i64::MAX), one.exponent);
        price(self).compare(price(other)).then(self.at.cmp(&other.at))
    }
}

/// Brings prices on one scale and in order; returns the exponent of the scale.
///
/// No digit is lost. Where one scale cannot hold all, those far from the middle get a value that is as far: 0 or
/// [`WIDEST`]. `None`: the middle itself is torn, so that no price is near it.
pub(crate) fn align(held: &mut [Held]) -> Option<i8> {
    let exponent = held.iter().map(|one| one.exponent).min().unwrap_or(0);
    if held.iter().any(|one| one.exponent != exponent) {
        if held.iter().any(|one| one.scaled(exponent).is_none()) {
            return align_around_middle(held);
        }
        for one in held.iter_mut() {
            one.value = one.scaled(exponent).unwrap_or(WIDEST);
        }
    }
    held.sort_unstable_by_key(|one| (one.value, one.at));
    Some(exponent)
}

/// Aligns prices of which one is at least 10^11 times another.
fn align_around_middle(held: &mut [Held]) -> Option<i8> {
    held.sort_unstable_by(Held::compare);
    let low = held.get(held.len().checked_sub(1)? / 2)?.approximate();
    let high = held.get(held.len() / 2)?.approximate();
    if high > low * FAR {
        return None;
    }
    let near = low / FAR..=high * FAR;
    let exponents = held.iter().filter(|one| near.contains(&one.approximate()));
    let exponent = exponents.map(|one| one.exponent).min()?;
    for one in held {
        let size = one.approximate();
        let far = if size < low { 0 } else { WIDEST };
        one.value = if near.contains(&size) { one.scaled(exponent).unwrap_or(far) } else { far };
    }
    Some(exponent)
}

/// Returns twice the median of prices in order: exact where the median lies between two of them.
pub(crate) fn twice_median(held: &[Held]) -> i128 {
    let value = |at: usize| held.get(at).map_or(0, |one| one.value);
    value(held.len().saturating_sub(1) / 2) + value(held.len() / 2)
}

/// Returns half of a number of the scale.
pub(crate) fn half(twice: i128, exponent: i8) -> Sum {
    if twice % 2 == 0 { Sum::new(twice / 2, exponent) } else { Sum::new(twice * 5, exponent - 1) }
}

/// Returns the places, in order, of the prices that are no outliers. Of one or two prices none is.
pub(crate) fn near(held: &[Held], rules: &Rules) -> Range<usize> {
    if held.len() <= 2 {
        return 0..held.len();
    }
    let twice = twice_median(held);
    let allowed = share(twice, rules.deviation);
    let start = held.iter().take_while(|one| one.value + one.value < twice - allowed).count();
    let end = held.iter().rev().take_while(|one| one.value + one.value > twice + allowed).count();
    start..held.len() - end
}

/// Returns so many billionths of a number above 0, rounded down: exact for comparing integers with it.
fn share(number: i128, billionths: i128) -> i128 {
    if let (Ok(number), Ok(billionths)) = (i64::try_from(number), i64::try_from(billionths)) {
        let (whole, rest) = (number / 1_000_000_000, number % 1_000_000_000); // at most a quarter is asked for
        return i128::from(whole * billionths + rest * billionths / 1_000_000_000);
    }
    number / BILLION * billionths + number % BILLION * billionths / BILLION
}

/// Whether aggregators agree with one another and lie further from the venues than is allowed.
pub(crate) fn is_correlated(held: &[Held], rules: &Rules, space: &mut Vec<Held>) -> bool {
    if held.iter().filter(|one| one.is_aggregator).count() < 2 {
        return false;
    }
    space.clear();
    space.extend(held.iter().filter(|one| one.is_aggregator));
    if space.len() == held.len() || space.iter().any(Held::is_far) {
        return false;
    }
    let theirs = twice_median(space);
    let allowed = share(theirs, rules.deviation);
    if space.iter().any(|one| (one.value + one.value - theirs).abs() > allowed) {
        return false;
    }
    space.clear();
    space.extend(held.iter().filter(|one| !one.is_aggregator));
    let venues = twice_median(space);
    (theirs - venues).abs() > share(venues, rules.deviation)
}

/// What prices that agree make together: a fraction on their scale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    numerator: i128,
    denominator: i128,
    /// Sample standard deviation of all of them, over the price.
    pub(crate) deviation_ratio: f64,
}

impl Estimate {
    /// Returns the price: exact, or the mean rounded half to even to 17 digits or more.
    pub(crate) fn price(&self, exponent: i8) -> Sum {
        if self.denominator == 2 {
            return half(self.numerator, exponent);
        }
        Sum::new(self.numerator, exponent).quotient(Sum::new(self.denominator, 0)).unwrap_or(Sum::ZERO)
    }

    /// Returns the price in tenths of the scale: exact for a median, rounded half to even for a mean.
    pub(crate) fn tenths(&self) -> i128 {
        let number = self.numerator * 10;
        let (whole, rest) = (number / self.denominator, number % self.denominator);
        let is_up = 2 * rest > self.denominator || (2 * rest == self.denominator && whole % 2 == 1);
        whole + i128::from(is_up)
    }
}

/// Makes one price of prices in order, at least one; `trimmed` at each end do not enter it.
pub(crate) fn estimate(held: &[Held], rules: &Rules, trimmed: usize) -> Estimate {
    let kept = held.get(trimmed..held.len().saturating_sub(trimmed)).unwrap_or_default();
    let (numerator, denominator) = match rules.method {
        Method::TrimmedMedian => (twice_median(kept), 2),
        Method::TrimmedMean => (total(kept), count_of(kept).max(1)),
    };
    let price = float(numerator) / float(denominator);
    Estimate { numerator, denominator, deviation_ratio: deviation(held) / price }
}

/// Returns the sample standard deviation on the scale of the values; the differences are exact.
fn deviation(held: &[Held]) -> f64 {
    if held.len() < 2 {
        return 0.0;
    }
    let (sum, count) = (total(held), count_of(held));
    let squares: f64 =
        held.iter().map(|one| float(times(count, one.value) - sum)).map(|apart| apart * apart).sum();
    (squares / float(count - 1)).sqrt() / float(count)
}

/// Multiplies; in 64 bits where they do.
fn times(left: i128, right: i128) -> i128 {
    match (i64::try_from(left), i64::try_from(right)) {
        (Ok(left), Ok(right)) => {
            left.checked_mul(right).map_or_else(|| i128::from(left) * i128::from(right), i128::from)
        }
        _ => left * right,
    }
}

fn total(held: &[Held]) -> i128 {
    held.iter().map(|one| one.value).sum()
}

fn count_of(held: &[Held]) -> i128 {
    i128::try_from(held.len()).unwrap_or(i128::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "rounded once, to the nearest")]
fn float(number: i128) -> f64 {
    i64::try_from(number).map_or(number as f64, |number| number as f64)
}

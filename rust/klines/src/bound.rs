//! What a bar by count, volume or value has to reach.

use facade_model::{Decimal, Sum};

use crate::bar::Bar;
use crate::kind::BarKind;

/// What closes a bar by trades: the trade that reaches it belongs to the bar whole.
#[derive(Debug, Clone)]
pub enum Bound {
    /// So many trades.
    Count(u64),
    /// So much quantity.
    Volume(Scaled),
    /// So much price times quantity.
    Value(Scaled),
}

impl Bound {
    /// Bars of time have no bound that a trade could reach.
    pub fn of(kind: BarKind) -> Self {
        match kind {
            BarKind::Time { .. } => Self::Count(u64::MAX),
            BarKind::Count(trades) => Self::Count(trades),
            BarKind::Volume(volume) => Self::Volume(Scaled::new(volume)),
            BarKind::Value(value) => Self::Value(Scaled::new(value)),
        }
    }

    #[inline]
    pub fn is_reached(&mut self, bar: &Bar) -> bool {
        match self {
            Self::Count(trades) => bar.trade_count >= *trades,
            Self::Volume(bound) => bound.is_reached(bar.volume()),
            Self::Value(bound) => bound.is_reached(bar.quote_volume()),
        }
    }
}

/// A bound, and the least mantissa that reaches it at the exponent of the sums seen last.
#[derive(Debug, Clone)]
pub struct Scaled {
    bound: Decimal,
    exponent: i8,
    mantissa: i128,
}

impl Scaled {
    fn new(bound: Decimal) -> Self {
        Self { bound, exponent: bound.exponent, mantissa: i128::from(bound.mantissa) }
    }

    #[inline]
    fn is_reached(&mut self, sum: Sum) -> bool {
        if sum.exponent != self.exponent {
            self.scale(sum.exponent);
        }
        sum.mantissa >= self.mantissa
    }

    #[cold]
    fn scale(&mut self, exponent: i8) {
        (self.exponent, self.mantissa) = (exponent, scaled(self.bound, exponent));
    }
}

/// Returns the least mantissa at an exponent that reaches a bound; what 128 bits do not hold is never reached.
pub fn scaled(bound: Decimal, exponent: i8) -> i128 {
    let shift = i32::from(bound.exponent) - i32::from(exponent);
    let bound = i128::from(bound.mantissa);
    match 10_i128.checked_pow(shift.unsigned_abs()) {
        Some(power) if shift >= 0 => bound.checked_mul(power).unwrap_or(i128::MAX),
        Some(power) => bound / power + i128::from(bound % power > 0),
        None if shift >= 0 => i128::MAX,
        None => i128::from(bound > 0),
    }
}

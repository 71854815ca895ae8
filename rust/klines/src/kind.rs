//! What closes a bar, and where bars of time begin.

use facade_model::{Decimal, Variant};

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;
const WEEK_NS: i64 = 7 * DAY_NS;
/// The first Monday of the epoch, 1970-01-05.
const MONDAY_NS: i64 = 4 * DAY_NS;

/// What closes a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BarKind {
    /// Its end, aligned to the UTC epoch; weeks to Monday.
    Time {
        /// Length, ns, above 0.
        interval_ns: i64,
    },
    /// So many trades.
    Count(u64),
    /// So much quantity. The trade that reaches it closes the bar and belongs to it whole.
    Volume(Decimal),
    /// So much price times quantity. The trade that reaches it closes the bar and belongs to it whole.
    Value(Decimal),
}

impl BarKind {
    /// Returns the kind that a variant of klines names; `None` for variants of other channels.
    #[must_use]
    pub fn of(variant: Variant) -> Option<Self> {
        match variant {
            Variant::Time { seconds } => Some(Self::Time { interval_ns: i64::from(seconds) * SECOND_NS }),
            Variant::Count(trades) => Some(Self::Count(trades)),
            Variant::Volume(volume) => Some(Self::Volume(volume)),
            Variant::Value(value) => Some(Self::Value(value)),
            Variant::Plain | Variant::Depth(_) => None,
        }
    }
}

/// Boundaries of bars of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    interval_ns: i64,
    offset_ns: i64,
}

impl Grid {
    /// Makes the boundaries of an interval in ns; below 1 counts as 1.
    #[must_use]
    pub fn new(interval_ns: i64) -> Self {
        let interval_ns = interval_ns.max(1);
        Self { interval_ns, offset_ns: if interval_ns == WEEK_NS { MONDAY_NS } else { 0 } }
    }

    /// Returns the length of a bar, ns.
    #[must_use]
    pub const fn interval_ns(self) -> i64 {
        self.interval_ns
    }

    /// Returns the first instant of the bar that holds `ts`.
    #[inline]
    #[must_use]
    pub fn open_of(self, ts: i64) -> i64 {
        ts.saturating_sub(ts.saturating_sub(self.offset_ns).rem_euclid(self.interval_ns))
    }

    /// Returns the first instant behind the bar that opens at `ts_open`.
    #[inline]
    #[must_use]
    pub const fn close_of(self, ts_open: i64) -> i64 {
        ts_open.saturating_add(self.interval_ns)
    }
}

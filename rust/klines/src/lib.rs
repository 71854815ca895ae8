//! Trades to OHLCV bars: streaming ([`Aggregator`]) and in batch. Pure: no clock, no I/O, exact integers only.
//!
//! A bar of time is FINAL `close_after_ns` after its end by the venue's time or by wall time, whichever is told
//! first; what comes up to `late_ns` after its end re-issues it with `revision + 1`, what comes later is counted
//! and left out. A bar that a gap touches is INCOMPLETE until the gap is filled whole. The rules stand in
//! `docs/klines.md`.

mod bar;
pub mod batch;
mod bound;
mod by_time;
mod by_trades;
mod gaps;
mod kind;
mod stream;

pub use bar::{Bar, Completeness, Tick};
pub use kind::{BarKind, Grid};
pub use stream::{Aggregator, Late, Rules};

/// Why trades could not be put into bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KlineError {
    /// The numbers of one bar do not fit 64 bits (prices) or 128 bits (sums) at one exponent.
    #[error("numbers of one bar do not fit at one exponent")]
    NumberRange,
    /// A quantity below 0.
    #[error("quantity below 0")]
    NegativeQuantity,
    /// Columns of one batch are not equally long.
    #[error("columns are not equally long")]
    Lengths,
    /// A row is not in order of time.
    #[error("row {row} is not in order of time")]
    Unsorted {
        /// The row, from 0.
        row: usize,
    },
    /// A bar does not lie in one interval, or is not aligned to it.
    #[error("row {row} does not lie in one interval")]
    Straddles {
        /// The row, from 0.
        row: usize,
    },
    /// More empty intervals than one call fills.
    #[error("too many empty intervals")]
    TooMany,
}

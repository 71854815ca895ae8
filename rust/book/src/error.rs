//! Why a book refuses an update.

use facade_model::{BookSide, Decimal};

/// Why an update was refused; the book is as it was before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// No power of ten holds this price and all others of the book exactly in 64 bits.
    #[error("price {px} cannot stand beside the others in 64 bits")]
    NumberRange {
        /// Price that does not fit.
        px: Decimal,
    },
    /// A side would hold more levels than the caller allows.
    #[error("{levels} levels on the {side:?} side, at most {levels_max} are kept")]
    DepthLimit {
        /// Side that is too deep.
        side: BookSide,
        /// Levels that it would hold.
        levels: usize,
        /// Bound given by the caller.
        levels_max: usize,
    },
}

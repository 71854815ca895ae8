//! Words of the trade: exact numbers, sides, levels, trades, instruments. Imports nothing, does no I/O.

mod instrument;
mod market;
mod number;
mod stream;
mod sum;
mod variant;

pub use instrument::{Instrument, InstrumentKind, InstrumentStatus};
pub use market::{
    BookSide, FundingRate, Level, LevelChange, Statistics, TakerSide, Ticker, TopOfBook, Trade,
};
pub use number::{Decimal, NumberError, POW10};
pub use stream::{Channel, GapCause, GapScope, GapState, Integrity, StateReason, StreamPhase, UpdateFlags};
pub use sum::Sum;
pub use variant::{DEPTHS, UnknownVariant, Variant};

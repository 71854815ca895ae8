//! Model to protobuf, written by hand: each function appends one bare `Update` (no tag, no length) or one unary answer of
//! `datafacade.v1` to the caller's buffer, in the order of the field numbers, so that the bytes equal those of
//! any canonical encoder. Nothing is allocated but the growth of that buffer. Imports the model only.

mod consolidated;
mod digits;
mod field;
mod kline;
mod levels;
mod market;
mod records;
mod update;
mod warm;

pub use consolidated::{ConsolidatedQuote, ConsolidatedTop, VenueLeftOut, consolidated_top};
pub use digits::Exponents;
pub use kline::{Completeness, Kline, KlineState, Ohlc, kline};
pub use levels::{book_delta, book_snapshot};
pub use market::{ticker, top_of_book, trade};
pub use records::{
    Checkpoint, DeliveryCause, DeliveryChange, DeliveryMode, Draining, Gap, Heartbeat, Position, StreamState,
    SubscriptionPhase, SubscriptionStatus, checkpoint, delivery_change, draining, gap, heartbeat,
    stream_state, subscription_status,
};
pub use update::Header;
pub use warm::{BookFacts, Hole, Whose, warm_book, warm_funding, warm_klines, warm_ticker, warm_trades};

/// Why a record could not be encoded. The buffer is left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// No common exponent holds all numbers of the record exactly in 64 bits.
    #[error("numbers of one update do not fit 64 bits at one exponent")]
    NumberRange,
}

//! Why a frame or a REST body was refused.

use facade_model::NumberError;

use crate::Span;

/// What is wrong with the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// No JSON, or another shape than the venue's.
    #[error("not the expected json")]
    Syntax,
    /// A number that cannot be held exactly.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// Nested deeper than 32.
    #[error("nested too deep")]
    Depth,
    /// Not UTF-8.
    #[error("not utf-8")]
    Utf8,
    /// A member without which the message means nothing.
    #[error("missing member {0}")]
    Missing(&'static str),
    /// A string over 1 MiB, a number over 40 signs, or a text over 64 MiB.
    #[error("too long")]
    TooLong,
    /// A member that we read stands twice in one object.
    #[error("duplicate key")]
    DuplicateKey,
    /// A kline begins where its interval does not.
    #[error("kline off its grid")]
    OffGrid,
    /// The venue answered a REST request with an error instead of data.
    #[error("the venue refused the request")]
    Refused,
}

/// A refused text: what, where, and whose book it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Byte at which reading stopped.
    pub at: u32,
    /// Whether it was recognisably a book message: then a delta was lost (FAULTS B19).
    pub is_book: bool,
    /// Venue symbol of that book message; empty if it could not be told.
    pub book_symbol: Span,
}

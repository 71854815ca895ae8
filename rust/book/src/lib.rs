//! Level-2 book of one instrument. Pure: no clock, no I/O, no logging; a refused update changes nothing.
//!
//! ```
//! use facade_book::Book;
//! use facade_model::{BookSide, Decimal, LevelChange};
//!
//! let change = |side, px: &str, qty: &str| LevelChange {
//!     side,
//!     px: Decimal::parse(px.as_bytes()).unwrap_or_default(),
//!     qty: Decimal::parse(qty.as_bytes()).unwrap_or_default(),
//! };
//! let mut book = Book::new(-2);
//! book.load(&[change(BookSide::Bid, "61602.01", "1.5"), change(BookSide::Ask, "61602.02", "2")])?;
//! book.apply(&[change(BookSide::Bid, "61602.01", "0"), change(BookSide::Bid, "61601.5", "3")])?;
//! assert_eq!(book.best_bid().map(|level| level.px.to_string()), Some("61601.5".to_owned()));
//! # Ok::<(), facade_book::BookError>(())
//! ```

mod book;
mod digest;
mod error;
mod fit;
mod ladder;
mod merge;
mod run;

pub use book::{Book, LEVELS_MAX};
pub use error::BookError;
pub use ladder::Ladder;
pub use merge::merge_changes;

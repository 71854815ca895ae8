//! Which message is which: both lines of a venue tell the same ones, and they must be recognised.

use std::hash::{DefaultHasher, Hash, Hasher};

use facade_model::Channel;
use facade_venues::{Decoded, Event, Product};

/// What identifies a message among those of its instrument and channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The venue's own number, which rises.
    Number(u64),
    /// Hash of its content, where numbers do not rise or belong to the connection.
    Content(u64),
}

impl Told {
    /// Returns the number, if it is one.
    #[must_use]
    pub const fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Content(_) => None,
        }
    }
}

/// Calls `each` with place, symbol, channel and identity of every message of a frame about books, best prices and
/// statistics; the identity is absent for a whole book, which each line is sent by itself.
pub fn told_by(
    product: Product,
    frame: &[u8],
    decoded: &Decoded,
    mut each: impl FnMut(usize, &[u8], Channel, Option<Told>),
) {
    let is_numbered = matches!(product, Product::BinanceSpot | Product::BinanceUsdm | Product::BinanceCoinm);
    // Coinbase Advanced stamps each frame of each connection anew.
    let time = |ts_event: i64| if product == Product::CoinbaseAdvanced { 0 } else { ts_event };
    for (at, event) in decoded.events.iter().enumerate() {
        match event {
            Event::Book(book) => {
                let content = || (book.sequence.last, book.checksum, decoded.levels_of(book));
                let told = match book.sequence.last {
                    Some(number) if is_numbered => Told::Number(number),
                    Some(_) if product == Product::Okx => {
                        Told::Content(hash(&(book.sequence.last, book.sequence.previous)))
                    }
                    _ => Told::Content(hash(&content())),
                };
                each(at, book.symbol.of(frame), Channel::BookL2, (!book.is_snapshot).then_some(told));
            }
            Event::Top(top) => {
                let told = match top.sequence {
                    Some(number) if is_numbered => Told::Number(number),
                    _ => Told::Content(hash(&(format!("{:?}", top.top), time(top.ts_event)))),
                };
                each(at, top.symbol.of(frame), Channel::TopOfBook, Some(told));
            }
            Event::Ticker(ticker) => {
                let told = Told::Content(hash(&(format!("{:?}", ticker.ticker), time(ticker.ts_event))));
                each(at, ticker.symbol.of(frame), Channel::Ticker, Some(told));
            }
            _ => {}
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

//! One question to a venue's REST, page by page: the request at a cursor, and what its answer says.
//!
//! A cursor is what the next page begins or ends with; only this module reads it, and the empty one asks for the first
//! page. [`PageOrder`] tells whether further pages only reach further back, so that whoever has enough may stop.

mod funding;
mod klines;
mod ticker;
mod trades;

use std::ops::Range;

use crate::history::RestRequest;
use crate::{DecodeError, DecodeErrorKind, Decoded, Event, Interval, Product, Rows};

/// Rows of an answer for which the caller set no limit.
const ROWS_DEFAULT: u32 = 500;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskKind {
    /// Klines of an interval.
    Klines(Interval),
    /// Trades.
    Trades,
    /// Statistics of 24 hours and the best prices.
    Ticker,
    /// Funding rates of a perpetual.
    Funding,
    /// The book.
    Book,
}

/// One question. Times ns UTC.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What.
    pub kind: AskKind,
    /// The venue's spelling of the symbol, as its instrument list tells it.
    pub venue_symbol: &'a str,
    /// Rows wanted, the newest ones; levels a side of a book; 0: 500 klines, all that one page gives of the rest.
    pub limit: u32,
    /// First instant wanted; 0: as early as `limit` allows.
    pub ts_from: i64,
    /// First instant no longer wanted; 0: until now.
    pub ts_until: i64,
    /// Our time.
    pub now: i64,
    /// What the page before said; empty: the first one.
    pub cursor: &'a str,
}

impl Ask<'_> {
    /// Whether the newest is wanted; then no page need be looked for by its time.
    #[must_use]
    pub const fn is_newest(&self) -> bool {
        self.ts_until == 0 || self.ts_until > self.now
    }

    /// The first instant no longer wanted, behind the beginning of 1970.
    const fn until(&self) -> i64 {
        let until = if self.is_newest() { self.now.saturating_add(1) } else { self.ts_until };
        if until > 1 { until } else { 1 }
    }

    /// The instants wanted.
    const fn range(&self) -> Range<i64> {
        self.ts_from..self.until()
    }

    /// Opening times wanted, and the first one behind them: at most `limit` intervals, the newest ones.
    ///
    /// Intervals count whether or not something was traded in them, so that a missing one shows as a hole.
    #[must_use]
    pub fn kline_range(&self, interval: Interval) -> Range<i64> {
        let last = interval.floor(self.until() - 1);
        let count = if self.limit == 0 && self.ts_from == 0 { ROWS_DEFAULT } else { self.limit };
        let wanted = interval.ceil(self.ts_from.max(0));
        let first = match count {
            0 => wanted,
            _ => interval.back(last, count - 1).max(wanted),
        };
        first..interval.next(last)
    }
}

/// Which way the pages of an answer run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOrder {
    /// Oldest part first: the newest rows come with the last page.
    Forward,
    /// Newest part first: further pages only reach further back.
    Backward,
    /// Every page tells other members of the one row.
    Parts,
}

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Its rows inside what was asked for.
    pub rows: Rows,
    /// The newest time that the answer tells, inside or not, ns UTC; 0: none. Of klines, where the newest opens.
    pub ts_told: i64,
    /// Cursor of the next page; empty: that was the last one.
    pub cursor: String,
    /// Which way pages run.
    pub order: PageOrder,
}

/// Whose REST is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestSource {
    /// A product that also streams.
    Product(Product),
    /// Kraken's futures, of which only funding rates are read.
    KrakenFutures,
}

impl RestSource {
    /// Finds a source by venue and product, as [`Product::from_names`]; `("kraken", "futures")` too.
    #[must_use]
    pub fn from_names(venue: &str, product: &str) -> Option<Self> {
        match (venue, product) {
            ("kraken", "futures") => Some(Self::KrakenFutures),
            _ => Product::from_names(venue, product).map(Self::Product),
        }
    }

    /// See [`Product::shows_empty_klines`].
    #[must_use]
    pub const fn shows_empty_klines(self) -> bool {
        match self {
            Self::Product(product) => product.shows_empty_klines(),
            Self::KrakenFutures => true,
        }
    }

    /// Returns the request for the page at the cursor; `None`: the venue cannot tell that.
    #[must_use]
    pub fn request(self, ask: &Ask<'_>) -> Option<RestRequest> {
        match (ask.kind, self) {
            (AskKind::Funding, _) => funding::request(self, ask),
            (_, Self::KrakenFutures) => None,
            (AskKind::Klines(interval), Self::Product(product)) => klines::request(product, interval, ask),
            (AskKind::Trades, Self::Product(product)) => trades::request(product, ask),
            (AskKind::Ticker, Self::Product(product)) => ticker::request(product, ask),
            (AskKind::Book, Self::Product(product)) => {
                let levels = if ask.limit == 0 { u32::MAX } else { ask.limit };
                let path = product.snapshot_path(ask.venue_symbol, levels)?;
                Some(RestRequest { path, weight: product.snapshot_weight(levels) })
            }
        }
    }

    /// Reads the answer to [`Self::request`] of the same question.
    ///
    /// # Errors
    /// [`DecodeError`] if the body is no such page: HTML, an error of the venue, a missing member, rows off the grid.
    pub fn page(self, ask: &Ask<'_>, body: &[u8]) -> Result<Page, DecodeError> {
        match (ask.kind, self) {
            (AskKind::Funding, _) => funding::page(self, ask, body),
            (_, Self::KrakenFutures) => Err(unknown()),
            (AskKind::Klines(interval), Self::Product(product)) => klines::page(product, interval, ask, body),
            (AskKind::Trades, Self::Product(product)) => trades::page(product, ask, body),
            (AskKind::Ticker, Self::Product(product)) => ticker::page(product, ask, body),
            (AskKind::Book, Self::Product(product)) => book(product, ask, body),
        }
    }
}

/// Reads a book: sorted, each price once, at most the levels asked for.
fn book(product: Product, ask: &Ask<'_>, body: &[u8]) -> Result<Page, DecodeError> {
    let mut decoded = Decoded::default();
    product.decode_snapshot(body, &mut decoded)?;
    let Some(Event::Book(event)) = decoded.events.first() else { return Err(unknown()) };
    let mut rows = Rows::book(event, decoded.levels_of(event));
    if ask.limit > 0 {
        rows.tail(ask.limit as usize);
    }
    Ok(Page { ts_told: rows.ts_newest(), rows, cursor: String::new(), order: PageOrder::Parts })
}

/// The error of an answer that was never asked for.
fn unknown() -> DecodeError {
    at_start(DecodeErrorKind::Refused)
}

/// An error of the answer as a whole.
fn at_start(kind: DecodeErrorKind) -> DecodeError {
    DecodeError { kind, at: 0, is_book: false, book_symbol: crate::Span::default() }
}

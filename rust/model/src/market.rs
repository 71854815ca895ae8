//! What venues send: levels, trades, best prices, statistics.

use crate::Decimal;

/// Side of an order book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BookSide {
    /// Buyers.
    Bid,
    /// Sellers.
    Ask,
}

/// Side of the order that took liquidity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TakerSide {
    /// The taker bought.
    Buy,
    /// The taker sold.
    Sell,
    /// The venue does not tell.
    Unknown,
}

/// One price of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Price, quote units per base unit (or the venue's contract price).
    pub px: Decimal,
    /// Quantity in the venue's own unit (base units, or contracts), above 0.
    pub qty: Decimal,
}

/// New absolute quantity of one price; quantity 0 removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LevelChange {
    /// Side of the book.
    pub side: BookSide,
    /// Price.
    pub px: Decimal,
    /// New quantity, 0 or more.
    pub qty: Decimal,
}

/// One execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// The venue's number of the trade.
    pub id: u64,
    /// Price.
    pub px: Decimal,
    /// Quantity in the venue's own unit.
    pub qty: Decimal,
    /// The taker's side.
    pub side: TakerSide,
    /// Time of the match, ns UTC; 0: the venue gave none.
    pub ts_event: i64,
    /// Whether it belongs to the market: insurance-fund and ADL rows do not.
    pub is_market: bool,
}

/// Best bid and ask; a side is absent when the venue shows none (an empty text or a price of 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopOfBook {
    /// Best bid.
    pub bid: Option<Level>,
    /// Best ask.
    pub ask: Option<Level>,
}

/// 24 hour statistics; what a venue leaves out is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticker {
    /// Price of the last trade.
    pub last_px: Option<Decimal>,
    /// Quantity of the last trade.
    pub last_qty: Option<Decimal>,
    /// First price of the window.
    pub open_px: Option<Decimal>,
    /// Highest price of the window.
    pub high_px: Option<Decimal>,
    /// Lowest price of the window.
    pub low_px: Option<Decimal>,
    /// Volume of the window, base units (contracts where the venue counts contracts).
    pub volume: Option<Decimal>,
    /// Volume of the window, quote units.
    pub quote_volume: Option<Decimal>,
    /// Best bid and ask as told with the statistics.
    pub top: TopOfBook,
}

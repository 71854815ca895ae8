//! What venues send: levels, trades, best prices, statistics.

use crate::{Decimal, Sum};

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

/// All that a venue's REST tells of 24 hours; what it leaves out is absent. The stream's [`Ticker`] is a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
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
    /// Volume of the window, base units (contracts where the venue counts contracts); cheap coins need 128 bits.
    pub volume: Option<Sum>,
    /// Volume of the window, quote units.
    pub quote_volume: Option<Sum>,
    /// Mean price of the window by volume.
    pub vwap: Option<Sum>,
    /// Change of the price in the window, percent.
    pub change_percent: Option<Decimal>,
    /// Trades of the window.
    pub trade_count: Option<u64>,
    /// Best bid and ask.
    pub top: TopOfBook,
    /// Best bid price where the venue tells no quantity with it.
    pub bid_px: Option<Decimal>,
    /// Best ask price where the venue tells no quantity with it.
    pub ask_px: Option<Decimal>,
}

impl Statistics {
    /// Returns the part that streams tell; a volume beyond 64 bits is absent there.
    #[must_use]
    pub fn ticker(&self) -> Ticker {
        Ticker {
            last_px: self.last_px,
            last_qty: self.last_qty,
            open_px: self.open_px,
            high_px: self.high_px,
            low_px: self.low_px,
            volume: self.volume.and_then(Sum::decimal),
            quote_volume: self.quote_volume.and_then(Sum::decimal),
            top: self.top,
        }
    }
}

impl From<&Ticker> for Statistics {
    fn from(ticker: &Ticker) -> Self {
        Self {
            last_px: ticker.last_px,
            last_qty: ticker.last_qty,
            open_px: ticker.open_px,
            high_px: ticker.high_px,
            low_px: ticker.low_px,
            volume: ticker.volume.map(Sum::from),
            quote_volume: ticker.quote_volume.map(Sum::from),
            top: ticker.top,
            ..Self::default()
        }
    }
}

/// One funding rate of a perpetual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FundingRate {
    /// When it is or was paid, ns UTC.
    pub ts_funding: i64,
    /// Share of the position's value, per funding interval.
    pub rate: Decimal,
    /// Length of the funding interval, seconds; 0: the venue does not tell.
    pub interval_s: u32,
    /// Whether it is paid; else the venue's estimate for a time ahead.
    pub is_settled: bool,
    /// Mark price that went with it.
    pub mark_px: Option<Decimal>,
    /// Index price that went with it.
    pub index_px: Option<Decimal>,
}

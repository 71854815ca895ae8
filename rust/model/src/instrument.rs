//! What can be traded, as the venues' own lists tell it.

use crate::Decimal;

/// Kind of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstrumentKind {
    /// Spot market.
    Spot,
    /// Perpetual swap.
    Perpetual,
    /// Dated future.
    Future,
    /// Anything else the venue lists.
    Other,
}

/// Whether an instrument trades; values that we do not know count as [`InstrumentStatus::Unknown`], never as errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstrumentStatus {
    /// Continuous trading.
    Trading,
    /// Auction, pre-open or post-only: the book may legally be crossed.
    Auction,
    /// No trading for now.
    Halted,
    /// Gone.
    Delisted,
    /// A value that we do not know: not tradable.
    Unknown,
}

/// One instrument of one venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Canonical symbol, `BTC-USD`.
    pub symbol: String,
    /// The spelling on the venue's WebSocket, `BTCUSDT`, `BTC/USD`.
    pub venue_symbol: String,
    /// Further spellings that the venue's own lists name (`XBTUSD`, `XXBTZUSD`, `XBT/USD`, aliases).
    pub aliases: Vec<String>,
    /// Base asset, `BTC`.
    pub base: String,
    /// Quote asset, `USD`.
    pub quote: String,
    /// Kind.
    pub kind: InstrumentKind,
    /// Status.
    pub status: InstrumentStatus,
    /// Smallest price step; 0: not told.
    pub tick_size: Decimal,
    /// Smallest quantity step; 0: not told.
    pub lot_size: Decimal,
    /// Decimals of prices in checksums and usual text (Kraken `pair_decimals`), else those of the tick.
    pub price_precision: u8,
    /// Decimals of quantities (Kraken `lot_decimals`), else those of the lot.
    pub quantity_precision: u8,
    /// Size of one contract as the venue tells it: base units, but quote units for coin-margined ones; absent for spot.
    pub contract_size: Option<Decimal>,
}

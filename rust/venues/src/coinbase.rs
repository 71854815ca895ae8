//! What both Coinbase feeds share: who took, what trades, which products stand for others, and how we ask.

use facade_model::{Channel, InstrumentStatus, TakerSide};

use crate::scan::{Scanner, Step, keys};
use crate::{Decoded, Event, Span, StatusEvent};

keys! { ProductKey { Id = "id", Status = "status" } }

/// Products that one subscription message names.
pub(crate) const PRODUCTS_PER_MESSAGE: usize = 200;

/// Returns the taker's side of a trade whose maker's side is told, in either spelling.
///
/// Source: Coinbase Exchange "matches" (107 of 107 recorded matches have the opposite side of their ticker) and
/// Advanced Trade "market trades", 2026-08-22.
#[inline]
pub(crate) fn taker_of_maker(side: &[u8]) -> TakerSide {
    match side {
        b"BUY" | b"buy" => TakerSide::Sell,
        b"SELL" | b"sell" => TakerSide::Buy,
        _ => TakerSide::Unknown,
    }
}

/// Returns the representative channel: `ticker` carries the best prices and the statistics.
pub(crate) const fn stream_of(channel: Channel) -> Option<Channel> {
    match channel {
        Channel::Trades | Channel::BookL2 => Some(channel),
        Channel::TopOfBook | Channel::Ticker => Some(Channel::Ticker),
        Channel::Klines | Channel::ConsolidatedTop => None,
    }
}

/// Returns the products asked for on a representative channel, each once, in the order given.
pub(crate) fn products_of<'a>(items: &[(&'a str, Channel)], stream: Channel) -> Vec<&'a str> {
    let mut products = Vec::new();
    for &(symbol, channel) in items {
        if stream_of(channel) == Some(stream) && !products.contains(&symbol) {
            products.push(symbol);
        }
    }
    products
}

/// Reads the `products` of a status message.
pub(crate) fn read_products(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut products = scanner.array()?;
    while products.next(scanner)? {
        let (mut symbol, mut status) = (Span::default(), InstrumentStatus::Unknown);
        let mut product = scanner.object()?;
        while let Some(key) = product.next::<ProductKey>(scanner)? {
            match key {
                ProductKey::Id => symbol = scanner.string()?,
                ProductKey::Status => status = status_of(scanner.word()?),
            }
        }
        if !symbol.is_empty() {
            let told = StatusEvent { symbol, status, price_precision: None, quantity_precision: None };
            out.events.push(Event::InstrumentStatus(told));
        }
    }
    Ok(())
}

/// Translates `status`.
pub(crate) fn status_of(status: &[u8]) -> InstrumentStatus {
    match status {
        b"online" => InstrumentStatus::Trading,
        b"offline" | b"internal" => InstrumentStatus::Halted,
        b"delisted" => InstrumentStatus::Delisted,
        _ => InstrumentStatus::Unknown,
    }
}

/// Switches of a product, as both REST lists tell them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Switches {
    /// Nothing trades: disabled, view only or cancel only.
    pub(crate) is_halted: bool,
    /// An auction, or only orders that rest.
    pub(crate) is_auction: bool,
}

impl Switches {
    /// Narrows a status; only a trading product can be halted or in an auction.
    pub(crate) const fn applied_to(self, status: InstrumentStatus) -> InstrumentStatus {
        match status {
            InstrumentStatus::Trading if self.is_halted => InstrumentStatus::Halted,
            InstrumentStatus::Trading if self.is_auction => InstrumentStatus::Auction,
            other => other,
        }
    }
}

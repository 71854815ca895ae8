//! REST answers of Coinbase Exchange: the product list and the book for the audit.

use facade_model::{BookSide, Instrument, InstrumentKind};

use crate::coinbase::{Switches, status_of};
use crate::levels::push_levels;
use crate::rows::{self, Listing};
use crate::scan::{Scanner, Step, keys};
use crate::{BookEvent, DecodeErrorKind, Decoded, Event, Sequence, Span};

keys! { BookKey { Bids = "bids", Asks = "asks", Sequence = "sequence", Time = "time", Message = "message" } }

keys! {
    ProductKey {
        Id = "id",
        BaseCurrency = "base_currency",
        QuoteCurrency = "quote_currency",
        QuoteIncrement = "quote_increment",
        BaseIncrement = "base_increment",
        DisplayName = "display_name",
        PostOnly = "post_only",
        CancelOnly = "cancel_only",
        Status = "status",
        TradingDisabled = "trading_disabled",
        AuctionMode = "auction_mode",
    }
}

/// Reads `GET /products/{id}/book?level=2`.
///
/// Its number orders REST books among each other; nothing joins it to the feed.
pub(super) fn decode_snapshot(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut last, mut ts_event) = (None, 0);
    let (mut has_bids, mut has_asks) = (false, false);
    let mut book = scanner.object()?;
    while let Some(key) = book.next::<BookKey>(scanner)? {
        match key {
            BookKey::Bids => {
                push_levels(scanner, BookSide::Bid, &mut out.levels)?;
                has_bids = true;
            }
            BookKey::Asks => {
                push_levels(scanner, BookSide::Ask, &mut out.levels)?;
                has_asks = true;
            }
            BookKey::Sequence => last = scanner.unsigned_or_absent()?,
            BookKey::Time => ts_event = scanner.rfc3339()?,
            BookKey::Message => return Err(DecodeErrorKind::Refused),
        }
    }
    if !has_bids || !has_asks {
        return Err(DecodeErrorKind::Missing("bids, asks"));
    }
    out.events.push(Event::Book(BookEvent {
        symbol: Span::default(),
        is_snapshot: true,
        ts_event,
        sequence: Sequence { first: None, last, previous: None },
        checksum: None,
        levels: 0..out.levels_mark(),
    }));
    Ok(())
}

/// Reads `GET /products`: a bare array, or an object with a message if the venue refuses.
pub(super) fn decode_instruments(scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
    let mut list = Vec::new();
    if scanner.peek() == Some(b'{') {
        scanner.skip()?;
        return Err(DecodeErrorKind::Refused);
    }
    rows::read(scanner, &mut list, read_product)?;
    Ok(list)
}

fn read_product(scanner: &mut Scanner<'_>) -> Step<Instrument> {
    let mut listing = Listing::new(InstrumentKind::Spot);
    let (mut display, mut switches) = (String::new(), Switches::default());
    let mut product = scanner.object()?;
    while let Some(key) = product.next::<ProductKey>(scanner)? {
        match key {
            ProductKey::Id => listing.id = scanner.owned_text()?,
            ProductKey::BaseCurrency => listing.base = scanner.owned_text()?,
            ProductKey::QuoteCurrency => listing.quote = scanner.owned_text()?,
            ProductKey::QuoteIncrement => listing.tick_size = scanner.decimal_or_absent()?,
            ProductKey::BaseIncrement => listing.lot_size = scanner.decimal_or_absent()?,
            ProductKey::DisplayName => display = scanner.owned_text()?,
            ProductKey::PostOnly | ProductKey::AuctionMode => switches.is_auction |= scanner.boolean()?,
            ProductKey::CancelOnly | ProductKey::TradingDisabled => {
                switches.is_halted |= scanner.boolean()?;
            }
            ProductKey::Status => listing.status = status_of(scanner.word()?),
        }
    }
    if !display.is_empty() && display != listing.id {
        listing.aliases.push(display);
    }
    listing.status = switches.applied_to(listing.status);
    listing.instrument()
}

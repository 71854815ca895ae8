//! REST answers of Advanced Trade: the product list and the book for the audit.

use facade_model::{BookSide, Instrument, InstrumentKind, LevelChange};

use crate::coinbase::{Switches, status_of};
use crate::levels::change;
use crate::rows::{self, Listing};
use crate::scan::{Scanner, Step, keys};
use crate::{BookEvent, DecodeErrorKind, Decoded, Event, Sequence, Span};

keys! { BookAnswerKey { Pricebook = "pricebook", Error = "error" } }

keys! { PricebookKey { ProductId = "product_id", Bids = "bids", Asks = "asks", Time = "time" } }

keys! { RowKey { Price = "price", Size = "size" } }

keys! { ListKey { Products = "products", Error = "error" } }

keys! {
    ProductKey {
        ProductId = "product_id",
        BaseIncrement = "base_increment",
        IsDisabled = "is_disabled",
        Status = "status",
        CancelOnly = "cancel_only",
        PostOnly = "post_only",
        TradingDisabled = "trading_disabled",
        AuctionMode = "auction_mode",
        ProductType = "product_type",
        QuoteCurrencyId = "quote_currency_id",
        BaseCurrencyId = "base_currency_id",
        Alias = "alias",
        AliasTo = "alias_to",
        ViewOnly = "view_only",
        PriceIncrement = "price_increment",
    }
}

/// Reads `GET /market/product_book`.
pub(super) fn decode_snapshot(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut answer = scanner.object()?;
    while let Some(key) = answer.next::<BookAnswerKey>(scanner)? {
        match key {
            BookAnswerKey::Pricebook => read_pricebook(scanner, out)?,
            BookAnswerKey::Error => return Err(DecodeErrorKind::Refused),
        }
    }
    if out.events.is_empty() { Err(DecodeErrorKind::Missing("pricebook")) } else { Ok(()) }
}

fn read_pricebook(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut ts_event) = (Span::default(), 0);
    let (mut has_bids, mut has_asks) = (false, false);
    let mut book = scanner.object()?;
    while let Some(key) = book.next::<PricebookKey>(scanner)? {
        match key {
            PricebookKey::ProductId => symbol = scanner.string()?,
            PricebookKey::Bids => {
                read_side(scanner, BookSide::Bid, &mut out.levels)?;
                has_bids = true;
            }
            PricebookKey::Asks => {
                read_side(scanner, BookSide::Ask, &mut out.levels)?;
                has_asks = true;
            }
            PricebookKey::Time => ts_event = scanner.rfc3339()?,
        }
    }
    if !has_bids || !has_asks {
        return Err(DecodeErrorKind::Missing("bids, asks"));
    }
    out.events.push(Event::Book(BookEvent {
        symbol,
        is_snapshot: true,
        ts_event,
        sequence: Sequence::default(),
        checksum: None,
        levels: 0..out.levels_mark(),
    }));
    Ok(())
}

fn read_side(scanner: &mut Scanner<'_>, side: BookSide, levels: &mut Vec<LevelChange>) -> Step<()> {
    let mut rows = scanner.array()?;
    while rows.next(scanner)? {
        let (mut px, mut qty) = (None, None);
        let mut row = scanner.object()?;
        while let Some(key) = row.next::<RowKey>(scanner)? {
            match key {
                RowKey::Price => px = Some(scanner.decimal()?),
                RowKey::Size => qty = Some(scanner.decimal()?),
            }
        }
        let px = px.ok_or(DecodeErrorKind::Missing("price"))?;
        levels.push(change(side, px, qty.ok_or(DecodeErrorKind::Missing("size"))?)?);
    }
    Ok(())
}

/// Reads `GET /market/products`.
///
/// A product that is an alias of another (`BTC-USDC` of `BTC-USD`) has no stream of its own: what we ask for by its
/// name is delivered under the other's. So it is listed among the other's aliases only.
pub(super) fn decode_instruments(scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
    let mut list = Vec::new();
    let mut targets = Vec::new(); // what each alias stands for, and the alias
    let mut has_products = false;
    let mut answer = scanner.object()?;
    while let Some(key) = answer.next::<ListKey>(scanner)? {
        match key {
            ListKey::Products => {
                rows::read(scanner, &mut list, |row| {
                    let (instrument, alias_of) = read_product(row)?;
                    if !alias_of.is_empty() {
                        targets.push((alias_of, instrument.venue_symbol.clone()));
                    }
                    Ok(instrument)
                })?;
                has_products = true;
            }
            ListKey::Error => return Err(DecodeErrorKind::Refused),
        }
    }
    if !has_products {
        return Err(DecodeErrorKind::Missing("products"));
    }
    for (target, alias) in targets {
        if let Some(instrument) = list.iter_mut().find(|instrument| instrument.venue_symbol == target) {
            if !instrument.aliases.contains(&alias) {
                instrument.aliases.push(alias.clone());
            }
            list.retain(|instrument| instrument.venue_symbol != alias);
        }
    }
    Ok(list)
}

/// Reads one product, and the id of the product that it is an alias of (empty: none).
fn read_product(scanner: &mut Scanner<'_>) -> Step<(Instrument, String)> {
    let mut listing = Listing::new(InstrumentKind::Other);
    let (mut alias_of, mut switches) = (String::new(), Switches::default());
    let mut product = scanner.object()?;
    while let Some(key) = product.next::<ProductKey>(scanner)? {
        match key {
            ProductKey::ProductId => listing.id = scanner.owned_text()?,
            ProductKey::BaseIncrement => listing.lot_size = scanner.decimal_or_absent()?,
            ProductKey::Status => listing.status = status_of(scanner.word()?),
            ProductKey::IsDisabled
            | ProductKey::CancelOnly
            | ProductKey::TradingDisabled
            | ProductKey::ViewOnly => switches.is_halted |= scanner.boolean()?,
            ProductKey::PostOnly | ProductKey::AuctionMode => switches.is_auction |= scanner.boolean()?,
            ProductKey::ProductType => listing.kind = kind_of(scanner.word()?),
            ProductKey::QuoteCurrencyId => listing.quote = scanner.owned_text()?,
            ProductKey::BaseCurrencyId => listing.base = scanner.owned_text()?,
            ProductKey::Alias => alias_of = scanner.owned_text()?,
            ProductKey::AliasTo => listing.aliases = read_texts(scanner)?,
            ProductKey::PriceIncrement => listing.tick_size = scanner.decimal_or_absent()?,
        }
    }
    listing.status = switches.applied_to(listing.status);
    Ok((listing.instrument()?, alias_of))
}

fn read_texts(scanner: &mut Scanner<'_>) -> Step<Vec<String>> {
    let mut texts = Vec::new();
    let mut items = scanner.array()?;
    while items.next(scanner)? {
        texts.push(scanner.owned_text()?);
    }
    Ok(texts)
}

fn kind_of(name: &[u8]) -> InstrumentKind {
    match name {
        b"SPOT" => InstrumentKind::Spot,
        b"FUTURE" => InstrumentKind::Future,
        _ => InstrumentKind::Other,
    }
}

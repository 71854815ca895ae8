//! REST answers of OKX: the instrument lists and the book for the audit.

use facade_model::{Decimal, Instrument, InstrumentKind, InstrumentStatus};

use super::frame::read_book_item;
use crate::rows::{self, Listing};
use crate::scan::{Scanner, Step, keys};
use crate::{DecodeErrorKind, Decoded, Event, Span};

keys! { AnswerKey { Code = "code", Data = "data" } }

keys! {
    InstrumentKey {
        BaseCcy = "baseCcy",
        CtMult = "ctMult",
        CtVal = "ctVal",
        InstId = "instId",
        InstType = "instType",
        LotSz = "lotSz",
        QuoteCcy = "quoteCcy",
        State = "state",
        TickSz = "tickSz",
        Uly = "uly",
    }
}

/// Reads the envelope `{"code":"0","msg":"","data":[...]}`: any other code is an error, also with HTTP 200.
pub(crate) fn read_answer(
    scanner: &mut Scanner<'_>,
    mut read: impl FnMut(&mut Scanner<'_>) -> Step<()>,
) -> Step<()> {
    let (mut is_accepted, mut has_data) = (None, false);
    let mut answer = scanner.object()?;
    while let Some(key) = answer.next::<AnswerKey>(scanner)? {
        match key {
            AnswerKey::Code => is_accepted = Some(scanner.word()? == b"0"),
            AnswerKey::Data => {
                read(scanner)?;
                has_data = true;
            }
        }
    }
    match is_accepted {
        Some(true) if has_data => Ok(()),
        Some(true) => Err(DecodeErrorKind::Missing("data")),
        Some(false) => Err(DecodeErrorKind::Refused),
        None => Err(DecodeErrorKind::Missing("code")),
    }
}

/// Reads `GET /api/v5/market/books` (rows of four) or `books-full` (rows of three).
pub(super) fn decode_snapshot(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    read_answer(scanner, |scanner| {
        let mut items = scanner.array()?;
        while items.next(scanner)? {
            let book = read_book_item(scanner, Span::default(), out)?;
            out.events.push(Event::Book(book));
        }
        Ok(())
    })?;
    if out.events.len() == 1 { Ok(()) } else { Err(DecodeErrorKind::Missing("book")) }
}

/// Reads `GET /api/v5/public/instruments`.
pub(super) fn decode_instruments(scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
    let mut list = Vec::new();
    read_answer(scanner, |scanner| rows::read(scanner, &mut list, read_instrument))?;
    Ok(list)
}

/// Reads one instrument. The venue's id is our symbol; inapplicable members are `""`.
fn read_instrument(scanner: &mut Scanner<'_>) -> Step<Instrument> {
    let mut listing = Listing::new(InstrumentKind::Other);
    let (mut underlying, mut value, mut multiplier) = (String::new(), None, None);
    let mut object = scanner.object()?;
    while let Some(key) = object.next::<InstrumentKey>(scanner)? {
        match key {
            InstrumentKey::BaseCcy => listing.base = scanner.owned_text()?,
            InstrumentKey::QuoteCcy => listing.quote = scanner.owned_text()?,
            InstrumentKey::Uly => underlying = scanner.owned_text()?,
            InstrumentKey::CtMult => multiplier = scanner.decimal_or_absent()?,
            InstrumentKey::CtVal => value = scanner.decimal_or_absent()?,
            InstrumentKey::InstId => listing.id = scanner.owned_text()?,
            InstrumentKey::InstType => listing.kind = kind_of(scanner.word()?),
            InstrumentKey::LotSz => listing.lot_size = scanner.decimal_or_absent()?,
            InstrumentKey::State => listing.status = status_of(scanner.word()?),
            InstrumentKey::TickSz => listing.tick_size = scanner.decimal_or_absent()?,
        }
    }
    if listing.base.is_empty()
        && let Some((base, quote)) = underlying.split_once('-')
    {
        (listing.base, listing.quote) = (base.to_owned(), quote.to_owned()); // contracts: `BTC-USDT`
    }
    listing.contract_size = value.map(|value| contract_size(value, multiplier)).transpose()?;
    listing.instrument()
}

/// Returns `ctVal * ctMult` exactly.
fn contract_size(value: Decimal, multiplier: Option<Decimal>) -> Step<Decimal> {
    let multiplier = multiplier.unwrap_or(Decimal::new(1, 0));
    let mantissa = value.mantissa.checked_mul(multiplier.mantissa);
    let exponent = value.exponent.checked_add(multiplier.exponent);
    match (mantissa, exponent) {
        (Some(mantissa), Some(exponent @ -30..=30)) => Ok(Decimal::new(mantissa, exponent).canonical()),
        _ => Err(DecodeErrorKind::Number(facade_model::NumberError::Range)),
    }
}

fn kind_of(name: &[u8]) -> InstrumentKind {
    match name {
        b"SPOT" => InstrumentKind::Spot,
        b"SWAP" => InstrumentKind::Perpetual,
        b"FUTURES" => InstrumentKind::Future,
        _ => InstrumentKind::Other,
    }
}

/// Translates `state`. In a pre-open auction the book may legally be crossed.
pub(super) fn status_of(state: &[u8]) -> InstrumentStatus {
    match state {
        b"live" => InstrumentStatus::Trading,
        b"preopen" | b"post_only" => InstrumentStatus::Auction,
        b"suspend" | b"rebase" | b"settlement" => InstrumentStatus::Halted,
        b"expired" => InstrumentStatus::Delisted,
        _ => InstrumentStatus::Unknown,
    }
}

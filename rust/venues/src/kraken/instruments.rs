//! Kraken's lists of pairs: REST `AssetPairs`, and the snapshot of the `instrument` channel.

use facade_model::{Decimal, Instrument, InstrumentKind, InstrumentStatus};

use super::{read_result, status};
use crate::DecodeErrorKind;
use crate::rows;
use crate::scan::{Scanner, Step, keys};

keys! {
    /// One pair of `AssetPairs`; steps and status are missing in old answers.
    Row { AltName = "altname", WsName = "wsname", PricePrecision = "pair_decimals",
          QuantityPrecision = "lot_decimals", TickSize = "tick_size", Status = "status" }
}

keys! {
    /// A frame of the `instrument` channel.
    Frame { Channel = "channel", Type = "type", Data = "data" }
}

keys! {
    /// The lists in it.
    Lists { Pairs = "pairs" }
}

keys! {
    /// One pair of the `instrument` channel.
    Pair { Symbol = "symbol", Base = "base", Quote = "quote", Status = "status",
           QuantityPrecision = "qty_precision", LotSize = "qty_increment", PricePrecision = "price_precision",
           PriceIncrement = "price_increment", TickSize = "tick_size" }
}

/// Reads either list.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
    if scanner.find(b"channel")?.is_some() {
        return read_frame(scanner);
    }
    let mut instruments = None;
    read_result(scanner, |scanner| {
        instruments = Some(read_pairs(scanner)?);
        Ok(())
    })?;
    instruments.ok_or(DecodeErrorKind::Missing("result"))
}

/// Reads the pairs of `AssetPairs`; those without a socket name (dark pools) are left out.
fn read_pairs(scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
    let mut instruments = Vec::new();
    let mut pairs = scanner.object()?;
    while let Some(name) = pairs.next_any(scanner)? {
        let key = String::from_utf8_lossy(scanner.of(name)).into_owned();
        let mut row = *scanner;
        scanner.skip()?;
        instruments.extend(read_row(&mut row, key));
    }
    Ok(instruments)
}

/// Reads one pair of `AssetPairs`.
fn read_row(scanner: &mut Scanner<'_>, key: String) -> Step<Instrument> {
    let (mut alt_name, mut ws_name) = (String::new(), String::new());
    let (mut price_precision, mut quantity_precision) = (None, None);
    let (mut tick_size, mut state) = (None, InstrumentStatus::Trading);
    let mut members = scanner.object()?;
    while let Some(member) = members.next::<Row>(scanner)? {
        match member {
            Row::AltName => alt_name = scanner.owned_text()?,
            Row::WsName => ws_name = scanner.owned_text()?,
            Row::PricePrecision => price_precision = Some(precision(scanner)?),
            Row::QuantityPrecision => quantity_precision = Some(precision(scanner)?),
            Row::TickSize => tick_size = scanner.decimal_or_absent()?,
            Row::Status => state = status(scanner.word()?),
        }
    }
    let (Some((base, quote)), Some(price_precision), Some(quantity_precision)) =
        (ws_name.split_once('/'), price_precision, quantity_precision)
    else {
        return Err(DecodeErrorKind::Missing("wsname, pair_decimals, lot_decimals"));
    };
    let (base, quote) = (today(base).to_owned(), today(quote).to_owned());
    let venue_symbol = format!("{base}/{quote}");
    Ok(Instrument {
        symbol: format!("{base}-{quote}"),
        aliases: aliases([alt_name, ws_name, key], &venue_symbol),
        venue_symbol,
        base,
        quote,
        kind: InstrumentKind::Spot,
        status: state,
        tick_size: tick_size.unwrap_or_else(|| step(price_precision)),
        lot_size: step(quantity_precision),
        price_precision,
        quantity_precision,
        contract_size: None,
    })
}

/// Returns the old names, each once, without today's.
fn aliases(names: [String; 3], venue_symbol: &str) -> Vec<String> {
    let mut aliases = Vec::new();
    for name in names {
        if !name.is_empty() && name != venue_symbol && !aliases.contains(&name) {
            aliases.push(name);
        }
    }
    aliases
}

/// Returns the name that the socket uses for an asset of `wsname`.
fn today(asset: &str) -> &str {
    match asset {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        same => same,
    }
}

/// Reads a number of decimals.
fn precision(scanner: &mut Scanner<'_>) -> Step<u8> {
    u8::try_from(scanner.unsigned()?).map_err(|_| DecodeErrorKind::Number(facade_model::NumberError::Range))
}

/// Returns the step of a precision: 0.01 for 2.
fn step(precision: u8) -> Decimal {
    i8::try_from(precision).map_or(Decimal::ZERO, |decimals| Decimal::new(1, -decimals))
}

/// Reads a frame of the `instrument` channel.
fn read_frame(scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
    let mut instruments = Vec::new();
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Frame>(scanner)? {
        match key {
            Frame::Channel if scanner.word()? != b"instrument" => {
                return Err(DecodeErrorKind::Missing("instrument"));
            }
            Frame::Channel => {}
            Frame::Type => scanner.skip()?,
            Frame::Data => {
                let mut lists = scanner.object()?;
                while let Some(Lists::Pairs) = lists.next::<Lists>(scanner)? {
                    rows::read(scanner, &mut instruments, read_pair)?;
                }
            }
        }
    }
    Ok(instruments)
}

/// Reads one pair of the `instrument` channel.
fn read_pair(scanner: &mut Scanner<'_>) -> Step<Instrument> {
    let (mut venue_symbol, mut base, mut quote) = (String::new(), String::new(), String::new());
    let (mut price_precision, mut quantity_precision) = (None, None);
    let (mut tick_size, mut price_increment, mut lot_size) = (None, None, None);
    let mut state = InstrumentStatus::Unknown;
    let mut members = scanner.object()?;
    while let Some(member) = members.next::<Pair>(scanner)? {
        match member {
            Pair::Symbol => venue_symbol = scanner.owned_text()?,
            Pair::Base => base = scanner.owned_text()?,
            Pair::Quote => quote = scanner.owned_text()?,
            Pair::Status => state = status(scanner.word()?),
            Pair::QuantityPrecision => quantity_precision = Some(precision(scanner)?),
            Pair::LotSize => lot_size = scanner.decimal_or_absent()?,
            Pair::PricePrecision => price_precision = Some(precision(scanner)?),
            Pair::PriceIncrement => price_increment = scanner.decimal_or_absent()?,
            Pair::TickSize => tick_size = scanner.decimal_or_absent()?,
        }
    }
    let (Some(price_precision), Some(quantity_precision), false) =
        (price_precision, quantity_precision, venue_symbol.is_empty() || base.is_empty() || quote.is_empty())
    else {
        return Err(DecodeErrorKind::Missing("symbol, base, quote, price_precision, qty_precision"));
    };
    Ok(Instrument {
        symbol: venue_symbol.replace('/', "-"),
        venue_symbol,
        aliases: Vec::new(),
        base,
        quote,
        kind: InstrumentKind::Spot,
        status: state,
        tick_size: tick_size.or(price_increment).unwrap_or_else(|| step(price_precision)),
        lot_size: lot_size.unwrap_or_else(|| step(quantity_precision)),
        price_precision,
        quantity_precision,
        contract_size: None,
    })
}

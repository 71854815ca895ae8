//! `exchangeInfo` of Binance's three products.

use facade_model::{Decimal, Instrument, InstrumentKind, InstrumentStatus};

use super::Binance;
use crate::DecodeErrorKind;
use crate::rows::{self, decimals};
use crate::scan::{Scanner, Step, keys};

keys! {
    /// The list as a whole.
    List { Symbols = "symbols", Code = "code" }
}

keys! {
    /// One instrument; contracts on futures only.
    Row { Symbol = "symbol", Pair = "pair", ContractType = "contractType", Status = "status",
          ContractStatus = "contractStatus", ContractSize = "contractSize", Base = "baseAsset",
          Quote = "quoteAsset", Filters = "filters" }
}

keys! {
    /// One filter of an instrument.
    Filter { Type = "filterType", TickSize = "tickSize", StepSize = "stepSize" }
}

/// One instrument as listed.
#[derive(Debug, Default)]
struct Listed {
    symbol: String,
    pair: String,
    contract_type: Option<String>,
    status: String,
    contract_size: Option<Decimal>,
    base: String,
    quote: String,
    tick_size: Decimal,
    lot_size: Decimal,
}

impl Binance {
    /// Reads `exchangeInfo`.
    pub(super) fn read_instruments(self, scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
        let mut instruments = Vec::new();
        let mut has_symbols = false;
        let mut members = scanner.object()?;
        while let Some(key) = members.next::<List>(scanner)? {
            match key {
                List::Symbols => {
                    rows::read(scanner, &mut instruments, |row| read_row(row)?.into_instrument(self))?;
                    has_symbols = true;
                }
                List::Code => return Err(DecodeErrorKind::Refused),
            }
        }
        if has_symbols { Ok(instruments) } else { Err(DecodeErrorKind::Missing("symbols")) }
    }
}

/// Reads one row.
fn read_row(scanner: &mut Scanner<'_>) -> Step<Listed> {
    let mut row = Listed::default();
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Row>(scanner)? {
        match key {
            Row::Symbol => row.symbol = scanner.owned_text()?,
            Row::Pair => row.pair = scanner.owned_text()?,
            Row::ContractType => row.contract_type = Some(scanner.owned_text()?),
            Row::Status | Row::ContractStatus => row.status = scanner.owned_text()?,
            Row::ContractSize => row.contract_size = scanner.decimal_or_absent()?,
            Row::Base => row.base = scanner.owned_text()?,
            Row::Quote => row.quote = scanner.owned_text()?,
            Row::Filters => read_filters(scanner, &mut row)?,
        }
    }
    Ok(row)
}

/// Reads tick and lot.
fn read_filters(scanner: &mut Scanner<'_>, row: &mut Listed) -> Step<()> {
    let mut filters = scanner.array()?;
    while filters.next(scanner)? {
        let (mut filter_type, mut tick_size, mut step_size) = (&b""[..], None, None);
        let mut members = scanner.object()?;
        while let Some(key) = members.next::<Filter>(scanner)? {
            match key {
                Filter::Type => filter_type = scanner.word()?,
                Filter::TickSize => tick_size = scanner.decimal_or_absent()?,
                Filter::StepSize => step_size = scanner.decimal_or_absent()?,
            }
        }
        match filter_type {
            b"PRICE_FILTER" => row.tick_size = tick_size.unwrap_or_default(),
            b"LOT_SIZE" => row.lot_size = step_size.unwrap_or_default(),
            _ => {}
        }
    }
    Ok(())
}

impl Listed {
    /// Turns the row into the model.
    fn into_instrument(self, product: Binance) -> Step<Instrument> {
        if self.symbol.is_empty() || self.base.is_empty() || self.quote.is_empty() {
            return Err(DecodeErrorKind::Missing("symbol, baseAsset, quoteAsset"));
        }
        let kind = self.kind(product);
        let is_inverse_perpetual = product == Binance::Coinm && kind == InstrumentKind::Perpetual;
        Ok(Instrument {
            symbol: self.canonical_symbol(kind),
            aliases: if is_inverse_perpetual && !self.pair.is_empty() { vec![self.pair] } else { Vec::new() },
            kind,
            status: status(&self.status),
            tick_size: self.tick_size,
            lot_size: self.lot_size,
            price_precision: decimals(self.tick_size),
            quantity_precision: decimals(self.lot_size),
            contract_size: match product {
                Binance::Spot => None,
                Binance::Usdm => Some(Decimal::new(1, 0)),
                Binance::Coinm => self.contract_size,
            },
            venue_symbol: self.symbol,
            base: self.base,
            quote: self.quote,
        })
    }

    /// Tells the kind from the contract type.
    fn kind(&self, product: Binance) -> InstrumentKind {
        match (product, self.contract_type.as_deref()) {
            (Binance::Spot, _) => InstrumentKind::Spot,
            (_, Some(contract)) if contract.contains("PERPETUAL") => InstrumentKind::Perpetual,
            (_, Some(contract)) if contract.contains("QUARTER") || contract.contains("MONTH") => {
                InstrumentKind::Future
            }
            _ => InstrumentKind::Other,
        }
    }

    /// Returns `BASE-QUOTE`, with the date of delivery if there is one: `BTC-USD-211231`.
    fn canonical_symbol(&self, kind: InstrumentKind) -> String {
        let pair = format!("{}-{}", self.base, self.quote);
        if matches!(kind, InstrumentKind::Spot | InstrumentKind::Perpetual) {
            return pair;
        }
        match self.symbol.rsplit_once('_') {
            Some((_, suffix)) => format!("{pair}-{suffix}"),
            None => self.symbol.clone(), // never the perpetual's name
        }
    }
}

/// Reads a status; one that we do not know is not tradable.
fn status(text: &str) -> InstrumentStatus {
    match text {
        "TRADING" => InstrumentStatus::Trading,
        "PRE_TRADING" | "POST_TRADING" | "AUCTION_MATCH" => InstrumentStatus::Auction,
        "HALT" | "BREAK" | "END_OF_DAY" | "CANCEL_ONLY" | "TRADING_HALT" | "SETTLING" | "PRE_SETTLE" => {
            InstrumentStatus::Halted
        }
        "DELIVERING" | "DELIVERED" | "PRE_DELIVERING" | "CLOSE" => InstrumentStatus::Delisted,
        _ => InstrumentStatus::Unknown,
    }
}

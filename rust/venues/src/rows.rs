//! Rows of instrument lists. Read once at start and once in a while, so texts may be copied here.

use facade_model::{Decimal, Instrument, InstrumentKind, InstrumentStatus};

use crate::DecodeErrorKind;
use crate::scan::{Scanner, Step};

/// Reads an array of rows. A row that `read` refuses is left out; text that is no JSON refuses the whole list.
pub(crate) fn read(
    scanner: &mut Scanner<'_>,
    list: &mut Vec<Instrument>,
    mut read: impl FnMut(&mut Scanner<'_>) -> Step<Instrument>,
) -> Step<()> {
    let mut rows = scanner.array()?;
    while rows.next(scanner)? {
        let mut row = *scanner;
        scanner.skip()?;
        list.extend(read(&mut row));
    }
    Ok(())
}

/// What one row of OKX or Coinbase tells, whose id is also our symbol.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The venue's id; empty: none was told.
    pub(crate) id: String,
    /// Further spellings.
    pub(crate) aliases: Vec<String>,
    /// Base asset.
    pub(crate) base: String,
    /// Quote asset.
    pub(crate) quote: String,
    /// Kind.
    pub(crate) kind: InstrumentKind,
    /// Status.
    pub(crate) status: InstrumentStatus,
    /// Smallest price step.
    pub(crate) tick_size: Option<Decimal>,
    /// Smallest quantity step.
    pub(crate) lot_size: Option<Decimal>,
    /// Worth of one contract.
    pub(crate) contract_size: Option<Decimal>,
}

impl Listing {
    /// Starts an empty row.
    pub(crate) const fn new(kind: InstrumentKind) -> Self {
        Self {
            id: String::new(),
            aliases: Vec::new(),
            base: String::new(),
            quote: String::new(),
            kind,
            status: InstrumentStatus::Unknown,
            tick_size: None,
            lot_size: None,
            contract_size: None,
        }
    }

    /// Makes the instrument; a row without an id is none.
    pub(crate) fn instrument(self) -> Step<Instrument> {
        if self.id.is_empty() {
            return Err(DecodeErrorKind::Missing("id"));
        }
        let (tick_size, lot_size) = (self.tick_size.unwrap_or_default(), self.lot_size.unwrap_or_default());
        Ok(Instrument {
            symbol: self.id.clone(),
            venue_symbol: self.id,
            aliases: self.aliases,
            base: self.base,
            quote: self.quote,
            kind: self.kind,
            status: self.status,
            tick_size,
            lot_size,
            price_precision: decimals(tick_size),
            quantity_precision: decimals(lot_size),
            contract_size: self.contract_size,
        })
    }
}

/// Returns the decimals behind the point of a step such as 0.01.
pub(crate) fn decimals(step: Decimal) -> u8 {
    if step.exponent < 0 { step.exponent.unsigned_abs() } else { 0 }
}

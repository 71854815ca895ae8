//! Rows of instrument lists. Read once at start and once in a while, so texts may be copied here.

use facade_model::{Decimal, Instrument};

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

/// Returns the decimals behind the point of a step such as 0.01.
pub(crate) fn decimals(step: Decimal) -> u8 {
    if step.exponent < 0 { step.exponent.unsigned_abs() } else { 0 }
}

//! Levels as most venues write them: `[["price", "quantity", ...], ...]`.

use facade_model::{BookSide, LevelChange};

use crate::DecodeErrorKind;
use crate::scan::{Scanner, Step};

/// Reads one side of a book; what stands behind price and quantity is passed over.
#[inline]
pub(crate) fn push_levels(scanner: &mut Scanner<'_>, side: BookSide, levels: &mut Vec<LevelChange>) -> Step<()> {
    let mut rows = scanner.array()?;
    while rows.next(scanner)? {
        let mut row = scanner.array()?;
        if !row.next(scanner)? {
            return Err(DecodeErrorKind::Missing("price"));
        }
        let px = scanner.decimal()?;
        if !row.next(scanner)? {
            return Err(DecodeErrorKind::Missing("quantity"));
        }
        let qty = scanner.decimal()?;
        while row.next(scanner)? {
            scanner.skip()?;
        }
        levels.push(LevelChange { side, px, qty });
    }
    Ok(())
}

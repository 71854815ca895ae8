//! Levels as most venues write them, `[["price", "quantity", ...], ...]`, and best levels of tickers.

use facade_model::{BookSide, Decimal, Level, LevelChange, NumberError};

use crate::DecodeErrorKind;
use crate::scan::{Scanner, Step};

/// Reads one side of a book; what stands behind price and quantity is passed over.
#[inline]
pub(crate) fn push_levels(
    scanner: &mut Scanner<'_>,
    side: BookSide,
    levels: &mut Vec<LevelChange>,
) -> Step<()> {
    let mut rows = scanner.array()?;
    rows.pairs(scanner, (b"[\"", b"\",\"", b"\"]"), |px, qty| levels.push(LevelChange { side, px, qty }));
    while rows.next(scanner)? {
        if let Some((px, qty)) = scanner.pair(b"[\"", b"\",\"", b"\"") {
            levels.push(LevelChange { side, px, qty });
            scanner.skip_rest_of_array()?;
            continue;
        }
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
        levels.push(change(side, px, qty)?);
    }
    Ok(())
}

/// Returns a best level, absent if the venue shows none: no text, or a price or quantity of 0.
#[inline]
pub(crate) fn best_level(px: Option<Decimal>, qty: Option<Decimal>) -> Option<Level> {
    let level = Level { px: px?, qty: qty? };
    (!level.px.is_zero() && !level.qty.is_zero()).then_some(level)
}

/// Makes one change of a book; refuses negative numbers, which no book can hold.
#[inline]
pub(crate) fn change(side: BookSide, px: Decimal, qty: Decimal) -> Step<LevelChange> {
    if px.mantissa < 0 || qty.mantissa < 0 {
        return Err(DecodeErrorKind::Number(NumberError::Range));
    }
    Ok(LevelChange { side, px, qty })
}

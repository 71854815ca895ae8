//! Rows of klines as venues answer them, sorted, the oldest first.

use facade_model::Decimal;

use crate::DecodeErrorKind;
use crate::history::{KlineRow, SECOND_NS};
use crate::scan::{Array, Scanner, Step};
use crate::trades::next_item;

/// Reads an array of rows and puts them into order, whatever the venue's; a row that stands twice is kept once.
pub(crate) fn read_rows(
    scanner: &mut Scanner<'_>,
    rows: &mut Vec<KlineRow>,
    mut read: impl FnMut(&mut Scanner<'_>) -> Step<KlineRow>,
) -> Step<()> {
    if scanner.peek() == Some(b'{') {
        scanner.skip()?;
        return Err(DecodeErrorKind::Refused);
    }
    let mut items = scanner.array()?;
    while items.next(scanner)? {
        rows.push(read(scanner)?);
    }
    rows.sort_by_key(|row| row.ts_open);
    rows.dedup_by_key(|row| row.ts_open);
    Ok(())
}

/// Reads the next four items of a row: open, high, low, close, in the venue's order.
pub(crate) fn read_prices(row: &mut Array, scanner: &mut Scanner<'_>) -> Step<[Decimal; 4]> {
    let mut prices = [Decimal::ZERO; 4];
    for slot in &mut prices {
        next_item(row, scanner, "open, high, low, close")?;
        *slot = scanner.decimal()?;
    }
    Ok(prices)
}

/// Returns an interval in seconds, if it is whole ones.
pub(crate) const fn whole_seconds(interval_ns: i64) -> Option<i64> {
    if interval_ns > 0 && interval_ns % SECOND_NS == 0 { Some(interval_ns / SECOND_NS) } else { None }
}

/// Makes nanoseconds of Unix seconds.
pub(crate) fn seconds_to_ns(seconds: u64) -> Step<i64> {
    let ns = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(SECOND_NS));
    ns.ok_or(DecodeErrorKind::Number(facade_model::NumberError::Range))
}

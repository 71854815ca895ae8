//! Bars for intervals without a trade: by request only, and marked as what they are.

use super::Row;
use crate::KlineError;
use crate::kind::Grid;

/// Most bars that one call may add.
const ADDED_MAX: i64 = 100_000_000;

/// What prices an empty interval gets. Its sums are 0, and it is synthetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// The close before it.
    Previous,
    /// 0.
    Zero,
    /// On the straight line from the close before it to the open behind it, rounded half to even.
    Interpolate,
}

/// Adds the missing bars between the first and the last, and behind the last up to `ts_end` (ns UTC, not inside;
/// nothing can be interpolated there). Before the first nothing is invented.
///
/// # Errors
/// [`KlineError::Unsorted`] if a row does not open behind the one before it, [`KlineError::Straddles`] if a row
/// is no bar of this interval, [`KlineError::TooMany`] if too many are missing.
pub fn fill_empty(
    grid: Grid,
    method: Fill,
    rows: impl IntoIterator<Item = Row>,
    ts_end: Option<i64>,
) -> Result<Vec<Row>, KlineError> {
    let mut bars: Vec<Row> = Vec::new();
    let mut added = 0;
    for (at, row) in rows.into_iter().enumerate() {
        if grid.open_of(row.ts_open) != row.ts_open {
            return Err(KlineError::Straddles { row: at });
        }
        if let Some(before) = bars.last().copied() {
            if row.ts_open <= before.ts_open {
                return Err(KlineError::Unsorted { row: at });
            }
            let missing = missing_between(grid, before.ts_open, row.ts_open);
            count(&mut added, missing)?;
            let fill = |step| match method {
                Fill::Previous => before.close,
                Fill::Zero => 0,
                Fill::Interpolate => between(before.close, row.open, step, missing + 1),
            };
            bars.extend((1..=missing).map(|step| synthetic(grid, before.ts_open, step, fill(step))));
        }
        bars.push(Row { ts_close: grid.close_of(row.ts_open), ..row });
    }
    if let (Some(before), Some(ts_end)) = (bars.last().copied(), ts_end)
        && method != Fill::Interpolate
    {
        let missing = missing_between(grid, before.ts_open, ts_end);
        count(&mut added, missing)?;
        let px = if method == Fill::Zero { 0 } else { before.close };
        bars.extend((1..=missing).map(|step| synthetic(grid, before.ts_open, step, px)));
    }
    Ok(bars)
}

/// Returns how many bars open behind `ts_open` and before `ts_end`.
fn missing_between(grid: Grid, ts_open: i64, ts_end: i64) -> i64 {
    let span = ts_end.saturating_sub(ts_open);
    (span - 1).max(0) / grid.interval_ns()
}

fn count(added: &mut i64, missing: i64) -> Result<(), KlineError> {
    *added = added.saturating_add(missing);
    if *added > ADDED_MAX { Err(KlineError::TooMany) } else { Ok(()) }
}

fn synthetic(grid: Grid, ts_before: i64, step: i64, px: i64) -> Row {
    let ts_open = ts_before.saturating_add(step.saturating_mul(grid.interval_ns()));
    let ts_close = grid.close_of(ts_open);
    Row { ts_open, ts_close, open: px, high: px, low: px, close: px, is_synthetic: true, ..Row::default() }
}

/// Returns the price at `step` of `steps` on the way from one to the other, rounded half to even.
fn between(from: i64, to: i64, step: i64, steps: i64) -> i64 {
    let (from, to) = (i128::from(from), i128::from(to));
    let (step, steps) = (i128::from(step), i128::from(steps));
    let scaled = from * (steps - step) + to * step;
    let (whole, rest) = (scaled.div_euclid(steps), scaled.rem_euclid(steps));
    let half = steps - rest;
    let up = rest > half || (rest == half && whole % 2 != 0);
    i64::try_from(whole + i128::from(up)).unwrap_or_default() // lies between two that fit
}

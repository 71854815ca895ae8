//! Bars to longer bars.

use super::Row;
use crate::KlineError;
use crate::kind::Grid;

/// Makes bars of time from shorter ones in order of their open.
///
/// Synthetic rows count only where an interval has no others; then its bar is synthetic too.
///
/// # Errors
/// [`KlineError::Unsorted`] if a row does not open behind the one before it, [`KlineError::Straddles`] if a row
/// lies in two intervals, [`KlineError::NumberRange`] if a sum does not fit 128 bits.
pub fn bars_from_bars(grid: Grid, rows: impl IntoIterator<Item = Row>) -> Result<Vec<Row>, KlineError> {
    let mut bars: Vec<Row> = Vec::new();
    let mut before = None;
    for (at, row) in rows.into_iter().enumerate() {
        if before.is_some_and(|before| row.ts_open <= before) {
            return Err(KlineError::Unsorted { row: at });
        }
        before = Some(row.ts_open);
        let ts_open = grid.open_of(row.ts_open);
        let ts_close = grid.close_of(ts_open);
        if row.ts_close > ts_close {
            return Err(KlineError::Straddles { row: at });
        }
        let same = bars.last_mut().filter(|bar| bar.ts_open == ts_open);
        match same {
            Some(bar) if bar.is_synthetic == row.is_synthetic => {
                bar.merge(&row).ok_or(KlineError::NumberRange)?;
            }
            Some(bar) if bar.is_synthetic => *bar = Row { ts_open, ts_close, ..row },
            Some(_) => {} // a real bar passes over a synthetic row
            None => bars.push(Row { ts_open, ts_close, ..row }),
        }
    }
    Ok(bars)
}

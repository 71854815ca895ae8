//! Columns of trades to bars.

use super::{Row, run};
use crate::KlineError;
use crate::bound::scaled;
use crate::kind::{BarKind, Grid};

/// Bits in Arrow's order: bit `n` is bit `n % 8` of byte `n / 8`.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    offset: usize,
    length: usize,
}

impl<'a> Bits<'a> {
    /// Takes `length` bits from bit `offset` on; `None` if there are fewer.
    #[must_use]
    pub fn new(bytes: &'a [u8], offset: usize, length: usize) -> Option<Self> {
        let bytes = bytes.get(..offset.checked_add(length)?.div_ceil(8))?;
        Some(Self { bytes, offset, length })
    }

    pub(super) fn iter(self) -> impl Iterator<Item = bool> + use<'a> {
        let bits = self.words().flat_map(|word| (0..64).map(move |bit| word >> bit & 1 == 1));
        bits.take(self.length)
    }

    /// Gives 64 bits at a time, the first lowest; what is behind the last bit means nothing.
    pub(super) fn words(self) -> impl Iterator<Item = u64> + use<'a> {
        let shift = self.offset % 8;
        (self.offset / 8..self.bytes.len()).step_by(8).map(move |at| {
            let next = |from: usize| self.bytes.get(from).copied().unwrap_or_default();
            let low = match self.bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) => u64::from_le_bytes(bytes),
                None => (0..8).fold(0, |word, byte| word | u64::from(next(at + byte)) << (8 * byte)),
            };
            if shift == 0 { low } else { low >> shift | u64::from(next(at + 8)) << (64 - shift) }
        })
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let row = row.min(self.length);
        (Self { length: row, ..self }, Self { offset: self.offset + row, length: self.length - row, ..self })
    }
}

/// Sides of the takers.
#[derive(Debug, Clone, Copy)]
pub enum Sides<'a> {
    /// Not told.
    Unknown,
    /// Above 0: bought; below 0: sold; 0: not told.
    Signs(&'a [i8]),
    /// Whether it bought, told for each.
    Buys(Bits<'a>),
}

impl Sides<'_> {
    fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Self::Unknown => (Self::Unknown, Self::Unknown),
            Self::Signs(signs) => {
                let (left, right) = signs.split_at(row.min(signs.len()));
                (Self::Signs(left), Self::Signs(right))
            }
            Self::Buys(bits) => {
                let (left, right) = bits.split_at(row);
                (Self::Buys(left), Self::Buys(right))
            }
        }
    }

    const fn length(&self) -> Option<usize> {
        match self {
            Self::Unknown => None,
            Self::Signs(signs) => Some(signs.len()),
            Self::Buys(bits) => Some(bits.length),
        }
    }
}

/// Columns of trades of one instrument, in order of time.
#[derive(Debug, Clone, Copy)]
pub struct Trades<'a> {
    pub(super) ts: &'a [i64],
    pub(super) px: &'a [i64],
    pub(super) qty: &'a [i64],
    pub(super) sides: Sides<'a>,
}

impl<'a> Trades<'a> {
    /// Joins columns: times in ns UTC, mantissas of prices and quantities, sides.
    ///
    /// # Errors
    /// [`KlineError::Lengths`] if they are not equally long.
    pub fn new(ts: &'a [i64], px: &'a [i64], qty: &'a [i64], sides: Sides<'a>) -> Result<Self, KlineError> {
        let is_equal = px.len() == ts.len() && qty.len() == ts.len();
        if !is_equal || sides.length().is_some_and(|length| length != ts.len()) {
            return Err(KlineError::Lengths);
        }
        Ok(Self { ts, px, qty, sides })
    }

    /// Number of trades.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there is no trade.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// Cuts before a row; beyond the end: the second part is empty.
    #[must_use]
    pub fn split_at(self, row: usize) -> (Self, Self) {
        let row = row.min(self.len());
        let ((ts, ts_rest), (px, px_rest)) = (self.ts.split_at(row), self.px.split_at(row));
        let (qty, qty_rest) = self.qty.split_at(row);
        let (sides, sides_rest) = self.sides.split_at(row);
        let rest = Self { ts: ts_rest, px: px_rest, qty: qty_rest, sides: sides_rest };
        (Self { ts, px, qty, sides }, rest)
    }
}

/// Makes bars of trades in order of time, those of one instant in the order of their rows.
///
/// Bars of time: one for each interval that has a trade. Bars by trades: the closed ones; what comes behind the
/// last of them is in none. Exponents are those of the columns; only bounds need them.
///
/// # Errors
/// [`KlineError::Unsorted`] if a trade is older than the one before it; [`KlineError::NegativeQuantity`];
/// [`KlineError::NumberRange`] if a sum does not fit 128 bits.
pub fn bars_from_trades(
    kind: BarKind,
    trades: &Trades<'_>,
    price_exponent: i8,
    quantity_exponent: i8,
) -> Result<Vec<Row>, KlineError> {
    if !trades.ts.is_sorted() {
        let row = trades.ts.windows(2).position(|pair| pair.first() > pair.last());
        return Err(KlineError::Unsorted { row: row.map_or(0, |row| row + 1) });
    }
    match kind {
        BarKind::Time { interval_ns } => of_time(Grid::new(interval_ns), *trades),
        BarKind::Count(count) => {
            let count = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
            by_length(*trades, |rest| (rest.len() >= count).then_some(count))
        }
        BarKind::Volume(bound) => {
            let bound = scaled(bound, quantity_exponent);
            by_length(*trades, |rest| length_to(bound, rest.qty.iter().map(|&qty| i128::from(qty))))
        }
        BarKind::Value(bound) => {
            let bound = scaled(bound, price_exponent.saturating_add(quantity_exponent));
            by_length(*trades, |rest| {
                let values = rest.px.iter().zip(rest.qty).map(|(&px, &qty)| i128::from(px) * i128::from(qty));
                length_to(bound, values)
            })
        }
    }
}

/// Joins bars of time that were made of successive parts of the trades.
///
/// # Errors
/// [`KlineError::Unsorted`] if a part begins before the one in front of it ends; [`KlineError::NumberRange`].
pub fn join(parts: impl IntoIterator<Item = Vec<Row>>) -> Result<Vec<Row>, KlineError> {
    let mut parts = parts.into_iter();
    let mut rows = parts.next().unwrap_or_default();
    for mut part in parts {
        let mut from = 0;
        if let (Some(last), Some(first)) = (rows.last_mut(), part.first()) {
            if first.ts_open < last.ts_open {
                return Err(KlineError::Unsorted { row: 0 });
            }
            if first.ts_open == last.ts_open {
                last.merge(first).ok_or(KlineError::NumberRange)?;
                from = 1;
            }
        }
        rows.extend(part.drain(from..));
    }
    Ok(rows)
}

fn of_time(grid: Grid, mut rest: Trades<'_>) -> Result<Vec<Row>, KlineError> {
    let mut rows = Vec::new();
    while let Some(&first) = rest.ts.first() {
        let ts_open = grid.open_of(first);
        let ts_close = grid.close_of(ts_open);
        let (taken, left) = rest.split_at(length_before(rest.ts, ts_close));
        rows.push(Row { ts_open, ts_close, ..run::bar(&taken)? });
        rest = left;
    }
    Ok(rows)
}

/// Returns how many of the sorted times lie before `end`; at least 1, so that work ends at the end of time too.
fn length_before(ts: &[i64], end: i64) -> usize {
    let mut width = 64;
    while ts.get(width).is_some_and(|&ts| ts < end) {
        width *= 2;
    }
    let from = if width == 64 { 0 } else { width / 2 };
    let window = ts.get(from..width.min(ts.len())).unwrap_or_default();
    (from + window.partition_point(|&ts| ts < end)).max(1)
}

fn by_length(
    mut rest: Trades<'_>,
    length: impl Fn(&Trades<'_>) -> Option<usize>,
) -> Result<Vec<Row>, KlineError> {
    let mut rows = Vec::new();
    while let Some(count) = length(&rest).filter(|_| !rest.is_empty()) {
        let (taken, left) = rest.split_at(count);
        let (Some(&first), Some(&last)) = (taken.ts.first(), taken.ts.last()) else { break };
        rows.push(Row { ts_open: first, ts_close: last.saturating_add(1), ..run::bar(&taken)? });
        rest = left;
    }
    Ok(rows)
}

/// Returns how many values reach the bound together; `None`: all do not. Sums beyond 128 bits reach any.
fn length_to(bound: i128, values: impl Iterator<Item = i128>) -> Option<usize> {
    let mut sum = 0_i128;
    let mut values = values.enumerate();
    values.find_map(|(at, value)| {
        sum = sum.saturating_add(value);
        (sum >= bound).then_some(at + 1)
    })
}

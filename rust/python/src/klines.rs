//! Klines of whole columns for Python: Arrow in, Arrow out, detached from the interpreter.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, RecordBatch, TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use facade_klines::batch::{
    Bits, Fill, Row, Sides, Trades, bars_from_bars, bars_from_trades, fill_empty, join,
};
use facade_klines::{BarKind, Grid, KlineError};
use facade_model::{Channel, Variant};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::arrow::{Column, export, from_arrow, import};

/// Digits that the mean price has beyond those of prices.
const MEAN_DIGITS: u32 = 12;
/// Digits of a Decimal of 128 bits.
const PRECISION: u8 = 38;
/// Rows below which a second thread costs more than it gains.
const ROWS_PARALLEL_MIN: usize = 200_000;

/// A table of klines that lends itself over the Arrow C stream interface.
#[pyclass(name = "KlineTable", frozen)]
pub(crate) struct PyKlineTable(RecordBatch);

#[pymethods]
impl PyKlineTable {
    /// Lend the table; the schema that is asked for is ignored, as the interface allows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        export(py, &self.0)
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }
}

/// Make klines of trades; None: they are not in order of time.
///
/// The table has the columns time, price, quantity and, if told, whether the taker bought, in one chunk.
/// Works detached from the interpreter, on up to two threads.
///
/// Raises:
///     ValueError: The variant is none of klines, or a number is not exact at the digits.
///     TypeError: A column is of another type.
#[pyfunction]
#[pyo3(signature = (trades, *, variant, price_digits, quantity_digits))]
pub(crate) fn kline_columns(
    py: Python<'_>,
    trades: &Bound<'_, PyAny>,
    variant: &str,
    price_digits: u32,
    quantity_digits: u32,
) -> PyResult<Option<PyKlineTable>> {
    let batch = import(trades)?;
    let kind = parse_kind(variant)?;
    let digits = Digits::new(price_digits, quantity_digits)?;
    py.detach(|| {
        let (ts, px) = (Column::of(&batch, 0)?.times()?, Column::of(&batch, 1)?.mantissas(digits.price)?);
        let qty = Column::of(&batch, 2)?.mantissas(digits.quantity)?;
        let sides = OwnedSides::of(&batch)?;
        let columns = Trades::new(&ts, &px, &qty, sides.lend()?).map_err(from_klines)?;
        match of_trades(kind, columns, digits) {
            Ok(rows) => Ok(Some(PyKlineTable(to_batch(&rows, digits)?))),
            Err(KlineError::Unsorted { .. }) => Ok(None),
            Err(error) => Err(from_klines(error)),
        }
    })
}

/// Make longer klines of shorter ones, which are in order of time.
///
/// The table has the columns of a `KlineTable` but `vwap`, in that order and in one chunk.
///
/// Raises:
///     ValueError: The variant is no interval, a kline lies in two of them, or order or numbers are wrong.
///     TypeError: A column is of another type.
#[pyfunction]
#[pyo3(signature = (klines, *, variant, price_digits, quantity_digits))]
pub(crate) fn roll_up_kline_columns(
    py: Python<'_>,
    klines: &Bound<'_, PyAny>,
    variant: &str,
    price_digits: u32,
    quantity_digits: u32,
) -> PyResult<PyKlineTable> {
    let batch = import(klines)?;
    let grid = parse_grid(variant)?;
    let digits = Digits::new(price_digits, quantity_digits)?;
    py.detach(|| {
        let rows = bars_from_bars(grid, read_rows(&batch, digits)?).map_err(from_klines)?;
        Ok(PyKlineTable(to_batch(&rows, digits)?))
    })
}

/// Add klines for the intervals that have none; `ts_end`, ns UTC, is where the last one ends at the latest.
///
/// The table has the columns of a `KlineTable` but `vwap`, in that order and in one chunk.
///
/// Raises:
///     ValueError: The variant is no interval, the method none of previous, zero and interpolate, a kline is none
///         of this interval, or order or numbers are wrong.
///     TypeError: A column is of another type.
#[pyfunction]
#[pyo3(signature = (klines, *, variant, method, ts_end, price_digits, quantity_digits))]
pub(crate) fn fill_kline_columns(
    py: Python<'_>,
    klines: &Bound<'_, PyAny>,
    variant: &str,
    method: &str,
    ts_end: Option<i64>,
    price_digits: u32,
    quantity_digits: u32,
) -> PyResult<PyKlineTable> {
    let batch = import(klines)?;
    let grid = parse_grid(variant)?;
    let fill = match method {
        "previous" => Fill::Previous,
        "zero" => Fill::Zero,
        "interpolate" => Fill::Interpolate,
        _ => {
            let text = format!("method {method:?}: expected previous, zero or interpolate");
            return Err(PyValueError::new_err(text));
        }
    };
    let digits = Digits::new(price_digits, quantity_digits)?;
    py.detach(|| {
        let rows = fill_empty(grid, fill, read_rows(&batch, digits)?, ts_end).map_err(from_klines)?;
        Ok(PyKlineTable(to_batch(&rows, digits)?))
    })
}

/// Digits behind the point.
#[derive(Debug, Clone, Copy)]
struct Digits {
    price: u32,
    quantity: u32,
}

impl Digits {
    fn new(price: u32, quantity: u32) -> PyResult<Self> {
        if price > 18 || quantity > 18 {
            return Err(PyValueError::new_err("expected at most 18 digits behind the point"));
        }
        Ok(Self { price, quantity })
    }

    fn exponents(self) -> (i8, i8) {
        let exponent = |digits: u32| i8::try_from(digits).map_or(0, |digits| -digits);
        (exponent(self.price), exponent(self.quantity))
    }
}

/// Sides as they come, or as signs where some are absent.
enum OwnedSides {
    Unknown,
    Signs(Vec<i8>),
    Buys(BooleanArray),
}

impl OwnedSides {
    fn of(batch: &RecordBatch) -> PyResult<Self> {
        if batch.num_columns() < 4 {
            return Ok(Self::Unknown);
        }
        let column = Column::of(batch, 3)?;
        match column.values.data_type() {
            DataType::Boolean if column.values.null_count() == 0 => {
                Ok(Self::Buys(column.values.as_boolean().clone()))
            }
            DataType::Boolean => {
                let sign = |is_buy: Option<bool>| is_buy.map_or(0, |is_buy| if is_buy { 1 } else { -1 });
                Ok(Self::Signs(column.values.as_boolean().iter().map(sign).collect()))
            }
            DataType::Int8 => {
                let signs = column.values.as_primitive::<Int8Type>();
                Ok(Self::Signs(signs.iter().map(Option::unwrap_or_default).collect()))
            }
            found => {
                let text = format!("column {:?} is of type {found}, expected Boolean or Int8", column.name);
                Err(PyTypeError::new_err(text))
            }
        }
    }

    fn lend(&self) -> PyResult<Sides<'_>> {
        match self {
            Self::Unknown => Ok(Sides::Unknown),
            Self::Signs(signs) => Ok(Sides::Signs(signs)),
            Self::Buys(is_buy) => {
                let bits = is_buy.values();
                let lent = Bits::new(bits.values(), bits.offset(), bits.len());
                lent.map(Sides::Buys).ok_or_else(|| from_klines(KlineError::Lengths))
            }
        }
    }
}

/// Works on two threads where that pays: bars of time can be made of parts.
fn of_trades(kind: BarKind, trades: Trades<'_>, digits: Digits) -> Result<Vec<Row>, KlineError> {
    let (price, quantity) = digits.exponents();
    let make = |part: &Trades<'_>| bars_from_trades(kind, part, price, quantity);
    if !matches!(kind, BarKind::Time { .. }) || trades.len() < ROWS_PARALLEL_MIN {
        return make(&trades);
    }
    let (left, right) = trades.split_at(trades.len() / 2);
    let (left, right) = std::thread::scope(|scope| {
        let right = scope.spawn(|| make(&right));
        (make(&left), right.join())
    });
    let right = right.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    join([left?, right?])
}

/// Reads klines in the order of the columns of [`to_batch`], without the mean price.
fn read_rows(batch: &RecordBatch, digits: Digits) -> PyResult<Vec<Row>> {
    let column = |at| Column::of(batch, at);
    let times = [column(0)?.times()?, column(1)?.times()?];
    let [ts_open, ts_close] = times.each_ref().map(|ts| ts.iter());
    let mut rows: Vec<Row> = ts_open
        .zip(ts_close)
        .map(|(&ts_open, &ts_close)| Row { ts_open, ts_close, ..Row::default() })
        .collect();
    let places: [fn(&mut Row) -> &mut i64; 4] =
        [|row| &mut row.open, |row| &mut row.high, |row| &mut row.low, |row| &mut row.close];
    for (at, place) in (2..).zip(places) {
        let prices = column(at)?.mantissas(digits.price)?;
        rows.iter_mut().zip(prices.iter()).for_each(|(row, &px)| *place(row) = px);
    }
    let places: [fn(&mut Row) -> &mut i128; 4] = [
        |row| &mut row.volume,
        |row| &mut row.quote_volume,
        |row| &mut row.buy_volume,
        |row| &mut row.sell_volume,
    ];
    let scales = [digits.quantity, digits.price + digits.quantity, digits.quantity, digits.quantity];
    for (at, (place, digits)) in (6..).zip(places.into_iter().zip(scales)) {
        let sums = column(at)?.sums(digits)?;
        rows.iter_mut().zip(sums).for_each(|(row, sum)| *place(row) = sum);
    }
    let counts = column(10)?.values.as_primitive_opt::<UInt64Type>();
    let marks = column(11)?.values.as_boolean_opt();
    let (Some(counts), Some(marks)) = (counts, marks) else {
        return Err(PyTypeError::new_err("expected a count of UInt64 and a mark of Boolean"));
    };
    for (row, (&count, mark)) in rows.iter_mut().zip(counts.values().iter().zip(marks)) {
        (row.trade_count, row.is_synthetic) = (count, mark.unwrap_or_default());
    }
    Ok(rows)
}

fn to_batch(rows: &[Row], digits: Digits) -> PyResult<RecordBatch> {
    let times = |time: fn(&Row) -> i64| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(time)).with_timezone("UTC"))
    };
    let numbers = |digits: u32, number: &dyn Fn(&Row) -> Option<i128>| -> PyResult<ArrayRef> {
        let scale = i8::try_from(digits).unwrap_or(i8::MAX);
        let numbers: Decimal128Array = rows.iter().map(number).collect();
        let numbers = numbers.with_precision_and_scale(PRECISION, scale).map_err(from_arrow)?;
        numbers.validate_decimal_precision(PRECISION).map_err(from_arrow)?;
        Ok(Arc::new(numbers))
    };
    let price = |px: fn(&Row) -> i64| numbers(digits.price, &|row| Some(i128::from(px(row))));
    let sum = |digits: u32, sum: fn(&Row) -> i128| numbers(digits, &|row| Some(sum(row)));
    let value_digits = digits.price + digits.quantity;
    let columns: [(&str, ArrayRef); 13] = [
        ("ts_open", times(|row| row.ts_open)),
        ("ts_close", times(|row| row.ts_close)),
        ("open", price(|row| row.open)?),
        ("high", price(|row| row.high)?),
        ("low", price(|row| row.low)?),
        ("close", price(|row| row.close)?),
        ("volume", sum(digits.quantity, |row| row.volume)?),
        ("quote_volume", sum(value_digits, |row| row.quote_volume)?),
        ("taker_buy_volume", sum(digits.quantity, |row| row.buy_volume)?),
        ("taker_sell_volume", sum(digits.quantity, |row| row.sell_volume)?),
        ("trade_count", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.trade_count)))),
        ("is_synthetic", Arc::new(rows.iter().map(|row| Some(row.is_synthetic)).collect::<BooleanArray>())),
        ("vwap", numbers(digits.price + MEAN_DIGITS, &|row| row.vwap(MEAN_DIGITS))?),
    ];
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.map(|(_, column)| column).to_vec()).map_err(from_arrow)
}

fn parse_kind(variant: &str) -> PyResult<BarKind> {
    let parsed = Variant::parse(Channel::Klines, variant).ok().and_then(BarKind::of);
    parsed.ok_or_else(|| PyValueError::new_err(format!("no interval and no bar type: {variant:?}")))
}

fn parse_grid(variant: &str) -> PyResult<Grid> {
    match parse_kind(variant)? {
        BarKind::Time { interval_ns } => Ok(Grid::new(interval_ns)),
        _ => Err(PyValueError::new_err(format!("no interval of time: {variant:?}"))),
    }
}

fn from_klines(error: KlineError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

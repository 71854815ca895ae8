//! Rows of REST answers as Arrow columns: exact decimals, times as timestamps.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow_schema::{Field, Schema};
use facade_model::{Decimal, FundingRate, Level, Statistics, Sum, TakerSide, Trade};
use facade_venues::{Interval, KlineRow, Rows};
use facade_wire::Exponents;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrow::from_arrow;

/// Digits of a Decimal of 128 bits.
const PRECISION: u8 = 38;

type Columns = Vec<(&'static str, ArrayRef)>;

/// Makes one chunk of all rows. `interval`: of klines.
pub(crate) fn to_batch(rows: &Rows, interval: Option<Interval>, usual: Exponents) -> PyResult<RecordBatch> {
    let columns = match rows {
        Rows::Klines(rows) => klines(rows, interval, usual)?,
        Rows::Trades(rows) => trades(rows, usual)?,
        Rows::Ticker { ts_event, ticker } => statistics(*ts_event, ticker, usual)?,
        Rows::Funding(rows) => funding(rows)?,
        Rows::Book { bids, asks, .. } => book(bids, asks, usual)?,
    };
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(schema), columns).map_err(from_arrow)
}

fn klines(rows: &[KlineRow], interval: Option<Interval>, usual: Exponents) -> PyResult<Columns> {
    let price = |px: fn(&KlineRow) -> Decimal| {
        let told = rows.iter().map(|row| (!row.is_empty()).then(|| Sum::from(px(row))));
        numbers(told, usual.price)
    };
    let sum = |sum: fn(&KlineRow) -> Option<Sum>, exponent| numbers(rows.iter().map(sum), exponent);
    let ts_close = |row: &KlineRow| interval.map(|interval| interval.next(row.ts_open));
    Ok(vec![
        ("ts_open", times(rows.iter().map(|row| Some(row.ts_open)))),
        ("ts_close", times(rows.iter().map(ts_close))),
        ("open", price(|row| row.open)?),
        ("high", price(|row| row.high)?),
        ("low", price(|row| row.low)?),
        ("close", price(|row| row.close)?),
        ("volume", sum(|row| Some(row.volume), usual.quantity)?),
        ("quote_volume", sum(|row| row.quote_volume, 0)?),
        ("taker_buy_volume", sum(|row| row.taker_buy_volume, usual.quantity)?),
        ("trade_count", Arc::new(rows.iter().map(|row| row.trade_count).collect::<UInt64Array>())),
        ("vwap", sum(|row| row.vwap, usual.price)?),
        ("is_final", Arc::new(rows.iter().map(|row| row.is_closed).collect::<BooleanArray>())),
    ])
}

fn trades(rows: &[Trade], usual: Exponents) -> PyResult<Columns> {
    let is_buy = |trade: &Trade| match trade.side {
        TakerSide::Buy => Some(true),
        TakerSide::Sell => Some(false),
        TakerSide::Unknown => None,
    };
    Ok(vec![
        ("ts_event", times(rows.iter().map(|row| (row.ts_event != 0).then_some(row.ts_event)))),
        ("price", numbers(rows.iter().map(|row| Some(row.px.into())), usual.price)?),
        ("quantity", numbers(rows.iter().map(|row| Some(row.qty.into())), usual.quantity)?),
        ("is_buy", Arc::new(rows.iter().map(is_buy).collect::<BooleanArray>())),
        ("trade_id", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.id)))),
    ])
}

fn statistics(ts_event: i64, told: &Statistics, usual: Exponents) -> PyResult<Columns> {
    let price = |px: Option<Decimal>| numbers([px.map(Sum::from)].into_iter(), usual.price);
    let quantity = |qty: Option<Decimal>| numbers([qty.map(Sum::from)].into_iter(), usual.quantity);
    let sum = |sum: Option<Sum>| numbers([sum].into_iter(), 0);
    let (bid, ask) = (told.top.bid, told.top.ask);
    Ok(vec![
        ("ts_event", times([(ts_event != 0).then_some(ts_event)].into_iter())),
        ("last_price", price(told.last_px)?),
        ("last_quantity", quantity(told.last_qty)?),
        ("bid_price", price(bid.map(|level| level.px).or(told.bid_px))?),
        ("bid_quantity", quantity(bid.map(|level| level.qty))?),
        ("ask_price", price(ask.map(|level| level.px).or(told.ask_px))?),
        ("ask_quantity", quantity(ask.map(|level| level.qty))?),
        ("open_24h", price(told.open_px)?),
        ("high_24h", price(told.high_px)?),
        ("low_24h", price(told.low_px)?),
        ("volume_24h", sum(told.volume)?),
        ("quote_volume_24h", sum(told.quote_volume)?),
        ("vwap_24h", sum(told.vwap)?),
        ("change_percent_24h", sum(told.change_percent.map(Sum::from))?),
        ("trade_count_24h", Arc::new([told.trade_count].into_iter().collect::<UInt64Array>())),
    ])
}

fn funding(rows: &[FundingRate]) -> PyResult<Columns> {
    let length = |row: &FundingRate| (row.interval_s != 0).then_some(i64::from(row.interval_s));
    let price =
        |px: fn(&FundingRate) -> Option<Decimal>| numbers(rows.iter().map(|row| px(row).map(Sum::from)), 0);
    Ok(vec![
        ("ts_funding", times(rows.iter().map(|row| Some(row.ts_funding)))),
        ("rate", numbers(rows.iter().map(|row| Some(row.rate.into())), 0)?),
        ("interval_s", Arc::new(rows.iter().map(length).collect::<Int64Array>())),
        ("is_settled", Arc::new(rows.iter().map(|row| Some(row.is_settled)).collect::<BooleanArray>())),
        ("mark_price", price(|row| row.mark_px)?),
        ("index_price", price(|row| row.index_px)?),
    ])
}

fn book(bids: &[Level], asks: &[Level], usual: Exponents) -> PyResult<Columns> {
    let levels = || bids.iter().chain(asks);
    let sides = std::iter::repeat_n("bid", bids.len()).chain(std::iter::repeat_n("ask", asks.len()));
    Ok(vec![
        ("side", Arc::new(StringArray::from_iter_values(sides))),
        ("price", numbers(levels().map(|level| Some(level.px.into())), usual.price)?),
        ("quantity", numbers(levels().map(|level| Some(level.qty.into())), usual.quantity)?),
    ])
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

/// Makes a column of exact decimals: the usual digits behind the point, more where a value needs them.
fn numbers(values: impl Iterator<Item = Option<Sum>> + Clone, usual_exponent: i8) -> PyResult<ArrayRef> {
    let finest = values.clone().flatten().map(|value| value.canonical().exponent).min();
    let exponent = finest.unwrap_or_default().min(usual_exponent).min(0);
    let beyond = || PyValueError::new_err("numbers of one column do not fit 38 digits");
    let mantissas =
        values.map(|value| value.map(|value| value.rescale(exponent).ok_or_else(beyond)).transpose());
    let column: Decimal128Array = mantissas.collect::<PyResult<Vec<_>>>()?.into();
    let scale = exponent.checked_neg().ok_or_else(beyond)?;
    let column = column.with_precision_and_scale(PRECISION, scale).map_err(from_arrow)?;
    column.validate_decimal_precision(PRECISION).map_err(from_arrow)?;
    Ok(Arc::new(column))
}

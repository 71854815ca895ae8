//! Tables that go out: answers, bars, and the evidence for them.

use std::sync::Arc;

use arrow_array::builder::{StringViewBuilder, UInt32Builder};
use arrow_array::types::UInt8Type;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt8Array,
};
use facade_model::{Decimal, Sum};
use facade_reconcile::{BarVerdict, Outcome, Reason, Verdict};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrow::from_arrow;

/// Digits of a Decimal of 128 bits.
const PRECISION: u8 = 38;

/// One row a symbol.
#[derive(Default)]
pub(crate) struct Answers {
    symbols: StringViewBuilder,
    prices: StringViewBuilder,
    confidences: Vec<f64>,
    deviations: Vec<f64>,
    accepted: UInt32Builder,
    quotes: UInt32Builder,
    outcomes: Vec<u8>,
    correlated: Vec<bool>,
    text: Vec<u8>,
}

impl Answers {
    pub(crate) fn push(&mut self, symbol: &str, quotes: usize, verdict: &Verdict) -> PyResult<()> {
        self.symbols.append_value(symbol);
        append(&mut self.prices, &mut self.text, verdict.price)?;
        self.confidences.push(verdict.confidence_ratio);
        self.deviations.push(verdict.deviation_ratio);
        self.accepted.append_value(u32::try_from(verdict.accepted).unwrap_or(u32::MAX));
        self.quotes.append_value(u32::try_from(quotes).unwrap_or(u32::MAX));
        self.outcomes.push(verdict.outcome as u8);
        self.correlated.push(verdict.is_correlated);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> PyResult<RecordBatch> {
        batch(vec![
            ("symbol", Arc::new(self.symbols.finish()), false),
            ("price", Arc::new(self.prices.finish()), true),
            ("confidence_ratio", Arc::new(Float64Array::from(self.confidences)), false),
            ("deviation_ratio", Arc::new(Float64Array::from(self.deviations)), false),
            ("accepted", Arc::new(self.accepted.finish()), false),
            ("quotes", Arc::new(self.quotes.finish()), false),
            ("outcome", words(self.outcomes, &Outcome::ALL.map(Outcome::word))?, false),
            ("is_correlated", Arc::new(BooleanArray::from(self.correlated)), false),
        ])
    }
}

/// Appends a number as text without making a string of it; absent as absent.
fn append(column: &mut StringViewBuilder, text: &mut Vec<u8>, number: Option<Sum>) -> PyResult<()> {
    let Some(number) = number else {
        column.append_null();
        return Ok(());
    };
    text.clear();
    match i64::try_from(number.mantissa) {
        Ok(mantissa) => Decimal::new(mantissa, number.exponent).write_plain(text),
        Err(_) => number.write_plain(text),
    }
    let text = std::str::from_utf8(text).map_err(|error| PyValueError::new_err(error.to_string()))?;
    column.append_value(text);
    Ok(())
}

/// One row a quote or a bar.
pub(crate) struct Evidence {
    reasons: Vec<Reason>,
}

impl Evidence {
    pub(crate) fn with_rows(rows: usize) -> Self {
        Self { reasons: vec![Reason::Used; rows] }
    }

    pub(crate) fn of_reasons(reasons: &[Reason]) -> Self {
        Self { reasons: reasons.to_vec() }
    }

    pub(crate) fn set(&mut self, row: usize, reason: Reason) {
        if let Some(place) = self.reasons.get_mut(row) {
            *place = reason;
        }
    }

    /// Returns the table, with the given columns before the verdicts.
    pub(crate) fn finish(self, given: Vec<(&str, ArrayRef, bool)>) -> PyResult<RecordBatch> {
        let used: Vec<bool> = self.reasons.iter().map(|&reason| reason == Reason::Used).collect();
        let reasons = self.reasons.into_iter().map(|reason| reason as u8).collect();
        let reasons = words(reasons, &Reason::ALL.map(Reason::word))?;
        let mut columns = given;
        columns.push(("used", Arc::new(BooleanArray::from(used)), false));
        columns.push(("reason", reasons, false));
        batch(columns)
    }
}

/// Words of a closed set, each row a number of one.
fn words(numbers: Vec<u8>, words: &[&str]) -> PyResult<ArrayRef> {
    let words = Arc::new(StringArray::from(words.to_vec()));
    let column = DictionaryArray::<UInt8Type>::try_new(UInt8Array::from(numbers), words);
    Ok(Arc::new(column.map_err(from_arrow)?))
}

/// One row an interval.
#[derive(Default)]
pub(crate) struct Bars {
    times: Vec<i64>,
    prices: [Vec<Option<i128>>; 4],
    confidences: Vec<f64>,
    accepted: UInt32Builder,
    outcomes: Vec<u8>,
}

impl Bars {
    pub(crate) fn push(&mut self, ts_open: i64, verdict: &BarVerdict) -> PyResult<()> {
        if self.times.last().is_some_and(|&last| last >= ts_open) {
            return Err(PyValueError::new_err("bars are not in order of time"));
        }
        self.times.push(ts_open);
        for (column, price) in self.prices.iter_mut().zip(verdict.prices) {
            column.push((verdict.outcome == Outcome::Accepted).then_some(price));
        }
        self.confidences.push(verdict.confidence_ratio);
        self.accepted.append_value(u32::try_from(verdict.accepted).unwrap_or(u32::MAX));
        self.outcomes.push(verdict.outcome as u8);
        Ok(())
    }

    pub(crate) fn finish(mut self, digits: u32) -> PyResult<RecordBatch> {
        let scale = i8::try_from(digits).unwrap_or(i8::MAX);
        let times = TimestampNanosecondArray::from(self.times).with_timezone("UTC");
        let mut columns: Vec<(&str, ArrayRef, bool)> = vec![("ts_open", Arc::new(times), false)];
        for (name, prices) in ["open", "high", "low", "close"].into_iter().zip(self.prices) {
            let prices = Decimal128Array::from(prices).with_precision_and_scale(PRECISION, scale);
            columns.push((name, Arc::new(prices.map_err(from_arrow)?), true));
        }
        columns.push(("confidence_ratio", Arc::new(Float64Array::from(self.confidences)), false));
        columns.push(("accepted", Arc::new(self.accepted.finish()), false));
        columns.push(("outcome", words(self.outcomes, &Outcome::ALL.map(Outcome::word))?, false));
        batch(columns)
    }
}

fn batch(columns: Vec<(&str, ArrayRef, bool)>) -> PyResult<RecordBatch> {
    RecordBatch::try_from_iter_with_nullable(columns).map_err(from_arrow)
}

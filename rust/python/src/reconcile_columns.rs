//! Tables of quotes in, tables of answers and evidence out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{StringViewBuilder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, TimestampNanosecondArray,
};
use arrow_schema::DataType;
use facade_model::{Decimal, Sum};
use facade_reconcile::{
    BarVerdict, Outcome, Quote, Reason, Reconciler, Rules, Verdict, check_price, convert, read_price,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrow::{Column, from_arrow};
use crate::reconcile::{Source, Sources};

/// Digits of a Decimal of 128 bits.
const PRECISION: u8 = 38;

/// Strings of any layout.
enum Texts<'a> {
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    fn of(column: Column<'a>) -> PyResult<Self> {
        match column.values.data_type() {
            DataType::Utf8 => Ok(Self::Small(column.values.as_string())),
            DataType::LargeUtf8 => Ok(Self::Large(column.values.as_string())),
            DataType::Utf8View => Ok(Self::View(column.values.as_string_view())),
            found => {
                let text = format!("column {:?} is of type {found}, expected String", column.name);
                Err(PyTypeError::new_err(text))
            }
        }
    }

    fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Small(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Large(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }
}

/// Prices of any type, each read on its own: one that is none spoils no other.
enum Prices<'a> {
    Texts(Texts<'a>),
    Mantissas(&'a ArrayRef, &'a [i64], i8),
    Decimals(&'a ArrayRef, &'a [i128], i8),
    Floats(&'a ArrayRef, &'a [f64]),
}

impl<'a> Prices<'a> {
    fn of(column: Column<'a>, digits: u32) -> PyResult<Self> {
        let values = column.values;
        let exponent = i8::try_from(digits).map_or(-30, |digits| -digits).max(-30);
        Ok(match values.data_type() {
            DataType::Int64 => Self::Mantissas(values, values.as_primitive::<Int64Type>().values(), exponent),
            DataType::Decimal128(_, scale) => {
                let numbers = values.as_primitive::<Decimal128Type>().values();
                Self::Decimals(values, numbers, scale.saturating_neg())
            }
            DataType::Float64 => Self::Floats(values, values.as_primitive::<Float64Type>().values()),
            _ => Self::Texts(Texts::of(column)?),
        })
    }

    fn get(&self, row: usize) -> Result<Decimal, Reason> {
        match self {
            Self::Texts(texts) => read_price(texts.get(row).unwrap_or_default().as_bytes()),
            Self::Mantissas(array, values, exponent) => {
                let mantissa = known(array, values, row)?;
                check_price(Decimal::new(mantissa, *exponent))
            }
            Self::Decimals(array, values, exponent) => {
                let value = Sum::new(known(array, values, row)?, *exponent).canonical();
                if value.mantissa <= 0 {
                    return Err(Reason::NotPositive);
                }
                let mantissa = i64::try_from(value.mantissa).map_err(|_| Reason::OutOfRange)?;
                check_price(Decimal::new(mantissa, value.exponent))
            }
            Self::Floats(array, values) => {
                let value = known(array, values, row)?;
                // the shortest text that gives the same float: what the source most likely wrote
                if value.is_finite() {
                    read_price(value.to_string().as_bytes())
                } else {
                    Err(Reason::NotANumber)
                }
            }
        }
    }
}

fn known<T: Copy>(array: &ArrayRef, values: &[T], row: usize) -> Result<T, Reason> {
    let value = values.get(row).filter(|_| array.is_valid(row));
    value.copied().ok_or(Reason::NotGiven)
}

/// A table of quotes.
pub(crate) struct Quotes<'a> {
    symbols: Texts<'a>,
    sources: Texts<'a>,
    prices: Prices<'a>,
    ages: Cow<'a, [i64]>,
    rates: Option<Texts<'a>>,
    rows: usize,
}

impl<'a> Quotes<'a> {
    pub(crate) fn of(batch: &'a RecordBatch, price_digits: u32) -> PyResult<Self> {
        let column = |at| Column::of(batch, at);
        let rates = if batch.num_columns() > 4 { Some(Texts::of(column(4)?)?) } else { None };
        Ok(Self {
            symbols: Texts::of(column(0)?)?,
            sources: Texts::of(column(1)?)?,
            prices: Prices::of(column(2)?, price_digits)?,
            ages: ages(column(3)?)?,
            rates,
            rows: batch.num_rows(),
        })
    }

    /// Judges symbol after symbol, in the order of their first rows.
    pub(crate) fn judge(
        &self,
        rules: Rules,
        sources: &Sources,
        answers: &mut Answers,
        evidence: &mut Evidence,
    ) -> PyResult<()> {
        let groups = self.groups()?;
        let (mut machine, mut names) = (Reconciler::new(rules), Names::new(sources));
        let (mut quotes, mut reasons, mut sorted) = (Vec::new(), Vec::new(), Vec::new());
        for (symbol, places) in &groups.symbols {
            let mut rows = groups.rows.get(places.clone()).unwrap_or_default();
            if rules.trimmed_each(rows.len()) > 0 {
                sorted.clear();
                sorted.extend_from_slice(rows);
                sorted.sort_by_key(|&row| self.sources.get(row)); // says which of equal prices are trimmed
                rows = &sorted;
            }
            names.start();
            quotes.clear();
            for &row in rows {
                let source = names.next(self.sources.get(row), symbol)?;
                quotes.push(self.quote(row, source));
            }
            reasons.clear();
            reasons.resize(quotes.len(), Reason::Used);
            answers.push(symbol, quotes.len(), &machine.judge(&quotes, &mut reasons))?;
            for (&row, &reason) in rows.iter().zip(&reasons) {
                evidence.set(row, reason);
            }
        }
        Ok(())
    }

    fn quote(&self, row: usize, source: Source) -> Quote {
        let price = self.prices.get(row);
        let price = match self.rates.as_ref().and_then(|rates| rates.get(row)) {
            Some(rate) => price.and_then(|price| convert(price, rate.as_bytes())),
            None => price,
        };
        let age_ns = self.ages.get(row).copied().unwrap_or(-1);
        Quote { price, age_ns, age_ns_max: source.age_ns_max, is_aggregator: source.is_aggregator }
    }

    /// Gathers the rows of each symbol. Rows that are sorted by symbol need no look-up.
    fn groups(&self) -> PyResult<Groups<'a>> {
        let mut groups = Groups { symbols: Vec::new(), rows: (0..self.rows).collect() };
        let mut is_rising = true;
        for row in 0..self.rows {
            let absent = || PyValueError::new_err(format!("row {row}: symbol is absent"));
            let symbol = self.symbols.get(row).ok_or_else(absent)?;
            match groups.symbols.last_mut() {
                Some((last, places)) if *last == symbol => places.end = row + 1,
                last => {
                    is_rising &= last.is_none_or(|(last, _)| *last < symbol);
                    groups.symbols.push((symbol, row..row + 1));
                }
            }
        }
        if !is_rising {
            groups.join();
        }
        Ok(groups)
    }
}

/// Rows by symbol.
struct Groups<'a> {
    symbols: Vec<(&'a str, Range<usize>)>, // places in `rows`
    rows: Vec<usize>,
}

impl Groups<'_> {
    /// Joins the runs of the same symbol, in the order of their first rows.
    fn join(&mut self) {
        let mut first = HashMap::with_capacity(self.symbols.len());
        let mut runs: Vec<Vec<Range<usize>>> = Vec::new();
        for (symbol, places) in &self.symbols {
            let at = *first.entry(*symbol).or_insert(runs.len());
            match runs.get_mut(at) {
                Some(run) => run.push(places.clone()),
                None => runs.push(vec![places.clone()]),
            }
        }
        self.rows.clear();
        let mut joined = Vec::with_capacity(runs.len());
        for run in runs {
            let start = self.rows.len();
            let symbol = run.first().and_then(|places| {
                let at = self.symbols.partition_point(|(_, other)| other.start < places.start);
                self.symbols.get(at).map(|(symbol, _)| *symbol)
            });
            self.rows.extend(run.into_iter().flatten());
            joined.extend(symbol.map(|symbol| (symbol, start..self.rows.len())));
        }
        self.symbols = joined;
    }
}

/// Ages in ns; absent ones as -1.
fn ages(column: Column<'_>) -> PyResult<Cow<'_, [i64]>> {
    let Some(ages) = column.values.as_primitive_opt::<Int64Type>() else {
        let text = format!("column {:?}: expected Int64 (ns)", column.name);
        return Err(PyTypeError::new_err(text));
    };
    if ages.null_count() == 0 {
        return Ok(Cow::Borrowed(ages.values()));
    }
    Ok(Cow::Owned(ages.iter().map(|age| age.unwrap_or(-1)).collect()))
}

/// Sources by name. Most tables name them in the same order for each symbol: the one that came next last time is
/// tried first.
struct Names<'a> {
    sources: &'a Sources,
    known: Vec<(String, Source)>,
    by_name: HashMap<String, usize>,
    seen: Vec<bool>,
    taken: Vec<usize>,
    before: Vec<usize>,
}

impl<'a> Names<'a> {
    fn new(sources: &'a Sources) -> Self {
        let (known, by_name, seen) = (Vec::new(), HashMap::new(), Vec::new());
        Self { sources, known, by_name, seen, taken: Vec::new(), before: Vec::new() }
    }

    /// Begins the next symbol.
    fn start(&mut self) {
        for &number in &self.taken {
            if let Some(seen) = self.seen.get_mut(number) {
                *seen = false;
            }
        }
        std::mem::swap(&mut self.taken, &mut self.before);
        self.taken.clear();
    }

    fn next(&mut self, name: Option<&str>, symbol: &str) -> PyResult<Source> {
        let absent = || PyValueError::new_err(format!("{symbol}: a source is absent"));
        let name = name.ok_or_else(absent)?;
        let expected = self.before.get(self.taken.len()).copied();
        let number =
            match expected.filter(|&number| self.known.get(number).is_some_and(|(known, _)| known == name)) {
                Some(number) => number,
                None => self.number(name),
            };
        self.taken.push(number);
        if let Some(seen) = self.seen.get_mut(number)
            && std::mem::replace(seen, true)
        {
            return Err(PyValueError::new_err(format!("{symbol}: source {name:?} stands twice")));
        }
        self.known.get(number).map(|(_, source)| *source).ok_or_else(absent)
    }

    fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.known.len();
        self.known.push((name.to_owned(), self.sources.get(name)));
        self.by_name.insert(name.to_owned(), number);
        self.seen.push(false);
        number
    }
}

/// One row a symbol.
#[derive(Default)]
pub(crate) struct Answers {
    symbols: StringViewBuilder,
    prices: StringViewBuilder,
    medians: StringViewBuilder,
    confidences: Vec<f64>,
    deviations: Vec<f64>,
    accepted: UInt32Builder,
    quotes: UInt32Builder,
    outcomes: StringViewBuilder,
    correlated: Vec<bool>,
    text: Vec<u8>,
}

impl Answers {
    fn push(&mut self, symbol: &str, quotes: usize, verdict: &Verdict) -> PyResult<()> {
        self.symbols.append_value(symbol);
        append(&mut self.prices, &mut self.text, verdict.price)?;
        append(&mut self.medians, &mut self.text, verdict.median)?;
        self.confidences.push(verdict.confidence_ratio);
        self.deviations.push(verdict.deviation_ratio);
        self.accepted.append_value(u32::try_from(verdict.accepted).unwrap_or(u32::MAX));
        self.quotes.append_value(u32::try_from(quotes).unwrap_or(u32::MAX));
        self.outcomes.append_value(verdict.outcome.word());
        self.correlated.push(verdict.is_correlated);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> PyResult<RecordBatch> {
        batch(vec![
            ("symbol", Arc::new(self.symbols.finish()), false),
            ("price", Arc::new(self.prices.finish()), true),
            ("median", Arc::new(self.medians.finish()), true),
            ("confidence_ratio", Arc::new(Float64Array::from(self.confidences)), false),
            ("deviation_ratio", Arc::new(Float64Array::from(self.deviations)), false),
            ("accepted", Arc::new(self.accepted.finish()), false),
            ("quotes", Arc::new(self.quotes.finish()), false),
            ("outcome", Arc::new(self.outcomes.finish()), false),
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

    fn set(&mut self, row: usize, reason: Reason) {
        if let Some(place) = self.reasons.get_mut(row) {
            *place = reason;
        }
    }

    pub(crate) fn finish(self) -> PyResult<RecordBatch> {
        let used: BooleanArray = self.reasons.iter().map(|&reason| Some(reason == Reason::Used)).collect();
        let mut words = StringViewBuilder::with_capacity(self.reasons.len());
        for reason in &self.reasons {
            words.append_value(reason.word());
        }
        batch(vec![("used", Arc::new(used), false), ("reason", Arc::new(words.finish()), false)])
    }
}

/// One row an interval.
#[derive(Default)]
pub(crate) struct Bars {
    times: Vec<i64>,
    prices: [Vec<Option<i128>>; 4],
    confidences: Vec<f64>,
    accepted: UInt32Builder,
    outcomes: StringViewBuilder,
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
        self.outcomes.append_value(verdict.outcome.word());
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
        columns.push(("outcome", Arc::new(self.outcomes.finish()), false));
        batch(columns)
    }
}

fn batch(columns: Vec<(&str, ArrayRef, bool)>) -> PyResult<RecordBatch> {
    RecordBatch::try_from_iter_with_nullable(columns).map_err(from_arrow)
}

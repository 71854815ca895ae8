//! Tables of quotes, read where they lie.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int64Type};
use arrow_array::{
    Array, Decimal128Array, Float64Array, Int64Array, LargeStringArray, PrimitiveArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow_schema::DataType;
use facade_model::{Decimal, Sum};
use facade_reconcile::{Quote, Reason, Reconciler, Rules, check_price, convert, read_price};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrow::Column;
use crate::reconcile::{Source, Sources};
use crate::reconcile_tables::{Answers, Evidence};

/// Longest text that lies in its view (Arrow: Variable-size Binary View Layout).
const INLINE_MAX: u128 = 12;

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

    /// Returns a number that no other text of this column has; `None`: the text is too long for one.
    #[inline]
    fn key(&self, row: usize) -> Option<u128> {
        match self {
            Self::View(texts) if texts.is_valid(row) => {
                let view = *texts.views().get(row)?;
                (view & u128::from(u32::MAX) <= INLINE_MAX).then_some(view) // length, then the text itself
            }
            _ => None,
        }
    }

    #[inline]
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
    Mantissas(&'a Int64Array, i8),
    Decimals(&'a Decimal128Array, i8),
    Floats(&'a Float64Array),
}

impl<'a> Prices<'a> {
    fn of(column: Column<'a>, digits: u32) -> PyResult<Self> {
        let values = column.values;
        let exponent = i8::try_from(digits).map_or(-30, |digits| -digits).max(-30);
        Ok(match values.data_type() {
            DataType::Int64 => Self::Mantissas(values.as_primitive(), exponent),
            DataType::Decimal128(_, scale) => Self::Decimals(values.as_primitive(), scale.saturating_neg()),
            DataType::Float64 => Self::Floats(values.as_primitive()),
            _ => Self::Texts(Texts::of(column)?),
        })
    }

    #[inline]
    fn get(&self, row: usize) -> Result<Decimal, Reason> {
        match self {
            Self::Texts(texts) => read_price(texts.get(row).unwrap_or_default().as_bytes()),
            Self::Mantissas(values, exponent) => check_price(Decimal::new(known(values, row)?, *exponent)),
            Self::Decimals(values, exponent) => {
                let value = Sum::new(known(values, row)?, *exponent).canonical();
                if value.mantissa <= 0 {
                    return Err(Reason::NotPositive);
                }
                let mantissa = i64::try_from(value.mantissa).map_err(|_| Reason::OutOfRange)?;
                check_price(Decimal::new(mantissa, value.exponent))
            }
            Self::Floats(values) => {
                let value = known(values, row)?;
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

#[inline]
fn known<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, row: usize) -> Result<T::Native, Reason> {
    let value = values.values().get(row).filter(|_| values.is_valid(row));
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
        let column = |name: &str| {
            let at = batch.schema_ref().index_of(name).unwrap_or(usize::MAX);
            Column::of(batch, at).map_err(|_| PyValueError::new_err(format!("column {name:?} is missing")))
        };
        let rates = column("rate").ok().map(Texts::of).transpose()?;
        Ok(Self {
            symbols: Texts::of(column("symbol")?)?,
            sources: Texts::of(column("source")?)?,
            prices: Prices::of(column("price")?, price_digits)?,
            ages: ages(column("age_ns")?)?,
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
                let source = names.next(&self.sources, row, symbol)?;
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
        let mut before = None;
        for row in 0..self.rows {
            let key = self.symbols.key(row);
            if let Some((_, places)) = groups.symbols.last_mut()
                && key.is_some()
                && key == before
            {
                places.end = row + 1;
                continue;
            }
            before = key;
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
    known: Vec<Known>,
    by_name: HashMap<String, usize>,
    taken: Vec<usize>,
    before: Vec<usize>,
}

impl<'a> Names<'a> {
    fn new(sources: &'a Sources) -> Self {
        Self { sources, known: Vec::new(), by_name: HashMap::new(), taken: Vec::new(), before: Vec::new() }
    }

    /// Begins the next symbol.
    fn start(&mut self) {
        for &number in &self.taken {
            if let Some(known) = self.known.get_mut(number) {
                known.is_taken = false;
            }
        }
        std::mem::swap(&mut self.taken, &mut self.before);
        self.taken.clear();
    }

    #[inline]
    fn next(&mut self, names: &Texts<'_>, row: usize, symbol: &str) -> PyResult<Source> {
        let absent = || PyValueError::new_err(format!("{symbol}: a source is absent"));
        let key = names.key(row);
        let expected = self.before.get(self.taken.len()).copied();
        let expected = expected.filter(|_| key.is_some());
        let number =
            match expected.filter(|&number| self.known.get(number).is_some_and(|known| known.key == key)) {
                Some(number) => number,
                None => self.number(names.get(row).ok_or_else(absent)?, key),
            };
        self.taken.push(number);
        let known = self.known.get_mut(number).ok_or_else(absent)?;
        if std::mem::replace(&mut known.is_taken, true) {
            let name = names.get(row).unwrap_or_default();
            return Err(PyValueError::new_err(format!("{symbol}: source {name:?} stands twice")));
        }
        Ok(known.source)
    }

    fn number(&mut self, name: &str, key: Option<u128>) -> usize {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.known.len();
        self.known.push(Known { key, source: self.sources.get(name), is_taken: false });
        self.by_name.insert(name.to_owned(), number);
        number
    }
}

/// A source that was met.
struct Known {
    key: Option<u128>,
    source: Source,
    is_taken: bool, // by the symbol that is judged
}

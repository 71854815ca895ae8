//! Reconciliation for Python: a few quotes as tuples, whole tables as Arrow columns.

use std::collections::HashMap;

use facade_reconcile::{
    Bar, BarReconciler, Method, Outcome, Quote, Reason, Rules, Verdict, convert, read_price,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::arrow::{Column, export, import};
use crate::reconcile_columns::Quotes;
use crate::reconcile_tables::{Answers, Bars, Evidence};

/// A source, a price as it was written, a rate where it has to be converted, and an age in ns.
type QuoteTuple = (String, String, Option<String>, Option<i64>);

/// A table that lends itself over the Arrow C stream interface.
#[pyclass(name = "Table", frozen)]
pub(crate) struct PyTable(pub(crate) arrow_array::RecordBatch);

#[pymethods]
impl PyTable {
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

/// What is known of a source beside its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) age_ns_max: i64,
    pub(crate) is_aggregator: bool,
}

/// Judges of each source.
#[derive(Debug)]
pub(crate) struct Sources {
    age_ns_max: i64,
    limits: HashMap<String, i64>,
    aggregators: Vec<String>,
}

impl Sources {
    pub(crate) fn get(&self, name: &str) -> Source {
        Source {
            age_ns_max: self.limits.get(name).copied().unwrap_or(self.age_ns_max),
            is_aggregator: self.aggregators.iter().any(|aggregator| aggregator == name),
        }
    }
}

/// Makes one price, or one bar, of what several sources say.
#[pyclass(name = "Reconciler", frozen)]
pub(crate) struct PyReconciler {
    rules: Rules,
    sources: Sources,
}

#[pymethods]
impl PyReconciler {
    /// Check the rules. ``method`` is ``trimmed_median`` or ``trimmed_mean``; ages are ns.
    ///
    /// Raises:
    ///     ValueError: A rule is out of its bounds; the message names it.
    #[new]
    #[pyo3(signature = (
        *, method, deviation_ratio_max, sources_min, confidence_ratio_min, trim_ratio, age_ns_max,
        age_ns_max_by_source, aggregators
    ))]
    #[expect(clippy::too_many_arguments, reason = "named by their keywords")]
    fn py_new(
        method: &str,
        deviation_ratio_max: f64,
        sources_min: u32,
        confidence_ratio_min: f64,
        trim_ratio: f64,
        age_ns_max: i64,
        age_ns_max_by_source: HashMap<String, i64>,
        aggregators: Vec<String>,
    ) -> PyResult<Self> {
        let method = match method {
            "trimmed_median" => Method::TrimmedMedian,
            "trimmed_mean" => Method::TrimmedMean,
            _ => {
                let text = format!("method: expected trimmed_median or trimmed_mean, received {method:?}");
                return Err(PyValueError::new_err(text));
            }
        };
        let rules = Rules::new(method, deviation_ratio_max, sources_min, confidence_ratio_min, trim_ratio)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { rules, sources: Sources { age_ns_max, limits: age_ns_max_by_source, aggregators } })
    }

    /// Judge the quotes of one symbol: (source, price, rate or None, age in ns or None), sorted by source.
    ///
    /// Returns outcome, price, median, confidence, deviation, number of quotes that are no outliers, whether
    /// aggregators agree against the venues; then the reasons and the converted prices, at the places of the quotes.
    /// A rate of ``""`` says that there is none. An empty outcome is an answer, an empty reason a quote that was used.
    ///
    /// Raises:
    ///     ValueError: The quotes are not sorted, or a source stands twice.
    #[pyo3(name = "judge")]
    fn py_judge<'py>(&self, py: Python<'py>, quotes: Vec<QuoteTuple>) -> PyResult<Bound<'py, PyAny>> {
        if let Some([_, twice]) = quotes.array_windows::<2>().find(|[left, right]| left.0 >= right.0) {
            let text = format!("quotes must be sorted by source, each once: {:?} is not", twice.0);
            return Err(PyValueError::new_err(text));
        }
        let read: Vec<Quote> = quotes.iter().map(|quote| self.read(quote)).collect();
        let mut reasons = vec![Reason::Used; read.len()];
        let verdict = facade_reconcile::Reconciler::new(self.rules).judge(&read, &mut reasons);
        let words: Vec<&str> = reasons.into_iter().map(Reason::word).collect();
        let prices =
            read.iter().map(|quote| quote.price.map_or_else(|_| String::new(), |price| price.to_string()));
        let figures = figures(&verdict);
        let answer = (figures.0, figures.1, figures.2, verdict.confidence_ratio, verdict.deviation_ratio);
        let (outcome, price, median, confidence, deviation) = answer;
        let rest = (verdict.accepted, verdict.is_correlated, words, prices.collect::<Vec<String>>());
        let all = (outcome, price, median, confidence, deviation, rest.0, rest.1, rest.2, rest.3);
        all.into_pyobject(py).map(Bound::into_any)
    }

    /// Judge a table of quotes; the answers, one row a symbol, and the evidence, one row a quote in the given order.
    ///
    /// The table has the columns symbol, source (strings), price (strings, Decimal, Float64; integers are mantissas
    /// at ``price_digits``), age_ns (absent: unknown) and, if rates are needed, rate (strings), in one chunk.
    ///
    /// Raises:
    ///     ValueError: A symbol or source is absent, or a source stands twice for a symbol.
    ///     TypeError: A column is of another type.
    #[pyo3(name = "judge_columns", signature = (quotes, *, price_digits))]
    fn py_judge_columns(
        &self,
        py: Python<'_>,
        quotes: &Bound<'_, PyAny>,
        price_digits: u32,
    ) -> PyResult<(PyTable, PyTable)> {
        let batch = import(quotes)?;
        py.detach(|| {
            let quotes = Quotes::of(&batch, price_digits)?;
            let (mut answers, mut evidence) = (Answers::default(), Evidence::with_rows(batch.num_rows()));
            quotes.judge(self.rules, &self.sources, &mut answers, &mut evidence)?;
            let given = ["symbol", "source"].map(|name| (name, batch.column_by_name(name)));
            let given = given.into_iter().filter_map(|(name, column)| Some((name, column?.clone(), false)));
            Ok((PyTable(answers.finish()?), PyTable(evidence.finish(given.collect())?)))
        })
    }

    /// Judge a table of bars; one row an interval, and one reason a bar in the given order.
    ///
    /// The table has the columns time, open, high, low and close, sorted by time and then by source, in one chunk.
    /// The prices that come out have one digit more than ``price_digits``.
    ///
    /// Raises:
    ///     ValueError: The table is not in order of time, or a price is not exact at its digits.
    ///     TypeError: A column is of another type.
    #[pyo3(name = "judge_bar_columns", signature = (bars, *, price_digits))]
    fn py_judge_bar_columns(
        &self,
        py: Python<'_>,
        bars: &Bound<'_, PyAny>,
        price_digits: u32,
    ) -> PyResult<(PyTable, PyTable)> {
        let batch = import(bars)?;
        py.detach(|| {
            let ts = Column::of(&batch, 0)?.times()?;
            let mut read = vec![Bar::default(); ts.len()];
            let places: [fn(&mut Bar) -> &mut i64; 4] =
                [|bar| &mut bar.open, |bar| &mut bar.high, |bar| &mut bar.low, |bar| &mut bar.close];
            for (at, place) in (1..).zip(places) {
                let prices = Column::of(&batch, at)?.mantissas(price_digits)?;
                read.iter_mut().zip(prices.iter()).for_each(|(bar, &price)| *place(bar) = price);
            }
            let mut machine = BarReconciler::new(self.rules);
            let (mut rows, mut reasons) = (Bars::default(), vec![Reason::Used; read.len()]);
            let mut start = 0;
            for run in ts.chunk_by(|left, right| left == right) {
                let end = start + run.len();
                let (Some(&ts_open), Some(bars), Some(reasons)) =
                    (run.first(), read.get(start..end), reasons.get_mut(start..end))
                else {
                    break;
                };
                rows.push(ts_open, &machine.judge(bars, reasons))?;
                start = end;
            }
            let evidence = Evidence::of_reasons(&reasons);
            Ok((PyTable(rows.finish(price_digits + 1)?), PyTable(evidence.finish(Vec::new())?)))
        })
    }
}

impl PyReconciler {
    fn read(&self, (source, price, rate, age_ns): &QuoteTuple) -> Quote {
        let price = read_price(price.as_bytes());
        let price = match rate {
            Some(rate) => price.and_then(|price| convert(price, rate.as_bytes())),
            None => price,
        };
        let Source { age_ns_max, is_aggregator } = self.sources.get(source);
        Quote { price, age_ns: age_ns.unwrap_or(-1), age_ns_max, is_aggregator }
    }
}

/// Outcome, price and median as words of the contract; empty: there is none.
fn figures(verdict: &Verdict) -> (&'static str, String, String) {
    let text = |sum: Option<facade_model::Sum>| sum.map_or_else(String::new, |sum| sum.to_string());
    debug_assert!(verdict.price.is_some() == (verdict.outcome == Outcome::Accepted));
    (verdict.outcome.word(), text(verdict.price), text(verdict.median))
}

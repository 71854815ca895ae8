//! Arrow tables over the C stream interface: what Polars, pyarrow and others lend without a copy.

use std::borrow::Cow;
use std::ffi::CStr;

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{
    Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::{DataType, TimeUnit};
use facade_klines::batch::{mantissa_of_float, mantissa_of_sum, mantissa_of_text};
use facade_model::Sum;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

const STREAM: &CStr = c"arrow_array_stream";

/// Takes the one chunk of a table. Its buffers stay those of the lender until the chunk is dropped.
pub(crate) fn import(table: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    let capsule = table.call_method0("__arrow_c_stream__")?.cast_into::<PyCapsule>()?;
    let stream = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    #[expect(unsafe_code, reason = "the C stream interface hands over a pointer")]
    // SAFETY: a capsule of this name holds a valid stream (Arrow PyCapsule interface); `from_raw` moves it out and
    // leaves a released one behind, which the capsule's destructor passes over.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.as_ptr()) };
    let mut reader = RecordBatchStreamReader::try_new(stream).map_err(from_arrow)?;
    let schema = reader.schema();
    let Some(first) = reader.next() else { return Ok(RecordBatch::new_empty(schema)) };
    if reader.next().is_some() {
        return Err(PyValueError::new_err("table has several chunks: join them first"));
    }
    first.map_err(from_arrow)
}

/// Lends a chunk as a stream of one.
pub(crate) fn export<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = batch.schema();
    let reader = RecordBatchIterator::new([Ok(batch.clone())], schema);
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), STREAM)
}

pub(crate) fn from_arrow(error: arrow_schema::ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A column of a chunk, with its name for errors.
#[derive(Clone, Copy)]
pub(crate) struct Column<'a> {
    pub(crate) name: &'a str,
    pub(crate) values: &'a ArrayRef,
}

impl<'a> Column<'a> {
    /// Takes a column by its place.
    pub(crate) fn of(batch: &'a RecordBatch, at: usize) -> PyResult<Self> {
        let missing = || PyValueError::new_err(format!("column {at} is missing"));
        let schema = batch.schema_ref();
        let name = schema.fields().get(at).ok_or_else(missing)?.name();
        Ok(Self { name, values: batch.columns().get(at).ok_or_else(missing)? })
    }

    /// Refuses absent values.
    fn whole(self) -> PyResult<Self> {
        if self.values.null_count() > 0 {
            return Err(PyValueError::new_err(format!("column {:?} has absent values", self.name)));
        }
        Ok(self)
    }

    fn wrong_type(self, wanted: &str) -> PyErr {
        let found = self.values.data_type();
        PyTypeError::new_err(format!("column {:?} is of type {found}, expected {wanted}", self.name))
    }

    fn refused(self, row: usize, value: &dyn std::fmt::Display, digits: u32) -> PyErr {
        PyValueError::new_err(format!(
            "column {:?}, row {row}: {value} is no decimal of 64 bits with {digits} digits behind the point",
            self.name
        ))
    }

    /// Times in ns UTC: integers as they are, timestamps of any unit.
    pub(crate) fn times(self) -> PyResult<Cow<'a, [i64]>> {
        let column = self.whole()?;
        let (values, factor) = match column.values.data_type() {
            DataType::Int64 => (&column.values.as_primitive::<Int64Type>().values()[..], 1),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                (&column.values.as_primitive::<TimestampNanosecondType>().values()[..], 1)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                (&column.values.as_primitive::<TimestampMicrosecondType>().values()[..], 1_000)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                (&column.values.as_primitive::<TimestampMillisecondType>().values()[..], 1_000_000)
            }
            _ => return Err(column.wrong_type("Int64 (ns) or Datetime")),
        };
        if factor == 1 {
            return Ok(Cow::Borrowed(values));
        }
        let scaled = values.iter().map(|ts| ts.checked_mul(factor)).collect::<Option<Vec<_>>>();
        let beyond = || PyValueError::new_err(format!("column {:?}: a time does not fit 64 bits", self.name));
        scaled.map(Cow::Owned).ok_or_else(beyond)
    }

    /// Mantissas with so many digits behind the point; integers are taken for such mantissas as they are.
    pub(crate) fn mantissas(self, digits: u32) -> PyResult<Cow<'a, [i64]>> {
        let column = self.whole()?;
        let values = column.values;
        match values.data_type() {
            DataType::Int64 => return Ok(Cow::Borrowed(values.as_primitive::<Int64Type>().values())),
            DataType::Decimal128(_, scale) => {
                let numbers = values.as_primitive::<Decimal128Type>().values().iter();
                let numbers = numbers.map(|&mantissa| Sum::new(mantissa, scale.saturating_neg()));
                column.convert(numbers, digits, |&number| mantissa_of_sum(number, digits))
            }
            DataType::Float64 => {
                let numbers = values.as_primitive::<Float64Type>().values().iter().copied();
                column.convert(numbers, digits, |&number| mantissa_of_float(number, digits))
            }
            DataType::Utf8 => column.texts(values.as_string::<i32>().iter(), digits),
            DataType::LargeUtf8 => column.texts(values.as_string::<i64>().iter(), digits),
            DataType::Utf8View => column.texts(values.as_string_view().iter(), digits),
            _ => Err(column.wrong_type("Int64, Decimal, Float64 or String")),
        }
        .map(Cow::Owned)
    }

    fn texts<'b>(self, texts: impl Iterator<Item = Option<&'b str>>, digits: u32) -> PyResult<Vec<i64>> {
        self.convert(texts.map(Option::unwrap_or_default), digits, |text| mantissa_of_text(text, digits))
    }

    fn convert<T: std::fmt::Display>(
        self,
        numbers: impl Iterator<Item = T>,
        digits: u32,
        convert: impl Fn(&T) -> Option<i64>,
    ) -> PyResult<Vec<i64>> {
        let numbers = numbers.enumerate();
        numbers
            .map(|(row, number)| convert(&number).ok_or_else(|| self.refused(row, &number, digits)))
            .collect()
    }

    /// Sums as mantissas of 128 bits with so many digits behind the point.
    pub(crate) fn sums(self, digits: u32) -> PyResult<Vec<i128>> {
        let column = self.whole()?;
        let DataType::Decimal128(_, scale) = column.values.data_type() else {
            return Ok(column.mantissas(digits)?.iter().map(|&number| i128::from(number)).collect());
        };
        let exponent = i8::try_from(digits).map_or(i8::MIN, |digits| -digits);
        let numbers = column.values.as_primitive::<Decimal128Type>().values().iter().enumerate();
        numbers
            .map(|(row, &mantissa)| {
                let number = Sum::new(mantissa, scale.saturating_neg());
                number.rescale(exponent).ok_or_else(|| column.refused(row, &number, digits))
            })
            .collect()
    }
}

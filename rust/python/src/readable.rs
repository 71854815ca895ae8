//! Messages of the contract as JSON for Python.

use facade_readable::Schema;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// Makes messages of a contract readable.
///
/// Args:
///     descriptors: The contract, an encoded `FileDescriptorSet`.
///
/// Raises:
///     ValueError: It is none.
#[pyclass(frozen, name = "Schema", module = "datafacade._core")]
pub(crate) struct PySchema(Schema);

#[pymethods]
impl PySchema {
    #[new]
    fn py_new(descriptors: &[u8]) -> PyResult<Self> {
        Schema::decode(descriptors).map(Self).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Return an encoded message as JSON that people read, detached: call it from a worker thread.
    ///
    /// Args:
    ///     kind: Full name of the message, as `datafacade.v1.WarmKlinesResponse`.
    ///     message: Its bytes.
    ///
    /// Raises:
    ///     ValueError: The contract has no such message, or the bytes are none.
    fn json<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        message: PyBackedBytes,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let text = py.detach(|| self.0.json(kind, &message));
        text.map(|text| PyBytes::new(py, &text)).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

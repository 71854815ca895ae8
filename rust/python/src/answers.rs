//! `AnswerCache` for Python: the service's encoded answers, which the edge shares.

use std::sync::Arc;

use facade_cache::{AnswerCache, Class, Held, NewAnswer, OwnerStats};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::cache::{bounds, figures, nanoseconds};
use crate::clock::PyClock;

/// Answers above this are hashed without the interpreter's lock, bytes (STYLE R15: beyond some 100 us).
const HASH_HELD_BYTES_MAX: usize = 64 * 1024;

/// An answer as it was found in an `AnswerCache`.
#[pyclass(frozen, name = "Held", module = "datafacade._core")]
pub(crate) struct PyHeld {
    held: Held,
    message: Py<PyBytes>,
    class: String,
}

#[pymethods]
impl PyHeld {
    /// The message, without the fields that tell how it was served.
    #[getter]
    fn message(&self, py: Python<'_>) -> Py<PyBytes> {
        self.message.clone_ref(py)
    }

    /// SHA-256 of the message, 64 lower-case hex digits.
    #[getter]
    fn snapshot_id(&self) -> &str {
        self.held.snapshot_id()
    }

    /// When it was put in, ns since 1970 UTC.
    #[getter]
    fn ts_cached(&self) -> i64 {
        self.held.ts_cached()
    }

    /// When it stops being fresh, ns since 1970 UTC.
    #[getter]
    fn ts_expires(&self) -> i64 {
        self.held.ts_expires()
    }

    /// Whether it is past that.
    #[getter]
    fn is_stale(&self) -> bool {
        self.held.is_stale
    }

    /// Age of its data when it was found, ns.
    #[getter]
    fn age_ns(&self) -> u64 {
        self.held.age_ns
    }

    /// Class that it counts in.
    #[getter]
    fn cache_class(&self) -> &str {
        &self.class
    }
}

/// The service's encoded answers: made by handlers, repeated by the edge. Any thread may use it.
///
/// Args:
///     entries_max: Answers at once, at least 1.
///     bytes_max: Bytes of all answers with their keys and aliases; 0: not bounded.
///     clock: Its monotonic time.
///     classes: Names of the classes and how long their answers are fresh, ms.
///
/// Raises:
///     ValueError: `entries_max` is 0.
#[pyclass(frozen, name = "AnswerCache", module = "datafacade._core")]
pub(crate) struct PyAnswerCache(Arc<AnswerCache>);

impl PyAnswerCache {
    /// Lends the cache to the edge.
    pub(crate) fn shared(&self) -> Arc<AnswerCache> {
        Arc::clone(&self.0)
    }

    fn found(&self, py: Python<'_>, held: Held) -> PyHeld {
        let message = PyBytes::new(py, held.message()).unbind();
        PyHeld { message, class: self.0.class_name(held.class()), held }
    }
}

#[pymethods]
impl PyAnswerCache {
    #[new]
    #[pyo3(signature = (*, entries_max, bytes_max, clock, classes))]
    fn py_new(
        entries_max: usize,
        bytes_max: usize,
        clock: &PyClock,
        classes: Vec<(String, u64)>,
    ) -> PyResult<Self> {
        let classes = classes.into_iter().map(|(name, ttl_ms)| Class { name: name.into(), ttl_ms });
        let cache = AnswerCache::new(bounds(entries_max, bytes_max)?, classes, Arc::new(clock.0.clone()));
        Ok(Self(Arc::new(cache)))
    }

    /// Put an answer in, in place of the one with the same key; return the SHA-256 of the message in hex.
    ///
    /// It is fresh for `ttl_ms` and may be served, flagged, for `stale_ms` behind that. `ts_cached` is the wall time of
    /// now, `age_ns` how old its data is already, `owner` whose it is, for the statistics. What is larger than the whole cache is not kept.
    ///
    /// Raises:
    ///     ValueError: The class is none of the cache's.
    #[pyo3(signature = (key, message, *, cache_class, ts_cached, ttl_ms, stale_ms, age_ns = 0, owner = ""))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn put(
        &self,
        py: Python<'_>,
        key: &str,
        message: &[u8],
        cache_class: &str,
        ts_cached: i64,
        ttl_ms: u64,
        stale_ms: u64,
        age_ns: u64,
        owner: &str,
    ) -> PyResult<String> {
        let new = NewAnswer {
            key,
            message,
            class: cache_class,
            ts_cached,
            ttl_ns: nanoseconds(ttl_ms),
            stale_ns: nanoseconds(stale_ms),
            age_ns,
            owner,
        };
        let put =
            if message.len() > HASH_HELD_BYTES_MAX { py.detach(|| self.0.put(new)) } else { self.0.put(new) };
        put.map_err(|_| PyValueError::new_err(format!("cache_class: no class {cache_class:?}")))
    }

    /// Return the answer of a key and count a hit; None: it is not there, counted as a miss of `cache_class`.
    #[pyo3(signature = (key, *, cache_class = ""))]
    fn get(&self, py: Python<'_>, key: &str, cache_class: &str) -> Option<PyHeld> {
        self.0.get(key, cache_class).map(|held| self.found(py, held))
    }

    /// Return the answer of a key; count nothing, move nothing.
    fn peek(&self, py: Python<'_>, key: &str) -> Option<PyHeld> {
        self.0.peek(key).map(|held| self.found(py, held))
    }

    /// Let an exact request of a method (its path) lead to the answer of a key. Return whether it does.
    fn alias(&self, method: &str, request: &[u8], key: &str) -> bool {
        self.0.alias(method, request, key)
    }

    /// Take an answer out. Return whether it was there.
    fn remove(&self, key: &str) -> bool {
        self.0.remove(key)
    }

    /// Take everything out. The statistics go on.
    fn clear(&self) {
        self.0.clear();
    }

    /// Look at the next `places` places and take out what is past its time.
    fn sweep(&self, places: usize) {
        self.0.sweep(places);
    }

    /// Return the figures of each class, in the order given.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.0.stats().iter().map(|(class, stats)| figures(py, class, stats)).collect()
    }

    /// Return by owner how many answers were found and how many had to be made: (owner, hits, fills).
    fn owners(&self) -> Vec<(String, u64, u64)> {
        let told = |owner: OwnerStats| (owner.name.into_string(), owner.hits, owner.fills);
        self.0.owners().into_iter().map(told).collect()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

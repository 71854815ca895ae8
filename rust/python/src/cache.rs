//! `Cache` for Python: a mapping of any value that forgets.

use std::sync::{Mutex, MutexGuard, PoisonError};

use facade_cache::{Bounds, Class, ClassId, ClassStats, Clock, Lookup, Removed, Store, Terms};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::clock::{PyClock, SharedClock};

/// Classes of one mapping: their names come from its user and stay for ever.
const CLASSES_MAX: usize = 64;

type Object = Py<PyAny>;

/// A mapping that forgets: the least recently used entry leaves first, and none outlives its time.
///
/// Keys are `str` or `bytes`, values anything. Time is monotonic. Any thread may use it.
///
/// Args:
///     entries_max: Entries at once, at least 1.
///     bytes_max: Sum of `size_bytes` at once; 0: not bounded.
///     clock: Its time; None: the machine's.
///
/// Raises:
///     ValueError: `entries_max` is 0.
#[pyclass(frozen, mapping, name = "Cache", module = "datafacade._core")]
pub(crate) struct PyCache {
    /// Held for a look-up only, and never while a value is dropped: that may run anything, this cache included.
    store: Mutex<Store<Object, Object>>,
    clock: SharedClock,
}

/// A key that was checked: comparing it runs no code of Python.
struct Key<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    hash: u64,
}

impl<'a, 'py> Key<'a, 'py> {
    fn new(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if object.is_exact_instance_of::<PyString>() || object.is_exact_instance_of::<PyBytes>() {
            return Ok(Self { object, hash: u64::from_ne_bytes(object.hash()?.to_ne_bytes()) });
        }
        let kind = object.get_type().name()?;
        Err(PyTypeError::new_err(format!("key: expected str or bytes, received {kind}")))
    }

    fn is(&self, other: &Object) -> bool {
        if other.is(self.object) {
            return true;
        }
        let other = other.bind(self.object.py());
        // A text and bytes are never equal, and comparing them may warn, which runs code.
        other.get_type().is(self.object.get_type()) && other.eq(self.object).unwrap_or(false)
    }
}

impl PyCache {
    fn lock(&self) -> MutexGuard<'_, Store<Object, Object>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Object>> {
        let key = Key::new(key)?;
        let py = key.object.py();
        let mut store = self.lock();
        let removed = match store.get(key.hash, |other| key.is(other), &self.clock) {
            Lookup::Fresh(_, value) | Lookup::Stale(_, value) => return Ok(Some(value.clone_ref(py))),
            Lookup::Gone(removed) => Some(removed),
            Lookup::Missing => None,
        };
        store.count_miss(ClassId::default());
        drop(store);
        drop(removed);
        Ok(None)
    }

    fn put(
        &self,
        key: &Bound<'_, PyAny>,
        value: Object,
        terms: impl FnOnce(ClassId) -> Terms,
        class: &str,
    ) -> PyResult<()> {
        let key = Key::new(key)?;
        let entry = (key.object.clone().unbind(), value);
        let now_ns = self.clock.mono_ns();
        let mut removed: Vec<Removed<Object, Object>> = Vec::new();
        let mut store = self.lock();
        let class = class_of(&mut store, class)?;
        store.insert(key.hash, |other| key.is(other), entry, terms(class), now_ns, &mut removed);
        drop(store);
        Ok(())
    }

    fn take(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Object>> {
        let key = Key::new(key)?;
        let removed = self.lock().remove(key.hash, |other| key.is(other));
        Ok(removed.map(|(_, value)| value))
    }
}

fn class_of(store: &mut Store<Object, Object>, name: &str) -> PyResult<ClassId> {
    if let Ok(class) = store.class(name) {
        return Ok(class);
    }
    if store.stats().count() >= CLASSES_MAX {
        return Err(PyValueError::new_err(format!("cache_class: expected at most {CLASSES_MAX} names")));
    }
    let class = Class { name: name.into(), ttl_ms: 0 };
    store.add_class(class).map_err(|_| PyValueError::new_err("cache_class: too many names"))
}

/// What a value takes: the length of bytes and texts; of other objects nobody knows.
fn length(value: &Bound<'_, PyAny>) -> usize {
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyString>() {
        value.len().unwrap_or_default()
    } else {
        0
    }
}

#[pymethods]
impl PyCache {
    #[new]
    #[pyo3(signature = (*, entries_max, bytes_max = 0, clock = None))]
    fn py_new(
        py: Python<'_>,
        entries_max: usize,
        bytes_max: usize,
        clock: Option<&PyClock>,
    ) -> PyResult<Self> {
        let bounds = bounds(entries_max, bytes_max)?;
        let clock = match clock {
            Some(clock) => clock.0.clone(),
            None => PyClock::real(py)?.0,
        };
        let unnamed = Class { name: "".into(), ttl_ms: 0 };
        Ok(Self { store: Mutex::new(Store::new(bounds, [unnamed])), clock })
    }

    /// Return the value of a key, or the default. It is the newest entry then.
    ///
    /// Raises:
    ///     TypeError: The key is neither `str` nor `bytes`.
    #[pyo3(signature = (key, default = None))]
    fn get(&self, key: &Bound<'_, PyAny>, default: Option<Object>) -> PyResult<Option<Object>> {
        Ok(self.find(key)?.or(default))
    }

    /// Put a value in for `ttl_ms`, and for `stale_ms` behind that.
    ///
    /// `cache_class` names whose statistics it counts in, at most 64 names. `size_bytes` is what it takes of
    /// `bytes_max`; None: the length of `bytes` and `str`, else 0. What is larger than the whole cache is not kept.
    ///
    /// Raises:
    ///     TypeError: The key is neither `str` nor `bytes`.
    ///     ValueError: There are too many classes.
    #[pyo3(signature = (key, value, *, ttl_ms, stale_ms = 0, cache_class = "", size_bytes = None))]
    fn set(
        &self,
        key: &Bound<'_, PyAny>,
        value: Bound<'_, PyAny>,
        ttl_ms: u64,
        stale_ms: u64,
        cache_class: &str,
        size_bytes: Option<usize>,
    ) -> PyResult<()> {
        let bytes = size_bytes.unwrap_or_else(|| length(&value));
        let terms =
            |class| Terms { class, ttl_ns: nanoseconds(ttl_ms), stale_ns: nanoseconds(stale_ms), bytes };
        self.put(key, value.unbind(), terms, cache_class)
    }

    /// Take a value out and return it, or the default.
    ///
    /// Raises:
    ///     TypeError: The key is neither `str` nor `bytes`.
    #[pyo3(signature = (key, default = None))]
    fn pop(&self, key: &Bound<'_, PyAny>, default: Option<Object>) -> PyResult<Option<Object>> {
        Ok(self.take(key)?.or(default))
    }

    /// Take everything out. The statistics go on.
    fn clear(&self) {
        let mut removed = Vec::new();
        self.lock().clear(&mut removed);
    }

    /// Return the keys, the least recently used first.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let keys: Vec<Object> = self.lock().keys().map(|key| key.clone_ref(py)).collect();
        PyList::new(py, keys)
    }

    /// Return the figures of each class, by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let stats: Vec<_> = self.lock().stats().map(|(class, stats)| (class.clone(), *stats)).collect();
        stats.iter().map(|(class, stats)| figures(py, class, stats)).collect()
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let key = Key::new(key)?;
        Ok(self.lock().peek(key.hash, |other| key.is(other), &self.clock).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
    }

    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        self.find(key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    /// Put a value in that stays until there is no room for it.
    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = length(&value);
        self.put(key, value.unbind(), |class| Terms { class, ttl_ns: u64::MAX, stale_ns: 0, bytes }, "")
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.take(key)?.map(drop).ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Whoever holds the lock now keeps the values alive anyway.
        match self.store.try_lock() {
            Ok(store) => store.values().try_for_each(|value| visit.call(value)),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.clear();
    }
}

/// Returns milliseconds as nanoseconds; what does not fit is for ever.
pub(crate) fn nanoseconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(1_000_000)
}

/// Checks the bounds of a cache.
pub(crate) fn bounds(entries_max: usize, bytes_max: usize) -> PyResult<Bounds> {
    if entries_max == 0 {
        return Err(PyValueError::new_err("entries_max: expected at least 1, received 0"));
    }
    Ok(Bounds { entries_max, bytes_max })
}

/// Returns the figures of one class by name.
pub(crate) fn figures<'py>(
    py: Python<'py>,
    class: &Class,
    stats: &ClassStats,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("cache_class", &*class.name)?;
    for (name, value) in [
        ("hits", stats.hits),
        ("misses", stats.misses),
        ("stale_hits", stats.stale_hits),
        ("entries", stats.entries),
        ("entries_bytes", stats.entries_bytes),
        ("evictions", stats.evictions),
        ("expirations", stats.expirations),
        ("ttl_ms", class.ttl_ms),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

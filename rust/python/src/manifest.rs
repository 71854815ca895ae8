//! The manifest of a store of snapshots for Python: its chain judged, and the index of what is live.

use std::sync::{Mutex, MutexGuard, PoisonError};

use facade_manifest::{Chain, Found, Index, Interval, Line, Segment, Shelf, key_of};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// Bytes of lines from which on they are read detached from the interpreter: some 100 us (STYLE R15).
const DETACHED_BYTES_MIN: usize = 64 * 1_024;

/// Id, number, entity, kind, wall time in ns, bytes, rows, whether it is a table, labels.
type Row<'py> = (String, u64, Bound<'py, PyString>, Bound<'py, PyString>, i64, u64, u64, bool, Vec<String>);

/// Damages of a file: its path in the store, and what is wrong.
type Damages = Vec<(String, String)>;

fn lock<T>(inner: &Mutex<T>) -> MutexGuard<'_, T> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Do what takes a time that follows the bytes, detached if they are many.
fn bulk<T: Send>(py: Python<'_>, bytes: &[u8], work: impl FnOnce() -> T + Send) -> T {
    if bytes.len() < DETACHED_BYTES_MIN { work() } else { py.detach(work) }
}

/// Tell whether a line, without its end, is whole and tells what a record must.
#[pyfunction]
pub(crate) fn is_pit_line(line: &[u8]) -> bool {
    Line::check(line).is_ok()
}

/// Judges the segments of a manifest in order: what is broken, missing, doubled or out of place.
///
/// Args:
///     folder: Where the segments lie, for the paths of those that are missing.
#[pyclass(frozen, name = "PitChain", module = "datafacade._core")]
pub(crate) struct PyPitChain(Mutex<Chain>);

#[pymethods]
impl PyPitChain {
    #[new]
    fn py_new(folder: &str) -> Self {
        Self(Mutex::new(Chain::new(folder)))
    }

    /// Number of the last line; 0: there is none.
    #[getter]
    fn seq(&self) -> u64 {
        lock(&self.0).seq()
    }

    /// Hash of the last line.
    #[getter]
    fn head(&self) -> String {
        String::from_utf8_lossy(lock(&self.0).head()).into_owned()
    }

    /// Number of the first record that the newest cut left; 0: there is none.
    #[getter]
    fn cut_at(&self) -> u64 {
        lock(&self.0).cut_at()
    }

    /// Return what is wrong so far: path in the store and problem each.
    fn damages(&self) -> Damages {
        lock(&self.0).damages().iter().map(|damage| (damage.file.clone(), damage.problem.clone())).collect()
    }

    /// Take in a segment; return all lines of it that are whole, wherever they stand.
    ///
    /// Args:
    ///     first: Number of its first record, as its name says.
    ///     last: Number of its last record, as its name says; `first` of one as it was committed.
    ///     path: Its path in the store.
    ///     is_small: Whether it is one as it was committed.
    ///     content: What it holds; many bytes are judged detached from the interpreter.
    fn take<'py>(
        &self,
        first: u64,
        last: u64,
        path: &str,
        is_small: bool,
        content: Bound<'py, PyBytes>,
    ) -> Bound<'py, PyBytes> {
        let (py, bytes) = (content.py(), content.as_bytes());
        let segment = Segment { first, last, path, is_small };
        match bulk(py, bytes, || lock(&self.0).take(&segment, bytes)) {
            Some(whole) => PyBytes::new(py, &whole),
            None => content,
        }
    }

    /// Note that files are missing if the next segment begins further on.
    fn expect(&self, first: u64) {
        lock(&self.0).expect(first);
    }

    /// Note a segment that cannot be read at all.
    fn miss(&self, last: u64, path: &str, problem: &str) {
        lock(&self.0).miss(last, path, problem);
    }

    /// Judge the beginning, once all is read.
    fn end(&self) {
        lock(&self.0).end();
    }
}

/// Everything that is live in a store of snapshots. Texts are spelled as in JSON, without quotes. Any thread may ask.
#[pyclass(frozen, name = "PitIndex", module = "datafacade._core")]
pub(crate) struct PyPitIndex(Mutex<Index>);

#[pymethods]
impl PyPitIndex {
    #[new]
    fn py_new() -> Self {
        Self(Mutex::new(Index::new()))
    }

    fn __len__(&self) -> usize {
        lock(&self.0).len()
    }

    /// Bytes of all answers that are live.
    #[getter]
    fn bytes_live(&self) -> u64 {
        lock(&self.0).bytes_live()
    }

    /// Number of the newest record of a snapshot, live or not; 0: there is none.
    #[getter]
    fn seq_last(&self) -> u64 {
        lock(&self.0).seq_last()
    }

    /// Take in lines that a chain found whole; many are read detached from the interpreter.
    fn apply(&self, py: Python<'_>, lines: &[u8]) {
        bulk(py, lines, || lock(&self.0).apply(lines));
    }

    /// Forget what was dropped, since nothing of that is left on the disk.
    fn settle(&self) {
        lock(&self.0).settle();
    }

    /// Return the lines of the newest 64 snapshots, oldest first, without their ends.
    fn newest<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        lock(&self.0).newest().map(|line| PyBytes::new(py, line)).collect()
    }

    /// Return all entities that were ever named, and whether each has a live snapshot.
    fn entities(&self) -> Vec<(String, bool)> {
        lock(&self.0).entities().map(|(text, is_live)| (text.to_owned(), is_live)).collect()
    }

    /// Tell whether a snapshot of an id, or of the 32 digits in its files' names, is live.
    fn has(&self, digits: &str) -> bool {
        key_of(digits).is_some_and(|key| lock(&self.0).has(&key))
    }

    /// Tell whether a snapshot was dropped, and may have left files.
    fn is_dropped(&self, digits: &str) -> bool {
        key_of(digits).is_some_and(|key| lock(&self.0).is_dropped(&key))
    }

    /// Tell whether retention must leave a snapshot.
    fn is_held(&self, digits: &str) -> bool {
        key_of(digits).is_some_and(|key| lock(&self.0).is_held(&key))
    }

    /// Return the snapshot of an id or of its first digits; None: there is none, or several.
    fn find<'py>(&self, py: Python<'py>, digits: &str) -> Option<Row<'py>> {
        lock(&self.0).find(digits).map(|found| row_of(py, &found))
    }

    /// Return the newest snapshot of an entity at a time, ns UTC.
    fn at<'py>(&self, py: Python<'py>, entity: &str, ts: i64) -> Option<Row<'py>> {
        lock(&self.0).at(entity, ts).map(|found| row_of(py, &found))
    }

    /// Return an entity's snapshots of a half-open interval, by wall time and number: `limit` of them at most, and only
    /// those behind the wall time and number of `after`.
    #[pyo3(signature = (entity, ts_from, ts_to, *, limit = None, after = None))]
    fn between<'py>(
        &self,
        py: Python<'py>,
        entity: &str,
        ts_from: i64,
        ts_to: i64,
        limit: Option<usize>,
        after: Option<(i64, u64)>,
    ) -> Vec<Row<'py>> {
        let wanted = Interval { from: ts_from, until: ts_to, limit: limit.unwrap_or(usize::MAX), after };
        lock(&self.0).between(entity, wanted).map(|found| row_of(py, &found)).collect()
    }

    /// Return live snapshots whose number is greater, in the order of their records, `limit` at most.
    fn since<'py>(&self, py: Python<'py>, seq: u64, limit: usize) -> Vec<Row<'py>> {
        lock(&self.0).since(seq).take(limit).map(|found| row_of(py, &found)).collect()
    }

    /// Snapshots that went, ever.
    #[getter]
    fn gone(&self) -> u64 {
        lock(&self.0).gone()
    }

    /// Return the first `limit` snapshots that went after so many had; None: not all of them are known.
    fn gone_since<'py>(&self, py: Python<'py>, gone: u64, limit: usize) -> Option<Vec<Row<'py>>> {
        let index = lock(&self.0);
        Some(index.gone_since(gone)?.take(limit).map(|found| row_of(py, &found)).collect())
    }

    /// Return the ids of all snapshots up to a wall time, ns UTC, 32 bytes each, in the order of their records.
    fn ids<'py>(&self, py: Python<'py>, ts: i64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, py.detach(|| lock(&self.0).ids(ts)).as_flattened())
    }

    /// Return the number of the oldest record that is live; 0: none is.
    fn seq_first(&self) -> u64 {
        lock(&self.0).seq_first()
    }

    /// Return who tells which files belong to the live snapshots of an entity, as they are now.
    fn shelf(&self, py: Python<'_>, entity: &str) -> PyPitShelf {
        PyPitShelf(py.detach(|| lock(&self.0).shelf(entity)))
    }
}

/// Tells which files belong to the live snapshots of one entity.
#[pyclass(frozen, name = "PitShelf", module = "datafacade._core")]
pub(crate) struct PyPitShelf(Shelf);

#[pymethods]
impl PyPitShelf {
    /// Return those names that are not the right ones in the right place; many are looked at detached from the
    /// interpreter.
    ///
    /// Args:
    ///     folder: Name of a folder of the entity.
    ///     names: What is in it, each name with a zero byte behind it.
    fn strays<'py>(&self, py: Python<'py>, folder: &[u8], names: &[u8]) -> Vec<Bound<'py, PyBytes>> {
        let strays = bulk(py, names, || self.0.strays(folder, names).collect::<Vec<_>>());
        strays.into_iter().map(|name| PyBytes::new(py, name)).collect()
    }
}

fn row_of<'py>(py: Python<'py>, found: &Found<'_>) -> Row<'py> {
    let (entity, kind) = (PyString::new(py, found.entity), PyString::new(py, found.kind));
    let &Found { seq, ts, size, rows, is_table, labels, .. } = found;
    (found.id.clone(), seq, entity, kind, ts, size, rows, is_table, labels.to_vec())
}

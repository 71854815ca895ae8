//! `Journal` for Python: what a resume reads when the rings in memory no longer hold it.

use std::path::PathBuf;
use std::sync::Arc;

use facade_feed::Clock;
use facade_hub::{Hub, TopicKey};
use facade_journal::{HubLog, Journal, JournalBounds, JournalError};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::clock::{PyClock, SharedClock};
use crate::hub::PyHub;

const NS_PER_MS: i64 = 1_000_000;

fn from_journal(error: JournalError) -> PyErr {
    match error {
        JournalError::Io { ref path, ref cause, .. } => {
            let filename = path.to_string_lossy().into_owned();
            PyOSError::new_err((cause.raw_os_error(), error.to_string(), filename))
        }
        JournalError::EpochNotNew { .. } | JournalError::TooSmall { .. } => {
            PyValueError::new_err(error.to_string())
        }
        other => PyRuntimeError::new_err(other.to_string()),
    }
}

/// The disk-backed ring of updates: written by a thread of its own, read by whoever resumes.
///
/// Args:
///     hub: Whose log is kept.
///     dir: An existing directory that nobody else writes.
///     clock: Tells the age of what is kept.
///     epoch: Unix seconds of this start of the publisher, above all that the directory holds.
///     bytes_max: Bytes of all files, at least 1 MiB.
///     age_ms: Age of the oldest record kept.
///
/// Raises:
///     OSError: The directory cannot be listed.
///     ValueError: The epoch is not new, or `bytes_max` too small.
#[pyclass(frozen, name = "Journal", module = "datafacade._core")]
pub(crate) struct PyJournal {
    journal: Journal,
    hub: Arc<Hub>,
    clock: SharedClock,
}

#[pymethods]
impl PyJournal {
    #[new]
    #[pyo3(signature = (hub, dir, *, clock, epoch, bytes_max = 536_870_912, age_ms = 3_600_000))]
    fn py_new(
        py: Python<'_>,
        hub: &PyHub,
        dir: PathBuf,
        clock: &PyClock,
        epoch: u32,
        bytes_max: u64,
        age_ms: i64,
    ) -> PyResult<Self> {
        let bounds = JournalBounds { bytes_max, age_ns: age_ms.saturating_mul(NS_PER_MS) };
        let journal = py.detach(|| Journal::open(&dir, epoch, bounds)).map_err(from_journal)?;
        Ok(Self { journal, hub: hub.shared(), clock: clock.0.clone() })
    }

    /// Begin to write what the hub holds and what it publishes from now on.
    ///
    /// Raises:
    ///     RuntimeError: It was started before.
    ///     OSError: There is no thread to be had.
    fn start(&self) -> PyResult<()> {
        let clock = self.clock.clone();
        let source = Box::new(HubLog::new(Arc::clone(&self.hub)));
        self.journal.start(source, Box::new(move || clock.wall_ns())).map_err(from_journal)
    }

    /// Write what the hub still holds and end; idempotent. Detached from the interpreter.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.journal.stop());
    }

    /// Wait until all that was published before this call is written; return whether it is, after 1 s at most.
    /// Detached from the interpreter; call it from a worker thread.
    fn flush(&self, py: Python<'_>) -> bool {
        py.detach(|| self.journal.flush())
    }

    /// Take the state and gap records since the last call: (entries of field 4, whether some are missing).
    fn take_notices<'py>(&self, py: Python<'py>) -> (Bound<'py, PyBytes>, bool) {
        let notices = self.journal.take_notices();
        (PyBytes::new(py, &notices.entries), notices.is_torn)
    }

    /// Return what is held of a topic, the oldest first: (epoch, seq_oldest, seq_last) each, without holes inside.
    fn ranges(&self, venue: &str, symbol: &str, channel: u8, variant: &str) -> Vec<(u32, u64, u64)> {
        let ranges = self.journal.ranges(&TopicKey { venue, symbol, channel, variant });
        ranges.into_iter().map(|range| (range.epoch, range.seq_oldest, range.seq_last)).collect()
    }

    /// Read what follows `seq_after` without a hole: (entries of field 4, last seq), whole groups, some `bytes_max`
    /// bytes. No entries: what follows is not held. Detached from the interpreter; call it from a worker thread.
    ///
    /// Raises:
    ///     OSError: A file cannot be read.
    #[pyo3(signature = (venue, symbol, channel, variant, *, epoch, seq_after, bytes_max = 262_144))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn read<'py>(
        &self,
        py: Python<'py>,
        venue: &str,
        symbol: &str,
        channel: u8,
        variant: &str,
        epoch: u32,
        seq_after: u64,
        bytes_max: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, u64)> {
        let topic = TopicKey { venue, symbol, channel, variant };
        let replay = py.detach(|| self.journal.read(&topic, epoch, seq_after, bytes_max));
        let replay = replay.map_err(from_journal)?;
        Ok((PyBytes::new(py, &replay.entries), replay.seq_last))
    }

    /// Return the figures, by name; `failure` says why nothing is written now, or is None.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.journal.stats();
        let dict = PyDict::new(py);
        for (name, value) in [
            ("bytes", stats.bytes),
            ("segments", stats.segments),
            ("records_written", stats.records_written),
            ("records_lost", stats.records_lost),
            ("damages", stats.damages),
            ("bytes_torn", stats.bytes_torn),
        ] {
            dict.set_item(name, value)?;
        }
        dict.set_item("wall_oldest_ns", stats.wall_oldest_ns)?;
        dict.set_item("failure", stats.failure)?;
        Ok(dict)
    }
}

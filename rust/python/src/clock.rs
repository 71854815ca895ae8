//! Clocks for feeds: the machine's, or one that a test or a replay sets.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use facade_feed::{Clock, ManualClock};
use pyo3::prelude::*;

/// Wall and monotonic time of this machine.
pub(crate) struct RealClock {
    origin: Instant,
    origin_ns: i64,
}

impl RealClock {
    /// Makes a clock; `origin_ns` is Python's `time.monotonic_ns()` of now, so that both sides agree.
    #[expect(clippy::disallowed_methods, reason = "this is the one clock that all feeds are given")]
    fn new(origin_ns: i64) -> Self {
        Self { origin: Instant::now(), origin_ns }
    }
}

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock that all feeds are given")]
    fn wall_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }

    fn monotonic_ns(&self) -> i64 {
        let passed = i64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.origin_ns.saturating_add(passed)
    }
}

enum Kind {
    Real(RealClock),
    Manual(ManualClock),
}

/// The clock behind a [`PyClock`], shared by all who were made with it.
#[derive(Clone)]
pub(crate) struct SharedClock(Arc<Kind>);

impl Clock for SharedClock {
    fn wall_ns(&self) -> i64 {
        match &*self.0 {
            Kind::Real(clock) => clock.wall_ns(),
            Kind::Manual(clock) => clock.wall_ns(),
        }
    }

    fn monotonic_ns(&self) -> i64 {
        match &*self.0 {
            Kind::Real(clock) => clock.monotonic_ns(),
            Kind::Manual(clock) => clock.monotonic_ns(),
        }
    }
}

impl facade_cache::Clock for SharedClock {
    fn mono_ns(&self) -> u64 {
        u64::try_from(self.monotonic_ns()).unwrap_or_default()
    }

    fn mono_ns_at_most(&self) -> u64 {
        match &*self.0 {
            Kind::Real(_) => coarse_ns().unwrap_or_else(|| self.mono_ns()),
            Kind::Manual(_) => self.mono_ns(),
        }
    }
}

/// How far the coarse clock may lag behind: its tick is 1 to 10 ms, and a machine that is held up misses some.
#[cfg(target_os = "linux")]
const COARSE_LAG_NS_MAX: u64 = 250_000_000;

/// Returns a time that is not before now and costs a tenth of the true one (5 ns, not 47).
#[cfg(target_os = "linux")]
fn coarse_ns() -> Option<u64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let (seconds, rest) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    seconds.checked_mul(1_000_000_000)?.checked_add(rest)?.checked_add(COARSE_LAG_NS_MAX)
}

/// Returns nothing: this machine has no such clock.
#[cfg(not(target_os = "linux"))]
fn coarse_ns() -> Option<u64> {
    None
}

/// A clock: the machine's, or one that stands still until it is set.
#[pyclass(frozen, name = "Clock", module = "datafacade._core")]
pub(crate) struct PyClock(pub(crate) SharedClock);

#[pymethods]
impl PyClock {
    /// Make the machine's clock; its monotonic time equals `time.monotonic_ns()`.
    #[staticmethod]
    pub(crate) fn real(py: Python<'_>) -> PyResult<Self> {
        let origin = py.import("time")?.call_method0("monotonic_ns")?.extract()?;
        Ok(Self(SharedClock(Arc::new(Kind::Real(RealClock::new(origin))))))
    }

    /// Make a clock that shows these times until it is set, in nanoseconds.
    #[staticmethod]
    #[pyo3(signature = (wall_ns, monotonic_ns = 0))]
    fn manual(wall_ns: i64, monotonic_ns: i64) -> Self {
        Self(SharedClock(Arc::new(Kind::Manual(ManualClock::new(wall_ns, monotonic_ns)))))
    }

    /// Set both times of a manual clock; a real clock ignores it.
    fn set(&self, wall_ns: i64, monotonic_ns: i64) {
        if let Kind::Manual(clock) = &*self.0.0 {
            clock.set(wall_ns, monotonic_ns);
        }
    }

    /// Move both times of a manual clock forward; a real clock ignores it.
    fn advance(&self, by_ns: i64) {
        if let Kind::Manual(clock) = &*self.0.0 {
            clock.advance(by_ns);
        }
    }

    /// Nanoseconds since 1970-01-01 UTC.
    fn wall_ns(&self) -> i64 {
        self.0.wall_ns()
    }

    /// Nanoseconds that never jump.
    fn monotonic_ns(&self) -> i64 {
        self.0.monotonic_ns()
    }
}

//! Time as an argument: a feed reads no clock but the one it was made with (DESIGN 13.3).

use std::sync::atomic::{AtomicI64, Ordering};

/// Wall time for stamps, monotonic time for timers and latencies.
pub trait Clock: Send + Sync {
    /// Nanoseconds since 1970-01-01 UTC.
    fn wall_ns(&self) -> i64;
    /// Nanoseconds that never jump; the origin means nothing.
    fn monotonic_ns(&self) -> i64;
}

/// A clock that stands still until it is set: replays and tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall: AtomicI64,
    monotonic: AtomicI64,
}

impl ManualClock {
    /// Makes a clock that shows these times.
    #[must_use]
    pub const fn new(wall_ns: i64, monotonic_ns: i64) -> Self {
        Self { wall: AtomicI64::new(wall_ns), monotonic: AtomicI64::new(monotonic_ns) }
    }

    /// Sets both times.
    pub fn set(&self, wall_ns: i64, monotonic_ns: i64) {
        self.wall.store(wall_ns, Ordering::Relaxed);
        self.monotonic.store(monotonic_ns, Ordering::Relaxed);
    }

    /// Moves both times forward.
    pub fn advance(&self, by_ns: i64) {
        self.wall.fetch_add(by_ns, Ordering::Relaxed);
        self.monotonic.fetch_add(by_ns, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall_ns(&self) -> i64 {
        self.wall.load(Ordering::Relaxed)
    }

    fn monotonic_ns(&self) -> i64 {
        self.monotonic.load(Ordering::Relaxed)
    }
}

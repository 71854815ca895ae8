//! The clocks of the edge. It is I/O, so it reads them itself (STYLE R10), here and nowhere else.

use rustix::time::{ClockId, Timespec, clock_gettime};

const NS_PER_S: i64 = 1_000_000_000;

/// Returns the wall time, nanoseconds since 1970 UTC.
#[must_use]
pub fn wall_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// Returns `CLOCK_MONOTONIC`, nanoseconds; the clock of Python's `time.monotonic_ns()` on Linux.
#[must_use]
pub fn mono_ns() -> u64 {
    u64::try_from(nanoseconds(clock_gettime(ClockId::Monotonic))).unwrap_or_default()
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(NS_PER_S).saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_does_not_run_backwards() {
        let first = mono_ns();
        assert!(mono_ns() >= first);
    }

    #[test]
    fn wall_time_is_behind_the_first_commit_of_this_file() {
        assert!(wall_ns() > 1_700_000_000 * NS_PER_S);
    }
}

//! What bounds a cache, on what terms an entry is kept, and the clock that it is kept by.

use crate::class::ClassId;

/// Bounds of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries at once, at least 1.
    pub entries_max: usize,
    /// Bytes of all entries, as their owners gave them; 0: not bounded.
    pub bytes_max: usize,
}

/// On what terms one entry is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whose statistics it counts in.
    pub class: ClassId,
    /// Time for which it is fresh, ns.
    pub ttl_ns: u64,
    /// Time behind that for which it is still served, as stale, ns.
    pub stale_ns: u64,
    /// What it takes of the bound, bytes.
    pub bytes: usize,
}

/// Monotonic time.
pub trait Clock {
    /// Returns the time, ns from any origin.
    fn mono_ns(&self) -> u64;

    /// Returns a time that is not before [`Clock::mono_ns`], and cheap to read where the machine has such a one: what
    /// has not expired by then has not expired.
    fn mono_ns_at_most(&self) -> u64 {
        self.mono_ns()
    }
}

//! Seeded randomness of waits.

/// A sequence of numbers that its seed decides (splitmix64).
#[derive(Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// Starts the sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number from 0 up to, not including, `bound`.
    pub fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let span = bound.max(1).unsigned_abs();
        i64::try_from(mixed % span).unwrap_or_default()
    }
}

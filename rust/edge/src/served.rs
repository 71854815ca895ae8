//! Field 15 of every unary answer: where it was found, how old it is, what its bytes hash to, how long it took.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::frame;
use crate::protobuf;

/// Field `served` of every unary response, and its own fields.
const SERVED: u64 = 15;
const CACHE_TIER: u64 = 1;
const AGE_NS: u64 = 2;
const TS_CACHED: u64 = 3;
const TS_EXPIRES: u64 = 4;
const IS_STALE: u64 = 5;
const SNAPSHOT_ID: u64 = 6;
const LATENCY_NS: u64 = 7;
const FRESHNESS_PENALTY_RATIO: u64 = 8;

/// Bytes of `served` with every field.
const SERVED_BYTES_MAX: usize = 120;

/// The penalty of what is at least as old as [`Freshness::expired`], and never exceeded.
const PENALTY_MAX: f64 = 0.95;

/// Where the penalty begins to rise, and how fast (REQUIREMENTS D2).
const PENALTY_BEGIN: f64 = 0.1;
const PENALTY_RATE: f64 = 3.0;

/// What is known about an answer when it is given. The default: made for this call, of no age, kept nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Where it was found (`CacheTier` of the contract).
    pub cache_tier: u32,
    /// Age of its data, ns.
    pub age_ns: u64,
    /// When it entered the cache, ns since 1970 UTC; 0: it did not.
    pub ts_cached: i64,
    /// When it stops being fresh, ns since 1970 UTC; 0: it is not cached.
    pub ts_expires: i64,
    /// Whether it is past that.
    pub is_stale: bool,
    /// SHA-256 of the message in hex; empty: to be computed.
    pub snapshot_id: String,
}

/// Up to which age data is fresh, and from which age on it is worth next to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// No penalty up to this age.
    pub fresh: Duration,
    /// The whole penalty from this age on.
    pub expired: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { fresh: Duration::from_mins(1), expired: Duration::from_mins(5) }
    }
}

impl Freshness {
    /// Returns the penalty of data of this age, a ratio from 0 to 0.95.
    #[must_use]
    pub fn penalty_ratio(&self, age: Duration) -> f64 {
        if age <= self.fresh {
            return 0.0;
        }
        if age >= self.expired {
            return PENALTY_MAX;
        }
        let [age, fresh, expired] = [age, self.fresh, self.expired].map(|time| time.as_secs_f64());
        let share = (age - fresh) / (expired - fresh);
        (PENALTY_BEGIN * (PENALTY_RATE * share).exp()).min(PENALTY_MAX)
    }
}

/// Appends `served` to the message of a frame.
pub(crate) fn append(frame: &mut Vec<u8>, provenance: &Provenance, freshness: Freshness, latency_ns: u64) {
    let mut served = Vec::with_capacity(SERVED_BYTES_MAX);
    let out = &mut served;
    protobuf::put_integer(out, CACHE_TIER, u64::from(provenance.cache_tier));
    if provenance.age_ns > 0 {
        protobuf::put_integer(out, AGE_NS, provenance.age_ns);
    }
    for (number, stamp) in [(TS_CACHED, provenance.ts_cached), (TS_EXPIRES, provenance.ts_expires)] {
        if stamp != 0 {
            protobuf::put_fixed64(out, number, stamp);
        }
    }
    if provenance.is_stale {
        protobuf::put_integer(out, IS_STALE, 1);
    }
    if provenance.snapshot_id.is_empty() {
        protobuf::put_bytes(out, SNAPSHOT_ID, &snapshot_id(frame::message(frame)));
    } else {
        protobuf::put_bytes(out, SNAPSHOT_ID, provenance.snapshot_id.as_bytes());
    }
    protobuf::put_integer(out, LATENCY_NS, latency_ns);
    let penalty = freshness.penalty_ratio(Duration::from_nanos(provenance.age_ns));
    if penalty > 0.0 {
        protobuf::put_fixed64(out, FRESHNESS_PENALTY_RATIO, i64::from_le_bytes(penalty.to_le_bytes()));
    }
    protobuf::put_bytes(frame, SERVED, &served);
}

/// Returns the SHA-256 of an answer as lower-case hex digits.
fn snapshot_id(message: &[u8]) -> [u8; 64] {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut id = [0; 64];
    for (pair, byte) in id.chunks_exact_mut(2).zip(Sha256::digest(message)) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    // SHA-256 of "abc": FIPS 180-2, appendix B.1.
    const ABC: &[u8] = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn served_names_the_hash_of_the_bytes_before_it() {
        let mut frame = frame::with_room(b"abc");
        let made = Provenance { cache_tier: 1, ..Provenance::default() };
        append(&mut frame, &made, Freshness::default(), 300);
        let served = [&[0x08, 1, 0x32, 64][..], ABC, &[0x38, 0xac, 0x02]].concat();
        assert_eq!(frame::message(&frame), [b"abc", &[0x7a, 71][..], &served].concat());
    }

    #[test]
    fn an_answer_from_the_cache_says_since_when_and_until_when_and_how_stale_it_is() {
        let mut frame = frame::with_room(b"abc");
        let found = Provenance {
            cache_tier: 2,
            age_ns: 300_000_000_000,
            ts_cached: 1,
            ts_expires: 2,
            is_stale: true,
            snapshot_id: "id".to_owned(),
        };
        append(&mut frame, &found, Freshness::default(), 0);
        let expected = [
            &[0x08, 2, 0x10, 0x80, 0xf0, 0x92, 0xcb, 0xdd, 0x08][..], // 300e9 in groups of 7 bits
            &[
                0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0, 0x28, 1, 0x32, 2, b'i', b'd',
                0x38, 0,
            ],
            &[0x41],
            &0.95f64.to_le_bytes(),
        ]
        .concat();
        let length = u8::try_from(expected.len()).unwrap();
        assert_eq!(frame::message(&frame), [&b"abc"[..], &[0x7a, length], &expected].concat());
    }

    #[test]
    fn the_penalty_is_nothing_for_a_minute_and_rises_to_0_95_at_five() {
        let penalty = |seconds| Freshness::default().penalty_ratio(Duration::from_secs_f64(seconds));
        // 0.1 * e^(3r), r = (age - 60) / 240: REQUIREMENTS D2. 0.1 * e^1.5 = 0.448168907...
        let expected =
            [(0.0, 0.0), (60.0, 0.0), (180.0, 0.448_168_907), (239.0, 0.938), (241.0, 0.95), (1e6, 0.95)];
        for (seconds, ratio) in expected {
            assert!((penalty(seconds) - ratio).abs() < 2e-3, "{seconds} s: {}", penalty(seconds));
        }
        assert!((penalty(60.001) - 0.1).abs() < 1e-4);
    }

    #[test]
    fn thresholds_that_are_equal_or_turned_round_divide_by_nothing() {
        let sudden = Freshness { fresh: Duration::from_secs(5), expired: Duration::from_secs(5) };
        assert!(sudden.penalty_ratio(Duration::from_secs(5)).abs() < f64::EPSILON);
        assert!((sudden.penalty_ratio(Duration::from_secs(6)) - 0.95).abs() < f64::EPSILON);
    }
}

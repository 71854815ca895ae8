//! How often something is heard, and from when on its silence is strange (FAULTS 1.3). Pure.

/// Intervals that are remembered.
const INTERVALS: usize = 200;
/// Intervals below which a median says nothing.
const INTERVALS_MIN: usize = 3;

/// The rhythm of one stream of events. All times monotonic ns.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// When it was heard last; 0: never.
    last: i64,
    /// Intervals in microseconds, a ring once full.
    intervals: Vec<u32>,
    next: usize,
}

impl Pace {
    /// Notes that it was heard.
    pub fn heard(&mut self, now: i64) {
        if self.last != 0 {
            let micros = u32::try_from((now - self.last) / 1_000).unwrap_or(u32::MAX);
            if self.intervals.len() < INTERVALS {
                self.intervals.reserve_exact(INTERVALS - self.intervals.len());
                self.intervals.push(micros);
            } else if let Some(slot) = self.intervals.get_mut(self.next) {
                *slot = micros;
                self.next = (self.next + 1) % INTERVALS;
            }
        }
        self.last = now;
    }

    /// Starts to listen, or to listen again after a pause that says nothing about the rhythm.
    pub const fn listen(&mut self, now: i64) {
        self.last = now;
    }

    /// When it was heard last, or listening began; 0: never.
    #[must_use]
    pub const fn last(&self) -> i64 {
        self.last
    }

    /// Median of the last 200 intervals in ns, rounded down to microseconds; `None`: too few.
    #[must_use]
    pub fn median(&self) -> Option<i64> {
        if self.intervals.len() < INTERVALS_MIN {
            return None;
        }
        let mut sorted = [0_u32; INTERVALS];
        let sorted = sorted.get_mut(..self.intervals.len())?;
        sorted.copy_from_slice(&self.intervals);
        let (_, median, _) = sorted.select_nth_unstable(self.intervals.len() / 2);
        Some(i64::from(*median) * 1_000)
    }

    /// Longest silence that is usual: `factor` medians, at least `least`; as long as nothing is known, `unknown`.
    #[must_use]
    pub fn patience(&self, least: i64, factor: i64, unknown: i64) -> i64 {
        self.median().map_or(unknown, |median| median.saturating_mul(factor)).max(least)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    proptest! {
        #[test]
        fn row_b24_patience_is_twenty_medians_of_the_last_two_hundred(
            intervals in prop::collection::vec(0_i64..3_000_000, 1..450),
        ) {
            let (mut pace, mut now) = (Pace::default(), 7 * SECOND_NS);
            pace.heard(now);
            for micros in &intervals {
                now += micros * 1_000;
                pace.heard(now);
            }
            prop_assert_eq!(pace.last(), now);
            let mut newest: Vec<i64> = intervals.iter().rev().take(200).copied().collect();
            newest.sort_unstable();
            let expected = if newest.len() < 3 {
                60 * SECOND_NS
            } else {
                (20 * newest[newest.len() / 2] * 1_000).max(5 * SECOND_NS)
            };
            prop_assert_eq!(pace.patience(5 * SECOND_NS, 20, 60 * SECOND_NS), expected);
        }
    }

    #[test]
    fn listening_again_forgets_the_pause_and_not_the_rhythm() {
        let mut pace = Pace::default();
        for second in 1..10 {
            pace.heard(second * SECOND_NS);
        }
        pace.listen(500 * SECOND_NS);
        pace.heard(501 * SECOND_NS);
        assert_eq!(pace.median(), Some(SECOND_NS));
    }

    #[test]
    fn silence_of_hours_saturates() {
        let mut pace = Pace::default();
        for hour in 1..6 {
            pace.heard(hour * 3_600 * SECOND_NS * 10);
        }
        assert!(pace.patience(0, 20, 0) > 3_600 * SECOND_NS);
    }
}

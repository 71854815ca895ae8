//! How far a venue's clock is from ours, by the quickest of many messages (row H08). Pure.

const MINUTE_NS: i64 = 60_000_000_000;
/// Lags beyond this are broken times, no clock's offset.
const LAG_MAX_NS: i64 = 5 * MINUTE_NS;

/// The smallest `receive - event` of this minute and the last one: it holds the least of waiting and queueing.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClockOffset {
    minute: i64,
    least: Option<i64>,
    before: Option<i64>,
}

impl ClockOffset {
    /// Takes the times of one message, ns UTC.
    pub fn note(&mut self, ts_event: i64, ts_recv: i64) {
        let lag = ts_recv.saturating_sub(ts_event);
        if !(-LAG_MAX_NS..=LAG_MAX_NS).contains(&lag) {
            return;
        }
        let minute = ts_recv.div_euclid(MINUTE_NS);
        if minute != self.minute {
            self.before = if minute == self.minute + 1 { self.least } else { None };
            self.least = None;
            self.minute = minute;
        }
        self.least = Some(self.least.map_or(lag, |least| least.min(lag)));
    }

    /// The venue's clock minus ours, less the shortest way of a message; `None`: nothing came.
    #[must_use]
    pub fn estimate(&self) -> Option<i64> {
        let least = match (self.least, self.before) {
            (Some(least), Some(before)) => least.min(before),
            (least, before) => least.or(before)?,
        };
        Some(-least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000_000_000_000;

    #[test]
    fn row_h08_offset_is_that_of_the_quickest_message() {
        let mut offset = ClockOffset::default();
        assert_eq!(offset.estimate(), None);
        for (at, way) in [(0, 80_000_000), (1, 3_000_000), (2, 900_000_000)] {
            offset.note(START + at + 2_000_000_000, START + at + way); // its clock is 2 s ahead
        }
        assert_eq!(offset.estimate(), Some(1_997_000_000));
    }

    #[test]
    fn row_h08_drift_shows_within_two_minutes() {
        let mut offset = ClockOffset::default();
        for second in 0..600 {
            let now = START + second * 1_000_000_000;
            let ahead = if second < 300 { 0 } else { -2_000_000_000 };
            offset.note(now + ahead - 5_000_000, now);
            let estimate = offset.estimate().unwrap_or_default();
            if second < 300 {
                assert_eq!(estimate, -5_000_000);
            } else if second > 420 {
                assert_eq!(estimate, -2_005_000_000);
            }
        }
    }

    #[test]
    fn broken_times_move_nothing() {
        let mut offset = ClockOffset::default();
        offset.note(START - 10_000_000, START);
        offset.note(0, START);
        offset.note(START + 3_600_000_000_000, START);
        assert_eq!(offset.estimate(), Some(-10_000_000));
    }
}

//! Intervals of klines on the calendar: where each begins and where the next one follows.

use facade_model::{Channel, Variant};

use crate::history::SECOND_NS;
use crate::timestamp::{days_since_1970, month_of};

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400 * SECOND_NS;
/// Seconds of a week, which begins on Monday (CONTRACT "Kline").
const WEEK_S: u32 = 604_800;
/// The first Monday since 1970.
const MONDAY_NS: i64 = 4 * DAY_NS;
/// What stands for the length of a month where a length is needed; over the hundreds of a page it is too short, so
/// that a page reaches less far, never further.
const MONTH_NS: i64 = 30 * DAY_NS;

/// Length of a kline. Months come from venues only: we make none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// So many seconds, at most a week.
    Seconds(u32),
    /// A calendar month (UTC).
    Month,
}

impl Interval {
    /// Reads `1m`, `4h`, `1d`, `1w`, `1M`; `None`: no interval of time.
    ///
    /// # Examples
    /// ```
    /// use facade_venues::Interval;
    ///
    /// assert_eq!(Interval::parse("60m"), Some(Interval::Seconds(3_600)));
    /// assert_eq!(Interval::parse("1M"), Some(Interval::Month));
    /// assert_eq!(Interval::parse("100t"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match (text, Variant::parse(Channel::Klines, text)) {
            ("", _) => None,
            ("1M", _) => Some(Self::Month),
            (_, Ok(Variant::Time { seconds })) => Some(Self::Seconds(seconds)),
            _ => None,
        }
    }

    /// Length, ns; 30 days stand for a month.
    #[must_use]
    pub fn length_ns(self) -> i64 {
        match self {
            Self::Seconds(seconds) => i64::from(seconds) * SECOND_NS,
            Self::Month => MONTH_NS,
        }
    }

    /// Whether all venues begin it at the same instants: the days of `2d` and `3d` are counted from where they like.
    pub(crate) const fn is_anchored(self) -> bool {
        match self {
            Self::Seconds(seconds) => seconds == WEEK_S || 86_400_u32.is_multiple_of(seconds),
            Self::Month => true,
        }
    }

    /// Returns where the interval that holds an instant begins, ns UTC; instants before 1970 count as its first.
    #[must_use]
    pub fn floor(self, ts: i64) -> i64 {
        let ts = ts.max(0);
        match self {
            Self::Seconds(WEEK_S) => {
                (ts - MONDAY_NS).div_euclid(self.length_ns()) * self.length_ns() + MONDAY_NS
            }
            Self::Seconds(_) => ts.div_euclid(self.length_ns()) * self.length_ns(),
            Self::Month => {
                let (year, month) = month_of(ts.div_euclid(DAY_NS));
                days_since_1970(year, month, 1) * DAY_NS
            }
        }
    }

    /// Returns where the interval behind the one that begins at `ts_open` begins.
    #[must_use]
    pub fn next(self, ts_open: i64) -> i64 {
        match self {
            Self::Seconds(_) => ts_open.saturating_add(self.length_ns()),
            Self::Month => self.floor(ts_open.saturating_add(MONTH_NS + 2 * DAY_NS)),
        }
    }

    /// Returns where the first interval begins that begins at `ts` or later.
    #[must_use]
    pub fn ceil(self, ts: i64) -> i64 {
        let floor = self.floor(ts);
        if floor == ts { ts } else { self.next(floor) }
    }

    /// Returns where the interval `count` before the one that begins at `ts_open` begins; months not before 1970.
    pub(crate) fn back(self, ts_open: i64, count: u32) -> i64 {
        match self {
            Self::Seconds(_) => ts_open.saturating_sub(self.length_ns().saturating_mul(i64::from(count))),
            Self::Month => {
                let (year, month) = month_of(ts_open.div_euclid(DAY_NS));
                let months = (year * 12 + month - 1 - i64::from(count)).max(1_970 * 12);
                days_since_1970(months.div_euclid(12), months.rem_euclid(12) + 1, 1) * DAY_NS
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MONTHS: [(&str, i64); 6] = [
        ("2023-12", 1_701_388_800),
        ("2024-01", 1_704_067_200),
        ("2024-02", 1_706_745_600),
        ("2024-03", 1_709_251_200),
        ("2024-04", 1_711_929_600),
        ("2024-05", 1_714_521_600),
    ];

    #[test]
    fn months_follow_the_calendar() {
        for pair in MONTHS.windows(2) {
            let [here, after] = [pair[0].1 * SECOND_NS, pair[1].1 * SECOND_NS];
            assert_eq!(Interval::Month.next(here), after, "{}", pair[0].0);
            assert_eq!(Interval::Month.floor(after - 1), here, "{}", pair[0].0);
            assert_eq!(Interval::Month.floor(here), here, "{}", pair[0].0);
            assert_eq!(Interval::Month.ceil(here + 1), after, "{}", pair[0].0);
            assert_eq!(Interval::Month.back(after, 1), here, "{}", pair[0].0);
        }
        assert_eq!(Interval::Month.back(MONTHS[5].1 * SECOND_NS, 5), MONTHS[0].1 * SECOND_NS);
    }

    #[test]
    fn weeks_begin_on_monday() {
        let sunday = 1_724_025_599 * SECOND_NS; // 2024-08-18T23:59:59Z
        let monday = 1_724_025_600 * SECOND_NS;
        let week = Interval::parse("1w").unwrap();
        assert_eq!(week, Interval::parse("7d").unwrap());
        assert_eq!(week.ceil(sunday), monday);
        assert_eq!(week.floor(monday + 3 * DAY_NS), monday);
    }

    #[test]
    fn texts_that_are_no_interval_of_time_are_none() {
        for text in ["", "1", "m", "0m", "1.5h", "2M", "1Y", "8d", "100t", "1mm", "-1m"] {
            assert_eq!(Interval::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn each_instant_lies_in_its_interval(ts in 2_678_400 * SECOND_NS..4_000_000_000_000_000_000, at in 0_usize..6) {
            let interval = Interval::parse(["1s", "1m", "4h", "1d", "1w", "1M"][at]).unwrap();
            let open = interval.floor(ts);
            prop_assert!(open <= ts && ts < interval.next(open));
            prop_assert_eq!(interval.back(interval.next(open), 1), open);
        }
    }
}

//! Days and seconds of UTC as names on the disk spell them.

use std::ops::Range;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// A wall time to the second.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    date: [i64; 3],
    time: [i64; 3],
}

impl Moment {
    /// Returns the second of a time, ns since 1970, not before that.
    pub(crate) const fn of(ts: i64) -> Self {
        let seconds = ts / SECOND_NS;
        let (day, second) = (seconds / DAY_S, seconds % DAY_S);
        Self { date: date_of(day), time: [second / 3_600, second / 60 % 60, second % 60] }
    }

    /// Whether a folder's name is that of its day, as `2026-11-21`.
    pub(crate) fn is_day(&self, name: &[u8]) -> bool {
        let is_dashed = [4, 7].iter().all(|at| name.get(*at) == Some(&b'-'));
        is_dashed && name.len() == 10 && spells(name, [0..4, 5..7, 8..10], self.date)
    }

    /// Whether the beginning of a file's name is that of its second, as `20261121_164129_`.
    pub(crate) fn is_stem(&self, name: &[u8]) -> bool {
        let is_split = [8, 15].iter().all(|at| name.get(*at) == Some(&b'_'));
        is_split
            && name.len() == 16
            && spells(name, [0..4, 4..6, 6..8], self.date)
            && spells(name, [9..11, 11..13, 13..15], self.time)
    }
}

/// Whether these parts of a name are the digits of these numbers.
fn spells(name: &[u8], places: [Range<usize>; 3], values: [i64; 3]) -> bool {
    places.into_iter().zip(values).all(|(place, value)| name.get(place).and_then(number) == Some(value))
}

/// Returns the number that digits spell.
fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Returns year, month and day of a day since 1970, by the days of 400 years, which repeat.
const fn date_of(day: i64) -> [i64; 3] {
    let day = day + 719_468; // since 0000-03-01: a leap day ends a year that begins so
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153; // from March
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    if month < 10 {
        [era * 400 + year, month + 3, of_month]
    } else {
        [era * 400 + year + 1, month - 9, of_month]
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_S, Moment, SECOND_NS};

    /// Counts days one by one, as a person would.
    fn next([year, month, day]: [i64; 3]) -> [i64; 3] {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 => 28 + i64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        match (day == last, month == 12) {
            (false, _) => [year, month, day + 1],
            (true, false) => [year, month + 1, 1],
            (true, true) => [year + 1, 1, 1],
        }
    }

    #[test]
    fn every_day_that_a_time_can_name_follows_the_one_before() {
        let mut date = [1970, 1, 1];
        for day in 0..i64::MAX / SECOND_NS / DAY_S {
            assert_eq!(Moment::of(day * DAY_S * SECOND_NS).date, date);
            date = next(date);
        }
        assert_eq!(date, [2262, 4, 11]);
    }

    #[test]
    fn a_moment_knows_its_names_and_no_others() {
        let moment = Moment::of(1_795_279_289_999_999_999);
        assert!(moment.is_day(b"2026-11-21") && moment.is_stem(b"20261121_164129_"));
        for other in ["2026-11-22", "2026-11-2", "2026_11_21", "2026-11-021", " 026-11-21", ""] {
            assert!(!moment.is_day(other.as_bytes()), "{other}");
        }
        for other in ["20261121_164130_", "20261121-164129_", "20261121_164129", "2026112 _164129_"] {
            assert!(!moment.is_stem(other.as_bytes()), "{other}");
        }
    }
}

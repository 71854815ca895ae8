//! RFC 3339 times to nanoseconds since 1970 UTC.

/// Nanoseconds of one second.
const SECOND_NS: i64 = 1_000_000_000;

/// Reads `2026-05-27T17:35:55.219022Z`: up to nine decimals, `Z` or an offset.
///
/// Times before 1970 (`0001-01-01T00:00:00Z` is how some venues say "none") give 0. `None`: no such time.
#[inline]
pub(crate) fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        mi1,
        mi2,
        b':',
        s1,
        s2,
    ] = *date_time
    else {
        return None;
    };
    let year = pair(y1, y2)? * 100 + pair(y3, y4)?;
    let (month, day) = (pair(mo1, mo2)?, pair(d1, d2)?);
    let (hour, minute, second) = (pair(h1, h2)?, pair(mi1, mi2)?, pair(s1, s2)?);
    if hour > 23 || minute > 59 || second > 60 || day < 1 || day > days_of_month(year, month)? {
        return None;
    }
    let (fraction_ns, zone) = fraction(rest)?;
    let seconds =
        days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_s(zone)?;
    if seconds < 0 {
        return Some(0);
    }
    seconds.checked_mul(SECOND_NS)?.checked_add(fraction_ns)
}

/// Reads two digits.
#[inline]
fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// Reads the optional fraction; returns it in ns with what follows it.
#[inline]
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', mut rest)) = text.split_first() else { return Some((0, text)) };
    let mut value_ns = 0;
    let mut unit_ns = SECOND_NS;
    while let Some((digit @ b'0'..=b'9', tail)) = rest.split_first() {
        unit_ns /= 10;
        value_ns += i64::from(digit - b'0') * unit_ns;
        rest = tail;
        if unit_ns == 0 {
            return None;
        }
    }
    (unit_ns < SECOND_NS).then_some((value_ns, rest))
}

/// Reads `Z` or `+hh:mm`; returns seconds ahead of UTC.
#[inline]
fn offset_s(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let seconds = pair(h1, h2)? * 3_600 + pair(m1, m2)? * 60;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// Returns the days of a month; `None`: no such month.
fn days_of_month(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => Some(28 + i64::from(is_leap)),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Counts the days since 1970-01-01 in the Gregorian calendar; years begin in March here, so that a leap day is the last.
#[inline]
pub(crate) const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = if month <= 2 { month + 9 } else { month - 3 };
    let days_of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    days_of_years + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// Returns year and month (from 1) of a day counted since 1970-01-01.
pub(crate) const fn month_of(day: i64) -> (i64, i64) {
    let day = day + 719_468; // since the first of March of the year 0
    let era = day.div_euclid(146_097); // four centuries are of one length
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let year = era * 400 + year;
    if from_march < 10 { (year, from_march + 3) } else { (year + 1, from_march - 9) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn months_of_days_are_those_of_the_calendar() {
        for year in [1970, 1999, 2000, 2023, 2024, 2100] {
            for month in 1..=12 {
                let first = days_since_1970(year, month, 1);
                assert_eq!(month_of(first), (year, month));
                let last = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                assert_eq!(month_of(days_since_1970(last.0, last.1, 1) - 1), (year, month));
            }
        }
    }

    #[test]
    fn times_of_venues_keep_every_digit() {
        for (text, ns) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-05-27T17:35:56.123456Z", 1_779_903_356_123_456_000),
            ("2023-10-04T16:26:30.524394914Z", 1_696_436_790_524_394_914),
            ("2026-08-09T21:05:48.6Z", 1_786_309_548_600_000_000),
            ("2026-08-09t23:05:48.6+02:00", 1_786_309_548_600_000_000),
            ("2026-08-09 15:35:48.6-05:30", 1_786_309_548_600_000_000),
            ("2024-02-29T23:59:60Z", 1_709_251_200_000_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
            ("0001-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), Some(ns), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_time_are_refused() {
        for text in [
            "",
            "2026-05-27",
            "2026-05-27T17:35:56",
            "2026-05-27T17:35:56.Z",
            "2026-05-27T17:35:56.1234567890Z",
            "2026-13-27T17:35:56Z",
            "2026-00-27T17:35:56Z",
            "2026-02-29T17:35:56Z",
            "2100-02-29T17:35:56Z",
            "2026-05-00T17:35:56Z",
            "2026-05-27T24:35:56Z",
            "2026-05-27T17:60:56Z",
            "2026-05-27T17:35:61Z",
            "2026-05-27T17:35:56ZZ",
            "2026-05-27T17:35:56+0200",
            "9999-05-27T17:35:56Z",
            "2026/05/27T17:35:56Z",
            "202x-05-27T17:35:56Z",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    /// Counts days one month after the other.
    fn counted_days(year: i64, month: i64, day: i64) -> i64 {
        let months = (1970..=year).flat_map(|year| (1..=12).map(move |month| (year, month)));
        let before = months.take_while(|&(y, m)| (y, m) < (year, month));
        before.map(|(year, month)| days_of_month(year, month).unwrap()).sum::<i64>() + day - 1
    }

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(year in 1970_i64..2262, month in 1_i64..=12, day in 1_i64..=28) {
            prop_assert_eq!(days_since_1970(year, month, day), counted_days(year, month, day));
        }
    }
}

//! Exact sums of prices and quantities, wider than what venues send.

use std::fmt;
use std::io::Write;

use crate::{Decimal, NumberError};

/// Digits behind the decimal point of the dividend that a quotient shows at least.
const QUOTIENT_DIGITS_MIN: u32 = 8;
/// Significant digits that a quotient shows at least, as far as 128 bits allow.
const QUOTIENT_SIGNIFICANT_MIN: u128 = 10_u128.pow(16);
/// Finest exponent of a quotient.
const QUOTIENT_EXPONENT_MIN: i8 = -60;
/// Exponents of a sum that a text tells.
const EXPONENTS: std::ops::RangeInclusive<i32> = -60..=30;
/// Most signs of a sum's text (FAULTS S19).
const TEXT_LENGTH_MAX: usize = 40;

/// An exact sum: `mantissa * 10^exponent`, exponent from -60 to 30.
///
/// Not canonical by itself: equal sums at different exponents differ, see [`Sum::canonical`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sum {
    /// Signed digits.
    pub mantissa: i128,
    /// Power of ten.
    pub exponent: i8,
}

impl Sum {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    /// Makes `mantissa * 10^exponent` as given.
    #[must_use]
    pub const fn new(mantissa: i128, exponent: i8) -> Self {
        Self { mantissa, exponent }
    }

    /// Whether the value is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Reads a plain or scientific decimal that may need more than 64 bits; the result is canonical.
    ///
    /// # Errors
    /// [`NumberError::Syntax`] if the text is no number, [`NumberError::Range`] if it cannot be held exactly.
    pub fn parse(text: &[u8]) -> Result<Self, NumberError> {
        match Decimal::parse(text) {
            Ok(value) => return Ok(Self::from(value).canonical()),
            Err(NumberError::Range) if text.len() <= TEXT_LENGTH_MAX => {}
            Err(error) => return Err(error),
        }
        let (is_negative, digits) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let (digits, power) = match digits.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (digits.get(..at).unwrap_or_default(), digits.get(at + 1..).unwrap_or_default()),
            None => (digits, &b"0"[..]),
        };
        let power = std::str::from_utf8(power).ok().and_then(|power| power.parse::<i32>().ok());
        let (mut mantissa, mut fraction, mut seen_point) = (0_i128, 0_i32, false);
        for byte in digits {
            match byte {
                b'.' if !seen_point => seen_point = true,
                b'0'..=b'9' => {
                    let longer = mantissa.checked_mul(10).ok_or(NumberError::Range)?;
                    mantissa = longer.checked_add(i128::from(byte - b'0')).ok_or(NumberError::Range)?;
                    fraction += i32::from(seen_point);
                }
                _ => return Err(NumberError::Syntax),
            }
        }
        let is_whole = digits.first() != Some(&b'.') && digits.last() != Some(&b'.');
        let power = power.filter(|_| is_whole).ok_or(NumberError::Syntax)?;
        let exponent = power.saturating_sub(fraction);
        if !EXPONENTS.contains(&exponent) {
            return Err(NumberError::Range);
        }
        let mantissa = if is_negative { -mantissa } else { mantissa };
        let exponent = i8::try_from(exponent).map_err(|_| NumberError::Range)?;
        Ok(Self { mantissa, exponent }.canonical())
    }

    /// Returns the exact mantissa at another exponent, or `None` if digits would be lost or 128 bits overflow.
    #[inline]
    #[must_use]
    pub fn rescale(self, exponent: i8) -> Option<i128> {
        if self.mantissa == 0 || self.exponent == exponent {
            return Some(self.mantissa);
        }
        let shift = i32::from(self.exponent) - i32::from(exponent);
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        if shift > 0 {
            self.mantissa.checked_mul(power)
        } else if self.mantissa % power == 0 {
            Some(self.mantissa / power)
        } else {
            None
        }
    }

    /// Returns the exact sum at the finer of both exponents, or `None` beyond 128 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let mantissa = self.rescale(exponent)?.checked_add(other.rescale(exponent)?)?;
        Some(Self { mantissa, exponent })
    }

    /// Returns the same value without trailing zeros behind the point, and with exponent 0 where it is whole
    /// and fits.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        if self.mantissa == 0 {
            return Self::ZERO;
        }
        while self.exponent < 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.exponent += 1;
        }
        if self.exponent > 0
            && let Some(plain) = self.rescale(0)
        {
            return Self { mantissa: plain, exponent: 0 };
        }
        self
    }

    /// Returns `self / divisor`, rounded half to even: at least 8 digits beyond the exponent difference and, as
    /// far as 128 bits allow, 17 significant ones; fewer where the quotient is exact. `None`: the divisor is 0.
    #[must_use]
    pub fn quotient(self, divisor: Self) -> Option<Self> {
        let by = divisor.mantissa.unsigned_abs();
        let mut exponent = self.exponent.checked_sub(divisor.exponent)?;
        let mut rest = self.mantissa.unsigned_abs().checked_rem(by)?;
        let mut digits = self.mantissa.unsigned_abs() / by;
        let mut behind = 0;
        while rest != 0
            && exponent > QUOTIENT_EXPONENT_MIN
            && (behind < QUOTIENT_DIGITS_MIN || digits < QUOTIENT_SIGNIFICANT_MIN)
        {
            let (Some(tenfold), Some(longer)) = (rest.checked_mul(10), digits.checked_mul(10)) else { break };
            let Some(next) = longer.checked_add(tenfold / by) else { break };
            (digits, rest) = (next, tenfold % by);
            exponent -= 1;
            behind += 1;
        }
        let half = by - rest; // rest above half: rest > by - rest
        if rest > half || (rest == half && digits % 2 == 1) {
            digits += 1;
        }
        let magnitude = i128::try_from(digits).ok()?;
        let is_negative = (self.mantissa < 0) != (divisor.mantissa < 0);
        Some(Self { mantissa: if is_negative { -magnitude } else { magnitude }, exponent }.canonical())
    }

    /// Returns the same value in 64 bits; `None`: it does not fit.
    #[must_use]
    pub fn decimal(self) -> Option<Decimal> {
        let value = self.canonical();
        let mantissa = i64::try_from(value.mantissa).ok()?;
        (-30..=30).contains(&value.exponent).then(|| Decimal::new(mantissa, value.exponent).canonical())
    }

    /// Appends the plain decimal text: no exponent, no trailing zeros.
    pub fn write_plain(self, out: &mut Vec<u8>) {
        let value = self.canonical();
        if value.mantissa < 0 {
            out.push(b'-');
        }
        let start = out.len();
        let _ = write!(out, "{}", value.mantissa.unsigned_abs()); // a Vec takes all
        if value.exponent >= 0 {
            out.extend(std::iter::repeat_n(b'0', usize::from(value.exponent.unsigned_abs())));
            return;
        }
        let fraction = usize::from(value.exponent.unsigned_abs());
        let written = out.len() - start;
        if written <= fraction {
            let zeros = fraction + 1 - written;
            out.resize(out.len() + zeros, b'0');
            out.copy_within(start..start + written, start + zeros);
            out.iter_mut().skip(start).take(zeros).for_each(|digit| *digit = b'0');
        }
        out.insert(out.len() - fraction, b'.');
    }
}

impl From<Decimal> for Sum {
    fn from(value: Decimal) -> Self {
        Self { mantissa: i128::from(value.mantissa), exponent: value.exponent }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(48);
        self.write_plain(&mut text);
        formatter.write_str(&String::from_utf8_lossy(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_are_written_plainly() {
        for (mantissa, exponent, text) in [
            (0, -8, "0"),
            (5, -1, "0.5"),
            (-5, -3, "-0.005"),
            (1_050, -2, "10.5"),
            (7, 3, "7000"),
            (1, -30, "0.000000000000000000000000000001"),
            (i128::MAX, 0, "170141183460469231731687303715884105727"),
            (i128::MIN, -38, "-1.70141183460469231731687303715884105728"),
        ] {
            assert_eq!(Sum::new(mantissa, exponent).to_string(), text);
        }
    }

    #[test]
    fn quotients_round_half_to_even_at_seventeen_digits() {
        for (dividend, divisor, text) in [
            ((1, 0), (3, 0), "0.33333333333333333"),
            ((2, 0), (3, 0), "0.66666666666666667"),
            ((-2, 0), (3, 0), "-0.66666666666666667"),
            ((10, -2), (5, -2), "2"),
            ((1, -8), (3, -8), "0.33333333333333333"),
            ((0, 0), (3, 0), "0"),
        ] {
            let quotient = Sum::new(dividend.0, dividend.1).quotient(Sum::new(divisor.0, divisor.1)).unwrap();
            assert_eq!(quotient.to_string(), text);
        }
        assert_eq!(Sum::new(1, 0).quotient(Sum::ZERO), None);
    }

    #[test]
    fn texts_beyond_64_bits_are_read_to_the_last_digit() {
        for (text, mantissa, exponent) in [
            ("12345678901234567890.12345678", 1_234_567_890_123_456_789_012_345_678, -8),
            ("-98765432109876543210", -98_765_432_109_876_543_210, 0),
            ("1e20", 100_000_000_000_000_000_000, 0),
            ("1.50", 15, -1),
        ] {
            assert_eq!(Sum::parse(text.as_bytes()), Ok(Sum::new(mantissa, exponent)), "{text}");
        }
        for text in ["1e999", "1e-61", "9999999999999999999999999999999999999999"] {
            assert_eq!(Sum::parse(text.as_bytes()), Err(NumberError::Range), "{text}");
        }
        for text in ["", "-", "1..2", "NaN", "1e", "0x1", "99999999999999999999..1", "--99999999999999999999"]
        {
            assert_eq!(Sum::parse(text.as_bytes()), Err(NumberError::Syntax), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_sum_reads_back_as_it_was_written(mantissa in -(1_i128 << 120)..1_i128 << 120, exponent in -20_i8..=0) {
            let value = Sum::new(mantissa, exponent).canonical();
            prop_assert_eq!(Sum::parse(value.to_string().as_bytes()), Ok(value));
        }

        #[test]
        fn plain_text_of_a_sum_is_that_of_a_decimal(mantissa: i64, exponent in -18_i8..=3) {
            let value = Decimal::new(mantissa, exponent);
            prop_assert_eq!(Sum::from(value).to_string(), value.to_string());
        }

        #[test]
        fn quotient_is_within_half_a_digit(dividend in 0_i128..1 << 90, divisor in 1_i128..1 << 60) {
            let quotient = Sum::new(dividend, -10).quotient(Sum::new(divisor, -5)).unwrap();
            let scale = u32::from((-5 - quotient.exponent).unsigned_abs());
            if quotient.exponent <= -5 && let Some(wanted) = dividend.checked_mul(10_i128.pow(scale))
                && let Some(back) = quotient.mantissa.checked_mul(divisor) {
                prop_assert!((wanted - back).abs() * 2 <= divisor);
            }
        }
    }
}

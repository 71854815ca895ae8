//! Exact decimal numbers as venues print them: a 64-bit mantissa and a power of ten.

use std::cmp::Ordering;
use std::fmt;

/// Powers of ten that fit a 64-bit mantissa: `POW10[n]` is 10 to the n.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler: an index out of range would not build"
)]
pub const POW10: [i64; 19] = {
    let mut table = [1_i64; 19];
    let mut n = 1;
    while n < 19 {
        table[n] = table[n - 1] * 10;
        n += 1;
    }
    table
};

/// Most signs of one number's text; longer text is refused (FAULTS S19).
const TEXT_LENGTH_MAX: usize = 40;

/// Why a text is no number of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// Not a decimal number (`NaN`, `1..2`, an empty text).
    #[error("not a decimal number")]
    Syntax,
    /// A number that a 64-bit mantissa and an exponent from -30 to 30 cannot hold exactly.
    #[error("number out of range")]
    Range,
}

/// An exact decimal: `mantissa * 10^exponent`.
///
/// Canonical after [`Decimal::parse`]: no trailing zeros behind the point, and the exponent is above 0 only if
/// the plain integer would not fit 64 bits. So equal values compare equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Decimal {
    /// Signed digits.
    pub mantissa: i64,
    /// Power of ten, from -30 to 30.
    pub exponent: i8,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    /// Makes `mantissa * 10^exponent` as given, without normalising it.
    #[must_use]
    pub const fn new(mantissa: i64, exponent: i8) -> Self {
        Self { mantissa, exponent }
    }

    /// Whether the value is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Reads a plain or scientific decimal; every digit counts.
    ///
    /// # Errors
    /// [`NumberError::Syntax`] if the text is no number, [`NumberError::Range`] if it cannot be held exactly.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Self, NumberError> {
        if text.len() > TEXT_LENGTH_MAX {
            return Err(NumberError::Range);
        }
        let (is_negative, digits) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, text),
        };
        let mut mantissa: u64 = 0;
        let mut zeros: i32 = 0; // zeros seen but not yet multiplied in
        let mut fraction: i32 = 0; // digits behind the point, pending zeros included
        let mut seen_point = false;
        let mut seen_digit = false;
        for (at, &byte) in digits.iter().enumerate() {
            match byte {
                b'0' => {
                    zeros += 1;
                    seen_digit = true;
                    fraction += i32::from(seen_point);
                }
                b'1'..=b'9' => {
                    mantissa = push_digits(mantissa, zeros, byte - b'0').ok_or(NumberError::Range)?;
                    zeros = 0;
                    seen_digit = true;
                    fraction += i32::from(seen_point);
                }
                b'.' if !seen_point && seen_digit => seen_point = true,
                b'e' | b'E' if seen_digit && digits.get(at.wrapping_sub(1)) != Some(&b'.') => {
                    let power = parse_power(digits.get(at + 1..).unwrap_or_default())?;
                    return Self::assemble(is_negative, mantissa, zeros - fraction + power);
                }
                _ => return Err(NumberError::Syntax),
            }
        }
        if !seen_digit || digits.last() == Some(&b'.') {
            return Err(NumberError::Syntax);
        }
        Self::assemble(is_negative, mantissa, zeros - fraction)
    }

    /// Builds the canonical value of `mantissa * 10^power`, `mantissa` without trailing zeros.
    #[inline]
    fn assemble(is_negative: bool, mantissa: u64, power: i32) -> Result<Self, NumberError> {
        if mantissa == 0 {
            return Ok(Self::ZERO);
        }
        let mut value = i64::try_from(mantissa).map_err(|_| NumberError::Range)?;
        let mut exponent = i8::try_from(power).map_err(|_| NumberError::Range)?;
        if !(-30..=30).contains(&exponent) {
            return Err(NumberError::Range);
        }
        if exponent > 0
            && let Some(plain) = Self::new(value, exponent).rescale(0)
        {
            value = plain;
            exponent = 0;
        }
        Ok(Self { mantissa: if is_negative { -value } else { value }, exponent })
    }

    /// Returns the exact mantissa at another exponent, or `None` if digits would be lost or 64 bits overflow.
    #[inline]
    #[must_use]
    pub fn rescale(self, exponent: i8) -> Option<i64> {
        if self.mantissa == 0 || self.exponent == exponent {
            return Some(self.mantissa);
        }
        let shift = i32::from(self.exponent) - i32::from(exponent);
        let power = *POW10.get(usize::try_from(shift.unsigned_abs()).ok()?)?;
        if shift > 0 {
            self.mantissa.checked_mul(power)
        } else if self.mantissa % power == 0 {
            Some(self.mantissa / power)
        } else {
            None
        }
    }

    /// Compares two values, whatever their exponents.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        let exponent = self.exponent.min(other.exponent);
        match (self.widened(exponent), other.widened(exponent)) {
            (Some(left), Some(right)) => left.cmp(&right),
            // only the coarser one can be too wide, so it is the one further from zero
            (None, _) => self.mantissa.cmp(&0),
            (_, None) => 0.cmp(&other.mantissa),
        }
    }

    /// Returns the mantissa at a finer exponent; `None` if not even 128 bits hold it.
    fn widened(self, exponent: i8) -> Option<i128> {
        let shift = u32::from(self.exponent.abs_diff(exponent));
        if self.mantissa == 0 {
            return Some(0);
        }
        i128::from(self.mantissa).checked_mul(10_i128.checked_pow(shift)?)
    }

    /// Returns the same value without trailing zeros behind the point (the canonical form).
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

    /// Appends the plain decimal text (no exponent, no trailing zeros) of CONTRACT "Hash".
    pub fn write_plain(self, out: &mut Vec<u8>) {
        let value = self.canonical();
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = value.mantissa.unsigned_abs();
        while rest > 0 || at == digits.len() {
            at -= 1;
            if let Some(slot) = digits.get_mut(at) {
                *slot = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            }
            rest /= 10;
        }
        let digits = digits.get(at..).unwrap_or_default();
        if value.mantissa < 0 {
            out.push(b'-');
        }
        if value.exponent >= 0 {
            out.extend_from_slice(digits);
            out.extend(std::iter::repeat_n(b'0', usize::from(value.exponent.unsigned_abs())));
            return;
        }
        let fraction = usize::from(value.exponent.unsigned_abs());
        let whole = digits.len().saturating_sub(fraction);
        let (left, right) = digits.split_at(whole);
        out.extend_from_slice(if left.is_empty() { b"0" } else { left });
        out.push(b'.');
        out.extend(std::iter::repeat_n(b'0', fraction.saturating_sub(digits.len())));
        out.extend_from_slice(right);
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write_plain(&mut text);
        formatter.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Appends pending zeros and one digit; `None` beyond 64 bits.
#[inline]
fn push_digits(mantissa: u64, zeros: i32, digit: u8) -> Option<u64> {
    if mantissa == 0 {
        return Some(u64::from(digit));
    }
    let mut value = mantissa;
    for _ in 0..zeros {
        value = value.checked_mul(10)?;
    }
    value.checked_mul(10)?.checked_add(u64::from(digit))
}

/// Reads the power behind `e`: an optional sign and one to three digits.
fn parse_power(text: &[u8]) -> Result<i32, NumberError> {
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() {
        return Err(NumberError::Syntax);
    }
    let mut power: i32 = 0;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(NumberError::Syntax);
        }
        power = power.saturating_mul(10).saturating_add(i32::from(byte - b'0')).min(1_000);
    }
    Ok(sign * power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn number_text_of_venues_keeps_every_digit() {
        for (text, mantissa, exponent) in [
            ("61837.63000000", 6_183_763, -2),
            ("0.00000048", 48, -8),
            ("1e-08", 1, -8),
            ("2E-8", 2, -8),
            ("1.5e3", 1_500, 0),
            ("18097.1547", 180_971_547, -4),
            ("985", 985, 0),
            ("100", 100, 0),
            ("0.00000000", 0, 0),
            ("-1", -1, 0),
            ("0.000000000000000001", 1, -18),
            ("0e10", 0, 0),
        ] {
            assert_eq!(Decimal::parse(text.as_bytes()), Ok(Decimal::new(mantissa, exponent)), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        for text in
            ["", "-", ".", "1.", ".5", "1..2", "NaN", "inf", "1e", "1.e5", "0x1", " 1", "1 ", "+1", "1e+"]
        {
            assert_eq!(Decimal::parse(text.as_bytes()), Err(NumberError::Syntax), "{text}");
        }
        for text in ["1e999", "99999999999999999999", "1e-31", "-1e999"] {
            assert_eq!(Decimal::parse(text.as_bytes()), Err(NumberError::Range), "{text}");
        }
        assert_eq!(Decimal::parse("1".repeat(4_301).as_bytes()), Err(NumberError::Range));
    }

    #[test]
    fn values_compare_whatever_their_digits() {
        let value = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
        let rising =
            ["-1e30", "-2", "-1e-30", "0", "1e-30", "0.9", "1", "1.00000001", "9223372036854775807", "1e30"];
        for (at, left) in rising.iter().enumerate() {
            for (other, right) in rising.iter().enumerate() {
                assert_eq!(value(left).compare(value(right)), at.cmp(&other), "{left} and {right}");
            }
        }
        assert_eq!(Decimal::new(10, -1).compare(Decimal::new(1, 0)), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn row_b28_text_to_fixed_point_to_text_is_exact(whole in 0_u64..1_000_000_000, fraction in "[0-9]{0,9}") {
            let text = if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") };
            let plain = if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text.clone()
            };
            prop_assert_eq!(Decimal::parse(text.as_bytes()).unwrap().to_string(), plain);
        }

        #[test]
        fn rescale_there_and_back_changes_nothing(mantissa in -1_000_000_i64..1_000_000, exponent in -9_i8..=0) {
            let value = Decimal::new(mantissa, exponent);
            let finer = value.rescale(-12).unwrap();
            prop_assert_eq!(Decimal::new(finer, -12).rescale(exponent), Some(mantissa));
            prop_assert_eq!(Decimal::new(finer, -12).canonical(), value.canonical());
        }
    }
}

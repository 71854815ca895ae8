//! Numbers, bare or in quotes: eight digits at a time, exact, no floating point.

use facade_model::{Decimal, NumberError, POW10};

use super::{Scanner, Step};
use crate::DecodeErrorKind;

/// Longest text of a number (FAULTS S19).
const NUMBER_LENGTH_MAX: usize = 40;

/// Most digits of a power of ten; `1e999` is no number of this world.
const POWER_DIGITS_MAX: usize = 2;

/// Largest whole part to which eight decimals can be appended within 64 bits.
const WHOLE_MAX: u64 = (i64::MAX as u64) / 100_000_000 - 1;

/// A run of at most eight digits.
#[derive(Debug, Clone, Copy)]
struct Digits {
    /// The digits' values, the first one in the lowest byte, nothing else behind them.
    values: u64,
    /// How many.
    count: u32,
}

impl Digits {
    /// Reads the digits that `chunk` begins with.
    #[inline]
    const fn leading(chunk: u64) -> Self {
        let values = chunk ^ 0x3030_3030_3030_3030;
        // A byte above 9 gets its high bit; a carry only reaches the bytes behind the first such one.
        let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
        let count = others.trailing_zeros() / 8;
        Self { values: values & low_bytes(count), count }
    }

    /// Drops the zeros at the end.
    #[inline]
    const fn without_trailing_zeros(self) -> Self {
        Self { values: self.values, count: 8 - self.values.leading_zeros() / 8 }
    }

    /// Returns the number that the digits spell.
    #[inline]
    const fn value(self) -> u64 {
        if self.count == 0 {
            return 0;
        }
        // Leading zeros fill up to eight digits; then pairs, fours and eights are joined.
        let digits = self.values << ((8 - self.count) * 8);
        let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
        fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
    }
}

/// Returns the mask of the lowest `count` bytes.
#[inline]
const fn low_bytes(count: u32) -> u64 {
    if count >= 8 { u64::MAX } else { (1 << (count * 8)) - 1 }
}

/// Returns 10 to the `count`, 0 beyond 18.
#[inline]
fn power_of_ten(count: u32) -> u64 {
    POW10.get(count as usize).map_or(0, |power| power.unsigned_abs())
}

impl Scanner<'_> {
    /// Takes a decimal, bare or in quotes.
    #[inline]
    pub(crate) fn decimal(&mut self) -> Step<Decimal> {
        let is_quoted = self.peek() == Some(b'"');
        let start = self.at + usize::from(is_quoted);
        if let Some((value, end)) = self.plain_decimal(start) {
            match self.text.get(end) {
                Some(b'"') if is_quoted => {
                    self.at = end + 1;
                    return Ok(value);
                }
                Some(b',' | b'}' | b']') if !is_quoted => {
                    self.at = end;
                    return Ok(value);
                }
                _ => {}
            }
        }
        self.odd_decimal(is_quoted)
    }

    /// Reads a number as venues usually print it: digits, and at most eight of them behind a point.
    #[inline]
    fn plain_decimal(&self, start: usize) -> Option<(Decimal, usize)> {
        let (whole, count) = self.digits_at(start)?;
        let point = start + count;
        if count > 1 && self.text.get(start) == Some(&b'0') {
            return None;
        }
        if self.text.get(point) != Some(&b'.') {
            return Some((Decimal::new(i64::try_from(whole).ok()?, 0), point));
        }
        let fraction = Digits::leading(self.chunk(point + 1)?);
        if fraction.count == 0 || whole > WHOLE_MAX {
            return None;
        }
        let end = point + 1 + fraction.count as usize;
        let kept = fraction.without_trailing_zeros();
        let mantissa = whole.wrapping_mul(power_of_ten(kept.count)).wrapping_add(kept.value());
        let exponent = -i8::try_from(kept.count).ok()?;
        Some((Decimal::new(i64::try_from(mantissa).ok()?, exponent), end))
    }

    /// Reads the run of digits at `start`: its value and its length. `None`: no digit, or beyond 18 of them.
    #[inline]
    fn digits_at(&self, start: usize) -> Option<(u64, usize)> {
        let Some(chunk) = self.chunk(start) else { return self.few_digits_at(start) };
        let first = Digits::leading(chunk);
        if first.count < 8 {
            return if first.count == 0 { None } else { Some((first.value(), first.count as usize)) };
        }
        let Some(chunk) = self.chunk(start + 8) else { return self.few_digits_at(start) };
        let second = Digits::leading(chunk);
        if second.count == 8 {
            return self.few_digits_at(start);
        }
        let value = first.value() * power_of_ten(second.count) + second.value();
        Some((value, 8 + second.count as usize))
    }

    /// [`Self::digits_at`] near the end of the text, and for long runs.
    fn few_digits_at(&self, start: usize) -> Option<(u64, usize)> {
        let rest = self.text.get(start..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).take(20).count();
        if count == 0 || count > 18 {
            return None;
        }
        let digits = rest.get(..count)?;
        Some((digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')), count))
    }

    /// Takes a number that is not plain: signed, scientific, very long, at the end of the text, or none at all.
    #[inline(never)]
    fn odd_decimal(&mut self, is_quoted: bool) -> Step<Decimal> {
        let text = if is_quoted { self.word()? } else { self.number_text()? };
        Ok(Decimal::parse(text)?)
    }

    /// Takes an integer of 0 or more, bare or in quotes, that fits 64 bits.
    #[inline]
    pub(super) fn magnitude(&mut self) -> Step<u64> {
        let is_quoted = self.peek() == Some(b'"');
        let start = self.at + usize::from(is_quoted);
        if let Some((value, count)) = self.digits_at(start)
            && (count == 1 || self.text.get(start) != Some(&b'0'))
        {
            let end = start + count;
            match self.text.get(end) {
                Some(b'"') if is_quoted => {
                    self.at = end + 1;
                    return Ok(value);
                }
                Some(b',' | b'}' | b']') if !is_quoted => {
                    self.at = end;
                    return Ok(value);
                }
                _ => {}
            }
        }
        self.odd_magnitude(is_quoted)
    }

    /// [`Self::magnitude`] of a text that is long, at the end, or no integer.
    #[inline(never)]
    fn odd_magnitude(&mut self, is_quoted: bool) -> Step<u64> {
        let text = if is_quoted { self.word()? } else { self.number_text()? };
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Err(DecodeErrorKind::Number(NumberError::Syntax));
        }
        text.iter()
            .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
            .ok_or(DecodeErrorKind::Number(NumberError::Range))
    }

    /// Takes the text of a bare number, checked against the grammar of JSON.
    pub(super) fn number_text(&mut self) -> Step<&[u8]> {
        let start = self.at;
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let first = self.text.get(self.at).copied();
        let whole = self.pass_digits()?;
        if whole > 1 && first == Some(b'0') {
            return Err(DecodeErrorKind::Syntax);
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.pass_digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.pass_digits()? > POWER_DIGITS_MAX {
                return Err(DecodeErrorKind::Number(NumberError::Range));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if text.len() > NUMBER_LENGTH_MAX { Err(DecodeErrorKind::TooLong) } else { Ok(text) }
    }

    /// Passes over one digit or more; returns how many.
    fn pass_digits(&mut self) -> Step<usize> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.iter().take(NUMBER_LENGTH_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match count {
            0 => Err(DecodeErrorKind::Syntax),
            1..=NUMBER_LENGTH_MAX => Ok(count),
            _ => Err(DecodeErrorKind::TooLong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the scanner makes of a value that stands in an array.
    fn read(value: &str) -> Step<Decimal> {
        let text = format!("[{value}]");
        let mut scanner = Scanner::new(text.as_bytes());
        let mut items = scanner.array()?;
        if !items.next(&mut scanner)? {
            return Err(DecodeErrorKind::Syntax);
        }
        let number = scanner.decimal()?;
        if items.next(&mut scanner)? {
            return Err(DecodeErrorKind::Syntax);
        }
        scanner.end()?;
        Ok(number)
    }

    fn digits() -> impl Strategy<Value = String> {
        "[0-9]{0,21}(\\.[0-9]{1,20})?(e-?[0-9]{1,2})?"
    }

    proptest! {
        #[test]
        fn row_b28_the_fast_way_reads_what_the_exact_way_reads(text in digits(), tail in "[ \t]{0,3}") {
            let exact = Decimal::parse(text.as_bytes());
            prop_assert_eq!(read(&format!("\"{text}\"")).ok(), exact.ok(), "quoted {}", text);
            let digits = text.trim_start_matches('-');
            let has_extra_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
            if !has_extra_zero {
                prop_assert_eq!(read(&format!("{text}{tail}")).ok(), exact.ok(), "bare {}", text);
            }
        }

        #[test]
        fn integers_of_any_length_are_exact(value in any::<u64>(), cut in 0_u32..20) {
            let value = value.checked_div(10_u64.pow(cut)).unwrap_or_default();
            for text in [format!("{value}"), format!("\"{value}\""), format!("{value} ,"), format!("{value},        ")] {
                prop_assert_eq!(Scanner::new(text.as_bytes()).magnitude(), Ok(value), "{}", text);
            }
        }
    }

    #[test]
    fn integers_beyond_64_bits_are_refused() {
        for text in ["18446744073709551616", "99999999999999999999999"] {
            let error = Scanner::new(text.as_bytes()).magnitude();
            assert_eq!(error, Err(DecodeErrorKind::Number(NumberError::Range)), "{text}");
        }
        assert_eq!(Scanner::new(b"18446744073709551615").magnitude(), Ok(u64::MAX));
        for text in ["-1", "1.0", "\"\"", "1e3", "0123", "", "x"] {
            assert!(Scanner::new(text.as_bytes()).magnitude().is_err(), "{text}");
        }
    }

    #[test]
    fn signed_checksums_keep_their_bits() {
        for (text, bits) in
            [("-1", u32::MAX), ("\"-2147483648\"", 1 << 31), ("4294967295", u32::MAX), ("0", 0)]
        {
            assert_eq!(Scanner::new(text.as_bytes()).bits32(), Ok(bits));
        }
        assert!(Scanner::new(b"4294967296").bits32().is_err());
        assert!(Scanner::new(b"1.5").bits32().is_err());
    }

    #[test]
    fn units_of_a_unix_time_are_told_by_its_size() {
        for (text, ns) in [
            ("0", 0),
            ("1784620800512", 1_784_620_800_512_000_000),
            ("\"1784620800512\"", 1_784_620_800_512_000_000),
            ("1784620800512123", 1_784_620_800_512_123_000),
            ("1784620800512123456", 1_784_620_800_512_123_456),
        ] {
            assert_eq!(Scanner::new(text.as_bytes()).epoch(), Ok(ns), "{text}");
        }
        assert!(Scanner::new(b"18446744073709551615").epoch().is_err());
        assert!(Scanner::new(b"-1").epoch().is_err());
    }
}

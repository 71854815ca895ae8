//! Numbers, bare or in quotes: eight digits at a time, exact, no floating point.

use facade_model::{Decimal, NumberError, Sum};

use super::digits::Window;
use super::{Scanner, Step};
use crate::DecodeErrorKind;

/// Longest text of a number (FAULTS S19).
const NUMBER_LENGTH_MAX: usize = 40;

/// Most digits of a power of ten; `1e999` is no number of this world.
const POWER_DIGITS_MAX: usize = 2;

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

    /// Takes a sum, bare or in quotes: a decimal of up to 128 bits.
    pub(crate) fn sum(&mut self) -> Step<Sum> {
        let start = *self;
        match self.decimal() {
            Err(DecodeErrorKind::Number(NumberError::Range)) => {}
            outcome => return outcome.map(Sum::from),
        }
        *self = start;
        let text = if self.peek() == Some(b'"') { self.word()? } else { self.number_text()? };
        Ok(Sum::parse(text)?)
    }

    /// Takes two decimals that stand between just these bytes: `["` 0.5 `","` 2 `"]`. `None`: nothing was taken.
    ///
    /// One step for what would be seven; the caller has a general way for all other spellings.
    #[inline]
    pub(crate) fn pair<const A: usize, const B: usize, const C: usize>(
        &mut self,
        open: &[u8; A],
        between: &[u8; B],
        close: &[u8; C],
    ) -> Option<(Decimal, Decimal)> {
        let mut probe = *self;
        if !probe.literal(open) {
            return None;
        }
        let (left, end) = probe.plain_decimal(probe.at)?;
        probe.at = end;
        if !probe.literal(between) {
            return None;
        }
        let (right, end) = probe.plain_decimal(probe.at)?;
        probe.at = end;
        if !probe.literal(close) {
            return None;
        }
        self.at = probe.at;
        Some((left, right))
    }

    /// Reads a number as venues usually print it: at most seven digits, and at most eight behind a point.
    #[expect(clippy::inline_always, reason = "measured: a call per number costs a fifth of a frame")]
    #[inline(always)]
    fn plain_decimal(&self, start: usize) -> Option<(Decimal, usize)> {
        let window = Window::new(self.text.get(start..)?);
        let others = window.others();
        let point = others.first_of_eight();
        if point == 0 || point == 64 || (point > 8 && window.byte(0) == b'0') {
            return None;
        }
        let whole = window.first(point);
        if window.byte(point) != b'.' {
            return Some((
                Decimal::new(whole.value().cast_signed(), 0),
                start.wrapping_add(whole.count() as usize),
            ));
        }
        let end = others.second();
        if !(16..=72).contains(&end.wrapping_sub(point)) {
            return None;
        }
        let kept = window.behind(point, end).without_trailing_zeros();
        let mantissa = match whole.followed_by(kept) {
            Some(digits) => digits.value(),
            None => whole.value().wrapping_mul(kept.power()).wrapping_add(kept.value()), // at most 15 digits
        };
        Some((Decimal::new(mantissa.cast_signed(), kept.exponent()), start.wrapping_add((end / 8) as usize)))
    }

    /// Reads the run of digits at `start`: its value and its length. `None`: no digit, or beyond 15 of them.
    #[inline]
    fn digits_at(&self, start: usize) -> Option<(u64, usize)> {
        let window = Window::new(self.text.get(start..)?);
        let end = window.others().first();
        if end == 0 || end == 128 {
            return None;
        }
        let length = (end / 8) as usize;
        if end <= 64 {
            return Some((window.first(end).value(), length));
        }
        let rest = window.second(end);
        Some((window.first(64).value().wrapping_mul(rest.power()).wrapping_add(rest.value()), length))
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

//! Strings: eight bytes at a time to the closing quote.

use super::digits::others;
use super::{Scanner, Step};
use crate::DecodeErrorKind;

/// Longest string (FAULTS S19).
const STRING_BYTES_MAX: usize = 1 << 20;

/// Returns one byte eight times.
pub(super) const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Returns the high bit of each byte that is a quote, a backslash or a control sign; the lowest one is exact.
#[inline]
const fn special_bytes(chunk: u64) -> u64 {
    let quotes = chunk ^ every(b'"');
    let escapes = chunk ^ every(b'\\');
    let is_quote = quotes.wrapping_sub(every(1)) & !quotes;
    let is_escape = escapes.wrapping_sub(every(1)) & !escapes;
    let is_control = chunk.wrapping_sub(every(b' ')) & !chunk;
    (is_quote | is_escape | is_control) & every(0x80)
}

impl Scanner<'_> {
    /// Returns the next eight bytes as a little-endian number, or `None` near the end.
    #[inline]
    pub(super) fn chunk(&self, at: usize) -> Option<u64> {
        self.text.get(at..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Passes over the rest of a string, its closing quote included.
    #[inline]
    pub(super) fn pass_string(&mut self) -> Step<()> {
        let end_max = self.at + STRING_BYTES_MAX;
        loop {
            if self.at > end_max {
                return Err(DecodeErrorKind::TooLong);
            }
            if let Some(chunk) = self.chunk(self.at) {
                let marks = special_bytes(chunk);
                if marks == 0 {
                    self.at += 8;
                    continue;
                }
                self.at += (marks.trailing_zeros() / 8) as usize;
            }
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.pass_escape()?,
                Some(b' '..) => self.at += 1,
                _ => return Err(DecodeErrorKind::Syntax),
            }
        }
    }

    /// Passes over one escape sequence.
    #[cold]
    fn pass_escape(&mut self) -> Step<()> {
        let length = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(DecodeErrorKind::Syntax);
                }
                6
            }
            _ => return Err(DecodeErrorKind::Syntax),
        };
        self.at += length;
        Ok(())
    }

    /// Takes `,"13"`, a comma and a text of at most five digits, if it comes next in just this form.
    #[inline]
    pub(super) fn pass_digits_item(&mut self) -> bool {
        let Some(chunk) = self.chunk(self.at) else { return false };
        let text = chunk >> 16; // behind the comma and the quote; two zero bytes fill up, which are no digits
        let bits = others(text).trailing_zeros() & !7;
        let is_item = chunk & 0xffff == u64::from_le_bytes(*b",\"\0\0\0\0\0\0")
            && (text >> bits) & 0xff == u64::from(b'"');
        if is_item {
            self.at += 3 + (bits / 8) as usize;
        }
        is_item
    }

    /// Takes a string and returns it with its escape sequences resolved. Allocates: for lists, not for frames.
    pub(crate) fn owned_text(&mut self) -> Step<String> {
        let raw = std::str::from_utf8(self.word()?).map_err(|_| DecodeErrorKind::Utf8)?;
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((plain, escaped)) = rest.split_once('\\') {
            text.push_str(plain);
            rest = push_unescaped(&mut text, escaped).ok_or(DecodeErrorKind::Syntax)?;
        }
        text.push_str(rest);
        Ok(text)
    }
}

/// Appends the sign that the escape sequence at the start of `escaped` (its backslash gone) stands for; returns the rest.
fn push_unescaped<'a>(text: &mut String, escaped: &'a str) -> Option<&'a str> {
    let mut signs = escaped.chars();
    match signs.next()? {
        'b' => text.push('\u{8}'),
        'f' => text.push('\u{c}'),
        'n' => text.push('\n'),
        'r' => text.push('\r'),
        't' => text.push('\t'),
        'u' => return push_code_unit(text, signs.as_str()),
        plain => text.push(plain),
    }
    Some(signs.as_str())
}

/// Appends the sign of four hexadecimal digits, or of two such escapes that form a surrogate pair.
fn push_code_unit<'a>(text: &mut String, digits: &'a str) -> Option<&'a str> {
    let (unit, rest) = code_unit(digits)?;
    if !(0xd800..0xdc00).contains(&unit) {
        text.push(char::from_u32(unit)?);
        return Some(rest);
    }
    let (low, rest) = code_unit(rest.strip_prefix("\\u")?)?;
    let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    text.push(char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + low)?);
    Some(rest)
}

/// Reads four hexadecimal digits; returns their value and the rest.
fn code_unit(digits: &str) -> Option<(u32, &str)> {
    let (unit, rest) = digits.split_at_checked(4)?;
    Some((u32::from_str_radix(unit, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_written_as_json_comes_back(text in any::<String>(), ending in "[ \",:x]{0,9}") {
            let json = serde_json::to_string(&text).unwrap();
            let whole = format!("{json}{ending}");
            let mut scanner = Scanner::new(whole.as_bytes());
            prop_assert_eq!(scanner.owned_text(), Ok(text));
            prop_assert_eq!(scanner.position() as usize, json.len());
        }

        #[test]
        fn a_text_that_we_write_is_json(text in any::<String>()) {
            let mut json = String::new();
            crate::request::push_json_string(&mut json, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn escapes_of_all_kinds_are_resolved() {
        let mut scanner = Scanner::new(br#""AAVE\/USD \"\\\b\f\n\r\t\u00e9\ud83d\ude00""#);
        let expected = "AAVE/USD \"\\\u{8}\u{c}\n\r\té\u{1f600}";
        assert_eq!(scanner.owned_text().as_deref(), Ok(expected));
        for text in [r#""\ud83d""#, r#""\ud83dx""#, r#""\ud83d\u0041""#, r#""\udc00""#] {
            assert!(Scanner::new(text.as_bytes()).owned_text().is_err(), "{text}");
        }
    }
}

//! JSON in the one spelling of the store: no space, plain ASCII, every escape where it must be and nowhere else.
//!
//! So two texts are equal exactly if their spellings are, and no text is ever decoded here.

use crate::hex::nibble;

/// Values within values that a line may hold.
const DEPTH_MAX: u8 = 16;
/// Signs of a number; Python refuses those of some thousands.
const NUMBER_MAX: usize = 32;
/// Bytes of a text that are looked at together.
const BLOCK_BYTES: usize = 16;

/// Reads values from the front of a text. After a `None` it stands anywhere, and is of no more use.
pub(crate) struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes one sign if it is this one.
    pub(crate) fn eat(&mut self, sign: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        (*first == sign).then(|| self.rest = rest)
    }

    /// Reads a string; returns its spelling between the quotes.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        self.eat(b'"')?;
        let whole = self.rest;
        loop {
            let (_, special) = self.rest.split_at_checked(plain(self.rest)?)?;
            match special {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return whole.get(..whole.len() - rest.len() - 1);
                }
                [b'\\', rest @ ..] => self.rest = after_escape(rest)?,
                _ => return None,
            }
        }
    }

    /// Reads a number that counts something.
    pub(crate) fn count(&mut self, most: u64) -> Option<u64> {
        let digits = self.digits()?;
        let value = digits
            .iter()
            .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
        (value <= most).then_some(value)
    }

    /// Reads a list or an object: `one` reads each of its values.
    pub(crate) fn each(
        &mut self,
        [open, close]: [u8; 2],
        mut one: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.eat(open)?;
        if self.eat(close).is_some() {
            return Some(());
        }
        loop {
            one(self)?;
            if self.eat(close).is_some() {
                return Some(());
            }
            self.eat(b',')?;
        }
    }

    /// Reads a list of strings.
    pub(crate) fn texts(&mut self) -> Option<Vec<&'a [u8]>> {
        let mut texts = Vec::new();
        self.each(*b"[]", |scanner| {
            texts.push(scanner.text()?);
            Some(())
        })?;
        Some(texts)
    }

    /// Reads any value and forgets it.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_to(DEPTH_MAX)
    }

    fn skip_to(&mut self, depth: u8) -> Option<()> {
        match self.rest.first()? {
            b'"' => self.text().map(drop),
            b'[' => {
                let depth = depth.checked_sub(1)?;
                self.each(*b"[]", |scanner| scanner.skip_to(depth))
            }
            b'{' => {
                let depth = depth.checked_sub(1)?;
                self.each(*b"{}", |scanner| {
                    scanner.text()?;
                    scanner.eat(b':')?;
                    scanner.skip_to(depth)
                })
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let start = self.rest.len();
        let _ = self.eat(b'-');
        self.digits()?;
        if self.eat(b'.').is_some() {
            self.any_digits()?;
        }
        if self.eat(b'e').is_some() {
            let _ = self.eat(b'-').or_else(|| self.eat(b'+'));
            self.any_digits()?;
        }
        (start - self.rest.len() <= NUMBER_MAX).then_some(())
    }

    /// Reads digits of a whole number: the first is no zero but of zero itself.
    fn digits(&mut self) -> Option<&'a [u8]> {
        let digits = self.any_digits()?;
        (digits.len() == 1 || digits.first() != Some(&b'0')).then_some(digits)
    }

    fn any_digits(&mut self) -> Option<&'a [u8]> {
        let is_other = |sign: &u8| !sign.is_ascii_digit();
        let end = self.rest.iter().position(is_other).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!digits.is_empty()).then_some(digits)
    }
}

/// Returns how many signs stand before the first that ends a text or is no plain one.
fn plain(text: &[u8]) -> Option<usize> {
    // most texts are 64 digits: a block of signs costs as much as one
    let (blocks, _) = text.as_chunks::<BLOCK_BYTES>();
    let is_plain =
        |block: &&[u8; BLOCK_BYTES]| !block.iter().fold(false, |any, sign| any | is_special(*sign));
    let at = blocks.iter().take_while(is_plain).count() * BLOCK_BYTES;
    text.get(at..)?.iter().position(|sign| is_special(*sign)).map(|more| at + more)
}

/// Whether a sign is none that stands for itself: quote, backslash, control or not ASCII.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "lazy ones are branches, which keep a block from being one step"
)]
const fn is_special(sign: u8) -> bool {
    (sign == b'"') | (sign == b'\\') | (sign.wrapping_sub(b' ') >= 0x7f - b' ')
}

/// Returns what follows an escape, if it could not have been spelled otherwise.
fn after_escape(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => Some(rest),
        [b'u', a, b, c, d, rest @ ..] => {
            let unit = [a, b, c, d]
                .into_iter()
                .try_fold(0_u16, |unit, digit| Some(unit << 4 | u16::from(nibble(*digit)?)))?;
            (!matches!(unit, 8..=10 | 12 | 13 | 0x20..=0x7e)).then_some(rest)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Scanner;

    fn is_value(text: &str) -> bool {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.skip().is_some() && scanner.is_at_end()
    }

    #[test]
    fn one_spelling_of_a_value_is_read_and_every_other_refused() {
        for whole in [
            "0",
            "-1",
            "10",
            "1.5",
            "1e-05",
            "-0.0",
            "true",
            "false",
            "null",
            "[]",
            "{}",
            "[1,[\"a\"]]",
            "{\"a\":{\"b\":[1]},\"a\":2}",
            r#""\ud83d\ude00\ud800\u007f\u0000\"\\\n""#,
            "\"/\"",
        ] {
            assert!(is_value(whole), "{whole}");
        }
        for other in [
            "",
            "-",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "NaN",
            "Infinity",
            "tru",
            "[1,]",
            "[1 ]",
            " 1",
            "{\"a\"}",
            "{1:2}",
            r#""\/""#,
            r#""\u0041""#,
            r#""\u00E4""#,
            r#""\u000a""#,
            r#""\u00""#,
            r#""\x""#,
            "\"\u{e4}\"",
            "\"\n\"",
            "\"a",
            "123456789012345678901234567890123",
        ] {
            assert!(!is_value(other), "{other}");
        }
        assert!(is_value(&("[".repeat(16) + &"]".repeat(16))));
        assert!(!is_value(&("[".repeat(17) + &"]".repeat(17))));
    }

    #[test]
    fn a_text_ends_at_the_first_quote_and_holds_only_what_is_plain_wherever_that_stands() {
        for length in 0..50 {
            for sign in 0..=u8::MAX {
                let text = [b"\"", [b'a'].repeat(length).as_slice(), &[sign], b"bcd\"rest"].concat();
                let found = Scanner::new(&text).text();
                let wanted = match sign {
                    b'"' => text.get(1..=length),
                    0x20..0x7f => text.get(1..length + 5), // `\b` is an escape
                    _ => None,
                };
                assert_eq!(found, wanted, "{sign} after {length}");
            }
        }
        assert_eq!(Scanner::new(b"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").text(), None);
    }

    #[test]
    fn a_count_has_a_bound() {
        assert_eq!(Scanner::new(b"18446744073709551615").count(u64::MAX), Some(u64::MAX));
        assert_eq!(Scanner::new(b"18446744073709551616").count(u64::MAX), None);
        assert_eq!((Scanner::new(b"5").count(5), Scanner::new(b"6").count(5)), (Some(5), None));
        assert_eq!((Scanner::new(b"-1").count(5), Scanner::new(b"00").count(5)), (None, None));
    }
}

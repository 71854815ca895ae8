//! Strings: eight bytes at a time to the closing quote.

use super::{Scanner, Step};
use crate::DecodeErrorKind;

/// Longest string (FAULTS S19).
const STRING_BYTES_MAX: usize = 1 << 20;

/// One byte, eight times.
const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Returns the high bit of each byte that is a quote, a backslash or a control sign; the lowest one is exact.
#[inline(always)]
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
    #[inline(always)]
    pub(super) fn chunk(&self, at: usize) -> Option<u64> {
        self.text.get(at..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Passes over the rest of a string, its closing quote included.
    #[inline]
    pub(super) fn pass_string(&mut self) -> Step<()> {
        let start = self.at;
        loop {
            if let Some(chunk) = self.chunk(self.at) {
                let marks = special_bytes(chunk);
                if marks == 0 {
                    self.at += 8;
                    if self.at - start > STRING_BYTES_MAX {
                        return Err(DecodeErrorKind::TooLong);
                    }
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
}

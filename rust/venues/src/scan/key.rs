//! Members of objects, found by name: one comparison if they come in the usual order.

use super::{Scanner, Step};
use crate::{DecodeErrorKind, Span};

/// Longest name whose quoted form with the colon fits the 16 bytes of one comparison.
const FAST_NAME_LENGTH_MAX: usize = 13;

/// Names that are tried before the general search: a venue leaves out a member or two.
const LOOKAHEAD: usize = 3;

/// The members that one decoder reads, in the order in which the venue usually sends them. Made by [`keys`].
pub(crate) trait Key: Copy + 'static {
    /// Names with their meaning; at most 64.
    const TABLE: &'static [(Name, Self)];
}

/// A member name, prepared for comparison.
#[derive(Debug)]
pub(crate) struct Name {
    text: &'static [u8],
    /// `"name":` as a little-endian number, and the bytes of it that count.
    pattern: u128,
    mask: u128,
}

impl Name {
    /// Prepares a name.
    pub(crate) const fn new(name: &'static str) -> Self {
        let text = name.as_bytes();
        if text.len() > FAST_NAME_LENGTH_MAX {
            return Self { text, pattern: 1, mask: 0 }; // equals nothing: found by the general path
        }
        let mut pattern = b'"' as u128;
        let mut shift = 8;
        let mut rest = text;
        while let Some((&byte, tail)) = rest.split_first() {
            pattern |= (byte as u128) << shift;
            shift += 8;
            rest = tail;
        }
        pattern |= ((b'"' as u128) << shift) | ((b':' as u128) << (shift + 8));
        shift += 16;
        let mask = if shift == 128 { u128::MAX } else { (1 << shift) - 1 };
        Self { text, pattern, mask }
    }

    /// Bytes of the name with its quotes and colon.
    #[inline]
    const fn quoted_length(&self) -> usize {
        self.text.len() + 3
    }
}

/// Declares the members that a decoder reads: an enum whose variants name them, in their usual order.
macro_rules! keys {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum $name { $($variant),+ }

        impl $crate::scan::Key for $name {
            const TABLE: &'static [($crate::scan::Name, Self)] =
                &[$(($crate::scan::Name::new($text), Self::$variant)),+];
        }
    };
}
pub(crate) use keys;

/// Walk over one object, made by [`Scanner::object`].
#[derive(Debug)]
pub(crate) struct Object {
    is_first: bool,
    /// Index of the name that usually follows.
    expected: usize,
    /// One bit per name that was seen.
    seen: u64,
}

impl Object {
    /// Starts behind the opening brace.
    #[inline]
    pub(super) const fn new() -> Self {
        Self { is_first: true, expected: 0, seen: 0 }
    }

    /// Moves to the value of the next member that `K` names: `None` behind the end.
    ///
    /// Members that `K` does not name are passed over; one that comes twice is refused.
    #[inline]
    pub(crate) fn next<K: Key>(&mut self, scanner: &mut Scanner<'_>) -> Step<Option<K>> {
        loop {
            if !scanner.advance(&mut self.is_first, b'}')? {
                return Ok(None);
            }
            for (index, (name, key)) in K::TABLE.iter().enumerate().skip(self.expected).take(LOOKAHEAD) {
                if scanner.pass_name(name) {
                    self.mark(index)?;
                    return Ok(Some(*key));
                }
            }
            if let Some(key) = self.search::<K>(scanner)? {
                return Ok(Some(key));
            }
        }
    }

    /// Moves to the value of the next member, whatever its name: `None` behind the end. Duplicates are not noticed.
    pub(crate) fn next_any(&mut self, scanner: &mut Scanner<'_>) -> Step<Option<Span>> {
        if !scanner.advance(&mut self.is_first, b'}')? {
            return Ok(None);
        }
        let name = scanner.string()?;
        scanner.take(b':')?;
        Ok(Some(name))
    }

    /// Takes any key; passes over the value of one that `K` does not name.
    #[inline(never)]
    fn search<K: Key>(&mut self, scanner: &mut Scanner<'_>) -> Step<Option<K>> {
        let text = scanner.word()?;
        scanner.take(b':')?;
        let found = K::TABLE.iter().enumerate().find(|(_, (name, _))| name.text == text);
        if let Some((index, (_, key))) = found {
            self.mark(index)?;
            return Ok(Some(*key));
        }
        scanner.skip()?;
        Ok(None)
    }

    /// Notes that a name was seen.
    #[inline]
    fn mark(&mut self, index: usize) -> Step<()> {
        let bit = 1_u64 << (index & 63);
        if self.seen & bit != 0 {
            return Err(DecodeErrorKind::DuplicateKey);
        }
        self.seen |= bit;
        self.expected = index + 1;
        Ok(())
    }
}

impl Scanner<'_> {
    /// Takes `"name":` if it comes next, in just this spelling.
    #[inline]
    fn pass_name(&mut self, name: &Name) -> bool {
        let Some(chunk) = self.text.get(self.at..).and_then(|rest| rest.first_chunk::<16>()) else {
            return false;
        };
        let is_next = u128::from_le_bytes(*chunk) & name.mask == name.pattern;
        if is_next {
            self.at += name.quoted_length();
        }
        is_next
    }
}

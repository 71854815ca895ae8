//! Cursor over JSON text: reads what the caller expects, checks everything it passes, copies and allocates nothing.
//!
//! A decoder names the members that it reads (`keys!`), walks an object with [`Object::next`] and takes each value
//! with the method of its type. Members may come in any order; in the expected order a key costs one comparison.
//! Unknown members are skipped and checked, known ones may not stand twice. Nothing recurses.

mod digits;
mod key;
mod number;
mod skip;
mod text;

pub(crate) use key::{Key, Name, Object, keys};

use facade_model::{Decimal, NumberError, Sum};

use crate::{DecodeErrorKind, Span};

/// Deepest nesting (FAULTS S19).
pub(crate) const DEPTH_MAX: u8 = 32;

/// Result of one reading step; the position is the cursor's.
pub(crate) type Step<T> = Result<T, DecodeErrorKind>;

/// The cursor. A copy is a bookmark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: u8,
}

/// Walk over one array, made by [`Scanner::array`].
#[derive(Debug)]
pub(crate) struct Array {
    is_first: bool,
}

impl<'a> Scanner<'a> {
    /// Starts at the first byte.
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Returns where reading stands.
    pub(crate) fn position(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    /// Returns the bytes of a span of this text.
    pub(crate) fn of(&self, span: Span) -> &'a [u8] {
        span.of(self.text)
    }

    /// Returns the next byte that is no white space, without taking it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        match self.text.get(self.at) {
            Some(&byte) if byte > b' ' => Some(byte),
            _ => self.skip_space(),
        }
    }

    /// Passes white space; returns the byte behind it.
    #[cold]
    fn skip_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes one structural byte.
    #[inline]
    fn take(&mut self, byte: u8) -> Step<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(DecodeErrorKind::Syntax)
        }
    }

    /// Takes these very bytes if they come next; they may not begin with white space.
    #[inline]
    pub(crate) fn literal<const N: usize>(&mut self, bytes: &[u8; N]) -> bool {
        let is_next = self.begins_with(bytes);
        if is_next {
            self.at = self.at.wrapping_add(N); // within the text: they were compared
        }
        is_next
    }

    /// Whether these very bytes come next.
    #[inline]
    pub(crate) fn begins_with<const N: usize>(&self, bytes: &[u8; N]) -> bool {
        self.text.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) == Some(bytes)
    }

    /// Takes these bytes if they come next; they may not begin with white space.
    #[inline]
    pub(crate) fn same(&mut self, bytes: &[u8]) -> bool {
        let is_next = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(bytes));
        if is_next {
            self.at += bytes.len();
        }
        is_next
    }

    /// Enters an object; the caller walks it to its end with [`Object::next`].
    #[inline]
    pub(crate) fn object(&mut self) -> Step<Object> {
        self.take(b'{')?;
        self.enter()?;
        Ok(Object::new())
    }

    /// Enters an array; the caller walks it to its end with [`Array::next`].
    #[inline]
    pub(crate) fn array(&mut self) -> Step<Array> {
        self.take(b'[')?;
        self.enter()?;
        Ok(Array { is_first: true })
    }

    /// Goes one level down.
    #[inline]
    fn enter(&mut self) -> Step<()> {
        if self.depth >= DEPTH_MAX {
            return Err(DecodeErrorKind::Depth);
        }
        self.depth += 1;
        Ok(())
    }

    /// Moves to the next member or item: false behind the closing byte. Refuses a missing or a dangling comma.
    #[inline]
    fn advance(&mut self, is_first: &mut bool, close: u8) -> Step<bool> {
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                Ok(false)
            }
            Some(b',') if !*is_first => {
                self.at += 1;
                if self.peek() == Some(close) { Err(DecodeErrorKind::Syntax) } else { Ok(true) }
            }
            Some(_) if *is_first => {
                *is_first = false;
                Ok(true)
            }
            _ => Err(DecodeErrorKind::Syntax),
        }
    }

    /// Passes over the rest of an array behind one of its items.
    #[inline]
    pub(crate) fn skip_rest_of_array(&mut self) -> Step<()> {
        if self.literal(b"]") {
            return Ok(());
        }
        while self.pass_digits_item() {}
        if self.literal(b"]") {
            return Ok(());
        }
        self.enter()?;
        let mut is_first = false;
        while self.advance(&mut is_first, b']')? {
            self.skip()?;
        }
        Ok(())
    }

    /// Refuses anything but white space behind the value.
    pub(crate) fn end(&mut self) -> Step<()> {
        if self.peek().is_none() && self.at >= self.text.len() {
            Ok(())
        } else {
            Err(DecodeErrorKind::Syntax)
        }
    }

    /// Finds a member of the object that comes next, without moving: a cursor at its value, or `None`.
    ///
    /// Cheap if it is the first member; else it passes over those before.
    pub(crate) fn find(&self, name: &[u8]) -> Step<Option<Self>> {
        Ok(self.find_any([name])?.map(|(_, probe)| probe))
    }

    /// [`Self::find`] of the first member that has one of these names: the name's index, and the cursor.
    pub(crate) fn find_any<const N: usize>(&self, names: [&[u8]; N]) -> Step<Option<(usize, Self)>> {
        let mut probe = *self;
        probe.take(b'{')?;
        probe.enter()?;
        let mut is_first = true;
        while probe.advance(&mut is_first, b'}')? {
            let key = probe.string()?;
            probe.take(b':')?;
            if let Some(index) = names.iter().position(|name| probe.of(key) == *name) {
                return Ok(Some((index, probe)));
            }
            probe.skip()?;
        }
        Ok(None)
    }

    /// Takes a string; the span stands between the quotes, escape sequences unresolved.
    #[inline]
    pub(crate) fn string(&mut self) -> Step<Span> {
        self.take(b'"')?;
        let start = self.position();
        self.pass_string()?;
        Ok(Span { start, end: self.position() - 1 })
    }

    /// Passes over a string.
    #[inline]
    pub(crate) fn pass_text(&mut self) -> Step<()> {
        self.take(b'"')?;
        self.pass_string()
    }

    /// Takes a string and returns its bytes, escape sequences unresolved.
    #[inline]
    pub(crate) fn word(&mut self) -> Step<&'a [u8]> {
        let span = self.string()?;
        Ok(self.of(span))
    }

    /// Takes a string and returns its bytes; passes over a value of another type, which tells us nothing.
    pub(crate) fn word_or_skip(&mut self) -> Step<&'a [u8]> {
        let span = self.string_or_skip()?;
        Ok(self.of(span))
    }

    /// Takes a string; passes over a value of another type and returns an empty span.
    pub(crate) fn string_or_skip(&mut self) -> Step<Span> {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        self.skip()?;
        Ok(Span::default())
    }

    /// Takes `null` if it comes next.
    #[inline]
    pub(crate) fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.literal(b"null")
    }

    /// Takes `true` or `false`.
    #[inline]
    pub(crate) fn boolean(&mut self) -> Step<bool> {
        self.peek();
        if self.literal(b"true") {
            Ok(true)
        } else if self.literal(b"false") {
            Ok(false)
        } else {
            Err(DecodeErrorKind::Syntax)
        }
    }

    /// Takes a decimal that may be missing: `null` and the empty string are absent.
    #[inline]
    pub(crate) fn decimal_or_absent(&mut self) -> Step<Option<Decimal>> {
        self.peek();
        if self.null() || self.literal(b"\"\"") {
            return Ok(None);
        }
        self.decimal().map(Some)
    }

    /// Takes a sum that may be missing, and may need more than 64 bits: volumes of cheap coins do.
    #[inline]
    pub(crate) fn sum_or_absent(&mut self) -> Step<Option<Sum>> {
        self.peek();
        if self.null() || self.literal(b"\"\"") {
            return Ok(None);
        }
        self.sum().map(Some)
    }

    /// Takes a price that may be missing; 0 too says that there is none.
    pub(crate) fn price_or_absent(&mut self) -> Step<Option<Decimal>> {
        Ok(self.decimal_or_absent()?.filter(|px| !px.is_zero()))
    }

    /// Takes an integer of 0 or more, bare or in quotes.
    #[inline]
    pub(crate) fn unsigned(&mut self) -> Step<u64> {
        self.magnitude()
    }

    /// Takes an integer of 0 or more; -1 (OKX, Binance: "none"), `null` and the empty string are absent.
    #[inline]
    pub(crate) fn unsigned_or_absent(&mut self) -> Step<Option<u64>> {
        self.peek();
        if self.null() || self.literal(b"-1") || self.literal(b"\"-1\"") || self.literal(b"\"\"") {
            return Ok(None);
        }
        self.magnitude().map(Some)
    }

    /// Takes a checksum of 32 bits, bare or in quotes; a signed one (OKX) gives its bits.
    #[inline]
    pub(crate) fn bits32(&mut self) -> Step<u32> {
        let is_quoted = self.peek() == Some(b'"');
        if self.text.get(self.at + usize::from(is_quoted)) != Some(&b'-') {
            return u32::try_from(self.magnitude()?).map_err(|_| DecodeErrorKind::Number(NumberError::Range));
        }
        let value = self.decimal()?.rescale(0).and_then(|value| i32::try_from(value).ok());
        value.map(i32::cast_unsigned).ok_or(DecodeErrorKind::Number(NumberError::Range))
    }

    /// Takes a Unix time in whole milliseconds, microseconds or nanoseconds, told apart by their size.
    ///
    /// Returns ns UTC. Milliseconds hold until the year 5138, microseconds from 1973 on.
    #[inline]
    pub(crate) fn epoch(&mut self) -> Step<i64> {
        const MILLIS_END: u64 = 100_000_000_000_000;
        const MICROS_END: u64 = 100_000_000_000_000_000;
        let value = self.magnitude()?;
        let factor = match value {
            ..MILLIS_END => 1_000_000,
            MILLIS_END..MICROS_END => 1_000,
            MICROS_END.. => 1,
        };
        let ns = i64::try_from(value).ok().and_then(|value| value.checked_mul(factor));
        ns.ok_or(DecodeErrorKind::Number(NumberError::Range))
    }

    /// Takes an RFC 3339 time in quotes; returns ns UTC.
    #[inline]
    pub(crate) fn rfc3339(&mut self) -> Step<i64> {
        let text = self.word()?;
        crate::timestamp::parse_rfc3339(text).ok_or(DecodeErrorKind::Syntax)
    }
}

impl Array {
    /// Takes the items that are pairs of decimals in just this form (see [`Scanner::pair`]), up to the first other.
    ///
    /// To be called before the first [`Self::next`], which goes on behind the last pair.
    #[inline]
    pub(crate) fn pairs<const A: usize, const B: usize, const C: usize>(
        &mut self,
        scanner: &mut Scanner<'_>,
        form: (&[u8; A], &[u8; B], &[u8; C]),
        mut take: impl FnMut(Decimal, Decimal),
    ) {
        let mut probe = *scanner;
        while let Some((left, right)) = probe.pair(form.0, form.1, form.2) {
            take(left, right);
            scanner.at = probe.at;
            self.is_first = false;
            if !probe.literal(b",") {
                return;
            }
        }
    }

    /// Moves to the next item: false behind the end.
    #[inline]
    pub(crate) fn next(&mut self, scanner: &mut Scanner<'_>) -> Step<bool> {
        scanner.advance(&mut self.is_first, b']')
    }
}

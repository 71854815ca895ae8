//! Passing over values that nobody reads; they are checked like all others.

use super::{DEPTH_MAX, Scanner, Step};
use crate::{DecodeErrorKind, Span};

/// Closing bytes that are owed, one bit a level: 1 for an object, 0 for an array.
#[derive(Debug, Clone, Copy)]
struct Open {
    is_object: u64,
}

const _: () = assert!(DEPTH_MAX < 64, "one bit a level");

impl Scanner<'_> {
    /// Passes over one value of any kind.
    pub(crate) fn skip(&mut self) -> Step<()> {
        let floor = self.depth;
        let mut open = Open { is_object: 0 };
        loop {
            let is_opened = self.skip_scalar_or_open(&mut open)?;
            if !is_opened && self.close_finished(floor, &mut open)? {
                return Ok(());
            }
        }
    }

    /// Passes over one value and returns where it stood.
    pub(crate) fn skip_span(&mut self) -> Step<Span> {
        self.peek();
        let start = self.position();
        self.skip()?;
        Ok(Span { start, end: self.position() })
    }

    /// Passes over a scalar or an empty container: false. Or opens a container and stands at its first value: true.
    #[inline]
    fn skip_scalar_or_open(&mut self, open: &mut Open) -> Step<bool> {
        match self.peek().ok_or(DecodeErrorKind::Syntax)? {
            b'"' => {
                self.at += 1;
                self.pass_string()?;
            }
            b'-' | b'0'..=b'9' => {
                self.number_text()?;
            }
            b'{' => return self.open(open, true),
            b'[' => return self.open(open, false),
            b't' | b'f' => {
                self.boolean()?;
            }
            _ if self.null() => {}
            _ => return Err(DecodeErrorKind::Syntax),
        }
        Ok(false)
    }

    /// Opens a container; an empty one is closed at once.
    #[inline]
    fn open(&mut self, open: &mut Open, is_object: bool) -> Step<bool> {
        self.at += 1;
        let close = if is_object { b'}' } else { b']' };
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        self.enter()?;
        open.is_object = open.is_object << 1 | u64::from(is_object);
        if is_object {
            self.pass_key()?;
        }
        Ok(true)
    }

    /// Closes what ends here: true if the whole value is passed, false if another value follows.
    #[inline]
    fn close_finished(&mut self, floor: u8, open: &mut Open) -> Step<bool> {
        while self.depth > floor {
            let is_object = open.is_object & 1 == 1;
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    if is_object {
                        self.pass_key()?;
                    }
                    return Ok(false);
                }
                Some(b'}') if is_object => {}
                Some(b']') if !is_object => {}
                _ => return Err(DecodeErrorKind::Syntax),
            }
            self.at += 1;
            self.depth -= 1;
            open.is_object >>= 1;
        }
        Ok(true)
    }

    /// Passes over a key and its colon.
    #[inline]
    fn pass_key(&mut self) -> Step<()> {
        self.take(b'"')?;
        self.pass_string()?;
        self.take(b':')
    }
}

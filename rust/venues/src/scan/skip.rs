//! Passing over values that nobody reads; they are checked like all others.

use super::{DEPTH_MAX, Scanner, Step};
use crate::DecodeErrorKind;

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
        self.enter()?;
        let close = if is_object { b'}' } else { b']' };
        if self.peek() == Some(close) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_accepted(text: &[u8]) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.skip().and_then(|()| scanner.end()).is_ok()
    }

    /// JSON values of all kinds, nested up to six deep.
    fn values() -> impl Strategy<Value = String> {
        let string = "([ !#-\\[\\]-~é币]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,12}"
            .prop_map(|text| format!("\"{text}\""));
        let number = "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?";
        let scalar = prop_oneof![
            string.clone().boxed(),
            number.boxed(),
            proptest::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned).boxed(),
        ];
        scalar.prop_recursive(6, 40, 5, move |inner| {
            let member = (string.clone(), inner.clone()).prop_map(|(name, value)| format!("{name} :{value}"));
            prop_oneof![
                proptest::collection::vec(inner, 0..5).prop_map(|items| format!("[{} ]", items.join(", "))),
                proptest::collection::vec(member, 0..5)
                    .prop_map(|members| format!("{{\n{}}}", members.join(" ,"))),
            ]
        })
    }

    proptest! {
        #[test]
        fn ctl_s19_everything_that_is_json_is_passed_over(text in values()) {
            prop_assert!(is_accepted(text.as_bytes()), "{}", text);
        }

        #[test]
        fn ctl_s19_nothing_that_is_no_json_is_passed_over(
            text in values(),
            at in any::<proptest::sample::Index>(),
            byte in proptest::sample::select(b"{}[],:\"\\ 0-.etx\x01".to_vec()),
        ) {
            let mut damaged = text.into_bytes();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            prop_assume!(std::str::from_utf8(&damaged).is_ok());
            let is_json = serde_json::from_slice::<&serde_json::value::RawValue>(&damaged).is_ok();
            let has_long_power = damaged.windows(2).any(|pair| pair[0].eq_ignore_ascii_case(&b'e') && !pair[1].is_ascii_alphabetic());
            if is_json != is_accepted(&damaged) {
                prop_assert!(is_json && has_long_power, "{}", String::from_utf8_lossy(&damaged));
            }
        }
    }

    #[test]
    fn the_cursor_stands_behind_the_value() {
        let mut scanner = Scanner::new(br#" {"a":[1,{"b":[]}]} , 2"#);
        assert_eq!(scanner.skip(), Ok(()));
        assert_eq!(scanner.position(), 19);
        assert_eq!(scanner.peek(), Some(b','));
    }
}

//! The few fields of the contract that the edge itself reads or writes, by hand: everything else passes
//! through as bytes.

/// Wire type of a variable-length integer.
const VARINT: u64 = 0;
/// Wire type of eight bytes.
const FIXED64: u64 = 1;
/// Wire type of a length and as many bytes.
const BYTES: u64 = 2;
/// Wire type of four bytes.
const FIXED32: u64 = 5;

/// Longest encoding of a 64-bit integer, bytes.
const VARINT_BYTES_MAX: usize = 10;

/// The bytes are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a protobuf message")]
pub struct Malformed;

/// Appends `value` as a variable-length integer.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends field `number` with an integer.
pub fn put_integer(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3 | VARINT);
    put_varint(out, value);
}

/// Appends field `number` with a fixed 64-bit integer.
pub fn put_fixed64(out: &mut Vec<u8>, number: u64, value: i64) {
    put_varint(out, number << 3 | FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends field `number` with bytes, a text or a message.
pub fn put_bytes(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    put_varint(out, number << 3 | BYTES);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// What a field of a message holds, as far as the edge cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A variable-length integer.
    Integer(u64),
    /// Four or eight bytes, or bytes with a length.
    Bytes(&'a [u8]),
}

/// The top-level fields of one message, in the order of the wire.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Starts at the first field of `message`.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if index == VARINT_BYTES_MAX - 1 && bits > 1 {
                return Err(Malformed);
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                self.rest = self.rest.get(index + 1..).ok_or(Malformed)?;
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn bytes(&mut self, count: u64) -> Result<Value<'a>, Malformed> {
        let count = usize::try_from(count).map_err(|_| Malformed)?;
        let (value, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(Value::Bytes(value))
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Integer(self.varint()?),
            FIXED64 => self.bytes(8)?,
            FIXED32 => self.bytes(4)?,
            BYTES => {
                let count = self.varint()?;
                self.bytes(count)?
            }
            _ => return Err(Malformed),
        };
        if tag >> 3 == 0 { Err(Malformed) } else { Ok((tag >> 3, value)) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_protobuf_documentation_is_read() {
        // message { int32 a = 1 } with a = 150, and { string b = 2 } with b = "testing".
        // Source: protobuf.dev, Encoding, 2026-11-21.
        let mut message = vec![0x08, 0x96, 0x01, 0x12, 0x07];
        message.extend_from_slice(b"testing");
        let fields: Vec<_> = Fields::new(&message).collect();
        assert_eq!(fields, [Ok((1, Value::Integer(150))), Ok((2, Value::Bytes(b"testing")))]);
    }

    #[test]
    fn a_cut_message_is_malformed_and_ends_the_walk() {
        let fields: Vec<_> = Fields::new(&[0x12, 0x07, b't']).collect();
        assert_eq!(fields, [Err(Malformed)]);
    }

    #[test]
    fn an_integer_of_eleven_bytes_is_malformed() {
        let message = [&[0x08][..], &[0xff; 10], &[0x01]].concat();
        assert_eq!(Fields::new(&message).next(), Some(Err(Malformed)));
    }

    #[test]
    fn groups_and_field_number_zero_are_malformed() {
        assert_eq!(Fields::new(&[0x0b]).next(), Some(Err(Malformed)));
        assert_eq!(Fields::new(&[0x00, 0x00]).next(), Some(Err(Malformed)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(number in 1u64..=536_870_911, value: u64, text: Vec<u8>, fixed: i64) {
            let mut message = Vec::new();
            put_integer(&mut message, number, value);
            put_bytes(&mut message, number, &text);
            put_fixed64(&mut message, number, fixed);
            let fields: Vec<_> = Fields::new(&message).collect();
            prop_assert_eq!(fields, [
                Ok((number, Value::Integer(value))),
                Ok((number, Value::Bytes(&text))),
                Ok((number, Value::Bytes(&fixed.to_le_bytes()))),
            ]);
        }

        #[test]
        fn any_bytes_are_walked_without_panic_and_in_bounded_steps(message: Vec<u8>) {
            prop_assert!(Fields::new(&message).count() <= message.len());
        }
    }
}

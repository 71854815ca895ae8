//! Protobuf fields. Fields with implicit presence are left out when they hold their default.

/// Wire type of integers.
const VARINT: u32 = 0;
/// Wire type of `sfixed64`.
const FIXED64: u32 = 1;
/// Wire type of texts, bytes, messages and packed arrays.
const DELIMITED: u32 = 2;

/// Bit in each byte of a varint but the last.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// Appends a varint.
#[inline]
pub fn varint(out: &mut Vec<u8>, value: u64) {
    if value < 1 << 7 {
        out.push(low_byte(value));
    } else if value < 1 << 56 {
        short_varint(out, value);
    } else {
        long_varint(out, value);
    }
}

/// Appends a varint of at most 8 bytes without a loop: all eight are stored, then cut to those that count.
#[inline]
fn short_varint(out: &mut Vec<u8>, value: u64) {
    let halves = (value & 0x0fff_ffff) | ((value & 0x00ff_ffff_f000_0000) << 4);
    let quarters = (halves & 0x0000_3fff_0000_3fff) | ((halves & 0x0fff_c000_0fff_c000) << 2);
    let groups = (quarters & 0x007f_007f_007f_007f) | ((quarters & 0x3f80_3f80_3f80_3f80) << 1);
    let length = varint_length(value);
    let continued = CONTINUES & ((1_u64 << (8 * (length - 1))) - 1);
    let end = out.len() + length;
    out.extend_from_slice(&(groups | continued).to_le_bytes());
    out.truncate(end);
}

/// Appends a varint of any length.
#[cold]
fn long_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 1 << 7 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

/// Returns the lowest byte.
#[inline]
const fn low_byte(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low
}

/// Returns the bytes of a varint, 1 to 10.
#[inline]
const fn varint_length(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Maps small numbers of either sign to small unsigned ones.
#[inline]
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[inline]
fn tag(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    varint(out, u64::from(number << 3 | wire_type));
}

/// Appends a `uint64`, `uint32`, `bool` or enum field unless it is 0.
#[inline]
pub fn uint(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        tag(out, number, VARINT);
        varint(out, value);
    }
}

/// Appends an `optional uint64` or `optional uint32` field if it is present.
#[inline]
pub fn optional_uint(out: &mut Vec<u8>, number: u32, value: Option<u64>) {
    if let Some(value) = value {
        tag(out, number, VARINT);
        varint(out, value);
    }
}

/// Appends a `sint64` or `sint32` field unless it is 0.
#[inline]
pub fn sint(out: &mut Vec<u8>, number: u32, value: i64) {
    uint(out, number, zigzag(value));
}

/// Appends an `optional sint64` field if it is present.
#[inline]
pub fn optional_sint(out: &mut Vec<u8>, number: u32, value: Option<i64>) {
    optional_uint(out, number, value.map(zigzag));
}

/// Appends a `sfixed64` field, a time in ns UTC, unless it is 0.
#[inline]
pub fn time(out: &mut Vec<u8>, number: u32, value: i64) {
    if value != 0 {
        tag(out, number, FIXED64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a `string` or `bytes` field unless it is empty.
#[inline]
pub fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    if !value.is_empty() {
        element(out, number, value);
    }
}

/// Appends one element of a `repeated string` field, empty or not.
#[inline]
pub fn element(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    tag(out, number, DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a field with a length in front: what `body` appends is its content.
///
/// `length_expected` is a guess of the content's length; a wrong one costs one move of the content.
#[inline]
pub fn delimited<R>(
    out: &mut Vec<u8>,
    number: u32,
    length_expected: usize,
    body: impl FnOnce(&mut Vec<u8>) -> R,
) -> R {
    tag(out, number, DELIMITED);
    let at = out.len();
    varint(out, length_expected as u64);
    let start = out.len();
    let outcome = body(out);
    correct_length(out, at, start);
    outcome
}

/// Writes the length of the content from `start` on into the bytes from `at` to `start`.
#[inline]
fn correct_length(out: &mut Vec<u8>, at: usize, start: usize) {
    let content = out.len() - start;
    let reserved = start - at;
    let needed = varint_length(content as u64);
    if needed > reserved {
        out.resize(out.len() + needed - reserved, 0);
    }
    if needed != reserved {
        out.copy_within(start..start + content, at + needed);
        out.truncate(at + needed + content);
    }
    let mut rest = content as u64;
    for byte in out.iter_mut().skip(at).take(needed) {
        *byte = low_byte(rest) & 0x7f | 0x80;
        rest >>= 7;
    }
    if let Some(last) = out.get_mut(at + needed - 1) {
        *last &= 0x7f;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The loop of the protobuf documentation.
    fn naive_varint(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let byte = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            if value == 0 {
                out.push(byte);
                return out;
            }
            out.push(byte | 0x80);
        }
    }

    fn written(value: u64) -> Vec<u8> {
        let mut out = vec![7];
        varint(&mut out, value);
        out.split_off(1)
    }

    #[test]
    fn varint_at_every_power_of_two_is_the_naive_one() {
        for shift in 0..64 {
            for value in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                assert_eq!(written(value), naive_varint(value), "{value}");
            }
        }
        assert_eq!(written(u64::MAX), naive_varint(u64::MAX));
    }

    #[test]
    fn zigzag_is_that_of_the_documentation() {
        for (value, code) in
            [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)]
        {
            assert_eq!(zigzag(value), code);
        }
    }

    proptest! {
        #[test]
        fn varint_of_any_number_is_the_naive_one(value: u64, shift in 0_u32..64) {
            prop_assert_eq!(written(value >> shift), naive_varint(value >> shift));
        }

        #[test]
        fn length_is_right_whatever_was_expected(content in 0_usize..40_000, expected in 0_usize..40_000) {
            let mut out = vec![1, 2, 3];
            let body = vec![0xab; content];
            let outcome = delimited(&mut out, 3, expected, |out| {
                out.extend_from_slice(&body);
                42
            });
            prop_assert_eq!(outcome, 42);
            let mut wanted = vec![1, 2, 3, 3 << 3 | 2];
            wanted.extend(naive_varint(content as u64));
            wanted.extend(&body);
            prop_assert_eq!(out, wanted);
        }
    }
}

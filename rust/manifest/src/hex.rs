//! Ids and hashes as the store writes them: lower-case hex digits.

/// SHA-256 of an answer.
pub(crate) type Id = [u8; 32];

/// What an id and the names of its files on the disk have in common: the first half of the id.
pub type Key = [u8; 16];

/// Reads lower-case hex digits, two for each byte; `None`: they are none, or not so many.
pub(crate) fn decode<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let (mut bytes, mut seen) = ([0; N], 0);
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (value(high), value(low));
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(bytes)
}

/// Returns the key of an id, or of the digits that a name on the disk carries; `None`: it is none.
#[must_use]
pub fn key_of(digits: &str) -> Option<Key> {
    decode(digits.as_bytes().get(..32)?)
}

/// Returns the key of a whole id.
pub(crate) fn key_in(id: &Id) -> Key {
    let mut key = Key::default();
    key.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    key
}

/// Returns the value of one lower-case hex digit.
pub(crate) fn nibble(digit: u8) -> Option<u8> {
    Some(value(digit)).filter(|value| *value < 16)
}

/// Returns the value of one lower-case hex digit; 255 of any other sign. No sign decides where it goes on: those of a
/// hash cannot be foretold, and a wrong guess at each cost five times as much as the rest.
const fn value(digit: u8) -> u8 {
    let (number, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
    }
}

/// Writes bytes as lower-case hex digits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|value| char::from_digit(value.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, nibble};

    #[test]
    fn each_sign_is_read_as_the_digit_that_it_is_and_no_other_is_a_digit() {
        for sign in 0..=u8::MAX {
            let wanted = b"0123456789abcdef".iter().position(|digit| *digit == sign);
            assert_eq!(nibble(sign).map(usize::from), wanted);
            assert_eq!(decode(&[sign, b'f']).map(|[byte]| usize::from(byte >> 4)), wanted);
            assert_eq!(decode(&[b'f', sign]).map(|[byte]| usize::from(byte & 15)), wanted);
        }
    }

    #[test]
    fn what_was_written_is_read_and_another_length_is_refused() {
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8 + 7).unwrap());
        let digits = encode(&bytes);
        assert_eq!(decode(digits.as_bytes()), Some(bytes));
        for other in [&digits[..63], &digits[1..], &(digits.clone() + "0"), &digits[..62], ""] {
            assert_eq!(decode::<32>(other.as_bytes()), None);
        }
    }
}

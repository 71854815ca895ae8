//! Ids and hashes as the store writes them: lower-case hex digits.

/// SHA-256 of an answer.
pub(crate) type Id = [u8; 32];

/// What an id and the names of its files on the disk have in common: the first half of the id.
pub type Key = [u8; 16];

/// Reads lower-case hex digits, two for each byte; `None`: they are none, or not so many.
pub(crate) fn decode<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
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
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
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

//! Digits, up to sixteen at a time within registers.

use super::text::every;

/// Sixteen bytes of text, the first one in the lowest byte of `low`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    low: u64,
    high: u64,
}

/// At most eight decimal digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digits {
    /// Their values, the last one in the highest byte; zeros fill up before the first one.
    values: u64,
    /// Eight times their number.
    bits: u32,
}

/// The bytes of a window that are no digits: their high bits.
///
/// Exact up to the first byte that is not ASCII: a carry out of that one may mark others behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others {
    low: u64,
    high: u64,
}

impl Window {
    /// Takes the first 16 bytes; behind the end of the text stand zeros.
    #[inline]
    pub(super) fn new(text: &[u8]) -> Self {
        if let Some(bytes) = text.first_chunk::<16>()
            && let Some((low, rest)) = bytes.split_first_chunk::<8>()
            && let Some(high) = rest.first_chunk::<8>()
        {
            return Self { low: u64::from_le_bytes(*low), high: u64::from_le_bytes(*high) };
        }
        Self::padded(text)
    }

    /// [`Self::new`] of fewer than 16 bytes.
    #[cold]
    fn padded(text: &[u8]) -> Self {
        let number =
            |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        let (low, high) = text.split_at_checked(8).unwrap_or((text, &[]));
        Self { low: number(low), high: number(high) }
    }

    /// Finds the bytes that are no digits.
    #[inline]
    pub(super) const fn others(self) -> Others {
        Others { low: others(self.low), high: others(self.high) }
    }

    /// Returns the byte that stands `bits` / 8 bytes behind the start, for less than 8 bytes.
    #[inline]
    pub(super) const fn byte(self, bits: u32) -> u8 {
        self.low.wrapping_shr(bits).to_le_bytes()[0]
    }

    /// Returns the first `bits` / 8 bytes, one to eight; they must be digits.
    #[inline]
    pub(super) const fn first(self, bits: u32) -> Digits {
        Digits::new(self.low, bits)
    }

    /// Returns the bytes from the ninth one up to the bit `end`, one to eight; they must be digits.
    #[inline]
    pub(super) const fn second(self, end: u32) -> Digits {
        Digits::new(self.high, end.wrapping_sub(64))
    }

    /// Returns the bytes behind the one at `point`, which is less than 64, up to `end`, one to eight; they must be digits.
    #[inline]
    pub(super) const fn behind(self, point: u32, end: u32) -> Digits {
        let chunk = (self.low.wrapping_shr(point) >> 8) | self.high.wrapping_shl(56_u32.wrapping_sub(point));
        Digits::new(chunk, end.wrapping_sub(point).wrapping_sub(8))
    }
}

impl Others {
    /// Returns where the first one stands, in bits; 128 if there is none.
    #[inline]
    pub(super) const fn first(self) -> u32 {
        let at = if self.low == 0 { 64 + self.high.trailing_zeros() } else { self.low.trailing_zeros() };
        at & !7
    }

    /// Returns where the first one stands if it is one of the first eight bytes, else 64.
    #[inline]
    pub(super) const fn first_of_eight(self) -> u32 {
        self.low.trailing_zeros() & !7
    }

    /// Returns where the second one stands, 128 if there is none. One must be among the first eight bytes.
    #[inline]
    pub(super) const fn second(self) -> u32 {
        Self { low: self.low & self.low.wrapping_sub(1), high: self.high }.first()
    }
}

impl Digits {
    /// Takes the lowest `bits` / 8 bytes of a chunk, one to eight.
    #[inline]
    const fn new(chunk: u64, bits: u32) -> Self {
        Self { values: (chunk ^ every(b'0')).wrapping_shl(64_u32.wrapping_sub(bits)), bits }
    }

    /// Returns their number.
    #[inline]
    pub(super) const fn count(self) -> u32 {
        self.bits / 8
    }

    /// Drops the zeros at the end; nothing may be left.
    #[inline]
    pub(super) const fn without_trailing_zeros(self) -> Self {
        if self.values == 0 {
            return Self { values: 0, bits: 0 };
        }
        let zeros = self.values.leading_zeros() & !7;
        Self { values: self.values.wrapping_shl(zeros), bits: self.bits.wrapping_sub(zeros) }
    }

    /// Joins this run, which is not empty, and the next, unless they are more than eight digits together.
    #[inline]
    pub(super) const fn followed_by(self, next: Self) -> Option<Self> {
        let bits = self.bits.wrapping_add(next.bits);
        if bits > 64 {
            return None;
        }
        Some(Self { values: self.values.wrapping_shr(next.bits) | next.values, bits })
    }

    /// Returns the integer that they spell; 0 if there is none.
    #[inline]
    pub(super) const fn value(self) -> u64 {
        // Each step joins neighbours, the left one weighing 10, 100, 10,000 times as much.
        let pairs = (self.values.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
        fours.wrapping_mul(1 + (10_000 << 32)) >> 32
    }

    /// Returns the exponent of a fraction that ends with them.
    #[inline]
    pub(super) const fn exponent(self) -> i8 {
        self.count().to_le_bytes()[0].cast_signed().wrapping_neg()
    }

    /// Returns 10 to their number.
    #[inline]
    pub(super) fn power(self) -> u64 {
        const POWERS: [u64; 16] =
            [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 0, 0, 0, 0, 0, 0, 0];
        POWERS.get((self.count() & 15) as usize).copied().unwrap_or_default()
    }
}

/// Returns the high bit of each byte of eight that is no digit.
#[inline]
pub(super) const fn others(chunk: u64) -> u64 {
    let values = chunk ^ every(b'0');
    (values.wrapping_add(every(0x76)) | values) & every(0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_that_are_no_digits_are_found(
            text in proptest::collection::vec(prop_oneof![6 => b'0'..=b'9', 1 => 0..=127_u8], 0..20)
        ) {
            let window = Window::new(&text);
            let byte = |at: usize| text.get(at).copied().unwrap_or(0);
            let mut others = (0..16).filter(|at| !byte(*at).is_ascii_digit());
            let bits = |bytes: Option<usize>| u32::try_from(8 * bytes.unwrap_or(16)).unwrap();
            let first = others.next();
            prop_assert_eq!(window.others().first(), bits(first));
            prop_assert_eq!(window.others().first_of_eight(), bits(first).min(64));
            if first < Some(8) {
                prop_assert_eq!(window.others().second(), bits(others.next()));
            }
            for at in 0..8 {
                prop_assert_eq!(window.byte(bits(Some(at))), byte(at));
            }
        }

        #[test]
        fn the_first_foreign_byte_is_found(mut text in proptest::array::uniform16(b'0'..=b'9'), at in 0_usize..16, byte in any::<u8>()) {
            prop_assume!(!byte.is_ascii_digit());
            text[at] = byte;
            prop_assert_eq!(Window::new(&text).others().first() as usize, 8 * at);
        }

        #[test]
        fn digits_are_those_of_the_text(text in "[0-9]{16}", start in 0_usize..8, count in 1_usize..=8) {
            let bits = |bytes: usize| u32::try_from(8 * bytes).unwrap();
            let window = Window::new(text.as_bytes());
            prop_assert_eq!(window.first(bits(count)).value(), text[..count].parse::<u64>().unwrap());
            prop_assert_eq!(window.second(64 + bits(count)).value(), text[8..8 + count].parse::<u64>().unwrap());
            let spelled = &text[start + 1..(start + 1 + count).min(16)];
            let digits = window.behind(bits(start), bits(start + 1 + spelled.len()));
            prop_assert_eq!(digits.count() as usize, spelled.len());
            prop_assert_eq!(digits.value(), spelled.parse::<u64>().unwrap());
            prop_assert_eq!(digits.power(), 10_u64.pow(digits.count()));
            prop_assert_eq!(i32::from(digits.exponent()), -i32::try_from(spelled.len()).unwrap());
            let kept = spelled.trim_end_matches('0');
            let digits = digits.without_trailing_zeros();
            prop_assert_eq!(digits.count() as usize, kept.len());
            prop_assert_eq!(digits.value(), kept.parse().unwrap_or(0));
        }

        #[test]
        fn joined_digits_are_those_of_both_texts(left in "[0-9]{1,8}", right in "[0-9]{0,8}") {
            let run = |text: &str| Digits::new(Window::new(text.as_bytes()).low, u32::try_from(8 * text.len()).unwrap());
            let right_run = if right.is_empty() { Digits { values: 0, bits: 0 } } else { run(&right) };
            let joined = format!("{left}{right}");
            let expected = if joined.len() <= 8 { joined.parse().ok() } else { None };
            prop_assert_eq!(run(&left).followed_by(right_run).map(Digits::value), expected);
        }
    }
}

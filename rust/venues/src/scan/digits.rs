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

impl Window {
    /// Takes the first 16 bytes; behind the end of the text stand zeros.
    #[inline]
    pub(super) fn new(text: &[u8]) -> Self {
        if let Some((low, rest)) = text.split_first_chunk::<8>()
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

    /// Returns the high bit of each byte that is no digit.
    ///
    /// Exact up to the first byte that is not ASCII: a carry out of that one may mark others behind it.
    #[inline]
    pub(super) fn others(self) -> u128 {
        u128::from(others(self.low)) | (u128::from(others(self.high)) << 64)
    }

    /// Returns the byte that stands `bits` / 8 bytes behind the start, for less than 8.
    #[inline]
    pub(super) const fn byte(self, bits: u32) -> u8 {
        self.low.wrapping_shr(bits).to_le_bytes()[0]
    }

    /// Returns the digits from the bit `start`, at most 64, to the bit `end`: one byte to eight, and digits they are.
    #[inline]
    pub(super) const fn digits(self, start: u32, end: u32) -> Digits {
        let chunk = self.low.unbounded_shr(start) | self.high.unbounded_shl(64_u32.wrapping_sub(start));
        let bits = end.wrapping_sub(start);
        Digits { values: (chunk ^ every(b'0')).wrapping_shl(64_u32.wrapping_sub(bits)), bits }
    }
}

impl Digits {
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

    /// Returns the integer that they spell; 0 if there is none.
    #[inline]
    pub(super) const fn value(self) -> u64 {
        // Each step joins neighbours, the left one weighing 10, 100, 10,000 times as much.
        let pairs = (self.values.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
        fours.wrapping_mul(1 + (10_000 << 32)) >> 32
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
        fn bytes_that_are_no_digits_are_marked_up_to_the_first_foreign_one(
            text in proptest::collection::vec(prop_oneof![6 => b'0'..=b'9', 1 => 0..=127_u8, 1 => any::<u8>()], 0..20)
        ) {
            let window = Window::new(&text);
            let others = window.others();
            for at in 0..16 {
                let byte = text.get(at).copied().unwrap_or(0);
                let is_marked = (others >> (8 * at + 7)) & 1 == 1;
                prop_assert_eq!(is_marked, !byte.is_ascii_digit(), "byte {}", at);
                if at < 8 {
                    prop_assert_eq!(window.byte(u32::try_from(8 * at).unwrap()), byte);
                }
                if !byte.is_ascii() {
                    break;
                }
            }
        }

        #[test]
        fn digits_are_those_of_the_text(text in "[0-9]{16}", start in 0_usize..=8, count in 1_usize..=8) {
            let spelled = &text[start..start + count];
            let bits = |bytes: usize| u32::try_from(8 * bytes).unwrap();
            let digits = Window::new(text.as_bytes()).digits(bits(start), bits(start + count));
            prop_assert_eq!(digits.count() as usize, count);
            prop_assert_eq!(digits.value(), spelled.parse::<u64>().unwrap());
            prop_assert_eq!(digits.power(), 10_u64.pow(digits.count()));
            let kept = spelled.trim_end_matches('0');
            let digits = digits.without_trailing_zeros();
            prop_assert_eq!(digits.count() as usize, kept.len());
            prop_assert_eq!(digits.value(), kept.parse().unwrap_or(0));
        }
    }
}

//! CRC-32 of the best levels of a book, over the digits that Kraken and OKX define. Pure; allocates nothing
//! for prices and quantities of up to eight decimals.
//!
//! Both venues hash text, so the text is rebuilt here from exact numbers. Quantities of a book are above 0 and
//! prices are not negative, so no sign is printed.

use facade_model::{Decimal, Level, POW10};

/// Levels a side that Kraken's checksum covers. Source: Kraken guide "Book checksum (WebSocket v2)", 2026-08-22.
const KRAKEN_LEVELS: usize = 10;

/// Levels a side that OKX's checksum covered until 2026-06-23. Source: OKX order book channel, 2026-08-22.
const OKX_LEVELS: usize = 25;

/// Bytes gathered before they are hashed: a Kraken text of usual numbers fits, an OKX text takes two rounds.
const BUFFER_BYTES: usize = 1_024;

/// Longest text of one level in its usual form, two numbers with a sign behind each, and what the last copy adds.
const LEVEL_BYTES_MAX: usize = 96;

/// Returns Kraken's checksum: the best 10 asks, then the best 10 bids, each as price digits and quantity digits.
///
/// Both sides come best first. Numbers are padded to the instrument's precision (decimals behind the point), then
/// the point and leading zeros are dropped. A number finer than its precision keeps all its digits, as it was sent.
#[must_use]
pub fn kraken_checksum(
    asks: impl Iterator<Item = Level>,
    bids: impl Iterator<Item = Level>,
    price_precision: u8,
    quantity_precision: u8,
) -> u32 {
    let mut text = Text::new(0);
    for level in asks.take(KRAKEN_LEVELS).chain(bids.take(KRAKEN_LEVELS)) {
        text.push_level(
            |slot| {
                let end = write_scaled(slot, 0, level.px, price_precision)?;
                write_scaled(slot, end, level.qty, quantity_precision)
            },
            |out| {
                write_odd_scaled(out, level.px, price_precision);
                write_odd_scaled(out, level.qty, quantity_precision);
            },
        );
    }
    text.checksum()
}

/// Returns OKX's checksum as the bits of its signed number: the best 25 levels, bid and ask in turn, each as
/// `price:quantity`, joined by colons; the longer side goes on alone.
///
/// Both sides come best first. OKX prints numbers without trailing zeros, and so does this.
#[must_use]
pub fn okx_checksum(bids: impl Iterator<Item = Level>, asks: impl Iterator<Item = Level>) -> u32 {
    let mut text = Text::new(1); // the first colon joins nothing
    let mut bids = bids.take(OKX_LEVELS).fuse();
    let mut asks = asks.take(OKX_LEVELS).fuse();
    loop {
        let pair = [bids.next(), asks.next()];
        if pair == [None, None] {
            break;
        }
        for level in pair.into_iter().flatten() {
            text.push_level(
                |slot| {
                    let end = write_sign(slot, 0, b':')?;
                    let end = write_plain(slot, end, level.px)?;
                    let end = write_sign(slot, end, b':')?;
                    write_plain(slot, end, level.qty)
                },
                |out| {
                    out.push(b':');
                    level.px.write_plain(out);
                    out.push(b':');
                    level.qty.write_plain(out);
                },
            );
        }
    }
    text.checksum()
}

/// Text on its way into a CRC-32.
struct Text {
    hasher: crc32fast::Hasher,
    bytes: [u8; BUFFER_BYTES],
    length: usize,
    /// Bytes at the start that are not hashed.
    skipped: usize,
}

impl Text {
    fn new(skipped: usize) -> Self {
        Self { hasher: crc32fast::Hasher::new(), bytes: [0; BUFFER_BYTES], length: 0, skipped }
    }

    fn checksum(mut self) -> u32 {
        self.flush();
        self.hasher.finalize()
    }

    fn flush(&mut self) {
        if self.length > 0 {
            self.hasher.update(self.bytes.get(self.skipped..self.length).unwrap_or_default());
            (self.length, self.skipped) = (0, 0);
        }
    }

    /// Appends what `usual` writes, or `odd` if that gives up. `usual` returns the end of what it wrote.
    #[inline]
    fn push_level(&mut self, usual: impl FnOnce(&mut Slot) -> Option<usize>, odd: impl FnOnce(&mut Vec<u8>)) {
        if self.length > BUFFER_BYTES - LEVEL_BYTES_MAX {
            self.flush();
        }
        let slot = self.bytes.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut());
        match slot.and_then(usual) {
            Some(count) => self.length += count,
            None => self.push_odd(odd),
        }
    }

    /// Appends a level whose numbers venues hardly send. Allocates.
    #[cold]
    fn push_odd(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut text = Vec::with_capacity(LEVEL_BYTES_MAX);
        write(&mut text);
        self.flush();
        self.hasher.update(text.get(self.skipped..).unwrap_or_default());
        self.skipped = 0;
    }
}

/// Where one level is written.
type Slot = [u8; LEVEL_BYTES_MAX];

/// Copies eight signs to `at`; those that do not count are overwritten by the next copy.
///
/// A copy of fixed length costs two instructions.
#[inline]
fn copy(slot: &mut Slot, at: usize, signs: u64) -> Option<()> {
    *slot.get_mut(at..)?.first_chunk_mut()? = signs.to_le_bytes();
    Some(())
}

#[inline]
fn write_sign(slot: &mut Slot, at: usize, sign: u8) -> Option<usize> {
    *slot.get_mut(at)? = sign;
    Some(at.wrapping_add(1))
}

/// Writes a positive integer without leading zeros, nothing for 0; returns its end.
#[inline]
fn write_digits(slot: &mut Slot, at: usize, digits: u64) -> Option<usize> {
    if digits >= EIGHT_DIGITS {
        return write_many_digits(slot, at, digits);
    }
    let text = eight_digits(digits);
    let zeros = (text ^ ASCII_ZEROS).trailing_zeros() / 8;
    if zeros == 8 {
        return Some(at);
    }
    copy(slot, at, text >> (zeros * 8))?;
    Some(at.wrapping_add(8 - zeros as usize))
}

/// [`write_digits`] beyond eight digits.
#[inline(never)]
fn write_many_digits(slot: &mut Slot, at: usize, digits: u64) -> Option<usize> {
    let at = write_digits(slot, at, digits / EIGHT_DIGITS)?;
    copy(slot, at, eight_digits(digits % EIGHT_DIGITS))?;
    Some(at.wrapping_add(8))
}

/// Writes the digits of `value * 10^precision` without leading zeros; `None` if that is no 64-bit integer.
#[inline]
fn write_scaled(slot: &mut Slot, at: usize, value: Decimal, precision: u8) -> Option<usize> {
    let shift = i32::from(precision) + i32::from(value.exponent);
    let scaled = value.mantissa.unsigned_abs().checked_mul(power(usize::try_from(shift).ok()?)?)?;
    write_digits(slot, at, scaled)
}

/// [`write_scaled`] of any number: a finer one keeps its digits, a huge one gets its zeros.
fn write_odd_scaled(out: &mut Vec<u8>, value: Decimal, precision: u8) {
    let shift = i32::from(precision) + i32::from(value.exponent);
    let mut digits = value.mantissa.unsigned_abs();
    for _ in shift..0 {
        if digits.is_multiple_of(10) {
            digits /= 10;
        }
    }
    if digits > 0 {
        out.extend_from_slice(digits.to_string().as_bytes());
        out.extend(std::iter::repeat_n(b'0', usize::try_from(shift).unwrap_or_default()));
    }
}

/// Writes the plain decimal text without trailing zeros behind the point; `None` for 0 and beyond eight decimals.
#[inline]
fn write_plain(slot: &mut Slot, at: usize, value: Decimal) -> Option<usize> {
    let digits = value.mantissa.unsigned_abs();
    let places = usize::from(value.exponent.unsigned_abs());
    if value.exponent > 0 || digits == 0 || places > 8 {
        return None;
    }
    let (unit, fill) = (power(places)?, power(8 - places)?);
    let (whole, fraction) = (digits / unit, digits % unit);
    let mut end = if whole == 0 { write_sign(slot, at, b'0')? } else { write_digits(slot, at, whole)? };
    if fraction > 0 {
        end = write_sign(slot, end, b'.')?;
        let text = eight_digits(fraction.wrapping_mul(fill)); // below 10^places * 10^(8 - places)
        copy(slot, end, text)?;
        end = end.wrapping_add(8 - (text ^ ASCII_ZEROS).leading_zeros() as usize / 8);
    }
    Some(end)
}

/// One above the largest number of eight digits.
const EIGHT_DIGITS: u64 = 100_000_000;

/// Eight times the sign `0`.
const ASCII_ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// Returns 10 to the `exponent` if a mantissa can hold it.
#[inline]
fn power(exponent: usize) -> Option<u64> {
    POW10.get(exponent).map(|power| power.unsigned_abs())
}

/// Returns the eight decimal signs of a number below 10^8, the first sign in the lowest byte.
///
/// The number is split into halves, quarters and digits in lanes of one word: 10,486 / 2^20 is 1 / 100 for lanes below
/// 10,000 and 103 / 2^10 is 1 / 10 for lanes below 100, both exact after the shift.
#[inline]
const fn eight_digits(value: u64) -> u64 {
    let halves = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = (halves.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16);
    let tens = (pairs.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
    (tens | (pairs.wrapping_sub(tens.wrapping_mul(10)) << 8)) | ASCII_ZEROS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// CRC-32 (IEEE) bit by bit: the oracle shares nothing with the library that the product uses.
    fn crc_bitwise(bytes: &[u8]) -> u32 {
        let mut register = u32::MAX;
        for &byte in bytes {
            register ^= u32::from(byte);
            for _ in 0..8 {
                register = if register & 1 == 1 { (register >> 1) ^ 0xedb8_8320 } else { register >> 1 };
            }
        }
        !register
    }

    fn number(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_empty_book_hashes_the_empty_text() {
        assert_eq!(kraken_checksum(std::iter::empty(), std::iter::empty(), 1, 8), 0);
        assert_eq!(okx_checksum(std::iter::empty(), std::iter::empty()), 0);
    }

    #[test]
    fn a_number_is_hashed_alike_however_its_zeros_are_held() {
        for (mantissa, exponent) in [(5, 2), (500, 0), (50_000, -2), (5_000_000, -4)] {
            let level = Level { px: Decimal::new(mantissa, exponent), qty: number("0.5") };
            let expected = crc_bitwise(b"5000050000000");
            assert_eq!(kraken_checksum(std::iter::once(level), std::iter::empty(), 2, 8), expected);
            let expected = crc_bitwise(b"500:0.5");
            assert_eq!(okx_checksum(std::iter::once(level), std::iter::empty()), expected);
        }
    }

    #[test]
    fn numbers_at_the_edges_of_64_bits_keep_every_digit() {
        for (value, scaled, plain) in [
            (Decimal::new(i64::MAX, 0), "922337203685477580700000000", "9223372036854775807"),
            (Decimal::new(i64::MAX, -30), "9223372036854775807", "0.000000000009223372036854775807"),
            (Decimal::new(i64::MAX, -18), "9223372036854775807", "9.223372036854775807"),
            (
                Decimal::new(7, 30),
                "700000000000000000000000000000000000000",
                "7000000000000000000000000000000",
            ),
            (Decimal::new(1, -30), "1", "0.000000000000000000000000000001"),
            (Decimal::new(123_456_789, -8), "123456789", "1.23456789"),
            (Decimal::new(100_000_000, 0), "10000000000000000", "100000000"),
        ] {
            let level = Level { px: value, qty: value };
            let twice = crc_bitwise(format!("{scaled}{scaled}").as_bytes());
            assert_eq!(kraken_checksum(std::iter::once(level), std::iter::empty(), 8, 8), twice, "{scaled}");
            let twice = crc_bitwise(format!("{plain}:{plain}").as_bytes());
            assert_eq!(okx_checksum(std::iter::empty(), std::iter::once(level)), twice, "{plain}");
        }
    }

    #[test]
    fn text_longer_than_the_buffer_is_hashed_whole() {
        let level = Level { px: Decimal::new(i64::MAX, 30), qty: Decimal::new(3, -30) };
        let one = format!("9223372036854775807{}:0.{}3", "0".repeat(30), "0".repeat(29));
        let expected = crc_bitwise([one.as_str(); 50].join(":").as_bytes());
        let side = || std::iter::repeat_n(level, 40);
        assert_eq!(okx_checksum(side(), side()), expected);
    }

    /// Texts that venues print for one number, and its digits at a precision, made by moving characters only.
    fn printed(precision: usize) -> impl Strategy<Value = (String, String)> {
        let whole = prop_oneof!["0", "[1-9][0-9]{0,6}", "[1-9]0{0,6}"];
        let fraction = prop_oneof![
            "[0-9]{0,8}".prop_map(move |text| text[..text.len().min(precision)].to_owned()),
            (0..=precision).prop_map(|zeros| "0".repeat(zeros)),
            (1..=precision).prop_map(|at| format!("{}1", "0".repeat(at - 1))),
        ];
        (whole, fraction, 0..3).prop_map(move |(whole, fraction, spelling)| {
            let padded = format!("{whole}{fraction}{}", "0".repeat(precision - fraction.len()));
            let digits = padded.trim_start_matches('0').to_owned();
            let text = match spelling {
                0 if fraction.is_empty() => whole,
                1 => format!("{whole}{fraction}e-{}", fraction.len()),
                2 => format!("{whole}.{fraction}{}", "0".repeat(precision - fraction.len())),
                _ if fraction.is_empty() => format!("{whole}.0"),
                _ => format!("{whole}.{fraction}"),
            };
            (text, digits)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_shrink_iters: 10_000, ..ProptestConfig::with_cases(2_500) })]

        /// 2,500 books of 40 numbers: 100,000 made by an independent formatter.
        #[test]
        fn row_b08_no_false_mismatch_over_numbers_of_an_independent_formatter(
            rows in prop::collection::vec((printed(5), printed(8)), 20),
        ) {
            let mut text = String::new();
            let mut book = Vec::new();
            for ((px, px_digits), (qty, qty_digits)) in &rows {
                text.push_str(px_digits);
                text.push_str(qty_digits);
                book.push(Level { px: number(px), qty: number(qty) });
            }
            let (asks, bids) = book.split_at(10);
            prop_assert_eq!(
                kraken_checksum(asks.iter().copied(), bids.iter().copied(), 5, 8),
                crc_bitwise(text.as_bytes())
            );
        }

        #[test]
        fn okx_text_equals_the_plain_text_of_the_model(
            (mantissa, exponent) in prop_oneof![
                (0_i64.., -30_i8..=30),
                (0..2_000_000_000_000_000_i64, -15_i8..=0),
                (0..1_000_i64, -15_i8..=1).prop_map(|(mantissa, exponent)| (mantissa * 1_000, exponent)),
            ],
        ) {
            let level = Level { px: Decimal::new(mantissa, exponent), qty: Decimal::new(mantissa % 1_000, exponent) };
            let expected = crc_bitwise(format!("{}:{}", level.px, level.qty).as_bytes());
            prop_assert_eq!(okx_checksum(std::iter::once(level), std::iter::empty()), expected);
        }
    }
}

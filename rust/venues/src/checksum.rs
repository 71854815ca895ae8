//! CRC-32 of the best levels of a book, over the digits that Kraken and OKX define. Pure, allocates nothing.
//!
//! Both venues hash text, so the text is rebuilt here from exact numbers. Quantities of a book are above 0 and
//! prices are not negative; signs are therefore not printed.

use facade_model::{Decimal, Level, POW10};

/// Levels a side that Kraken's checksum covers. Source: Kraken guide "Book checksum (WebSocket v2)", 2026-08-22.
const KRAKEN_LEVELS: usize = 10;

/// Levels a side that OKX's checksum covered until 2026-06-23. Source: OKX order book channel, 2026-08-22.
const OKX_LEVELS: usize = 25;

/// Bytes gathered before they are hashed: a whole checksum text of usual numbers fits.
const BUFFER_BYTES: usize = 2_048;

/// Zeros of one write, long enough for what precisions below 256 and exponents below 31 ask for in few writes.
const ZEROS: [u8; 32] = [b'0'; 32];

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
    let mut text = Text::new();
    for level in asks.take(KRAKEN_LEVELS).chain(bids.take(KRAKEN_LEVELS)) {
        text.push_scaled(level.px, price_precision);
        text.push_scaled(level.qty, quantity_precision);
    }
    text.checksum()
}

/// Returns OKX's checksum as the bits of its signed number: the best 25 levels, bid and ask in turn, each as
/// `price:quantity`, joined by colons; the longer side goes on alone.
///
/// Both sides come best first. OKX prints numbers without trailing zeros, and so does this.
#[must_use]
pub fn okx_checksum(bids: impl Iterator<Item = Level>, asks: impl Iterator<Item = Level>) -> u32 {
    let mut text = Text::new();
    let mut bids = bids.take(OKX_LEVELS).fuse();
    let mut asks = asks.take(OKX_LEVELS).fuse();
    let mut is_first = true;
    loop {
        let pair = [bids.next(), asks.next()];
        if pair == [None, None] {
            return text.checksum();
        }
        for level in pair.into_iter().flatten() {
            if !std::mem::take(&mut is_first) {
                text.push(b":");
            }
            text.push_plain(level.px);
            text.push(b":");
            text.push_plain(level.qty);
        }
    }
}

/// Text on its way into a CRC-32.
struct Text {
    hasher: crc32fast::Hasher,
    bytes: [u8; BUFFER_BYTES],
    length: usize,
}

impl Text {
    fn new() -> Self {
        Self { hasher: crc32fast::Hasher::new(), bytes: [0; BUFFER_BYTES], length: 0 }
    }

    fn checksum(mut self) -> u32 {
        self.flush();
        self.hasher.finalize()
    }

    fn flush(&mut self) {
        self.hasher.update(self.bytes.get(..self.length).unwrap_or_default());
        self.length = 0;
    }

    /// Appends at most 32 bytes.
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if self.length + bytes.len() > BUFFER_BYTES {
            self.flush();
        }
        if let Some(slot) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            slot.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    fn push_zeros(&mut self, mut count: usize) {
        while count > 0 {
            let now = count.min(ZEROS.len());
            self.push(ZEROS.get(..now).unwrap_or_default());
            count -= now;
        }
    }

    /// Appends the digits of `value * 10^precision` without leading zeros.
    #[inline]
    fn push_scaled(&mut self, value: Decimal, precision: u8) {
        let shift = i32::from(precision) + i32::from(value.exponent);
        let mut digits = value.mantissa.unsigned_abs();
        let Ok(zeros) = usize::try_from(shift) else {
            for _ in shift..0 {
                if digits.is_multiple_of(10) {
                    digits /= 10;
                }
            }
            return self.push_digits(digits);
        };
        if let Some(scaled) = power(zeros).and_then(|power| digits.checked_mul(power)) {
            self.push_digits(scaled);
        } else {
            self.push_digits(digits);
            self.push_zeros(zeros);
        }
    }

    /// Appends the plain decimal text without trailing zeros behind the point.
    #[inline]
    fn push_plain(&mut self, value: Decimal) {
        let digits = value.mantissa.unsigned_abs();
        let places = usize::from(value.exponent.unsigned_abs());
        if value.exponent >= 0 {
            self.push_whole(digits);
            return self.push_zeros(if digits == 0 { 0 } else { places });
        }
        let (whole, fraction) = match power(places) {
            Some(power) => (digits / power, digits % power),
            None => (0, digits),
        };
        self.push_whole(whole);
        if fraction > 0 {
            self.push(b".");
            self.push_fraction(fraction, places);
        }
    }

    /// Appends `digits`, not 0, as `places` signs behind the point, without trailing zeros.
    fn push_fraction(&mut self, digits: u64, places: usize) {
        let text = twenty_four_digits(digits);
        self.push_zeros(places.saturating_sub(text.len()));
        let start = text.len().saturating_sub(places);
        let end = text.iter().rposition(|&sign| sign != b'0').map_or(start, |last| last + 1);
        self.push(text.get(start..end).unwrap_or_default());
    }

    fn push_whole(&mut self, digits: u64) {
        if digits == 0 { self.push(b"0") } else { self.push_digits(digits) }
    }

    /// Appends an integer without leading zeros; nothing for 0.
    #[inline]
    fn push_digits(&mut self, digits: u64) {
        if digits < EIGHT_DIGITS {
            let text = eight_digits(digits);
            let start = leading_zeros(text);
            return self.push(text.to_le_bytes().get(start..).unwrap_or_default());
        }
        self.push_digits(digits / EIGHT_DIGITS);
        self.push(&eight_digits(digits % EIGHT_DIGITS).to_le_bytes());
    }
}

/// One above the largest number of eight digits.
const EIGHT_DIGITS: u64 = 100_000_000;

/// Eight times the sign `0`.
const ASCII_ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// Returns 10 to the `exponent` if a mantissa can hold it.
fn power(exponent: usize) -> Option<u64> {
    POW10.get(exponent).and_then(|&power| u64::try_from(power).ok())
}

/// Returns the eight decimal signs of a number below 10^8, the first sign in the lowest byte.
///
/// The number is split into halves, quarters and digits in lanes of one word: 10,486 / 2^20 is 1 / 100 for lanes below
/// 10,000 and 103 / 2^10 is 1 / 10 for lanes below 100, both exact after the shift.
#[inline]
fn eight_digits(value: u64) -> u64 {
    let halves = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    (tens | ((pairs - tens * 10) << 8)) | ASCII_ZEROS
}

/// Returns how many of eight signs are zeros before the first other digit.
#[inline]
fn leading_zeros(text: u64) -> usize {
    ((text ^ ASCII_ZEROS).trailing_zeros() / 8) as usize
}

/// Returns a number as 24 signs, zeros in front.
fn twenty_four_digits(value: u64) -> [u8; 24] {
    let mut text = [b'0'; 24];
    let mut rest = value;
    for lane in text.rchunks_exact_mut(8) {
        lane.copy_from_slice(&eight_digits(rest % EIGHT_DIGITS).to_le_bytes());
        rest /= EIGHT_DIGITS;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

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

    fn texts(side: &Value) -> Vec<(String, String)> {
        let rows = side.as_array().unwrap().iter();
        rows.map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_str().unwrap().to_owned())).collect()
    }

    fn levels(rows: &[(String, String)]) -> impl Iterator<Item = Level> + '_ {
        rows.iter().map(|(px, qty)| Level { px: number(px), qty: number(qty) })
    }

    fn decimals(text: &str) -> u8 {
        u8::try_from(text.split_once('.').map_or(0, |(_, fraction)| fraction.len())).unwrap()
    }

    fn vectors() -> Option<Value> {
        let folder = std::env::var("DATAFACADE_RECORDINGS").unwrap_or_else(|_| {
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recordings").to_owned()
        });
        let path = std::path::Path::new(&folder).join("checksums/checksum_vectors.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!("SKIPPED: no recordings at {}", path.display());
            return None;
        };
        Some(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn row_b08_every_recorded_kraken_vector_matches() {
        let Some(vectors) = vectors() else { return };
        let cases = vectors["kraken"].as_array().unwrap();
        assert_eq!(cases.len(), 11);
        for case in cases {
            let (asks, bids) = (texts(&case["asks"]), texts(&case["bids"]));
            let (px, qty) = (decimals(&asks[0].0), decimals(&asks[0].1));
            let told = u32::try_from(case["crc32"].as_u64().unwrap()).unwrap();
            assert_eq!(crc_bitwise(case["string"].as_str().unwrap().as_bytes()), told, "{}", case["name"]);
            assert_eq!(kraken_checksum(levels(&asks), levels(&bids), px, qty), told, "{}", case["name"]);
        }
    }

    #[test]
    fn every_recorded_okx_vector_matches() {
        let Some(vectors) = vectors() else { return };
        let cases = vectors["okx"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let (asks, bids) = (texts(&case["asks"]), texts(&case["bids"]));
            let signed = i32::try_from(case["crc32_signed"].as_i64().unwrap()).unwrap();
            assert_eq!(okx_checksum(levels(&bids), levels(&asks)).cast_signed(), signed, "{}", case["name"]);
        }
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
        fn okx_text_equals_the_plain_text_of_the_model(mantissa in 0_i64.., exponent in -30_i8..=30) {
            let level = Level { px: Decimal::new(mantissa, exponent), qty: Decimal::new(mantissa % 1_000, exponent) };
            let expected = crc_bitwise(format!("{}:{}", level.px, level.qty).as_bytes());
            prop_assert_eq!(okx_checksum(std::iter::once(level), std::iter::empty()), expected);
        }
    }
}

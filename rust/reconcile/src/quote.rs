//! One quote, and how its text becomes a number or a reason.

use facade_model::{Decimal, NumberError, POW10, Sum};

use crate::Reason;

/// Lowest price that is taken for one.
pub const PRICE_MIN: Decimal = Decimal::new(1, -18);
/// Highest price that is taken for one.
pub const PRICE_MAX: Decimal = Decimal::new(1_000_000_000_000_000, 0);
/// Significant digits of a converted price: what 64 bits hold whatever the digits are.
const CONVERTED: u128 = 10_u128.pow(18);

/// What one source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Its price in the currency of the answer, or why it has none.
    pub price: Result<Decimal, Reason>,
    /// Its age, ns; below 0: unknown.
    pub age_ns: i64,
    /// Oldest that this source may be, ns.
    pub age_ns_max: i64,
    /// Whether it averages over venues instead of making prices.
    pub is_aggregator: bool,
}

impl Quote {
    /// Returns the price if it may take part.
    pub(crate) fn usable(&self) -> Result<Decimal, Reason> {
        let price = self.price?;
        if self.age_ns < 0 {
            return Err(Reason::AgeUnknown);
        }
        if self.age_ns > self.age_ns_max {
            return Err(Reason::TooOld);
        }
        Ok(price)
    }
}

/// Reads a price as a source wrote it.
///
/// # Errors
/// The reason why it is none.
#[inline]
pub fn read_price(text: &[u8]) -> Result<Decimal, Reason> {
    if text.is_empty() {
        return Err(Reason::NotGiven);
    }
    match Decimal::parse(text) {
        Ok(price) => check_price(price),
        Err(NumberError::Range) if text.first() == Some(&b'-') => Err(Reason::NotPositive),
        Err(NumberError::Range) => Err(Reason::OutOfRange),
        Err(_) => Err(Reason::NotANumber),
    }
}

/// Returns a price that is one.
///
/// # Errors
/// [`Reason::NotPositive`], or [`Reason::OutOfRange`] beyond [`PRICE_MIN`] and [`PRICE_MAX`].
#[inline]
pub fn check_price(price: Decimal) -> Result<Decimal, Reason> {
    if price.mantissa <= 0 {
        return Err(Reason::NotPositive);
    }
    let is_usual = (-18..=0).contains(&price.exponent) && price.mantissa <= highest(price.exponent);
    if is_usual || (price.compare(PRICE_MIN).is_ge() && price.compare(PRICE_MAX).is_le()) {
        return Ok(price);
    }
    Err(Reason::OutOfRange)
}

/// Returns the highest mantissa of a price at an exponent from -18 to 0.
fn highest(exponent: i8) -> i64 {
    let digits = 15 + usize::from(exponent.unsigned_abs());
    POW10.get(digits).copied().unwrap_or(i64::MAX)
}

/// Returns a price in another currency, rounded half to even to 18 digits where it has more.
///
/// # Errors
/// [`Reason::NotConvertible`] if the rate is no number above 0, [`Reason::OutOfRange`] if the product is no price.
pub fn convert(price: Decimal, rate: &[u8]) -> Result<Decimal, Reason> {
    let rate = read_price(rate).map_err(|_| Reason::NotConvertible)?;
    let product = u128::from(price.mantissa.unsigned_abs()) * u128::from(rate.mantissa.unsigned_abs());
    let exponent = i32::from(price.exponent) + i32::from(rate.exponent);
    let (digits, cut) = to_significant(product);
    let mantissa = i64::try_from(digits).map_err(|_| Reason::OutOfRange)?;
    let exponent = i8::try_from(exponent + cut).map_err(|_| Reason::OutOfRange)?;
    check_price(Decimal::new(mantissa, exponent).canonical())
}

/// Cuts a number to 18 digits, half to even, and counts the digits that went.
fn to_significant(number: u128) -> (u128, i32) {
    let (mut power, mut cut) = (1_u128, 0);
    while number / power >= CONVERTED {
        power *= 10; // at most 21 times: a product of two 63-bit numbers has 38 digits
        cut += 1;
    }
    let (digits, rest) = (number / power, number % power);
    let is_up = rest > power - rest || (rest == power - rest && digits % 2 == 1);
    (digits + u128::from(is_up), cut)
}

/// Returns the sum as a decimal of 64 bits where it is one.
pub(crate) fn narrowed(sum: Sum) -> Option<Decimal> {
    let sum = sum.canonical();
    Some(Decimal::new(i64::try_from(sum.mantissa).ok()?, sum.exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_d06_text_that_is_no_price_has_its_reason() {
        for (text, reason) in [
            ("", Reason::NotGiven),
            ("NaN", Reason::NotANumber),
            ("inf", Reason::NotANumber),
            ("-Infinity", Reason::NotANumber),
            ("12,5", Reason::NotANumber),
            ("bitcoin", Reason::NotANumber),
            ("1e", Reason::NotANumber),
            ("0", Reason::NotPositive),
            ("0.000", Reason::NotPositive),
            ("-0", Reason::NotPositive),
            ("-1", Reason::NotPositive),
            ("-1e999", Reason::NotPositive),
            ("1e30", Reason::OutOfRange),
            ("1e999", Reason::OutOfRange),
            ("1000000000000000.1", Reason::OutOfRange),
            ("1e-19", Reason::OutOfRange),
            ("99999999999999999999999", Reason::OutOfRange),
        ] {
            assert_eq!(read_price(text.as_bytes()), Err(reason), "{text}");
        }
        for text in ["1e-18", "1000000000000000", "61018.6", "1.2345678901234567e-09", "999999999999999.999"]
        {
            assert!(read_price(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn conversion_is_exact_up_to_eighteen_digits() {
        let convert = |price: &str, rate: &str| {
            convert(read_price(price.as_bytes()).unwrap(), rate.as_bytes()).map(|price| price.to_string())
        };
        assert_eq!(convert("61000", "0.9991"), Ok("60945.1".to_owned()));
        assert_eq!(convert("1.000000000000000001", "1"), Ok("1".to_owned())); // nineteen digits
        assert_eq!(convert("1.00000000000000003", "0.5"), Ok("0.500000000000000015".to_owned()));
        assert_eq!(
            convert("1.000000001", "1.000000005"),
            Ok("1.00000000600000000".trim_end_matches('0').to_owned())
        );
        assert_eq!(convert("61000", "0"), Err(Reason::NotConvertible));
        assert_eq!(convert("61000", ""), Err(Reason::NotConvertible));
        assert_eq!(convert("61000", "-1"), Err(Reason::NotConvertible));
        assert_eq!(convert("999999999999999", "2"), Err(Reason::OutOfRange));
    }
}

//! Numbers of other people's columns as mantissas: exactly, or not at all.

use facade_model::{Decimal, Sum};

/// Powers of ten that a float holds exactly.
const FLOAT_POWER_MAX: u32 = 22;
/// Integers up to this one are held exactly by a float.
const FLOAT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Returns the mantissa at `-digits` of the decimal that a float stands for: the one with so many digits whose
/// nearest float it is. `None`: there is none.
#[must_use]
pub fn mantissa_of_float(value: f64, digits: u32) -> Option<i64> {
    let power = i32::try_from(digits).ok().filter(|_| digits <= FLOAT_POWER_MAX).map(|n| 10_f64.powi(n))?;
    let scaled = (value * power).round();
    if scaled.is_nan() || scaled.abs() > FLOAT_INTEGER_MAX {
        return None;
    }
    // Both operands are exact and division rounds right, so equality means: this decimal is printed as that float.
    #[expect(clippy::float_cmp, reason = "exactness is what is asked")]
    let is_exact = scaled / power == value;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    is_exact.then_some(scaled as i64)
}

/// Returns the mantissa at `-digits` of a decimal text; `None`: no number, or more digits than that.
#[must_use]
pub fn mantissa_of_text(text: &str, digits: u32) -> Option<i64> {
    let exponent = i8::try_from(-i64::from(digits)).ok()?;
    Decimal::parse(text.as_bytes()).ok()?.rescale(exponent)
}

/// Returns the mantissa at `-digits` of a sum; `None`: digits would be lost, or 64 bits overflow.
#[must_use]
pub fn mantissa_of_sum(sum: Sum, digits: u32) -> Option<i64> {
    let exponent = i8::try_from(-i64::from(digits)).ok()?;
    i64::try_from(sum.rescale(exponent)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floats_that_are_no_such_decimal_are_refused() {
        for (value, digits) in
            [(0.1, 0), (1e-9, 8), (f64::NAN, 2), (f64::INFINITY, 2), (1e300, 2), (0.1 + 0.2, 1), (1.0, 23)]
        {
            assert_eq!(mantissa_of_float(value, digits), None, "{value} at {digits}");
        }
        assert_eq!(mantissa_of_float(-0.0, 3), Some(0));
        assert_eq!(mantissa_of_text("1.001", 2), None);
        assert_eq!(mantissa_of_text("nan", 2), None);
        assert_eq!(mantissa_of_sum(Sum::new(1_005, -3), 2), None);
        assert_eq!(mantissa_of_sum(Sum::new(1_005, -3), 4), Some(10_050));
    }

    proptest! {
        #[test]
        fn a_decimal_survives_its_way_through_a_float(mantissa in -(1_i64 << 49)..1 << 49, digits in 0_u32..=18) {
            let text = Decimal::new(mantissa, -i8::try_from(digits).unwrap()).to_string();
            prop_assert_eq!(mantissa_of_float(text.parse().unwrap(), digits), Some(mantissa));
            prop_assert_eq!(mantissa_of_text(&text, digits), Some(mantissa));
        }
    }
}

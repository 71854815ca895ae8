//! Which power of ten holds a set of prices, and the prices as integers at it.

use facade_model::{BookSide, Decimal, LevelChange};

/// Returns the rank of a price: larger is better on either side.
#[inline]
pub(crate) const fn rank_of(side: BookSide, price: i64) -> i64 {
    match side {
        BookSide::Bid => price,
        BookSide::Ask => !price, // turns the order round for every integer, the smallest included
    }
}

/// Returns the price of a rank.
#[inline]
pub(crate) const fn price_of(side: BookSide, rank: i64) -> i64 {
    rank_of(side, rank)
}

/// Returns the coarsest exponent at which all prices are whole numbers; `None` if all are zero.
pub(crate) fn exponent_needed(prices: impl Iterator<Item = Decimal>) -> Option<i8> {
    prices.filter(|price| !price.is_zero()).map(exponent_of).min()
}

/// Returns the exponent of a price's last digit that is not zero.
fn exponent_of(price: Decimal) -> i8 {
    let Decimal { mut mantissa, mut exponent } = price;
    while mantissa % 10 == 0 && exponent < i8::MAX {
        mantissa /= 10;
        exponent += 1;
    }
    exponent
}

/// Writes the price of each change at `exponent`; `None` stands for a delete of a price that no level can have.
///
/// # Errors
/// The first price that is to be held and does not fit.
#[inline]
pub(crate) fn convert(
    changes: &[LevelChange],
    exponent: i8,
    prices: &mut Vec<Option<i64>>,
) -> Result<(), Decimal> {
    prices.clear();
    for change in changes {
        let price = change.px.rescale(exponent);
        if price.is_none() && !change.qty.is_zero() {
            return Err(change.px);
        }
        prices.push(price);
    }
    Ok(())
}

//! Choice of the exponents of one update.

use facade_model::Decimal;

use crate::WireError;

/// Decimal exponents of prices and quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exponents {
    /// Of prices.
    pub price: i8,
    /// Of quantities.
    pub quantity: i8,
}

/// Finest exponents that the numbers of one update ask for; `i8::MAX` where no number asks.
#[derive(Debug, Clone, Copy)]
pub struct Finest {
    price: i8,
    quantity: i8,
    strips_zeros: bool,
}

impl Finest {
    /// Starts without a number; `strips_zeros`: trailing zeros of mantissas ask for nothing.
    const fn new(strips_zeros: bool) -> Self {
        Self { price: i8::MAX, quantity: i8::MAX, strips_zeros }
    }

    /// Takes a price and its quantity into account.
    #[inline]
    pub fn level(&mut self, px: Decimal, qty: Decimal) {
        self.price(px);
        self.quantity(qty);
    }

    /// Takes a price into account.
    #[inline]
    pub fn price(&mut self, px: Decimal) {
        self.price = self.price.min(self.needed(px));
    }

    /// Takes a quantity into account.
    #[inline]
    pub fn quantity(&mut self, qty: Decimal) {
        self.quantity = self.quantity.min(self.needed(qty));
    }

    /// Returns the exponent that a number asks for.
    #[inline]
    fn needed(self, number: Decimal) -> i8 {
        if number.is_zero() {
            i8::MAX
        } else if self.strips_zeros {
            coarsest_exponent(number)
        } else {
            number.exponent
        }
    }

    /// Returns the exponents found, `otherwise` where no number asked for one.
    const fn exponents(self, otherwise: Exponents) -> Exponents {
        Exponents {
            price: if self.price == i8::MAX { otherwise.price } else { self.price },
            quantity: if self.quantity == i8::MAX { otherwise.quantity } else { self.quantity },
        }
    }
}

/// Encodes at the usual exponents, made finer where a number of this update needs it. If 64 bits cannot hold
/// that, encodes at the coarsest exponents that are exact, so that 1e-18 beside 10 is refused only if both stand
/// in one update.
///
/// `survey` shows all numbers; `encode` appends the update and may fail at any place.
///
/// # Errors
/// [`WireError::NumberRange`]; then the buffer is as it was.
#[inline]
pub fn encode_exactly(
    out: &mut Vec<u8>,
    usual: Exponents,
    survey: impl Fn(&mut Finest),
    encode: impl Fn(&mut Vec<u8>, Exponents) -> Option<()>,
) -> Result<(), WireError> {
    let start = out.len();
    let mut finest = Finest::new(false);
    survey(&mut finest);
    let found = finest.exponents(usual);
    let wanted =
        Exponents { price: found.price.min(usual.price), quantity: found.quantity.min(usual.quantity) };
    if encode(out, wanted).is_some() {
        return Ok(());
    }
    out.truncate(start);
    let mut coarsest = Finest::new(true);
    survey(&mut coarsest);
    if encode(out, coarsest.exponents(Exponents::default())).is_some() {
        return Ok(());
    }
    out.truncate(start);
    Err(WireError::NumberRange)
}

/// Returns the coarsest exponent that holds a number other than 0 exactly.
#[cold]
fn coarsest_exponent(number: Decimal) -> i8 {
    let Decimal { mut mantissa, mut exponent } = number;
    while mantissa % 10 == 0 && exponent < i8::MAX {
        mantissa /= 10;
        exponent += 1;
    }
    exponent
}

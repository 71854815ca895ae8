//! Best bid and best ask over venues.

use facade_model::Level;

use crate::WireError;
use crate::digits::{Exponents, encode_exactly};
use crate::field::{bytes, delimited, sint, time};
use crate::update::{Header, update};

/// Field number of `Update`.
const CONSOLIDATED_TOP: u32 = 23;

/// One side of a consolidated top. Times are ns UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsolidatedQuote<'a> {
    /// Price and quantity.
    pub level: Level,
    /// Venue that quotes it.
    pub venue: &'a str,
    /// Time of the venue; 0: none.
    pub ts_event: i64,
    /// Time of the socket read.
    pub ts_recv: i64,
}

/// A venue that takes no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VenueLeftOut<'a> {
    /// The venue.
    pub venue: &'a str,
    /// Why, in `UPPER_SNAKE`.
    pub reason: &'a str,
}

/// Best bid and best ask over venues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsolidatedTop<'a> {
    /// Highest bid; absent: no venue has one.
    pub bid: Option<ConsolidatedQuote<'a>>,
    /// Lowest ask; absent: no venue has one.
    pub ask: Option<ConsolidatedQuote<'a>>,
    /// Venues that take no part, sorted by name.
    pub left_out: &'a [VenueLeftOut<'a>],
}

/// Appends a consolidated top.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponent holds its numbers.
pub fn consolidated_top(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    usual: Exponents,
    top: &ConsolidatedTop<'_>,
) -> Result<(), WireError> {
    let sides = [top.bid, top.ask];
    encode_exactly(
        out,
        usual,
        |finest| sides.iter().flatten().for_each(|quote| finest.level(quote.level.px, quote.level.qty)),
        |out, exponents| {
            update(out, header, exponents, CONSOLIDATED_TOP, 0, |out| {
                for (field, side) in (1..).zip(sides) {
                    if let Some(quote) = side {
                        delimited(out, field, 0, |out| encode_quote(out, exponents, &quote))?;
                    }
                }
                for venue in top.left_out {
                    delimited(out, 3, 0, |out| {
                        bytes(out, 1, venue.venue.as_bytes());
                        bytes(out, 2, venue.reason.as_bytes());
                    });
                }
                Some(())
            })
        },
    )
}

/// Appends the fields of a side; `None` if a number does not fit its exponent.
fn encode_quote(out: &mut Vec<u8>, exponents: Exponents, quote: &ConsolidatedQuote<'_>) -> Option<()> {
    sint(out, 1, quote.level.px.rescale(exponents.price)?);
    sint(out, 2, quote.level.qty.rescale(exponents.quantity)?);
    bytes(out, 3, quote.venue.as_bytes());
    time(out, 4, quote.ts_event);
    time(out, 5, quote.ts_recv);
    Some(())
}

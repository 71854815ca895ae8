//! Books: packed arrays of prices and quantities.

use facade_model::{BookSide, Decimal, Level, LevelChange};

use crate::WireError;
use crate::digits::{Exponents, Finest, encode_exactly};
use crate::field::{delimited, varint, zigzag};
use crate::update::{Header, update};

/// Field numbers of `Update`.
const BOOK_DELTA: u32 = 13;
const BOOK_SNAPSHOT: u32 = 20;

/// Field numbers of both messages.
const BID_PRICES: u32 = 1;
const BID_QUANTITIES: u32 = 2;
const ASK_PRICES: u32 = 3;
const ASK_QUANTITIES: u32 = 4;

/// Bytes that a price or quantity takes on average (CONTRACT "Numbers"), for guesses of lengths only.
const NUMBER_BYTES: usize = 3;

/// Appends the changes of a book, bids and asks in the order given; each price should stand once.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponent holds all numbers.
pub fn book_delta(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    usual: Exponents,
    changes: &[LevelChange],
) -> Result<(), WireError> {
    let is_bid = |change: &&LevelChange| change.side == BookSide::Bid;
    let (bids, asks) = changes.split_at(changes.iter().take_while(is_bid).count());
    if !asks.iter().any(|change| is_bid(&change)) {
        let (bids, asks) = (bids.iter().map(to_level), asks.iter().map(to_level));
        return book(out, header, usual, BOOK_DELTA, bids, asks); // the usual order of venues: no search
    }
    let bids = changes.iter().filter(is_bid).map(to_level);
    let asks = changes.iter().filter(|change| !is_bid(change)).map(to_level);
    book(out, header, usual, BOOK_DELTA, bids, asks)
}

/// Appends one part of a book, best levels first; the caller cuts books into parts (CONTRACT "Levels").
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponent holds all numbers.
pub fn book_snapshot(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    usual: Exponents,
    bids: impl Iterator<Item = Level> + Clone,
    asks: impl Iterator<Item = Level> + Clone,
) -> Result<(), WireError> {
    book(out, header, usual, BOOK_SNAPSHOT, bids, asks)
}

const fn to_level(change: &LevelChange) -> Level {
    Level { px: change.px, qty: change.qty }
}

/// Appends an update with the four arrays.
#[inline]
fn book(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    usual: Exponents,
    number: u32,
    bids: impl Iterator<Item = Level> + Clone,
    asks: impl Iterator<Item = Level> + Clone,
) -> Result<(), WireError> {
    let all = bids.clone().chain(asks.clone());
    let length_expected = 2 * NUMBER_BYTES * all.size_hint().0;
    let survey = move |finest: &mut Finest| all.clone().for_each(|level| finest.level(level.px, level.qty));
    encode_exactly(out, usual, survey, move |out, exponents| {
        update(out, header, exponents, number, length_expected, |out| {
            book_fields(out, bids.clone(), asks.clone(), exponents)
        })
    })
}

/// Appends the four arrays; `None` if a number does not fit its exponent.
#[inline]
pub(crate) fn book_fields(
    out: &mut Vec<u8>,
    bids: impl Iterator<Item = Level> + Clone,
    asks: impl Iterator<Item = Level> + Clone,
    exponents: Exponents,
) -> Option<()> {
    let (px, qty) = (exponents.price, exponents.quantity);
    packed(out, BID_PRICES, bids.clone().map(|level| level.px), px)?;
    packed(out, BID_QUANTITIES, bids.map(|level| level.qty), qty)?;
    packed(out, ASK_PRICES, asks.clone().map(|level| level.px), px)?;
    packed(out, ASK_QUANTITIES, asks.map(|level| level.qty), qty)
}

/// Appends a packed array of mantissas unless it is empty; `None` if one does not fit the exponent.
#[inline]
fn packed(
    out: &mut Vec<u8>,
    number: u32,
    mut values: impl Iterator<Item = Decimal> + Clone,
    exponent: i8,
) -> Option<()> {
    if values.clone().next().is_none() {
        return Some(());
    }
    delimited(out, number, NUMBER_BYTES * values.size_hint().0, |out| {
        values.try_for_each(|value| {
            varint(out, zigzag(value.rescale(exponent)?));
            Some(())
        })
    })
}

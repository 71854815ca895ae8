//! Trades, best prices, statistics.

use facade_model::{Decimal, Level, Statistics, Sum, TakerSide, Ticker, TopOfBook, Trade};

use crate::WireError;
use crate::digits::{Exponents, Finest, encode_exactly};
use crate::field::{delimited, optional_sint, optional_uint, sint, uint};
use crate::update::{Header, update};

/// Field numbers of `Update`.
const TRADE: u32 = 14;
const TOP_OF_BOOK: u32 = 15;
const TICKER: u32 = 22;

/// Appends one trade.
///
/// # Errors
/// [`WireError::NumberRange`] if no exponent holds its numbers.
pub fn trade(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    usual: Exponents,
    trade: &Trade,
) -> Result<(), WireError> {
    encode_exactly(
        out,
        usual,
        |finest| finest.level(trade.px, trade.qty),
        |out, exponents| update(out, header, exponents, TRADE, 0, |out| trade_fields(out, trade, exponents)),
    )
}

/// Appends the fields of `Trade`; `None` if a number does not fit its exponent.
#[inline]
pub(crate) fn trade_fields(out: &mut Vec<u8>, trade: &Trade, exponents: Exponents) -> Option<()> {
    sint(out, 1, trade.px.rescale(exponents.price)?);
    sint(out, 2, trade.qty.rescale(exponents.quantity)?);
    let side = match trade.side {
        TakerSide::Unknown => 0,
        TakerSide::Buy => 1,
        TakerSide::Sell => 2,
    };
    uint(out, 3, side);
    optional_uint(out, 4, Some(trade.id));
    uint(out, 6, u64::from(!trade.is_market));
    Some(())
}

/// Appends best bid and best ask.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponent holds the numbers.
pub fn top_of_book(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    usual: Exponents,
    top: &TopOfBook,
) -> Result<(), WireError> {
    encode_exactly(
        out,
        usual,
        |finest| survey_top(finest, top),
        |out, exponents| {
            update(out, header, exponents, TOP_OF_BOOK, 0, |out| {
                level(out, 1, top.bid, exponents)?;
                level(out, 3, top.ask, exponents)
            })
        },
    )
}

/// Appends statistics of 24 hours.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponent holds the prices, or the quantities.
pub fn ticker(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    usual: Exponents,
    ticker: &Ticker,
) -> Result<(), WireError> {
    let told = Statistics::from(ticker);
    encode_exactly(
        out,
        usual,
        |finest| survey_ticker(finest, &told),
        |out, exponents| {
            update(out, header, exponents, TICKER, 0, |out| ticker_fields(out, &told, exponents))
        },
    )
}

/// Shows all prices and quantities of a ticker.
pub(crate) fn survey_ticker(finest: &mut Finest, ticker: &Statistics) {
    let prices =
        [ticker.last_px, ticker.open_px, ticker.high_px, ticker.low_px, ticker.bid_px, ticker.ask_px];
    prices.iter().flatten().for_each(|px| finest.price(*px));
    ticker.last_qty.iter().for_each(|qty| finest.quantity(*qty));
    survey_top(finest, &ticker.top);
}

/// Appends the fields of `Ticker`; `None` if a number does not fit its exponent.
pub(crate) fn ticker_fields(out: &mut Vec<u8>, ticker: &Statistics, exponents: Exponents) -> Option<()> {
    number(out, 1, ticker.last_px, exponents.price)?;
    number(out, 2, ticker.last_qty, exponents.quantity)?;
    for (field, side, bare) in [(3, ticker.top.bid, ticker.bid_px), (5, ticker.top.ask, ticker.ask_px)] {
        match side {
            Some(_) => level(out, field, side, exponents)?,
            None => number(out, field, bare, exponents.price)?,
        }
    }
    for (field, px) in (7..).zip([ticker.open_px, ticker.high_px, ticker.low_px]) {
        number(out, field, px, exponents.price)?;
    }
    let sums = [ticker.volume, ticker.quote_volume, ticker.vwap, ticker.change_percent.map(Sum::from)];
    for (field, sum) in (10..).zip(sums) {
        text(out, field, sum);
    }
    optional_uint(out, 14, ticker.trade_count);
    Some(())
}

fn survey_top(finest: &mut Finest, top: &TopOfBook) {
    for level in [top.bid, top.ask].iter().flatten() {
        finest.level(level.px, level.qty);
    }
}

/// Appends price and quantity of a side under two successive numbers, if it is present.
fn level(out: &mut Vec<u8>, field: u32, level: Option<Level>, exponents: Exponents) -> Option<()> {
    number(out, field, level.map(|level| level.px), exponents.price)?;
    number(out, field + 1, level.map(|level| level.qty), exponents.quantity)
}

/// Appends a mantissa if the number is present; `None` if it does not fit the exponent.
fn number(out: &mut Vec<u8>, field: u32, value: Option<Decimal>, exponent: i8) -> Option<()> {
    if let Some(value) = value {
        optional_sint(out, field, Some(value.rescale(exponent)?));
    }
    Some(())
}

/// Appends an exact decimal text if the number is present.
pub(crate) fn text(out: &mut Vec<u8>, field: u32, value: Option<Sum>) {
    if let Some(value) = value {
        delimited(out, field, 0, |out| value.write_plain(out));
    }
}

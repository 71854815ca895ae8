//! Klines: OHLCV of one interval.

use facade_model::{Decimal, Sum, UpdateFlags};

use crate::WireError;
use crate::digits::{Exponents, Finest, encode_exactly};
use crate::field::{delimited, optional_sint, optional_uint, time, uint};
use crate::update::{Header, update};

/// Field number of `Update`.
const KLINE: u32 = 21;

/// Whether a kline may still change by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KlineState {
    /// Its interval is open.
    Provisional = 1,
    /// Its interval is closed; a late trade issues it again.
    Final = 2,
}

/// Whether a kline holds all trades of its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Completeness {
    /// Not told.
    #[default]
    Unspecified = 0,
    /// All, provably.
    Complete = 1,
    /// A gap touches it.
    Incomplete = 2,
    /// It cannot be proven for this venue.
    Unknown = 3,
}

/// Prices of a kline that has trades, quote units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ohlc {
    /// Of the first trade.
    pub open: Decimal,
    /// The highest.
    pub high: Decimal,
    /// The lowest.
    pub low: Decimal,
    /// Of the last trade.
    pub close: Decimal,
}

/// One kline; what the source does not give is absent. Times are ns UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kline {
    /// First instant.
    pub ts_open: i64,
    /// First instant behind it; 0: not known yet.
    pub ts_close: i64,
    /// Prices; absent: no trade.
    pub prices: Option<Ohlc>,
    /// Sum of quantities, base units or contracts.
    pub volume: Option<Sum>,
    /// Sum of price times quantity, quote units.
    pub quote_volume: Option<Sum>,
    /// Mean price by volume, quote units.
    pub vwap: Option<Sum>,
    /// Sum of quantities that takers bought.
    pub taker_buy_volume: Option<Sum>,
    /// Trades.
    pub trade_count: Option<u64>,
    /// Whether it is closed; absent: not told.
    pub state: Option<KlineState>,
    /// How often it was issued again after it was final.
    pub revision: u32,
    /// Whether all trades are in it.
    pub completeness: Completeness,
    /// `seq` of its first trade in the trades topic; 0: none.
    pub trades_seq_first: u64,
    /// `seq` of its last trade in the trades topic; 0: none.
    pub trades_seq_last: u64,
    /// Bits in unary answers; none on a stream, where the header carries them.
    pub flags: UpdateFlags,
}

/// Appends one kline.
///
/// # Errors
/// [`WireError::NumberRange`] if no common exponent holds its prices.
pub fn kline(
    out: &mut Vec<u8>,
    header: &Header<'_>,
    usual: Exponents,
    kline: &Kline,
) -> Result<(), WireError> {
    encode_exactly(
        out,
        usual,
        |finest| survey_kline(finest, kline),
        |out, exponents| {
            update(out, header, exponents, KLINE, 0, |out| kline_fields(out, kline, exponents.price))
        },
    )
}

/// Shows all prices of a kline.
pub(crate) fn survey_kline(finest: &mut Finest, kline: &Kline) {
    prices(kline).iter().flatten().for_each(|px| finest.price(*px));
}

/// Appends the fields of `Kline`; `None` if a price does not fit the exponent.
pub(crate) fn kline_fields(out: &mut Vec<u8>, kline: &Kline, price_exponent: i8) -> Option<()> {
    time(out, 1, kline.ts_open);
    time(out, 2, kline.ts_close);
    for (field, px) in (3..).zip(prices(kline).iter().flatten()) {
        optional_sint(out, field, Some(px.rescale(price_exponent)?));
    }
    sums(out, kline);
    facts(out, kline);
    Some(())
}

/// Prices in the order of the contract; absent: no trade.
fn prices(kline: &Kline) -> Option<[Decimal; 4]> {
    kline.prices.map(|px| [px.open, px.high, px.low, px.close])
}

/// Appends fields 7 to 10.
fn sums(out: &mut Vec<u8>, kline: &Kline) {
    let sums = [kline.volume, kline.quote_volume, kline.vwap, kline.taker_buy_volume];
    for (field, sum) in (7..).zip(sums) {
        if let Some(sum) = sum {
            delimited(out, field, 0, |out| sum.write_plain(out));
        }
    }
}

/// Appends fields 11 to 17.
fn facts(out: &mut Vec<u8>, kline: &Kline) {
    optional_uint(out, 11, kline.trade_count);
    uint(out, 12, kline.state.map_or(0, |state| state as u64));
    uint(out, 13, u64::from(kline.revision));
    uint(out, 14, kline.completeness as u64);
    uint(out, 15, kline.trades_seq_first);
    uint(out, 16, kline.trades_seq_last);
    uint(out, 17, u64::from(kline.flags.0));
}

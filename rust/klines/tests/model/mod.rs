//! Bars as a reader of the documentation would make them: sort, group, add up with big integers.

#![allow(dead_code, reason = "each test file uses a part")]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;

use facade_klines::batch::Row;
use facade_klines::{Bar, Tick};
use facade_model::{Decimal, Sum};
use num_bigint::BigInt;

pub const S: i64 = 1_000_000_000;
pub const DAY: i64 = 86_400 * S;
/// Digits at which the model adds up: the finest of all tests, twice.
const DIGITS: u32 = 48;

/// What a bar says, without when and how often it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub prices: [String; 4],
    pub volume: BigInt,
    pub quote_volume: BigInt,
    pub buy_volume: BigInt,
    pub sell_volume: BigInt,
    pub trade_count: u64,
}

pub fn tick(ts_event: i64, price: Decimal, quantity: Decimal) -> Tick {
    Tick { ts_event, ts_recv: ts_event, price, quantity, is_buy: None, seq: 0, id: 0, is_backfilled: false }
}

/// A number times 10^48.
pub fn big(value: Sum) -> BigInt {
    let shift = i64::from(DIGITS) + i64::from(value.exponent);
    BigInt::from(value.mantissa) * BigInt::from(10).pow(u32::try_from(shift).unwrap())
}

fn product(tick: &Tick) -> BigInt {
    big(tick.price.into()) * big(tick.quantity.into()) / BigInt::from(10).pow(DIGITS)
}

/// Adds up trades in the order of time, of id, and of arrival.
pub fn content(trades: &[&Tick]) -> Content {
    let mut sorted = trades.to_vec();
    sorted.sort_by_key(|tick| (tick.ts_event, tick.id));
    let value = |px: Decimal| big(px.into());
    let highest = sorted.iter().max_by_key(|tick| value(tick.price)).unwrap().price;
    let lowest = sorted.iter().min_by_key(|tick| value(tick.price)).unwrap().price;
    let volume = |side: Option<Option<bool>>| {
        let chosen = sorted.iter().filter(|tick| side.is_none_or(|side| side == tick.is_buy));
        chosen.map(|tick| big(tick.quantity.into())).sum()
    };
    Content {
        prices: [sorted[0].price, highest, lowest, sorted[sorted.len() - 1].price].map(|px| px.to_string()),
        volume: volume(None),
        quote_volume: sorted.iter().map(|tick| product(tick)).sum(),
        buy_volume: volume(Some(Some(true))),
        sell_volume: volume(Some(Some(false))),
        trade_count: sorted.len() as u64,
    }
}

/// Groups by intervals that are counted from 1970, weeks from its first Monday.
pub fn by_interval(trades: &[Tick], interval_ns: i64) -> BTreeMap<i64, Content> {
    let origin = if interval_ns == 7 * DAY { 4 * DAY } else { 0 };
    let mut groups: BTreeMap<i64, Vec<&Tick>> = BTreeMap::new();
    for tick in trades {
        let number = (i128::from(tick.ts_event) - i128::from(origin)).div_euclid(i128::from(interval_ns));
        let open = number * i128::from(interval_ns) + i128::from(origin);
        groups.entry(i64::try_from(open).unwrap()).or_default().push(tick);
    }
    groups.into_iter().map(|(open, group)| (open, content(&group))).collect()
}

pub fn of_bar(bar: &Bar) -> Content {
    Content {
        prices: [bar.open, bar.high, bar.low, bar.close].map(|px| bar.price(px).to_string()),
        volume: big(bar.volume()),
        quote_volume: big(bar.quote_volume()),
        buy_volume: big(bar.taker_buy_volume()),
        sell_volume: big(bar.taker_sell_volume()),
        trade_count: bar.trade_count,
    }
}

pub fn of_row(row: &Row, price_exponent: i8, quantity_exponent: i8) -> Content {
    let quantity = |mantissa| big(Sum::new(mantissa, quantity_exponent));
    Content {
        prices: [row.open, row.high, row.low, row.close]
            .map(|px| Decimal::new(px, price_exponent).to_string()),
        volume: quantity(row.volume),
        quote_volume: big(Sum::new(row.quote_volume, price_exponent + quantity_exponent)),
        buy_volume: quantity(row.buy_volume),
        sell_volume: quantity(row.sell_volume),
        trade_count: row.trade_count,
    }
}

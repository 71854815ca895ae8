//! What is encoded: headers, numbers and a kline.

use facade_model::{
    BookSide, Channel, Decimal, Integrity, Level, LevelChange, Sum, TakerSide, Trade, UpdateFlags,
};
use facade_wire::{Completeness, Exponents, Header, Kline, KlineState, Ohlc};

pub const EVENT: i64 = 1_723_161_253_937_000_000;
pub const RECV: i64 = 1_723_161_253_939_500_000;
pub const PUBLISH: i64 = 1_723_161_253_939_512_345;
pub const EPOCH: u32 = 1_723_161_000;

pub const HEADER: Header<'static> = Header {
    venue: "kraken",
    symbol: "BTC-USD",
    channel: Channel::BookL2,
    variant: "",
    epoch: EPOCH,
    seq: 0,
    ts_event: EVENT,
    ts_recv: RECV,
    ts_publish: PUBLISH,
    integrity: Integrity::Unspecified,
    flags: UpdateFlags(0),
    venue_sequence_previous: None,
    venue_sequence: None,
};
pub const CONTROL: Header<'static> = Header { ts_event: 0, ts_recv: 0, ..HEADER };
pub const WHOLE: Exponents = Exponents { price: 0, quantity: 0 };

pub fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

pub fn level(px: &str, qty: &str) -> Level {
    Level { px: number(px), qty: number(qty) }
}

pub fn change(side: BookSide, px: &str, qty: &str) -> LevelChange {
    LevelChange { side, px: number(px), qty: number(qty) }
}

pub fn trade_of(id: u64, px: Decimal, qty: Decimal, side: TakerSide) -> Trade {
    Trade { id, px, qty, side, ts_event: EVENT, is_market: true }
}

pub fn kline_of(prices: Option<Ohlc>) -> Kline {
    Kline {
        ts_open: 1_723_161_240_000_000_000,
        ts_close: 1_723_161_300_000_000_000,
        prices,
        volume: Some(Sum::new(1_250, -2)),
        quote_volume: Some(Sum::new(771_250, 0)),
        vwap: Some(Sum::new(617, 2)),
        taker_buy_volume: Some(Sum::new(625, -2)),
        trade_count: Some(300),
        state: Some(KlineState::Final),
        revision: 1,
        completeness: Completeness::Complete,
        trades_seq_first: 100,
        trades_seq_last: 399,
        flags: UpdateFlags::SYNTHETIC,
    }
}

pub fn ohlc(open: &str, high: &str, low: &str, close: &str) -> Ohlc {
    Ohlc { open: number(open), high: number(high), low: number(low), close: number(close) }
}

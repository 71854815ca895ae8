//! Encoding allocates nothing once the caller's buffer has room (STYLE R12).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::alloc::System;

use facade_model::{
    BookSide, Channel, Decimal, Integrity, Level, LevelChange, Sum, TakerSide, Ticker, TopOfBook, Trade,
    UpdateFlags,
};
use facade_wire::{Completeness, Exponents, Header, Heartbeat, Kline, Ohlc, WireError};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HEADER: Header<'static> = Header {
    venue: "binance",
    symbol: "BTC-USDT",
    channel: Channel::BookL2,
    variant: "",
    epoch: 1_723_161_000,
    seq: 300,
    ts_event: 1_723_161_253_937_000_000,
    ts_recv: 1_723_161_253_939_500_000,
    ts_publish: 1_723_161_253_939_512_345,
    integrity: Integrity::Sequence,
    flags: UpdateFlags(0),
    venue_sequence_previous: Some(50_093_239_207),
    venue_sequence: Some(50_093_239_224),
};

/// Encodes one update of each hot kind, and a refused one.
fn encode_all(out: &mut Vec<u8>, changes: &[LevelChange], level: Level) -> Result<(), WireError> {
    let usual = Exponents { price: -2, quantity: -5 };
    let levels = changes.iter().map(|change| Level { px: change.px, qty: change.qty });
    facade_wire::book_delta(out, &HEADER, usual, changes)?;
    facade_wire::book_snapshot(out, &HEADER, usual, levels.clone(), levels)?;
    let side = TakerSide::Sell;
    let trade = Trade { id: 1, px: level.px, qty: level.qty, side, ts_event: 0, is_market: true };
    facade_wire::trade(out, &HEADER, usual, &trade)?;
    let top = TopOfBook { bid: Some(level), ask: Some(level) };
    facade_wire::top_of_book(out, &HEADER, usual, &top)?;
    let ticker = Ticker { top, volume: Some(level.qty), ..Ticker::default() };
    facade_wire::ticker(out, &HEADER, usual, &ticker)?;
    facade_wire::kline(out, &HEADER, usual, &kline_at(level.px))?;
    let state = facade_model::StreamPhase::Live;
    facade_wire::heartbeat(out, &HEADER, &Heartbeat { ts_frame_last: 1, state });
    let fine = Level { px: Decimal::new(1, -18), ..level };
    let coarse = Level { px: Decimal::new(10, 0), ..level };
    let refused = TopOfBook { bid: Some(fine), ask: Some(coarse) };
    assert_eq!(facade_wire::top_of_book(out, &HEADER, usual, &refused), Err(WireError::NumberRange));
    Ok(())
}

fn kline_at(px: Decimal) -> Kline {
    Kline {
        ts_open: 1,
        ts_close: 2,
        prices: Some(Ohlc { open: px, high: px, low: px, close: px }),
        volume: Some(Sum::new(43_791_552, -5)),
        quote_volume: Some(Sum::new(1, -20)),
        vwap: Some(Sum::new(-1_250, -2)),
        taker_buy_volume: Some(Sum::ZERO),
        trade_count: Some(3),
        state: None,
        revision: 0,
        completeness: Completeness::Complete,
        trades_seq_first: 1,
        trades_seq_last: 3,
        flags: UpdateFlags(0),
    }
}

fn encoding_into_a_buffer_with_room_allocates_nothing() {
    let changes: Vec<LevelChange> = (0..46)
        .map(|at| LevelChange {
            side: if at % 3 == 0 { BookSide::Bid } else { BookSide::Ask },
            px: Decimal::new(6_160_201 + at, -2),
            qty: Decimal::new(167_177 * at, -5),
        })
        .collect();
    let level = Level { px: Decimal::new(6_160_201, -2), qty: Decimal::new(167_177, -5) };
    let mut out = Vec::with_capacity(8_192);
    encode_all(&mut out, &changes, level).unwrap();
    let region = Region::new(ALLOCATOR);
    for _ in 0..100 {
        out.clear();
        encode_all(&mut out, &changes, level).unwrap();
    }
    let counted = region.change();
    assert_eq!((counted.allocations, counted.reallocations), (0, 0), "{counted:?}");
}

fn main() {
    encoding_into_a_buffer_with_room_allocates_nothing();
}

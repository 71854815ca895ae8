//! Streaming allocates nothing in steady state (STYLE R12).

use std::alloc::System;

use facade_klines::{Aggregator, BarKind, Rules, Tick};
use facade_model::Decimal;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const S: i64 = 1_000_000_000;

fn a_trade_allocates_nothing_nor_does_its_bar() {
    for kind in [
        BarKind::Time { interval_ns: S },
        BarKind::Count(3),
        BarKind::Volume(Decimal::new(5, 0)),
        BarKind::Value(Decimal::new(500, 0)),
    ] {
        assert_eq!(allocations_of(kind), 0, "{kind:?}");
    }
}

/// Plays trades, some of them late, and returns how often memory was asked for.
fn allocations_of(kind: BarKind) -> usize {
    let mut aggregator = Aggregator::new(Rules::of(kind), -2, -5);
    let mut bars = 0;
    let region = Region::new(ALLOCATOR);
    for at in 0..10_000 {
        let late = if at % 17 == 0 { S } else { 0 };
        let tick = Tick {
            ts_event: at * S / 10 - late,
            ts_recv: 0,
            price: Decimal::new(100 + at % 7, if at % 5 == 0 { -3 } else { 0 }),
            quantity: Decimal::new(1 + at % 3, 0),
            is_buy: Some(at % 2 == 0),
            seq: 0,
            id: 0,
            is_backfilled: false,
        };
        assert!(aggregator.on_trade(&tick).is_ok());
        aggregator.drain(|_| bars += 1);
    }
    let change = region.change();
    assert!(bars > 1_000);
    change.allocations + change.reallocations
}

fn main() {
    a_trade_allocates_nothing_nor_does_its_bar();
}

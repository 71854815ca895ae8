//! A warm decoder allocates nothing, whatever comes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::alloc::System;

use facade_venues::{Decoded, Product};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[allow(dead_code, clippy::panic, clippy::indexing_slicing, reason = "each test file uses its part")]
mod reading;
use reading::{BINANCE_FRAMES, KRAKEN_FRAMES};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn frames_are_decoded_without_allocation() {
    let binance = BINANCE_FRAMES.map(|frame| (Product::BinanceUsdm, frame));
    let frames = binance.into_iter().chain(KRAKEN_FRAMES.map(|frame| (Product::Kraken, frame)));
    let frames: Vec<_> = frames.collect();
    let mut out = Decoded::default();
    for (product, frame) in &frames {
        product.decode(frame.as_bytes(), &mut out).unwrap();
    }
    let warm = Region::new(ALLOCATOR);
    for _ in 0..10 {
        for (product, frame) in &frames {
            product.decode(frame.as_bytes(), &mut out).unwrap();
        }
    }
    let stats = warm.change();
    assert_eq!((stats.allocations, stats.reallocations, stats.deallocations), (0, 0, 0));
}

fn main() {
    frames_are_decoded_without_allocation();
}

//! A warm decoder of OKX or Coinbase allocates nothing, be the frame of 46,000 levels.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

use std::alloc::System;

use facade_venues::{Decoded, Product};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[allow(dead_code, reason = "each test file uses its part")]
mod recording;
mod witness;
use witness::FRAMES;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn frames_are_decoded_without_allocation() {
    let mut frames: Vec<(Product, Vec<u8>)> =
        FRAMES.map(|(product, frame)| (product, frame.as_bytes().to_vec())).into();
    if let Some(folder) = recording::folder() {
        let path = folder.join("coinbase/advanced/btcusd_ethusd_20260809_first500.jsonl.zst");
        let recorded = witness::cf_jsonl(&path).0.into_iter().take(30);
        frames.extend(recorded.map(|frame| (Product::CoinbaseAdvanced, frame.into_bytes())));
    }
    let mut out = Decoded::default();
    for (product, frame) in &frames {
        product.decode(frame, &mut out).unwrap();
    }
    let warm = Region::new(ALLOCATOR);
    for (product, frame) in &frames {
        product.decode(frame, &mut out).unwrap();
    }
    let stats = warm.change();
    assert_eq!((stats.allocations, stats.reallocations, stats.deallocations), (0, 0, 0));
}

fn main() {
    frames_are_decoded_without_allocation();
}

//! A book of steady depth allocates nothing per update, however often it changes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::alloc::System;

use facade_book::{Book, merge_changes};
use facade_model::{BookSide, Decimal, LevelChange};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LEVELS: i64 = 5_000;

/// One change of a market that wanders: prices near the middle change most, both sides move along.
fn change(step: i64, noise: u64) -> LevelChange {
    let middle = 1_000_000 + (step / 40) % 3_000;
    let side = if noise.is_multiple_of(2) { BookSide::Bid } else { BookSide::Ask };
    let reach = 1_i64 << ((noise >> 8) % 13);
    let distance = 1 + i64::try_from((noise >> 16) % reach.unsigned_abs()).unwrap();
    let px = if side == BookSide::Bid { middle - distance } else { middle + distance };
    let qty = i64::try_from((noise >> 40) % 3).unwrap();
    LevelChange { side, px: Decimal::new(px, -2), qty: Decimal::new(qty, -3) }
}

/// Plays the same updates; returns nothing but changes the book.
fn play(book: &mut Book, changes: &mut Vec<LevelChange>, removed: &mut Vec<LevelChange>) {
    let mut noise = 0x2545_F491_4F6C_DD1D_u64;
    for step in 0..40_000 {
        changes.clear();
        for _ in 0..8 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            changes.push(change(step, noise));
        }
        book.apply(changes).unwrap();
        removed.clear();
        book.truncate(2_000, removed);
        changes.append(removed);
        merge_changes(changes);
    }
}

fn updates_of_a_warm_book_allocate_nothing() {
    let start: Vec<_> = (1..=LEVELS)
        .flat_map(|distance| {
            let level = |side, px| LevelChange { side, px: Decimal::new(px, -2), qty: Decimal::new(1, 0) };
            [level(BookSide::Bid, 1_000_000 - distance), level(BookSide::Ask, 1_000_000 + distance)]
        })
        .collect();
    let mut book = Book::new(-2);
    book.load(&start).unwrap();
    let (mut changes, mut removed) = (Vec::new(), Vec::new());
    play(&mut book, &mut changes, &mut removed);
    let warm = Region::new(ALLOCATOR);
    play(&mut book, &mut changes, &mut removed);
    let stats = warm.change();
    assert_eq!((stats.allocations, stats.reallocations, stats.deallocations), (0, 0, 0));
    assert!(book.len(BookSide::Bid) > 500, "the book was thin: {}", book.len(BookSide::Bid));
}

fn main() {
    updates_of_a_warm_book_allocate_nothing();
}

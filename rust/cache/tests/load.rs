//! Many keys, little room: memory, allocations and the order of use under load.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test times itself and tells the figures"
)]

use std::alloc::System;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use facade_cache::{Bounds, Class, ClassId, Clock, Lookup, Store, Terms};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ENTRIES: usize = 10_000;
const KEYS: u64 = 1_000_000;
const VALUE_BYTES: usize = 1_024;

struct Still;

impl Clock for Still {
    fn mono_ns(&self) -> u64 {
        0
    }
}

type Answers = Store<Box<str>, Box<[u8]>>;

fn answers() -> (Answers, ClassId) {
    let bounds = Bounds { entries_max: ENTRIES, bytes_max: 0 };
    let store = Answers::new(bounds, [Class { name: "prices_warm".into(), ttl_ms: 30_000 }]);
    let class = store.class("prices_warm").unwrap();
    (store, class)
}

fn key(number: u64) -> Box<str> {
    format!("klines:kraken:pair-{number}:1h:24").into()
}

fn insert(store: &mut Answers, hasher: &RandomState, terms: Terms, number: u64) {
    let (key, value) = (key(number), vec![7; VALUE_BYTES].into_boxed_slice());
    let own = key.clone();
    store.insert(hasher.hash_one(&*own), |other| *other == own, (key, value), terms, 0, &mut Vec::new());
}

/// Alone in its process, so that nothing else allocates while it measures.
fn row_c14_a_million_keys_into_ten_thousand_entries_stay_exact_small_and_without_allocation_on_a_hit() {
    let hasher = RandomState::new();
    let region = Region::new(ALLOCATOR);
    let (mut store, class) = answers();
    let terms = Terms { class, ttl_ns: 1 << 60, stale_ns: 0, bytes: VALUE_BYTES };
    // The model: who is in, by when it was used last. A tenth of the steps reads an older key again.
    let mut used: HashMap<u64, u64> = HashMap::new();
    let mut order: VecDeque<(u64, u64)> = VecDeque::new();
    let (mut step, mut hits, mut hits_expected, mut slowest) = (0u64, 0u64, 0u64, Vec::new());
    let mut held_bytes_max = 0;
    for number in 0..KEYS {
        let begin = Instant::now();
        insert(&mut store, &hasher, terms, number);
        slowest.push(begin.elapsed().as_nanos());
        step += 1;
        used.insert(number, step);
        order.push_back((number, step));
        if number % 10 == 0 {
            let again = number.saturating_sub(number * 7 % 12_000);
            let name = key(again);
            let found = store.get(hasher.hash_one(&*name), |other| *other == name, &Still);
            hits += u64::from(matches!(found, Lookup::Fresh(..)));
            step += 1;
            if let Some(last) = used.get_mut(&again) {
                hits_expected += 1;
                *last = step;
                order.push_back((again, step));
            }
        }
        while used.len() > ENTRIES {
            let (oldest, at) = order.pop_front().unwrap();
            if used.get(&oldest) == Some(&at) {
                used.remove(&oldest);
            }
        }
        if number % 100_000 == 99_999 {
            let model_bytes = (used.capacity() + order.capacity()) * 24 + slowest.capacity() * 16;
            let change = region.change();
            held_bytes_max = held_bytes_max.max(
                change.bytes_allocated.saturating_sub(change.bytes_deallocated).saturating_sub(model_bytes),
            );
        }
    }
    let order: Vec<Box<str>> = order
        .iter()
        .filter(|(number, at)| used.get(number) == Some(at))
        .map(|&(number, _)| key(number))
        .collect();
    assert!(store.keys().eq(&order), "exact LRU");
    assert_eq!(hits, hits_expected, "no hit that exact LRU would have");
    let stats = *store.stats().next().unwrap().1;
    assert_eq!(stats.evictions, KEYS - ENTRIES as u64);
    slowest.sort_unstable();
    let p99_us = slowest[slowest.len() / 100 * 99] / 1_000;
    let entry_bytes = held_bytes_max / ENTRIES;
    println!("{held_bytes_max} bytes held, {entry_bytes} an entry, p99 of an insertion {p99_us} us");
    assert!(held_bytes_max <= 50_000_000, "{held_bytes_max} bytes held");
    assert!(entry_bytes <= 1_300, "{entry_bytes} bytes an entry");
    assert!(p99_us <= 1_000, "p99 of an insertion: {p99_us} us");

    let newest = key(KEYS - 1);
    let hash = hasher.hash_one(&*newest);
    let region = Region::new(ALLOCATOR);
    for _ in 0..1_000 {
        assert!(matches!(store.get(hash, |other| *other == newest, &Still), Lookup::Fresh(..)));
        assert!(matches!(store.get(!hash, |other| *other == newest, &Still), Lookup::Missing));
    }
    assert_eq!(region.change().allocations, 0, "no allocation on a hit or a miss");
}

fn main() {
    row_c14_a_million_keys_into_ten_thousand_entries_stay_exact_small_and_without_allocation_on_a_hit();
}

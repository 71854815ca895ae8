//! Encoded answers: keys, aliases, staleness, the duty to refresh.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use facade_cache::{
    ALIAS_REQUEST_BYTES_MAX, ALIASES_MAX, AnswerCache, Bounds, CLASSES, Class, ClassStats, Clock, NewAnswer,
    UnknownClass,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const KLINES: &str = "/datafacade.v1.DataFacadeService/WarmKlines";

#[derive(Default)]
struct Manual(AtomicU64);

impl Clock for Manual {
    fn mono_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn cache(entries_max: usize, bytes_max: usize) -> (AnswerCache, Arc<Manual>) {
    let clock = Arc::new(Manual::default());
    let classes = CLASSES.iter().map(|&(name, ttl_ms)| Class { name: name.into(), ttl_ms });
    (AnswerCache::new(Bounds { entries_max, bytes_max }, classes, Arc::clone(&clock) as _), clock)
}

fn answer<'a>(key: &'a str, message: &'a [u8]) -> NewAnswer<'a> {
    NewAnswer {
        key,
        message,
        class: "prices_hot",
        ts_cached: 1_000,
        ttl_ns: 5 * SECOND,
        stale_ns: 10 * SECOND,
        age_ns: 0,
        owner: "",
    }
}

fn stats(cache: &AnswerCache, class: &str) -> ClassStats {
    cache.stats().iter().find(|(other, _)| &*other.name == class).unwrap().1
}

#[test]
fn an_answer_is_found_by_its_key_with_its_age_and_its_hash() {
    let (cache, clock) = cache(10, 0);
    // SHA-256 of "abc": FIPS 180-2, appendix B.1.
    let id = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(cache.put(NewAnswer { age_ns: 7, ..answer("k", b"abc") }).unwrap(), id);
    clock.0.store(3 * SECOND, Ordering::Relaxed);
    let held = cache.get("k", "prices_hot").unwrap();
    assert_eq!((held.message(), held.snapshot_id()), (&b"abc"[..], id));
    let stamps = (held.ts_cached(), held.ts_expires(), held.age_ns, held.is_stale);
    assert_eq!(stamps, (1_000, 5_000_001_000, 3 * SECOND + 7, false));
    assert_eq!(cache.class_name(held.class()), "prices_hot");
    clock.0.store(5 * SECOND, Ordering::Relaxed);
    assert!(cache.get("k", "").unwrap().is_stale);
    clock.0.store(15 * SECOND, Ordering::Relaxed);
    assert!(cache.get("k", "prices_hot").is_none());
    let counted = stats(&cache, "prices_hot");
    assert_eq!((counted.hits, counted.stale_hits, counted.misses, counted.expirations), (1, 1, 1, 1));
}

#[test]
fn a_peek_counts_nothing_and_moves_nothing() {
    let (cache, _) = cache(2, 0);
    for key in ["a", "b"] {
        cache.put(answer(key, b"1")).unwrap();
    }
    assert!(cache.peek("a").is_some());
    cache.put(answer("c", b"1")).unwrap();
    assert!(cache.peek("a").is_none() && cache.peek("b").is_some());
    assert_eq!(stats(&cache, "prices_hot").hits, 0);
}

#[test]
fn an_unknown_class_is_refused_and_nothing_is_put_in() {
    let (cache, _) = cache(2, 0);
    assert_eq!(cache.put(NewAnswer { class: "other", ..answer("k", b"1") }), Err(UnknownClass));
    assert!(cache.is_empty());
}

#[test]
fn an_exact_request_leads_to_its_answer_and_to_the_one_that_replaces_it() {
    let (cache, _) = cache(10, 0);
    assert!(!cache.alias(KLINES, b"ask", "k"), "an alias of nothing");
    cache.put(answer("k", b"old")).unwrap();
    assert!(cache.alias(KLINES, b"ask", "k") && cache.alias(KLINES, b"ask", "k"));
    assert_eq!(cache.aliases(), 1);
    assert_eq!(cache.find(KLINES, b"ask").unwrap().held.message(), b"old");
    cache.put(answer("k", b"new")).unwrap();
    assert_eq!(cache.find(KLINES, b"ask").unwrap().held.message(), b"new");
    assert!(cache.find(KLINES, b"ask ").is_none() && cache.find("/other", b"ask").is_none());
    assert_eq!((stats(&cache, "prices_hot").hits, stats(&cache, "prices_hot").misses), (2, 0));
}

#[test]
fn aliases_count_with_their_answer_and_leave_with_it() {
    let (cache, clock) = cache(2, 0);
    cache.put(answer("k", b"1")).unwrap();
    let alone = stats(&cache, "prices_hot").entries_bytes;
    for number in 0..=u8::try_from(ALIASES_MAX).unwrap() {
        assert_eq!(cache.alias(KLINES, &[number], "k"), usize::from(number) < ALIASES_MAX, "{number}");
    }
    assert!(!cache.alias(KLINES, &[0; ALIAS_REQUEST_BYTES_MAX + 1], "k"));
    assert!(stats(&cache, "prices_hot").entries_bytes > alone + ALIASES_MAX as u64);
    cache.put(answer("k", b"2")).unwrap();
    assert_eq!(cache.aliases(), ALIASES_MAX);
    cache.put(answer("other", b"1")).unwrap();
    assert!(cache.alias(KLINES, &[0], "other"), "the request leads elsewhere now");
    assert_eq!(cache.aliases(), ALIASES_MAX);
    assert!(cache.remove("k"));
    assert_eq!(cache.aliases(), 1);
    clock.0.store(60 * SECOND, Ordering::Relaxed);
    assert!(cache.find(KLINES, &[0]).is_none());
    assert_eq!((cache.aliases(), cache.len(), stats(&cache, "prices_hot").entries_bytes), (0, 0, 0));
}

#[test]
fn one_caller_alone_has_the_duty_to_refresh_a_stale_answer() {
    let (cache, clock) = cache(10, 0);
    cache.put(answer("k", b"1")).unwrap();
    cache.alias(KLINES, b"ask", "k");
    clock.0.store(6 * SECOND, Ordering::Relaxed);
    let first = cache.find(KLINES, b"ask").unwrap();
    assert!(first.held.is_stale);
    let refresh = first.refresh.unwrap();
    assert!(cache.find(KLINES, b"ask").unwrap().refresh.is_none());
    cache.refreshed(&refresh);
    assert!(cache.find(KLINES, b"ask").unwrap().refresh.is_some(), "the duty goes on if it failed");
    cache.put(answer("k", b"2")).unwrap();
    let found = cache.find(KLINES, b"ask").unwrap();
    assert_eq!((found.held.message(), found.held.is_stale, found.refresh), (&b"2"[..], false, None));
}

#[test]
fn a_hot_answer_is_refreshed_in_the_last_fifth_of_its_time() {
    let (cache, clock) = cache(10, 0);
    cache.put(answer("k", b"1")).unwrap();
    cache.alias(KLINES, b"ask", "k");
    let ask = |at_ms: u64| {
        clock.0.store(at_ms * 1_000_000, Ordering::Relaxed);
        cache.find(KLINES, b"ask").unwrap().refresh.is_some()
    };
    assert_eq!([ask(4_500), ask(4_500)], [false, false], "two hits: not hot");
    assert_eq!([ask(3_999), ask(4_000), ask(4_001)], [false, true, false]);
}

#[test]
fn the_bound_of_bytes_holds_with_aliases() {
    let (cache, _) = cache(100, 2_000);
    for number in 0..50u8 {
        let key = format!("k{number}");
        cache.put(answer(&key, &[number; 300])).unwrap();
        cache.alias(KLINES, &[number; 100], &key);
        let counted = stats(&cache, "prices_hot");
        assert!(counted.entries_bytes <= 2_000, "{counted:?}");
        assert!(cache.aliases() <= cache.len());
    }
    cache.put(answer("large", &[0; 3_000])).unwrap();
    assert!(cache.peek("large").is_none());
}

#[test]
fn threads_share_one_cache() {
    let (cache, _) = cache(100, 0);
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let cache = &cache;
            scope.spawn(move || {
                for round in 0..2_000u16 {
                    let key = format!("k{}", round % 150);
                    cache.put(answer(&key, key.as_bytes())).unwrap();
                    cache.alias(KLINES, &[thread, round.to_le_bytes()[0]], &key);
                    if let Some(held) = cache.get(&key, "prices_hot") {
                        assert_eq!(held.message(), key.as_bytes());
                    }
                }
            });
        }
    });
    assert_eq!((cache.len(), stats(&cache, "prices_hot").entries), (100, 100));
    cache.clear();
    assert_eq!((cache.len(), cache.aliases(), stats(&cache, "prices_hot").entries_bytes), (0, 0, 0));
}

proptest! {
    /// Whatever happens, a request leads to the answer of the key that it was last bound to, or nowhere.
    #[test]
    fn a_request_leads_to_its_own_key_or_nowhere(
        steps in prop::collection::vec((0u8..4, 0u8..6, 0u8..9), 1..200),
    ) {
        let (cache, clock) = cache(4, 2_500);
        let mut bound = std::collections::HashMap::new();
        for (kind, key, request) in steps {
            let name = format!("k{key}");
            match kind {
                0 => drop(cache.put(answer(&name, &[key; 90]))),
                1 => if cache.alias(KLINES, &[request], &name) { bound.insert(request, key); },
                2 => drop(clock.0.fetch_add(SECOND, Ordering::Relaxed)),
                _ => drop(cache.remove(&name)),
            }
            for (request, key) in &bound {
                if let Some(found) = cache.find(KLINES, &[*request]) {
                    prop_assert_eq!(found.held.message(), &[*key; 90]);
                }
            }
            let counted = stats(&cache, "prices_hot");
            prop_assert!(counted.entries_bytes <= 2_500);
        }
        cache.clear();
        prop_assert_eq!(cache.aliases(), 0);
        prop_assert_eq!(stats(&cache, "prices_hot").entries_bytes, 0);
    }
}

#[test]
fn owners_are_counted_whatever_way_an_answer_is_found() {
    let (cache, _) = cache(10, 0);
    for (key, owner) in [("a", "kraken"), ("b", "okx"), ("a", "kraken"), ("c", "")] {
        cache.put(NewAnswer { owner, ..answer(key, b"1") }).unwrap();
    }
    assert!(cache.alias("M", b"request", "a"));
    assert!(cache.find("M", b"request").is_some());
    assert!(cache.get("a", "prices_hot").is_some());
    assert!(cache.get("c", "prices_hot").is_some());
    assert!(cache.get("absent", "prices_hot").is_none());
    let told: Vec<(String, u64, u64)> =
        cache.owners().into_iter().map(|owner| (owner.name.into_string(), owner.hits, owner.fills)).collect();
    assert_eq!(told, [("kraken".to_owned(), 2, 2), ("okx".to_owned(), 0, 1)]);
}

//! `cargo bench -p facade-cache -- ENTRIES ROUNDS`: operations a second inside Rust, the lock and a real clock
//! included; the best round counts. One JSON line.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]
#![expect(clippy::disallowed_methods, reason = "a bench times itself")]

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use facade_cache::{Bounds, Class, ClassId, Clock, Lookup, Store, Terms};

const OPERATIONS: usize = 1_000_000;
const VALUE_BYTES: usize = 1_024;
const THREADS: usize = 4;
const HOUR_NS: u64 = 3_600_000_000_000;

struct Real(Instant);

impl Clock for Real {
    fn mono_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap()
    }
}

type Key = Arc<str>;

struct Cache {
    store: Mutex<Store<Key, Arc<[u8]>>>,
    hasher: RandomState,
    clock: Real,
    class: ClassId,
    value: Arc<[u8]>,
}

impl Cache {
    fn new(entries_max: usize) -> Self {
        let bounds = Bounds { entries_max, bytes_max: 0 };
        let store = Store::new(bounds, [Class { name: "bench".into(), ttl_ms: 0 }]);
        let class = store.class("bench").unwrap();
        let value = vec![7; VALUE_BYTES].into();
        Self {
            store: Mutex::new(store),
            hasher: RandomState::new(),
            clock: Real(Instant::now()),
            class,
            value,
        }
    }

    fn get(&self, key: &str) -> Option<Arc<[u8]>> {
        let hash = self.hasher.hash_one(key);
        match self.store.lock().unwrap().get(hash, |other| **other == *key, &self.clock) {
            Lookup::Fresh(_, value) => Some(Arc::clone(value)),
            _ => None,
        }
    }

    fn set(&self, key: &Key) {
        let terms = Terms { class: self.class, ttl_ns: HOUR_NS, stale_ns: 0, bytes: VALUE_BYTES };
        let (entry, now_ns) = ((Arc::clone(key), Arc::clone(&self.value)), self.clock.mono_ns());
        let hash = self.hasher.hash_one(&**key);
        let mut removed = Vec::new();
        self.store.lock().unwrap().insert(hash, |other| **other == **key, entry, terms, now_ns, &mut removed);
    }
}

/// Returns a seeded sequence of places below `count`.
fn places(count: usize, seed: u64) -> Vec<usize> {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 11).unwrap() % count
    };
    (0..OPERATIONS).map(|_| next()).collect()
}

fn measured(rounds: usize, mut work: impl FnMut()) -> f64 {
    (0..rounds)
        .map(|_| {
            let begin = Instant::now();
            work();
            f64::from(u32::try_from(OPERATIONS).unwrap()) / begin.elapsed().as_secs_f64()
        })
        .fold(0.0, f64::max)
}

fn mix(cache: &Cache, keys: &[Key], orders: &[Vec<usize>]) {
    std::thread::scope(|scope| {
        for order in orders {
            scope.spawn(|| {
                for (step, &place) in order.iter().take(OPERATIONS / THREADS).enumerate() {
                    if step % 10 == 0 {
                        cache.set(&keys[place]);
                    } else {
                        assert!(cache.get(&keys[place]).is_some());
                    }
                }
            });
        }
    });
}

fn main() {
    let arguments: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let [entries, rounds] = arguments[..] else { return };
    let name = |prefix, number| -> Key { format!("{prefix}:kraken:pair-{number}:1h:24").into() };
    let keys: Vec<Key> = (0..entries).map(|number| name("klines", number)).collect();
    let others: Vec<Key> = (0..entries).map(|number| name("trades", number)).collect();
    let orders: Vec<Vec<usize>> =
        (1..=THREADS as u64).map(|seed| places(entries, seed * 0x9e37_79b9)).collect();
    let cache = Cache::new(entries);
    for key in &keys {
        cache.set(key);
    }
    let hit = measured(rounds, || {
        assert!(orders[0].iter().all(|&place| cache.get(&keys[place]).is_some()));
    });
    let miss = measured(rounds, || {
        assert!(orders[0].iter().all(|&place| cache.get(&others[place]).is_none()));
    });
    let set = measured(rounds, || {
        for &place in &orders[0] {
            cache.set(&keys[place]);
        }
    });
    let mixed = measured(rounds, || mix(&cache, &keys, &orders));
    println!(r#"{{"get_hit": {hit:.0}, "get_miss": {miss:.0}, "set": {set:.0}, "mix": {mixed:.0}}}"#);
}

//! The store against a naive model: a list in the order of use, and virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::Cell;

use facade_cache::{Bounds, Class, ClassId, Clock, Lookup, Store, Terms};
use proptest::prelude::*;

/// A clock that stands still until it is moved. The cheap time runs ahead of the true one, as on a real machine.
#[derive(Default)]
struct Virtual {
    now_ns: Cell<u64>,
    ahead_ns: u64,
}

impl Clock for Virtual {
    fn mono_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn mono_ns_at_most(&self) -> u64 {
        self.now_ns.get() + self.ahead_ns
    }
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Insert { key: u8, ttl_ns: u64, stale_ns: u64, bytes: usize },
    Get(u8),
    Peek(u8),
    Remove(u8),
    Sweep(usize),
    Pass(u64),
    Clear,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Kept {
    key: u8,
    value: u32,
    stale_at: u64,
    gone_at: u64,
    bytes: usize,
}

/// Oldest first.
#[derive(Default)]
struct Model(Vec<Kept>);

impl Model {
    fn place(&self, key: u8) -> Option<usize> {
        self.0.iter().position(|kept| kept.key == key)
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|kept| kept.bytes).sum()
    }
}

fn store(bounds: Bounds) -> (Store<u8, u32>, ClassId) {
    let store = Store::new(bounds, [Class { name: "all".into(), ttl_ms: 0 }]);
    let class = store.class("all").unwrap();
    (store, class)
}

/// Few hash values, so that different keys collide.
fn hash(key: u8) -> u64 {
    u64::from(key % 5) << 60
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0u8..12;
    prop_oneof![
        6 => (key.clone(), 0u64..50, 0u64..30, 1usize..40)
            .prop_map(|(key, ttl_ns, stale_ns, bytes)| Op::Insert { key, ttl_ns, stale_ns, bytes }),
        6 => key.clone().prop_map(Op::Get),
        1 => key.clone().prop_map(Op::Peek),
        1 => key.prop_map(Op::Remove),
        1 => (0usize..4).prop_map(Op::Sweep),
        4 => (0u64..20).prop_map(Op::Pass),
        1 => Just(Op::Clear).prop_filter("rare", |_| true),
    ]
}

struct Trial {
    store: Store<u8, u32>,
    class: ClassId,
    bounds: Bounds,
    model: Model,
    clock: Virtual,
    value_next: u32,
    removed: Vec<(u8, u32)>,
}

impl Trial {
    fn new(bounds: Bounds, ahead_ns: u64) -> Self {
        let (store, class) = store(bounds);
        let clock = Virtual { ahead_ns, ..Virtual::default() };
        Self { store, class, bounds, model: Model::default(), clock, value_next: 0, removed: Vec::new() }
    }

    fn run(&mut self, op: Op) {
        let now = self.clock.mono_ns();
        match op {
            Op::Insert { key, ttl_ns, stale_ns, bytes } => self.insert(key, ttl_ns, stale_ns, bytes),
            Op::Get(key) => self.get(key),
            Op::Peek(key) => {
                let found = self.store.peek(hash(key), |&other| other == key, &self.clock);
                let expected = self.model.place(key).map(|place| self.model.0[place]);
                let expected = expected.filter(|kept| now < kept.gone_at);
                assert_eq!(
                    found.map(|(&value, is_stale)| (value, is_stale)),
                    expected.map(|kept| (kept.value, now >= kept.stale_at))
                );
            }
            Op::Remove(key) => {
                let removed = self.store.remove(hash(key), |&other| other == key);
                let expected = self.model.place(key).map(|place| self.model.0.remove(place));
                assert_eq!(removed, expected.map(|kept| (kept.key, kept.value)));
            }
            Op::Sweep(slots) => {
                self.store.sweep(slots, now, &mut self.removed);
                self.settle();
            }
            Op::Pass(by) => self.clock.now_ns.set(now + by),
            Op::Clear => {
                self.store.clear(&mut self.removed);
                let left: Vec<_> = self.model.0.drain(..).map(|kept| (kept.key, kept.value)).collect();
                assert_eq!(std::mem::take(&mut self.removed), left);
            }
        }
        self.agree();
    }

    fn insert(&mut self, key: u8, ttl_ns: u64, stale_ns: u64, bytes: usize) {
        self.value_next += 1;
        let (value, now) = (self.value_next, self.clock.mono_ns());
        let terms = Terms { class: self.class, ttl_ns, stale_ns, bytes };
        let is_key = |&other: &u8| other == key;
        let kept = self.store.insert(hash(key), is_key, (key, value), terms, now, &mut self.removed);
        if let Some(place) = self.model.place(key) {
            let before = self.model.0.remove(place);
            assert_eq!(self.removed.remove(0), (before.key, before.value));
        }
        let stale_at = now + ttl_ns;
        if bytes > self.bounds.bytes_max {
            assert_eq!((kept, self.removed.pop()), (None, Some((key, value))));
        } else {
            self.model.0.push(Kept { key, value, stale_at, gone_at: stale_at + stale_ns, bytes });
        }
        self.settle();
    }

    /// Whatever left is past its time, or was the oldest while there was no room.
    fn settle(&mut self) {
        for (key, value) in std::mem::take(&mut self.removed) {
            let place = self.model.place(key).expect("only what is there can leave");
            let is_over = self.clock.mono_ns() >= self.model.0[place].gone_at;
            let is_full =
                self.model.0.len() > self.bounds.entries_max || self.model.bytes() > self.bounds.bytes_max;
            assert!(is_over || (is_full && place == 0), "{key} left although it is neither old nor over");
            assert_eq!(self.model.0.remove(place).value, value);
        }
    }

    fn get(&mut self, key: u8) {
        let now = self.clock.mono_ns();
        let place = self.model.place(key);
        match self.store.get(hash(key), |&other| other == key, &self.clock) {
            Lookup::Missing => assert_eq!(place, None),
            Lookup::Gone(removed) => {
                let kept = self.model.0.remove(place.unwrap());
                assert_eq!(removed, (key, kept.value));
                assert!(now >= kept.gone_at);
            }
            found @ (Lookup::Fresh(..) | Lookup::Stale(..)) => {
                let is_fresh = matches!(found, Lookup::Fresh(..));
                let (Lookup::Fresh(_, value) | Lookup::Stale(_, value)) = found else { unreachable!() };
                let kept = self.model.0.remove(place.unwrap());
                assert_eq!(*value, kept.value);
                assert_eq!(is_fresh, now < kept.stale_at, "nothing older than its time, unless it is said");
                assert!(now < kept.gone_at);
                self.model.0.push(kept);
            }
        }
    }

    fn agree(&self) {
        let order: Vec<u8> = self.store.keys().copied().collect();
        let expected: Vec<u8> = self.model.0.iter().map(|kept| kept.key).collect();
        assert_eq!(order, expected, "the exact order of use");
        assert_eq!((self.store.len(), self.store.bytes()), (self.model.0.len(), self.model.bytes()));
        assert!(self.store.len() <= self.bounds.entries_max && self.store.bytes() <= self.bounds.bytes_max);
        let stats = *self.store.stats().next().unwrap().1;
        assert_eq!((stats.entries, stats.entries_bytes), (order.len() as u64, self.store.bytes() as u64));
    }
}

proptest! {
    #[test]
    fn row_c13_any_sequence_of_steps_in_virtual_time_agrees_with_a_naive_model(
        ops in prop::collection::vec(op(), 1..200),
        entries_max in 1usize..8,
        bytes_max in 20usize..150,
        ahead_ns in 0u64..15,
    ) {
        let mut trial = Trial::new(Bounds { entries_max, bytes_max }, ahead_ns);
        for op in ops {
            trial.run(op);
        }
    }
}

#[test]
fn row_c13_an_entry_is_fresh_until_its_ttl_and_not_at_it() {
    let (mut store, class) = store(Bounds { entries_max: 4, bytes_max: 0 });
    let clock = Virtual { ahead_ns: 7, ..Virtual::default() };
    let terms = Terms { class, ttl_ns: 100, stale_ns: 10, bytes: 1 };
    store.insert(1, |&key| key == 1, (1, 11), terms, 0, &mut Vec::new());
    for (now_ns, expected) in [(0, "fresh"), (99, "fresh"), (100, "stale"), (109, "stale"), (110, "gone")] {
        clock.now_ns.set(now_ns);
        let found = match store.get(1, |&key| key == 1, &clock) {
            Lookup::Fresh(..) => "fresh",
            Lookup::Stale(..) => "stale",
            Lookup::Gone(..) => "gone",
            Lookup::Missing => "missing",
        };
        assert_eq!(found, expected, "at {now_ns} ns");
    }
    let stats = *store.stats().next().unwrap().1;
    assert_eq!((stats.hits, stats.stale_hits, stats.expirations, stats.entries), (2, 2, 1, 0));
}

#[test]
fn what_nobody_asks_for_is_cleaned_up_by_later_insertions() {
    let (mut store, class) = store(Bounds { entries_max: 100, bytes_max: 0 });
    let terms = Terms { class, ttl_ns: 10, stale_ns: 0, bytes: 1 };
    let mut removed = Vec::new();
    for key in 0..50u8 {
        store.insert(hash(key), |&other| other == key, (key, 0), terms, 0, &mut removed);
    }
    for key in 100..150u8 {
        store.insert(hash(key), |&other| other == key, (key, 0), terms, 10, &mut removed);
    }
    assert_eq!((store.len(), removed.len()), (50, 50));
}

#[test]
fn a_handle_does_not_lead_to_the_next_entry_of_its_slot() {
    let (mut store, class) = store(Bounds { entries_max: 1, bytes_max: 0 });
    let terms = Terms { class, ttl_ns: 10, stale_ns: 0, bytes: 1 };
    let mut removed = Vec::new();
    let first = store.insert(1, |&key| key == 1, (1, 11), terms, 0, &mut removed).unwrap();
    let again = store.insert(1, |&key| key == 1, (1, 12), terms, 0, &mut removed).unwrap();
    assert_eq!(first, again, "a key keeps its handle when its value is replaced");
    store.insert(2, |&key| key == 2, (2, 21), terms, 0, &mut removed).unwrap();
    assert_eq!(store.get_at(first, &Virtual::default()), Lookup::Missing);
    assert_eq!(store.value_mut(first), None);
}

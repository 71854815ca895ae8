//! Trade ids that were seen, so that none is told twice (row B23). Pure.
//!
//! Ids are kept as runs: a venue that counts without holes costs one run, OKX (whose ids jump) one a trade.

use std::collections::VecDeque;

/// Ids that are remembered.
pub const IDS_MAX: u64 = 100_000;

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// Never seen.
    New,
    /// Seen before.
    Seen,
    /// Smaller than all that are remembered: it cannot be told apart.
    TooOld,
}

/// Successive ids that were all seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
}

impl Run {
    const fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

/// The newest ids of one instrument. Memory is bounded by [`IDS_MAX`] runs of 16 bytes.
#[derive(Debug, Clone)]
pub struct TradeWindow {
    runs: VecDeque<Run>,
    count: u64,
    floor: u64,
    ids_max: u64,
}

impl Default for TradeWindow {
    fn default() -> Self {
        Self::with_ids_max(IDS_MAX)
    }
}

impl TradeWindow {
    /// Makes a window that remembers this many ids.
    #[must_use]
    pub const fn with_ids_max(ids_max: u64) -> Self {
        Self { runs: VecDeque::new(), count: 0, floor: 0, ids_max }
    }

    /// Whether nothing was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The largest id seen.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.runs.back().map(|run| run.last)
    }

    /// The largest id seen below `id`.
    #[must_use]
    pub fn before(&self, id: u64) -> Option<u64> {
        let at = self.at(id);
        match self.runs.get(at) {
            Some(run) if run.first < id => id.checked_sub(1),
            _ => self.runs.get(at.checked_sub(1)?).map(|run| run.last),
        }
    }

    /// Tells what is known of an id.
    #[must_use]
    pub fn sighting(&self, id: u64) -> Sighting {
        if self.runs.is_empty() || self.last().is_some_and(|last| id > last) {
            return Sighting::New;
        }
        if id < self.floor {
            return Sighting::TooOld;
        }
        match self.runs.get(self.at(id)) {
            Some(run) if run.first <= id => Sighting::Seen,
            _ => Sighting::New,
        }
    }

    /// Remembers an id; tells what was known of it before. One that is too old changes nothing.
    pub fn see(&mut self, id: u64) -> Sighting {
        let sighting = self.sighting(id);
        if sighting == Sighting::New {
            if self.runs.is_empty() {
                self.floor = id;
            }
            self.insert(id);
            self.evict();
        }
        sighting
    }

    /// How many ids from `first` to `last` were not seen; those below the window count as seen.
    #[must_use]
    pub fn missing(&self, first: u64, last: u64) -> u64 {
        let first = first.max(self.floor);
        if last < first {
            return 0;
        }
        let mut missing = last - first + 1;
        for run in self.runs.range(self.at(first)..) {
            if run.first > last {
                break;
            }
            missing -= Run { first: run.first.max(first), last: run.last.min(last) }.count();
        }
        missing
    }

    /// Forgets everything: the venue has begun to count anew.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.count = 0;
        self.floor = 0;
    }

    /// Index of the first run that ends at `id` or later.
    fn at(&self, id: u64) -> usize {
        self.runs.partition_point(|run| run.last < id)
    }

    fn insert(&mut self, id: u64) {
        self.count += 1;
        let at = self.at(id);
        let joins_right = self.runs.get(at).is_some_and(|right| right.first == id + 1);
        let left = at.checked_sub(1);
        let joins_left = left
            .and_then(|left| self.runs.get(left))
            .is_some_and(|left| left.last.checked_add(1) == Some(id));
        match (left.filter(|_| joins_left), joins_right) {
            (Some(left), true) => {
                let last = self.runs.remove(at).map_or(id, |right| right.last);
                self.end(left, last);
            }
            (Some(left), false) => self.end(left, id),
            (None, true) => {
                if let Some(right) = self.runs.get_mut(at) {
                    right.first = id;
                }
            }
            (None, false) => self.runs.insert(at, Run { first: id, last: id }),
        }
    }

    fn end(&mut self, at: usize, last: u64) {
        if let Some(run) = self.runs.get_mut(at) {
            run.last = last;
        }
    }

    fn evict(&mut self) {
        while self.count > self.ids_max {
            let excess = self.count - self.ids_max;
            let Some(oldest) = self.runs.front_mut() else { return };
            let gone = oldest.count().min(excess);
            oldest.first += gone;
            self.count -= gone;
            if oldest.first > oldest.last {
                self.runs.pop_front();
            }
            self.floor = self.runs.front().map_or(self.floor, |run| run.first);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The naive window: a set, and the smallest id that counts.
    #[derive(Default)]
    struct Naive {
        seen: BTreeSet<u64>,
        floor: Option<u64>,
    }

    impl Naive {
        fn see(&mut self, id: u64, ids_max: usize) -> Sighting {
            if id < *self.floor.get_or_insert(id) {
                return Sighting::TooOld;
            }
            if !self.seen.insert(id) {
                return Sighting::Seen;
            }
            while self.seen.len() > ids_max {
                self.seen.pop_first();
                self.floor = self.seen.first().copied();
            }
            Sighting::New
        }
    }

    proptest! {
        #[test]
        fn row_b23_window_is_a_bounded_set(ids in prop::collection::vec(1_000_u64..1_120, 1..400), most in 1_u64..60) {
            let (mut window, mut naive) = (TradeWindow::with_ids_max(most), Naive::default());
            for id in ids {
                prop_assert_eq!(window.see(id), naive.see(id, usize::try_from(most).unwrap()));
                prop_assert_eq!(window.last(), naive.seen.last().copied());
                prop_assert_eq!(window.before(1_050), naive.seen.range(..1_050).next_back().copied());
                let floor = naive.floor.unwrap();
                for (first, last) in [(floor, 1_119), (1_000, 1_060), (1_050, 1_050), (1_060, 1_040)] {
                    let missing = (first.max(floor)..=last).filter(|id| !naive.seen.contains(id)).count();
                    prop_assert_eq!(window.missing(first, last), missing as u64);
                }
            }
        }

        #[test]
        fn row_b23_repeats_after_a_resubscribe_are_all_known(
            jumps in prop::collection::vec(1_u64..9, 1..300), repeated in 1_usize..300, is_okx in any::<bool>(),
        ) {
            let ids: Vec<u64> = jumps.iter().scan(5_u64, |id, jump| {
                *id += if is_okx { *jump } else { 1 };
                Some(*id)
            }).collect();
            let mut window = TradeWindow::default();
            prop_assert!(ids.iter().all(|&id| window.see(id) == Sighting::New));
            let again = ids.iter().skip(ids.len().saturating_sub(repeated));
            prop_assert_eq!(again.filter(|&&id| window.see(id) == Sighting::New).count(), 0);
        }
    }

    #[test]
    fn row_b23_a_hundred_thousand_ids_are_remembered_and_older_ones_are_refused() {
        for step in [1, 7] {
            let mut window = TradeWindow::default();
            let ids: Vec<u64> = (0..IDS_MAX + 500).map(|at| 10 + at * step).collect();
            assert!(ids.iter().all(|&id| window.see(id) == Sighting::New));
            let (old, kept) = ids.split_at(500);
            assert!(old.iter().all(|&id| window.see(id) == Sighting::TooOld));
            assert!(kept.iter().all(|&id| window.see(id) == Sighting::Seen));
        }
    }

    #[test]
    fn largest_ids_do_no_harm() {
        let mut window = TradeWindow::default();
        assert_eq!(window.see(u64::MAX), Sighting::New);
        assert_eq!(window.see(u64::MAX), Sighting::Seen);
        assert_eq!(window.see(u64::MAX - 1), Sighting::TooOld);
        assert_eq!(window.missing(u64::MAX, u64::MAX), 0);
    }
}

//! One side of a book: short sorted runs and a directory of their first ranks.
//!
//! Chosen by bench against one sorted array and against `BTreeMap` (`benches/rust`, `book_structures`): an insert
//! moves at most 64 levels, a search reads two compact arrays, and runs are kept for reuse, so nothing is allocated
//! while the depth is steady.

use facade_model::Decimal;

use crate::run::{RUN_LEVELS_MAX, Run};

/// Levels that a bulk load puts into a run, so that the next inserts do not split it.
const RUN_LEVELS_LOADED: usize = RUN_LEVELS_MAX * 3 / 4;

/// Two neighbours that hold no more than this together become one run.
const RUN_LEVELS_MERGED: usize = RUN_LEVELS_MAX / 2;

/// Levels of one side by rank. The caller chooses ranks that rise with the quality of a price: the best is the largest.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    firsts: Vec<i64>, // first rank of each run, in the order of `runs`
    runs: Vec<Run>,   // none is empty
    spare: Vec<Run>,  // empty runs for reuse
    levels: usize,
}

impl Ladder {
    /// Makes an empty ladder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of levels.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.levels
    }

    /// Whether there is no level.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.levels == 0
    }

    /// Returns the best rank and its quantity.
    #[must_use]
    pub fn best(&self) -> Option<(i64, Decimal)> {
        self.runs.last().and_then(Run::last)
    }

    /// Returns the worst rank.
    #[must_use]
    pub fn worst(&self) -> Option<i64> {
        self.firsts.first().copied()
    }

    /// Whether a rank is held.
    #[must_use]
    pub fn contains(&self, rank: i64) -> bool {
        self.runs.get(self.home(rank)).is_some_and(|run| run.find(rank).is_ok())
    }

    /// Returns the best of the levels that are worse than a rank.
    #[must_use]
    pub fn next_worse(&self, rank: i64) -> Option<(i64, Decimal)> {
        let home = self.home(rank);
        let run = self.runs.get(home)?;
        run.below(rank).or_else(|| self.runs.get(home.checked_sub(1)?).and_then(Run::last))
    }

    /// Returns ranks and quantities, best first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, Decimal)> + Clone + '_ {
        self.runs.iter().rev().flat_map(Run::iter)
    }

    /// Sets the quantity of a rank.
    #[inline]
    pub fn set(&mut self, rank: i64, quantity: Decimal) {
        let at = self.home(rank);
        let Some(run) = self.runs.get_mut(at) else {
            return self.begin(rank, quantity);
        };
        match run.find(rank) {
            Ok(slot) => run.replace(slot, quantity),
            Err(_) if run.is_full() => {
                self.split(at);
                self.set(rank, quantity); // a half is never full
            }
            Err(slot) => {
                run.insert(slot, rank, quantity);
                self.levels += 1;
                if slot == 0 {
                    self.name_run(at, rank);
                }
            }
        }
    }

    /// Removes a rank; returns whether it was there.
    #[inline]
    pub fn remove(&mut self, rank: i64) -> bool {
        let at = self.home(rank);
        let Some(run) = self.runs.get_mut(at) else { return false };
        let Ok(slot) = run.find(rank) else { return false };
        run.remove(slot);
        self.levels -= 1;
        let (left, first) = (run.len(), run.first());
        if slot == 0
            && let Some(first) = first
        {
            self.name_run(at, first);
        }
        if left <= RUN_LEVELS_MERGED / 2 {
            self.mend(at);
        }
        true
    }

    /// Removes the worst `count` levels and hands over their ranks, worst first.
    pub fn remove_worst(&mut self, count: usize, mut removed: impl FnMut(i64)) {
        let mut owed = count.min(self.levels);
        while owed > 0 {
            let Some(run) = self.runs.first_mut() else { return };
            let taken = owed.min(run.len());
            run.remove_worst(taken, &mut removed);
            self.levels -= taken;
            owed -= taken;
            if let Some(first) = run.first() {
                self.name_run(0, first);
            }
            self.mend(0);
        }
    }

    /// Removes every level.
    pub fn clear(&mut self) {
        self.runs.iter_mut().for_each(Run::clear);
        self.spare.append(&mut self.runs);
        self.firsts.clear();
        self.levels = 0;
    }

    /// Replaces all levels in bulk; ranks must rise from one to the next.
    pub fn load(&mut self, rising: impl IntoIterator<Item = (i64, Decimal)>) {
        self.clear();
        for (rank, quantity) in rising {
            match self.runs.last_mut() {
                Some(run) if run.len() < RUN_LEVELS_LOADED => run.push(rank, quantity),
                _ => {
                    let mut run = self.spare_run();
                    run.push(rank, quantity);
                    self.firsts.push(rank);
                    self.runs.push(run);
                }
            }
            self.levels += 1;
        }
    }

    /// Changes every rank by a function that keeps their order.
    pub fn map_ranks(&mut self, map: impl Fn(i64) -> i64) {
        for (run, first) in self.runs.iter_mut().zip(&mut self.firsts) {
            run.map_ranks(&map);
            *first = map(*first);
        }
    }

    /// Returns the place of the run to which a rank belongs; past the end only if there is no run.
    #[inline]
    fn home(&self, rank: i64) -> usize {
        match self.firsts.last() {
            Some(&first) if first <= rank => self.firsts.len() - 1, // most changes lie near the best
            _ => self.firsts.partition_point(|&first| first <= rank).saturating_sub(1),
        }
    }

    fn begin(&mut self, rank: i64, quantity: Decimal) {
        self.load([(rank, quantity)]);
    }

    fn name_run(&mut self, at: usize, rank: i64) {
        if let Some(first) = self.firsts.get_mut(at) {
            *first = rank;
        }
    }

    fn spare_run(&mut self) -> Run {
        self.spare.pop().unwrap_or_else(Run::new)
    }

    /// Splits a full run in two.
    #[cold]
    fn split(&mut self, at: usize) {
        let mut better = self.spare_run();
        if let Some(run) = self.runs.get_mut(at) {
            run.split_into(&mut better);
        }
        if let Some(first) = better.first() {
            self.firsts.insert(at + 1, first);
            self.runs.insert(at + 1, better);
        }
    }

    /// Retires a run that is empty, or joins it with a neighbour if both are short.
    #[cold]
    fn mend(&mut self, at: usize) {
        let left = self.runs.get(at).map_or(0, Run::len);
        if left == 0 {
            return self.retire(at);
        }
        let fits = |run: &Run| run.len() + left <= RUN_LEVELS_MERGED;
        if self.runs.get(at + 1).is_some_and(fits) {
            self.join(at);
        } else if at > 0 && self.runs.get(at - 1).is_some_and(fits) {
            self.join(at - 1);
        }
    }

    /// Moves the run behind `at` into the one at `at`.
    fn join(&mut self, at: usize) {
        if let Some([run, better]) = self.runs.get_mut(at..at + 2) {
            run.append(better);
            self.retire(at + 1);
        }
    }

    /// Takes an empty run out of the directory and keeps it for reuse.
    fn retire(&mut self, at: usize) {
        if at < self.runs.len() {
            self.spare.push(self.runs.remove(at));
            self.firsts.remove(at);
        }
    }
}

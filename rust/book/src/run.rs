//! A short sorted piece of one side: ranks in one compact array for the search, quantities beside them.

use facade_model::Decimal;

/// Levels that a run holds at most.
pub(crate) const RUN_LEVELS_MAX: usize = 64;

/// Sorted levels, the best last; both arrays have one length, at most [`RUN_LEVELS_MAX`].
#[derive(Debug, Clone)]
pub(crate) struct Run {
    ranks: Vec<i64>,
    quantities: Vec<Decimal>,
}

impl Run {
    /// Makes an empty run that never allocates again.
    pub(crate) fn new() -> Self {
        Self { ranks: Vec::with_capacity(RUN_LEVELS_MAX), quantities: Vec::with_capacity(RUN_LEVELS_MAX) }
    }

    pub(crate) fn len(&self) -> usize {
        self.ranks.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.ranks.len() >= RUN_LEVELS_MAX
    }

    /// Returns the place of a rank, or the place where it belongs.
    #[inline]
    pub(crate) fn find(&self, rank: i64) -> Result<usize, usize> {
        self.ranks.binary_search(&rank)
    }

    pub(crate) fn first(&self) -> Option<i64> {
        self.ranks.first().copied()
    }

    pub(crate) fn last(&self) -> Option<(i64, Decimal)> {
        self.ranks.last().copied().zip(self.quantities.last().copied())
    }

    /// Returns the best of the levels that are worse than a rank.
    pub(crate) fn below(&self, rank: i64) -> Option<(i64, Decimal)> {
        let at = self.find(rank).unwrap_or_else(|at| at).checked_sub(1)?;
        self.ranks.get(at).copied().zip(self.quantities.get(at).copied())
    }

    #[inline]
    pub(crate) fn replace(&mut self, at: usize, quantity: Decimal) {
        if let Some(held) = self.quantities.get_mut(at) {
            *held = quantity;
        }
    }

    #[inline]
    pub(crate) fn insert(&mut self, at: usize, rank: i64, quantity: Decimal) {
        self.ranks.insert(at, rank);
        self.quantities.insert(at, quantity);
    }

    pub(crate) fn push(&mut self, rank: i64, quantity: Decimal) {
        self.ranks.push(rank);
        self.quantities.push(quantity);
    }

    #[inline]
    pub(crate) fn remove(&mut self, at: usize) {
        self.ranks.remove(at);
        self.quantities.remove(at);
    }

    /// Removes the worst `count` levels and hands over their ranks, worst first.
    pub(crate) fn remove_worst(&mut self, count: usize, mut removed: impl FnMut(i64)) {
        let count = count.min(self.len());
        self.ranks.drain(..count).for_each(&mut removed);
        self.quantities.drain(..count);
    }

    /// Moves the better half into `better`, which is empty.
    pub(crate) fn split_into(&mut self, better: &mut Self) {
        let half = self.len() / 2;
        better.ranks.extend(self.ranks.drain(half..));
        better.quantities.extend(self.quantities.drain(half..));
    }

    /// Takes all levels of the next better run, which is empty afterwards.
    pub(crate) fn append(&mut self, better: &mut Self) {
        self.ranks.append(&mut better.ranks);
        self.quantities.append(&mut better.quantities);
    }

    pub(crate) fn clear(&mut self) {
        self.ranks.clear();
        self.quantities.clear();
    }

    /// Changes every rank by a function that keeps their order.
    pub(crate) fn map_ranks(&mut self, map: impl Fn(i64) -> i64) {
        for rank in &mut self.ranks {
            *rank = map(*rank);
        }
    }

    /// Returns the levels, best first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, Decimal)> + Clone + '_ {
        self.ranks.iter().copied().zip(self.quantities.iter().copied()).rev()
    }
}

//! Each price once: what an update may carry.

use std::cmp::Ordering;

use facade_model::{BookSide, Decimal, LevelChange};

/// Up to this many changes are compared pair by pair, without allocating.
const PAIRWISE_MAX: usize = 64;

/// Keeps the last change of each price and drops the earlier ones; what remains stays in its order.
///
/// Allocates only for more than 64 changes that are not already sorted side by side.
pub fn merge_changes(changes: &mut Vec<LevelChange>) {
    if is_strictly_sorted(changes) {
        return;
    }
    if changes.len() <= PAIRWISE_MAX {
        merge_pairwise(changes);
    } else {
        merge_sorted(changes);
    }
}

/// Whether the prices of each side only rise or only fall, which is how venues send them: then none stands twice.
fn is_strictly_sorted(changes: &[LevelChange]) -> bool {
    let mut bids = Direction::default();
    let mut asks = Direction::default();
    changes.iter().all(|change| match change.side {
        BookSide::Bid => bids.goes_on(change.px),
        BookSide::Ask => asks.goes_on(change.px),
    })
}

/// The way that prices went so far.
#[derive(Default)]
struct Direction {
    last: Option<Decimal>,
    way: Option<Ordering>,
}

impl Direction {
    /// Takes the next price; whether the way is still the same.
    fn goes_on(&mut self, px: Decimal) -> bool {
        let Some(last) = self.last.replace(px) else { return true };
        match compare(last, px) {
            None | Some(Ordering::Equal) => false,
            way => *self.way.get_or_insert(way.unwrap_or(Ordering::Equal)) == way.unwrap_or(Ordering::Equal),
        }
    }
}

/// Compares two values; `None` if they are too far apart for one exponent.
#[inline]
fn compare(left: Decimal, right: Decimal) -> Option<Ordering> {
    let exponent = left.exponent.min(right.exponent);
    Some(left.rescale(exponent)?.cmp(&right.rescale(exponent)?))
}

fn merge_pairwise(changes: &mut Vec<LevelChange>) {
    let mut at = 0;
    while let Some((change, later)) = changes.get(at..).and_then(<[_]>::split_first) {
        let is_replaced = later.iter().any(|next| next.side == change.side && is_same(next.px, change.px));
        if is_replaced {
            changes.remove(at);
        } else {
            at += 1;
        }
    }
}

#[inline]
fn is_same(left: Decimal, right: Decimal) -> bool {
    if left.exponent == right.exponent {
        left.mantissa == right.mantissa
    } else {
        left.canonical() == right.canonical()
    }
}

fn merge_sorted(changes: &mut Vec<LevelChange>) {
    let mut order: Vec<usize> = (0..changes.len()).collect();
    let key = |at: &usize| {
        changes.get(*at).map(|change| {
            let px = change.px.canonical();
            (change.side == BookSide::Ask, px.exponent, px.mantissa)
        })
    };
    order.sort_by_cached_key(|at| (key(at), *at));
    let mut is_replaced = vec![false; changes.len()];
    for pair in order.windows(2) {
        if let [earlier, later] = pair
            && key(earlier) == key(later)
            && let Some(mark) = is_replaced.get_mut(*earlier)
        {
            *mark = true;
        }
    }
    let mut marks = is_replaced.into_iter();
    changes.retain(|_| !marks.next().unwrap_or_default());
}

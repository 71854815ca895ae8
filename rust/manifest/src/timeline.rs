//! Snapshots of one entity, by wall time, and those of one time in the order in which they were committed.

use std::collections::VecDeque;

/// Wall time, ns UTC, and number of the record.
pub(crate) type Place = (i64, u64);

/// Slots in the order of their places. Old ones go first, so both ends are cheap to change.
#[derive(Debug, Default)]
pub(crate) struct Timeline(VecDeque<u32>);

impl Timeline {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one in.
    pub(crate) fn add(&mut self, slot: u32, place_of: impl Fn(u32) -> Place) {
        let place = place_of(slot);
        let is_newest = self.0.back().is_none_or(|last| place_of(*last) <= place);
        let at = if is_newest { self.0.len() } else { self.count(|other| other <= place, place_of) };
        self.0.insert(at, slot);
    }

    /// Takes one out.
    pub(crate) fn remove(&mut self, slot: u32, place_of: impl Fn(u32) -> Place) {
        let place = place_of(slot);
        let first = self.count(|other| other < place, place_of);
        if let Some(at) = self.0.range(first..).position(|other| *other == slot) {
            self.0.remove(first + at);
        }
    }

    /// Returns how many lie before a border, which `is_before` tells.
    pub(crate) fn count(&self, is_before: impl Fn(Place) -> bool, place_of: impl Fn(u32) -> Place) -> usize {
        self.0.partition_point(|slot| is_before(place_of(*slot)))
    }

    /// Returns the slot at a position.
    pub(crate) fn get(&self, at: usize) -> Option<u32> {
        self.0.get(at).copied()
    }

    /// Yields all slots.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    /// Yields all slots, to be given other numbers in the same order.
    pub(crate) fn slots_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.0.iter_mut()
    }
}

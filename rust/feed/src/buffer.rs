//! Deltas that wait for a snapshot. Bounded: at the bound the caller starts over, nothing is trimmed (row B15).

use std::collections::VecDeque;

use facade_model::LevelChange;
use facade_venues::Sequence;

/// A delta in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Buffered {
    /// The venue's numbers.
    pub sequence: Sequence,
    /// Venue time, ns UTC; 0: none.
    pub ts_event: i64,
    /// Time of the socket read, ns UTC.
    pub ts_recv: i64,
    start: usize,
    length: usize,
}

/// Deltas in the order of arrival.
#[derive(Debug, Default)]
pub struct DeltaBuffer {
    deltas: VecDeque<Buffered>,
    levels: Vec<LevelChange>,
}

impl DeltaBuffer {
    /// Appends a delta; `false` when a bound would be passed, and nothing was kept.
    pub fn push(&mut self, delta: Buffered, levels: &[LevelChange], bounds: BufferBounds) -> bool {
        let bytes = (self.levels.len() + levels.len()) * size_of::<LevelChange>();
        if self.deltas.len() >= bounds.deltas_max || bytes > bounds.bytes_max {
            return false;
        }
        self.deltas.push_back(Buffered { start: self.levels.len(), length: levels.len(), ..delta });
        self.levels.extend_from_slice(levels);
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.deltas.clear();
        self.levels.clear();
    }

    /// The oldest delta.
    #[must_use]
    pub fn first(&self) -> Option<&Buffered> {
        self.deltas.front()
    }

    /// The newest delta.
    #[must_use]
    pub fn last(&self) -> Option<&Buffered> {
        self.deltas.back()
    }

    /// Takes the oldest delta out; its levels stay readable by [`DeltaBuffer::levels`] until the next clear.
    pub fn pop(&mut self) -> Option<Buffered> {
        self.deltas.pop_front()
    }

    /// The level changes of a delta of this buffer.
    #[must_use]
    pub fn levels(&self, delta: &Buffered) -> &[LevelChange] {
        self.levels.get(delta.start..delta.start + delta.length).unwrap_or_default()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }
}

impl Buffered {
    /// Describes a delta that is about to be pushed.
    #[must_use]
    pub const fn new(sequence: Sequence, ts_event: i64, ts_recv: i64) -> Self {
        Self { sequence, ts_event, ts_recv, start: 0, length: 0 }
    }
}

/// Bounds of a [`DeltaBuffer`].
#[derive(Debug, Clone, Copy)]
pub struct BufferBounds {
    /// Most deltas.
    pub deltas_max: usize,
    /// Most bytes of level changes.
    pub bytes_max: usize,
}

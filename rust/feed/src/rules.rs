//! What goes into a book machine and what comes out: messages, rules, outcomes.

use facade_model::{LevelChange, StateReason};
use facade_venues::Sequence;

use crate::buffer::BufferBounds;
use crate::chain::ChainRule;

/// A book message of a venue.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The venue's numbers.
    pub sequence: Sequence,
    /// The venue's checksum of the book after this message.
    pub checksum: Option<u32>,
    /// Venue time, ns UTC; 0: none.
    pub ts_event: i64,
    /// Time of the socket read, ns UTC.
    pub ts_recv: i64,
    /// Level changes in the order sent.
    pub levels: &'a [LevelChange],
}

/// The checksum that a venue sends with its books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumRule {
    /// None.
    None,
    /// Kraken: the top 10 in fixed precision.
    Kraken {
        /// Decimals of a price.
        price_precision: u8,
        /// Decimals of a quantity.
        quantity_precision: u8,
    },
    /// OKX: the top 25 as sent (recordings before 2026-06-23).
    Okx,
}

impl ChecksumRule {
    /// Levels a side that a matching checksum covers.
    #[must_use]
    pub const fn levels(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Kraken { .. } => 10,
            Self::Okx => 25,
        }
    }
}

/// What a message did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: already contained, or no snapshot yet.
    Ignored,
    /// Kept until the snapshot comes.
    Buffered,
    /// Applied and proven as far as the venue allows: publish [`crate::BookMachine::changes`].
    Applied,
    /// Applied, and the book is crossed since this message: tell, publish nothing.
    Crossed,
    /// Applied to a book that is still crossed.
    StillCrossed,
    /// A whole state is there: publish the book, then LIVE.
    Synced,
    /// The venue replaced a proven book by itself: publish the book.
    Replaced,
    /// A proof broke: start over.
    Broken(StateReason),
    /// The buffer reached its bound, or the snapshot is too old: fetch again.
    Refetch(StateReason),
    /// A number does not fit: the instrument cannot be carried.
    Rejected(StateReason),
}

impl MachineRules {
    /// Whether the venue tells a level again that comes back into the depth, so that a cut book misses nothing in it.
    #[must_use]
    pub const fn tells_again(&self) -> bool {
        matches!(self.checksum, ChecksumRule::Kraken { .. })
    }
}

/// Rules and bounds of one book.
#[derive(Debug, Clone, Copy)]
pub struct MachineRules {
    /// Continuity.
    pub chain: ChainRule,
    /// Checksum.
    pub checksum: ChecksumRule,
    /// Whether the first state is a REST answer, so that deltas before it must be kept.
    pub bridges_rest: bool,
    /// Most levels a side; `None`: never cut.
    pub depth_max: Option<usize>,
    /// Bounds of the buffer.
    pub buffer: BufferBounds,
    /// Makes a report after every this many applied updates; 0: never.
    pub report_every: u64,
}

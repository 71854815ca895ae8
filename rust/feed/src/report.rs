//! What a feed can tell about itself: the figures of a replay, of `Health` and of metrics.

use facade_model::{Integrity, Level, StreamPhase};

/// Counts of proofs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proofs {
    /// Checksums compared and links of a chain checked.
    pub checked: u64,
    /// Of these, how many did not hold.
    pub failed: u64,
}

/// One book, as CAPTURE "Replay" describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookReport {
    /// State of the stream.
    pub phase: StreamPhase,
    /// What is proven.
    pub integrity: Integrity,
    /// Accepted book messages after a snapshot.
    pub updates: u64,
    /// Level entries in those messages.
    pub level_changes: u64,
    /// Proofs that broke while LIVE.
    pub gaps: u64,
    /// Returns to LIVE after a break.
    pub resyncs: u64,
    /// Messages that were already contained.
    pub duplicates: u64,
    /// Proofs.
    pub proofs: Proofs,
    /// Bid levels.
    pub bids: usize,
    /// Ask levels.
    pub asks: usize,
    /// Best bid.
    pub best_bid: Option<Level>,
    /// Best ask.
    pub best_ask: Option<Level>,
    /// The venue's number of the last applied message.
    pub venue_sequence: Option<u64>,
    /// Hash of the whole book; absent unless LIVE.
    pub sha256: Option<[u8; 32]>,
}

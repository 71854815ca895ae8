//! States, proofs and reasons that travel with the data. Numbers are those of the contract's enums.

/// Channel of a topic. The discriminant is the contract's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Channel {
    /// Executions.
    Trades = 1,
    /// Level-2 book.
    BookL2 = 2,
    /// Best bid and ask.
    TopOfBook = 3,
    /// OHLCV.
    Klines = 4,
    /// 24 hour statistics.
    Ticker = 5,
    /// Best bid and ask over venues.
    ConsolidatedTop = 6,
}

impl Channel {
    /// Returns the channel of a contract number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Trades),
            2 => Some(Self::BookL2),
            3 => Some(Self::TopOfBook),
            4 => Some(Self::Klines),
            5 => Some(Self::Ticker),
            6 => Some(Self::ConsolidatedTop),
            _ => None,
        }
    }
}

/// What was proven about an update, and never more (DESIGN 13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Integrity {
    /// Nothing is claimed.
    #[default]
    Unspecified = 0,
    /// An unbroken sequence chain: complete, content not proven.
    Sequence = 1,
    /// The venue's checksum matched.
    Checksum = 2,
    /// Both.
    SequenceAndChecksum = 3,
    /// Compared with a REST snapshot of the same venue.
    Audited = 4,
    /// The venue's protocol offers no proof.
    Unverifiable = 5,
    /// A proof broke, or the book is crossed.
    Suspect = 6,
}

/// State of a (venue, instrument, channel), FAULTS 1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum StreamPhase {
    /// Nothing asked for yet.
    #[default]
    Empty = 1,
    /// Subscribed, waiting for the first proven state.
    Syncing = 2,
    /// Synced, no proof broken, not crossed, not stale.
    Live = 3,
    /// No news in time.
    Stale = 4,
    /// A proof broke: starting over.
    Resync = 5,
    /// Halted or in auction by the venue's own word.
    Halted = 6,
    /// The venue refuses the item, or it cannot be represented.
    Rejected = 7,
    /// The connection is gone.
    Down = 8,
}

/// Why a state was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum StateReason {
    /// None.
    #[default]
    Unspecified = 0,
    /// A subscriber asked.
    Subscribed = 1,
    /// Snapshot and chain joined.
    Synced = 2,
    /// A sequence number is missing.
    SequenceGap = 3,
    /// A checksum did not match.
    ChecksumMismatch = 4,
    /// The best bid is not below the best ask.
    Crossed = 5,
    /// A book message could not be decoded.
    Undecodable = 6,
    /// The connection closed; the close code stands beside it.
    ConnectionClosed = 7,
    /// No frame in the liveness time.
    Silent = 8,
    /// No acknowledgement of a subscription in time.
    AckTimeout = 9,
    /// The venue refused the subscription.
    VenueRejected = 10,
    /// A number does not fit 64 bits.
    NumberRange = 11,
    /// The buffer of a resync reached its bound.
    BufferOverflow = 12,
    /// The snapshot is older than the first buffered delta, or could not be had.
    SnapshotUnusable = 13,
    /// The venue announced a halt, an auction or maintenance.
    VenueStatus = 14,
    /// The venue sent a snapshot by itself.
    VenueSnapshot = 15,
    /// A panic was caught: the connection starts over.
    InternalFault = 16,
    /// The circuit breaker of the venue is open.
    BreakerOpen = 17,
    /// Nobody is subscribed any more.
    Unsubscribed = 18,
    /// Deeper than the levels a side that are kept.
    DepthLimit = 19,
    /// Too many frames could not be decoded.
    MalformedFrames = 20,
    /// An acknowledged subscription never delivered data.
    NoData = 21,
    /// The connection could not be made.
    DialFailed = 22,
}

/// Whom a gap concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GapScope {
    /// Lost between the venue and us: all subscribers.
    Venue = 1,
    /// Not delivered to one subscriber.
    Delivery = 2,
}

/// Cause of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GapCause {
    /// The connection was lost.
    Disconnect = 1,
    /// The venue's numbers do not join up.
    SequenceGap = 2,
    /// A checksum did not match.
    ChecksumMismatch = 3,
    /// A message could not be decoded.
    Undecodable = 4,
    /// A bound of ours was reached.
    Overflow = 5,
    /// The reader was too slow.
    SlowReader = 6,
    /// The server was restarted.
    ServerRestart = 7,
    /// The book was crossed.
    Crossed = 8,
}

/// What became of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GapState {
    /// Just noticed.
    Open = 1,
    /// All was filled.
    Filled = 2,
    /// Some was filled.
    PartlyFilled = 3,
    /// Nothing can be filled.
    Lost = 4,
}

/// Bits of the contract's enum `UpdateFlag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UpdateFlags(pub u32);

impl UpdateFlags {
    /// More parts of the same thing follow.
    pub const MORE: Self = Self(1);
    /// State up to and including `seq`, made on demand.
    pub const CUT: Self = Self(2);
    /// Fetched after a gap.
    pub const BACKFILLED: Self = Self(4);
    /// From REST while the socket is down.
    pub const REST_FALLBACK: Self = Self(8);
    /// Made by us.
    pub const SYNTHETIC: Self = Self(16);
    /// A price or quantity outside all reason.
    pub const BAD_TICK: Self = Self(32);
    /// A venue time outside all reason.
    pub const BAD_TS: Self = Self(64);
    /// From the past.
    pub const HISTORY: Self = Self(128);

    /// Joins two sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

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

/// Why a stream is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum StateReason {
    /// Not told.
    #[default]
    Unspecified = 0,
    /// A subscriber asked for it.
    Subscribed = 1,
    /// A snapshot arrived and everything behind it joins up.
    Synced = 2,
    /// The venue's sequence numbers do not join up.
    SequenceGap = 3,
    /// The venue's checksum differs from our book's.
    ChecksumMismatch = 4,
    /// Best bid is not below best ask.
    Crossed = 5,
    /// A message of this book could not be decoded, so a change is missing.
    Undecodable = 6,
    /// The connection closed or broke; `close_code` stands beside it if a close frame came.
    ConnectionClosed = 7,
    /// Nothing arrived on the connection within its liveness time.
    Silent = 8,
    /// The venue did not answer the subscription in time.
    AckTimeout = 9,
    /// The venue refused the subscription.
    VenueRejected = 10,
    /// A price or quantity does not fit 64 bits.
    NumberRange = 11,
    /// More changes arrived during a resync than may be kept.
    BufferOverflow = 12,
    /// The snapshot is older than the first change that was kept, or could not be had.
    SnapshotUnusable = 13,
    /// The venue announced a halt, an auction or maintenance.
    VenueStatus = 14,
    /// The venue sent a snapshot unasked.
    VenueSnapshot = 15,
    /// Our own fault: the machine of this connection starts over.
    InternalFault = 16,
    /// Our circuit breaker is open; `ts_next_attempt` says until when.
    BreakerOpen = 17,
    /// Nobody is subscribed any more.
    Unsubscribed = 18,
    /// The book is deeper than the levels a side that are kept.
    DepthLimit = 19,
    /// Too many frames could not be decoded.
    MalformedFrames = 20,
    /// The subscription was answered, but no data followed.
    NoData = 21,
    /// The connection could not be made in time.
    DialFailed = 22,
    /// The certificate or the handshake is bad; no data was accepted.
    Tls = 23,
    /// The venue answered the WebSocket upgrade with an HTTP error.
    UpgradeRefused = 24,
    /// The venue asked us to slow down; `ts_next_attempt` says until when.
    RateLimited = 25,
    /// The audit against a REST snapshot found a difference.
    AuditFailed = 26,
    /// The venue does not list the instrument any more.
    Delisted = 27,
    /// A newer connection takes over as planned.
    PlannedRoll = 28,
    /// The publisher is stopping.
    Draining = 29,
    /// The publisher did not run for a while: nobody watched the stream.
    Paused = 30,
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
    /// The connection to the venue was lost or silent.
    Disconnect = 1,
    /// The venue's sequence numbers do not join up.
    SequenceGap = 2,
    /// The venue's checksum differs from our book's.
    ChecksumMismatch = 3,
    /// A message could not be decoded.
    Undecodable = 4,
    /// More arrived than may be kept.
    Overflow = 5,
    /// The subscriber owes more than its bound.
    SlowReader = 6,
    /// The publisher was started anew.
    ServerRestart = 7,
    /// The book was crossed, so its changes were not published.
    Crossed = 8,
    /// The venue's trade ids have a hole.
    TradeIds = 9,
    /// The position to resume from is no longer held.
    ResumeTooOld = 10,
    /// The audit against a REST snapshot found a difference.
    AuditFailed = 11,
    /// The venue halted, delisted or refused the instrument.
    VenueStatus = 12,
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

    /// Whether all bits of another set are in this one.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Joins two sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

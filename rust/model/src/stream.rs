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
    /// First subscription is under way.
    Subscribing = 1,
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
    /// The audit against a REST snapshot found a difference.
    AuditFailed = 7,
    /// The snapshot is older than the first change that was kept.
    SnapshotStale = 8,
    /// The snapshot could not be fetched or decoded.
    SnapshotFailed = 9,
    /// More changes arrived during a resync than may be kept.
    BufferOverflow = 10,
    /// The venue sent a new snapshot unasked.
    VenueSnapshot = 11,
    /// The venue closed the connection with a close frame; see `close_code`.
    Closed = 12,
    /// The connection broke without a close frame (reset or end of file).
    ConnectionLost = 13,
    /// Nothing arrived on the connection within its liveness time.
    Silence = 14,
    /// Connecting failed or took too long.
    DialFailed = 15,
    /// The name could not be resolved, or to a refused address.
    Dns = 16,
    /// The certificate or the handshake is bad; no data was accepted.
    Tls = 17,
    /// The venue answered the upgrade with an HTTP error.
    UpgradeRefused = 18,
    /// The venue broke the WebSocket protocol or a limit of size.
    Protocol = 19,
    /// The venue asked us to slow down; `ts_next_attempt` says until when.
    RateLimited = 20,
    /// Our circuit breaker is open; `ts_next_attempt` says until when.
    CircuitOpen = 21,
    /// The venue refused the subscription.
    SubscribeRejected = 22,
    /// The venue did not answer the subscription in time.
    AckTimeout = 23,
    /// The subscription was answered, but no data follows.
    Mute = 24,
    /// A price or quantity does not fit 64 bits at any usable exponent.
    NumberRange = 25,
    /// The venue does not list the instrument (any more).
    Delisted = 26,
    /// The venue halted trading.
    VenueHalt = 27,
    /// The venue holds an auction.
    Auction = 28,
    /// The last subscriber left and the topic was given up.
    Unsubscribed = 29,
    /// A newer connection takes over as planned.
    PlannedRoll = 30,
    /// The publisher started anew.
    ServerRestart = 31,
    /// The publisher is stopping.
    Draining = 32,
    /// Our own fault: the machine of this connection was rebuilt.
    Internal = 33,
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
    /// The venue's sequence numbers do not join up.
    Sequence = 1,
    /// The venue's checksum differs from our book's.
    Checksum = 2,
    /// The venue's trade ids have a hole.
    TradeIds = 3,
    /// The connection to the venue broke or was silent.
    Connection = 4,
    /// A message could not be decoded.
    Undecodable = 5,
    /// A book was crossed, so its changes were not published.
    Crossed = 6,
    /// More arrived than may be kept.
    Overflow = 7,
    /// The publisher was started anew.
    ServerRestart = 8,
    /// The position to resume from is no longer held.
    ResumeTooOld = 9,
    /// The subscriber owes more than its bound.
    SlowReader = 10,
    /// The audit against a REST snapshot found a difference.
    Audit = 11,
    /// The venue halted, delisted or refused the instrument.
    Venue = 12,
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

//! What a frame says, in the model's words. Texts stay in the frame: a [`Span`] points at them.

use std::ops::Range;

use facade_model::{Channel, InstrumentStatus, LevelChange, Statistics, Ticker, TopOfBook, Trade};

/// Bytes of the frame; empty: the frame does not tell.
///
/// The text stands as the venue wrote it: escape sequences are not resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Byte behind the last one.
    pub end: u32,
}

impl Span {
    /// Returns the bytes of the frame; empty if the span does not belong to it.
    #[must_use]
    #[inline]
    pub fn of<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Whether nothing is told.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

/// Everything that one frame says. Reuse it: its buffers keep their capacity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// Events, in the order of the frame.
    pub events: Vec<Event>,
    /// Levels of all [`BookEvent`]s.
    pub levels: Vec<LevelChange>,
    /// Trades of all [`TradesEvent`]s.
    pub trades: Vec<Trade>,
    /// All that a REST ticker tells; its event carries the part that streams tell.
    pub statistics: Option<Statistics>,
    /// Trades on their way from a mixed batch into order, with their venue symbols; empty outside a decoder.
    pub(crate) unsorted: Vec<(Span, Trade)>,
}

impl Decoded {
    /// Forgets the last frame, keeps the capacity.
    pub fn clear(&mut self) {
        self.events.clear();
        self.levels.clear();
        self.trades.clear();
        self.statistics = None;
        self.unsorted.clear();
    }

    /// Returns the levels of a book event.
    #[must_use]
    pub fn levels_of(&self, event: &BookEvent) -> &[LevelChange] {
        self.levels.get(event.levels.start as usize..event.levels.end as usize).unwrap_or_default()
    }

    /// Returns the trades of a trades event, oldest first.
    #[must_use]
    pub fn trades_of(&self, event: &TradesEvent) -> &[Trade] {
        self.trades.get(event.trades.start as usize..event.trades.end as usize).unwrap_or_default()
    }

    /// Adds the event of a REST ticker.
    pub(crate) fn push_statistics(&mut self, symbol: Span, ts_event: i64, told: &Statistics) {
        self.events.push(Event::Ticker(TickerEvent { symbol, ts_event, ticker: told.ticker() }));
        self.statistics = Some(*told);
    }

    /// Returns where the next level will stand.
    #[inline]
    pub(crate) fn levels_mark(&self) -> u32 {
        u32::try_from(self.levels.len()).unwrap_or(u32::MAX)
    }

    /// Returns where the next trade will stand.
    #[inline]
    pub(crate) fn trades_mark(&self) -> u32 {
        u32::try_from(self.trades.len()).unwrap_or(u32::MAX)
    }
}

/// One thing that a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Levels of one book.
    Book(BookEvent),
    /// Executions of one instrument.
    Trades(TradesEvent),
    /// Best bid and ask.
    Top(TopEvent),
    /// 24 hour statistics.
    Ticker(TickerEvent),
    /// The venue acknowledged a subscription or its end.
    Acked(Control),
    /// The venue refused a subscription, or answered with an error.
    Refused(Control),
    /// Number of the frame on its connection (Coinbase Advanced); the first event of its frame.
    ConnectionSequence(u64),
    /// Sign of life, with the venue's counter if it has one.
    Heartbeat(Option<u64>),
    /// Answer to a ping.
    Pong,
    /// The venue announced that it will close the connection.
    Notice,
    /// Status of one instrument, or of the whole venue (empty symbol).
    InstrumentStatus(StatusEvent),
    /// Nothing that we know or want: counted, never an error.
    Ignored,
}

/// The venue's numbers of a message; absent where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sequence {
    /// First number that the message covers (Binance `U`).
    pub first: Option<u64>,
    /// Last number that the message covers (Binance `u`, OKX `seqId`, `lastUpdateId`).
    pub last: Option<u64>,
    /// Number of the message before (Binance `pu`, OKX `prevSeqId` unless -1).
    pub previous: Option<u64>,
}

/// A whole book, or changes of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookEvent {
    /// Venue symbol; empty in REST answers, which do not tell.
    pub symbol: Span,
    /// Whether the levels replace the book.
    pub is_snapshot: bool,
    /// Venue time, ns UTC; 0: none.
    pub ts_event: i64,
    /// The venue's numbers.
    pub sequence: Sequence,
    /// Checksum of the book after this message; OKX's signed value as bits, its 0 is absent.
    pub checksum: Option<u32>,
    /// Range in [`Decoded::levels`], in the order sent.
    pub levels: Range<u32>,
}

/// Executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradesEvent {
    /// Venue symbol.
    pub symbol: Span,
    /// Whether the venue repeats history instead of telling news.
    pub is_snapshot: bool,
    /// Range in [`Decoded::trades`], oldest first.
    pub trades: Range<u32>,
}

/// Best bid and ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopEvent {
    /// Venue symbol.
    pub symbol: Span,
    /// Venue time, ns UTC; 0: none.
    pub ts_event: i64,
    /// The venue's number of the update.
    pub sequence: Option<u64>,
    /// Best levels.
    pub top: TopOfBook,
}

/// 24 hour statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickerEvent {
    /// Venue symbol.
    pub symbol: Span,
    /// Venue time, ns UTC; 0: none.
    pub ts_event: i64,
    /// Statistics.
    pub ticker: Ticker,
}

/// Answer to a subscription request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Control {
    /// Our number of the request, if the venue repeats it.
    pub request_id: Option<u64>,
    /// Representative channel (see [`crate::Product::stream_of`]), if the venue repeats it.
    pub channel: Option<Channel>,
    /// Venue symbol; empty: the answer concerns the whole request.
    pub symbol: Span,
    /// Whether the request subscribed (else it unsubscribed). True where the venue does not tell.
    pub is_subscribe: bool,
    /// Error text.
    pub message: Span,
}

/// What the venue says about trading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEvent {
    /// Venue symbol; empty: the whole venue.
    pub symbol: Span,
    /// Status.
    pub status: InstrumentStatus,
    /// Decimals of prices, if told.
    pub price_precision: Option<u8>,
    /// Decimals of quantities, if told.
    pub quantity_precision: Option<u8>,
}

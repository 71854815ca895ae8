//! The products whose protocols we speak, and the way from a name to its decoder.

use facade_model::{Channel, Instrument};

use crate::binance::Binance;
use crate::coinbase_advanced::CoinbaseAdvanced;
use crate::coinbase_exchange::CoinbaseExchange;
use crate::history::{KlineRow, KlinesSpan, RestRequest, TradesSpan};
use crate::kraken::Kraken;
use crate::okx::Okx;
use crate::scan::{Scanner, Step};
use crate::{ControlOp, DecodeError, DecodeErrorKind, Decoded, Span};

/// Longest frame or REST body.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Protocol of one product. Readers leave their cursor where they stopped; the caller adds it to the error.
pub(crate) trait Protocol {
    /// Reads one frame, a whole JSON value or the venue's plain text (`pong`), into the empty `out`.
    fn decode(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()>;

    /// Guesses from a broken frame whether it was a book message: the symbol's span, empty if that is unknown.
    fn book_hint(&self, frame: &[u8]) -> Option<Span>;

    /// Reads a REST depth answer into one snapshot event.
    fn decode_snapshot(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()>;

    /// Reads one answer of [`Self::instruments_paths`]; rows that we cannot represent are left out.
    fn decode_instruments(&self, scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>>;

    /// Paths whose answers together list all instruments.
    fn instruments_paths(&self) -> &'static [&'static str];

    /// Path and query of a REST book of at least `levels` a side, or the most the venue gives.
    fn snapshot_path(&self, venue_symbol: &str, levels: u32) -> Option<String>;

    /// What that request costs in the venue's own unit.
    fn snapshot_weight(&self, levels: u32) -> u32;

    /// Appends the text frames that begin or end the items.
    fn control(
        &self,
        op: ControlOp,
        request_id: u64,
        items: &[(&str, Channel)],
        depth: u32,
        out: &mut Vec<String>,
    );

    /// Channel that stands for all that share a venue stream with `channel`; `None`: the venue has no such stream.
    fn stream_of(&self, channel: Channel) -> Option<Channel>;

    /// Text frame that asks for a sign of life; `None`: protocol-level pings only.
    fn ping(&self, request_id: u64) -> Option<String>;

    /// Request for trades (see [`Product::trades_request`]).
    fn trades_request(&self, venue_symbol: &str, span: &TradesSpan) -> RestRequest;

    /// Request for klines, oldest first or newest first; `None`: no such interval.
    fn klines_request(&self, venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest>;

    /// Request for statistics of 24 hours.
    fn ticker_request(&self, venue_symbol: &str) -> RestRequest;

    /// Reads an answer of [`Self::trades_request`] into one event.
    fn decode_trades(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()>;

    /// Reads an answer of [`Self::klines_request`].
    fn decode_klines(&self, scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()>;

    /// Reads an answer of [`Self::ticker_request`]: statistics, and best prices where they stand with it.
    fn decode_ticker(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()>;

    /// Request for what the ticker leaves out; `None`: nothing.
    fn ticker_rest_request(&self, _venue_symbol: &str) -> Option<RestRequest> {
        None
    }

    /// Text frames to send as soon as a connection is open.
    fn opening(&self) -> &'static [&'static str] {
        &[]
    }
}

/// A venue's product: one protocol, one kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Product {
    /// Binance spot.
    BinanceSpot,
    /// Binance futures margined in stablecoins.
    BinanceUsdm,
    /// Binance futures margined in coins.
    BinanceCoinm,
    /// OKX, all instrument types.
    Okx,
    /// Coinbase Advanced Trade.
    CoinbaseAdvanced,
    /// Coinbase Exchange.
    CoinbaseExchange,
    /// Kraken spot, WebSocket v2.
    Kraken,
}

impl Product {
    /// All products.
    pub const ALL: [Self; 7] = [
        Self::BinanceSpot,
        Self::BinanceUsdm,
        Self::BinanceCoinm,
        Self::Okx,
        Self::CoinbaseAdvanced,
        Self::CoinbaseExchange,
        Self::Kraken,
    ];

    /// Finds a product by the names of a capture: `("binance", "usdm")` and `("binance-usdm", "usdm")` are one.
    #[must_use]
    pub fn from_names(venue: &str, product: &str) -> Option<Self> {
        match (venue, product) {
            ("binance", "spot") => Some(Self::BinanceSpot),
            ("binance" | "binance-usdm", "usdm") => Some(Self::BinanceUsdm),
            ("binance" | "binance-coinm", "coinm") => Some(Self::BinanceCoinm),
            ("okx", "public" | "business") => Some(Self::Okx),
            ("coinbase", "advanced") => Some(Self::CoinbaseAdvanced),
            ("coinbase", "exchange") => Some(Self::CoinbaseExchange),
            ("kraken", "spot") => Some(Self::Kraken),
            _ => None,
        }
    }

    /// Returns the venue's name in topics.
    #[must_use]
    pub const fn venue(self) -> &'static str {
        match self {
            Self::BinanceSpot => "binance",
            Self::BinanceUsdm => "binance-usdm",
            Self::BinanceCoinm => "binance-coinm",
            Self::Okx => "okx",
            Self::CoinbaseAdvanced | Self::CoinbaseExchange => "coinbase",
            Self::Kraken => "kraken",
        }
    }

    /// Reads one frame as received; forgets what `out` held before.
    ///
    /// # Errors
    /// [`DecodeError`] if the frame is no JSON or a message that we know lacks what it needs; then `out` is empty.
    /// Messages and members that we do not know are no error.
    ///
    /// # Examples
    /// ```
    /// use facade_venues::{Decoded, Event, Product};
    ///
    /// let frame = br#"{"u":400900217,"s":"BTCUSDT","b":"97012.00","B":"1.2","a":"97012.01","A":"0.4"}"#;
    /// let mut out = Decoded::default();
    /// Product::BinanceSpot.decode(frame, &mut out)?;
    /// let Some(Event::Top(top)) = out.events.first() else { unreachable!() };
    /// assert_eq!(top.symbol.of(frame), b"BTCUSDT");
    /// assert_eq!(top.top.bid.map(|bid| bid.px.to_string()), Some("97012".to_owned()));
    /// # Ok::<(), facade_venues::DecodeError>(())
    /// ```
    #[inline]
    pub fn decode(self, frame: &[u8], out: &mut Decoded) -> Result<(), DecodeError> {
        self.read(frame, out, |protocol, scanner, out| protocol.decode(scanner, out))
    }

    /// Reads a REST depth answer into one snapshot [`crate::BookEvent`]; its symbol is empty if the venue tells none.
    ///
    /// # Errors
    /// [`DecodeError`]; then `out` is empty.
    pub fn decode_snapshot(self, body: &[u8], out: &mut Decoded) -> Result<(), DecodeError> {
        self.read(body, out, |protocol, scanner, out| protocol.decode_snapshot(scanner, out))
    }

    /// Reads one answer of [`Self::instruments_paths`]; rows that cannot be represented are left out.
    ///
    /// # Errors
    /// [`DecodeError`] if the answer as a whole is not the venue's list.
    pub fn decode_instruments(self, body: &[u8]) -> Result<Vec<Instrument>, DecodeError> {
        let mut instruments = Vec::new();
        self.read(body, &mut Decoded::default(), |protocol, scanner, _| {
            instruments = protocol.decode_instruments(scanner)?;
            Ok(())
        })?;
        Ok(instruments)
    }

    /// Returns the paths whose answers together list all instruments.
    #[must_use]
    pub fn instruments_paths(self) -> &'static [&'static str] {
        self.protocol().instruments_paths()
    }

    /// Returns path and query of a REST book of at least `levels` a side, or of the most that the venue gives.
    #[must_use]
    pub fn snapshot_path(self, venue_symbol: &str, levels: u32) -> Option<String> {
        self.protocol().snapshot_path(venue_symbol, levels)
    }

    /// Returns what [`Self::snapshot_path`] costs, in the venue's own unit (weight, or requests).
    #[must_use]
    pub fn snapshot_weight(self, levels: u32) -> u32 {
        self.protocol().snapshot_weight(levels)
    }

    /// Appends the text frames that subscribe or unsubscribe `items`, batched as the venue likes.
    ///
    /// Channels that share a venue stream are asked for once. `depth`: levels a side, where the venue has a choice.
    pub fn control(
        self,
        op: ControlOp,
        request_id: u64,
        items: &[(&str, Channel)],
        depth: u32,
        out: &mut Vec<String>,
    ) {
        self.protocol().control(op, request_id, items, depth, out);
    }

    /// Returns the channel that stands for all that share a venue stream with `channel`.
    ///
    /// `None`: the venue has no stream for it.
    #[must_use]
    pub fn stream_of(self, channel: Channel) -> Option<Channel> {
        self.protocol().stream_of(channel)
    }

    /// Returns the text frame that asks for a sign of life; `None`: protocol-level pings only.
    #[must_use]
    pub fn ping(self, request_id: u64) -> Option<String> {
        self.protocol().ping(request_id)
    }

    /// Returns the text frames to send as soon as a connection is open, before any [`Self::control`].
    #[must_use]
    pub fn opening(self) -> &'static [&'static str] {
        self.protocol().opening()
    }

    /// Returns the request for trades of a span, as far as the venue can page: one page of it.
    ///
    /// Pages run forward where [`Self::pages_forward`] says so: ask for the rest with a larger `id_first` (and
    /// `ts_first`); elsewhere they run backward from `id_last`: ask with a smaller one.
    #[must_use]
    pub fn trades_request(self, venue_symbol: &str, span: &TradesSpan) -> RestRequest {
        self.protocol().trades_request(venue_symbol, span)
    }

    /// Returns the most active symbol, to be followed always as a sign of life: this venue sends nothing by itself.
    ///
    /// `None`: heartbeats, or answers to pings, tell that a connection lives.
    #[must_use]
    pub const fn canary(self) -> Option<&'static str> {
        match self {
            Self::BinanceSpot | Self::BinanceUsdm => Some("BTCUSDT"),
            Self::BinanceCoinm => Some("BTCUSD_PERP"),
            _ => None,
        }
    }

    /// Whether a page of trades begins at the beginning of its span, given ids or times of both ends.
    #[must_use]
    pub const fn pages_forward(self) -> bool {
        matches!(self, Self::BinanceSpot | Self::Kraken)
    }

    /// Returns the request for klines of a span: one page, its oldest part first. `None`: no such interval.
    #[must_use]
    pub fn klines_request(self, venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
        self.protocol().klines_request(venue_symbol, span)
    }

    /// Returns the newest opening time that one page of [`Self::klines_request`] reaches.
    #[must_use]
    pub fn klines_last(self, span: &KlinesSpan) -> i64 {
        match self {
            Self::BinanceSpot | Self::BinanceUsdm | Self::BinanceCoinm => span.last_of(1_000),
            Self::Okx | Self::CoinbaseExchange => span.last_of(300),
            Self::CoinbaseAdvanced => span.last_of(350),
            Self::Kraken => span.ts_last, // all that it has
        }
    }

    /// Returns the request for statistics of 24 hours.
    #[must_use]
    pub fn ticker_request(self, venue_symbol: &str) -> RestRequest {
        self.protocol().ticker_request(venue_symbol)
    }

    /// Returns the request for what [`Self::ticker_request`] leaves out; `None`: the venue has no more to tell.
    #[must_use]
    pub fn ticker_rest_request(self, venue_symbol: &str) -> Option<RestRequest> {
        self.protocol().ticker_rest_request(venue_symbol)
    }

    /// Whether the venue shows a kline for an interval without a trade; else it leaves the interval out.
    ///
    /// Source: the venues' sheets: Binance, OKX and Kraken show them, both feeds of Coinbase do not.
    #[must_use]
    pub const fn shows_empty_klines(self) -> bool {
        !matches!(self, Self::CoinbaseAdvanced | Self::CoinbaseExchange)
    }

    /// Reads an answer of [`Self::trades_request`] into one [`crate::TradesEvent`] without a symbol, oldest first.
    ///
    /// # Errors
    /// [`DecodeError`]; then `out` is empty.
    pub fn decode_trades(self, body: &[u8], out: &mut Decoded) -> Result<(), DecodeError> {
        self.read(body, out, |protocol, scanner, out| protocol.decode_trades(scanner, out))
    }

    /// Reads an answer of [`Self::klines_request`]: each opening time once, oldest first.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_klines(self, body: &[u8]) -> Result<Vec<KlineRow>, DecodeError> {
        let mut rows = Vec::new();
        self.read(body, &mut Decoded::default(), |protocol, scanner, _| {
            protocol.decode_klines(scanner, &mut rows)
        })?;
        Ok(rows)
    }

    /// Reads an answer of [`Self::ticker_request`]: a [`crate::TickerEvent`], and a [`crate::TopEvent`] where the
    /// best quantities stand with it.
    ///
    /// # Errors
    /// [`DecodeError`]; then `out` is empty.
    pub fn decode_ticker(self, body: &[u8], out: &mut Decoded) -> Result<(), DecodeError> {
        self.read(body, out, |protocol, scanner, out| protocol.decode_ticker(scanner, out))
    }

    /// Returns the protocol's one instance.
    #[inline]
    fn protocol(self) -> &'static dyn Protocol {
        match self {
            Self::BinanceSpot => &Binance::Spot,
            Self::BinanceUsdm => &Binance::Usdm,
            Self::BinanceCoinm => &Binance::Coinm,
            Self::Okx => &Okx,
            Self::CoinbaseAdvanced => &CoinbaseAdvanced,
            Self::CoinbaseExchange => &CoinbaseExchange,
            Self::Kraken => &Kraken,
        }
    }

    /// Runs one reader over a whole text.
    #[inline]
    pub(crate) fn read(
        self,
        text: &[u8],
        out: &mut Decoded,
        reader: impl FnOnce(&dyn Protocol, &mut Scanner<'_>, &mut Decoded) -> Step<()>,
    ) -> Result<(), DecodeError> {
        out.clear();
        let protocol = self.protocol();
        let mut scanner = Scanner::new(text);
        let result = if text.len() > TEXT_BYTES_MAX {
            Err(DecodeErrorKind::TooLong)
        } else {
            reader(protocol, &mut scanner, out).and_then(|()| scanner.end()).and_then(|()| check_utf8(text))
        };
        result.map_err(|kind| {
            out.clear();
            let hint = protocol.book_hint(text);
            let book_symbol = hint.unwrap_or_default();
            DecodeError { kind, at: scanner.position(), is_book: hint.is_some(), book_symbol }
        })
    }
}

/// Runs one reader over a whole answer that belongs to no product's protocol.
pub(crate) fn read(
    text: &[u8],
    reader: impl FnOnce(&mut Scanner<'_>) -> Step<()>,
) -> Result<(), DecodeError> {
    let mut scanner = Scanner::new(text);
    let result = if text.len() > TEXT_BYTES_MAX {
        Err(DecodeErrorKind::TooLong)
    } else {
        reader(&mut scanner).and_then(|()| scanner.end()).and_then(|()| check_utf8(text))
    };
    result.map_err(|kind| DecodeError {
        kind,
        at: scanner.position(),
        is_book: false,
        book_symbol: Span::default(),
    })
}

/// Refuses bytes that are no UTF-8. Runs last: hostile texts are mostly refused before they are read to their end.
#[inline]
fn check_utf8(text: &[u8]) -> Step<()> {
    let is_utf8 = text.is_ascii() || std::str::from_utf8(text).is_ok();
    if is_utf8 { Ok(()) } else { Err(DecodeErrorKind::Utf8) }
}

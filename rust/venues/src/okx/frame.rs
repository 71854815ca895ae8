//! Frames of OKX: pushed data, answers to requests, the plain text `pong`.

use facade_model::{BookSide, Channel, InstrumentStatus, Statistics, TakerSide, TopOfBook, Trade};

use super::rest::status_of;
use crate::levels::{best_level, push_levels};
use crate::scan::{Scanner, Step, keys};
use crate::{
    BookEvent, Control, DecodeErrorKind, Decoded, Event, Sequence, Span, StatusEvent, TickerEvent, TopEvent,
    TradesEvent, hint,
};

keys! {
    FrameKey {
        Id = "id",
        Event = "event",
        Arg = "arg",
        Action = "action",
        Data = "data",
        Code = "code",
        Msg = "msg",
    }
}

keys! { ArgKey { Channel = "channel", InstId = "instId" } }

keys! {
    BookKey {
        Asks = "asks",
        Bids = "bids",
        Ts = "ts",
        Checksum = "checksum",
        PrevSeqId = "prevSeqId",
        SeqId = "seqId",
    }
}

keys! { TradeKey { TradeId = "tradeId", Px = "px", Sz = "sz", Side = "side", Ts = "ts" } }

keys! {
    TickerKey {
        InstType = "instType",
        Last = "last",
        LastSz = "lastSz",
        AskPx = "askPx",
        AskSz = "askSz",
        BidPx = "bidPx",
        BidSz = "bidSz",
        Open24h = "open24h",
        High24h = "high24h",
        Low24h = "low24h",
        VolCcy24h = "volCcy24h",
        Vol24h = "vol24h",
        Ts = "ts",
    }
}

keys! { StatusKey { InstId = "instId", State = "state" } }

/// Announcement of a service upgrade: the connection closes in 60 s. Source: OKX "Notification", 2026-08-22.
const CODE_UPGRADE: &[u8] = b"64008";

/// What a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stream {
    Books,
    Top,
    Trades,
    Tickers,
    Instruments,
    /// Candles, funding, `books5` and whatever else nobody reads.
    #[default]
    Other,
}

impl Stream {
    fn of(name: &[u8]) -> Self {
        match name {
            b"books" | b"books-l2-tbt" | b"books50-l2-tbt" => Self::Books,
            b"bbo-tbt" => Self::Top,
            b"trades" => Self::Trades,
            b"tickers" => Self::Tickers,
            b"instruments" => Self::Instruments,
            _ => Self::Other,
        }
    }

    const fn channel(self) -> Option<Channel> {
        match self {
            Self::Books => Some(Channel::BookL2),
            Self::Top => Some(Channel::TopOfBook),
            Self::Trades => Some(Channel::Trades),
            Self::Tickers => Some(Channel::Ticker),
            Self::Instruments | Self::Other => None,
        }
    }
}

/// The `arg` of a frame: which subscription it belongs to.
#[derive(Debug, Clone, Copy, Default)]
struct Arg {
    stream: Stream,
    symbol: Span,
}

/// An answer to a request, or a notice.
#[derive(Debug, Clone, Copy, Default)]
struct Answer<'a> {
    event: &'a [u8],
    request_id: Option<u64>,
    code: &'a [u8],
    message: Span,
}

/// Reads one frame.
pub(super) fn decode(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    if scanner.literal(b"pong") {
        out.events.push(Event::Pong);
        return Ok(());
    }
    let mut arg = None;
    let mut answer = Answer::default();
    let mut action: Option<&[u8]> = None;
    let mut deferred = None; // data that came before its arg
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<FrameKey>(scanner)? {
        match key {
            FrameKey::Arg => arg = Some(read_arg(scanner)?),
            FrameKey::Action => action = Some(scanner.word()?),
            FrameKey::Data => {
                if let Some(arg) = arg {
                    read_data(scanner, arg, out)?;
                } else {
                    deferred = Some(*scanner);
                    scanner.skip()?;
                }
            }
            FrameKey::Event => answer.event = scanner.word_or_skip()?,
            FrameKey::Id => answer.request_id = number_of(scanner.word_or_skip()?),
            FrameKey::Code => answer.code = scanner.word_or_skip()?,
            FrameKey::Msg => answer.message = scanner.string_or_skip()?,
        }
    }
    if let (Some(mut data), Some(arg)) = (deferred, arg) {
        read_data(&mut data, arg, out)?;
    }
    if !answer.event.is_empty() {
        out.events.push(event_of_answer(scanner, answer, arg.unwrap_or_default()));
    }
    finish(action, out)
}

/// Tells snapshots from updates, and unknown frames from empty ones.
#[inline]
fn finish(action: Option<&[u8]>, out: &mut Decoded) -> Step<()> {
    for event in &mut out.events {
        if let Event::Book(book) = event {
            book.is_snapshot = match action {
                Some(b"snapshot") => true,
                Some(b"update") => false,
                Some(_) => return Err(DecodeErrorKind::Syntax),
                None => return Err(DecodeErrorKind::Missing("action")),
            };
        }
    }
    if out.events.is_empty() {
        out.events.push(Event::Ignored);
    }
    Ok(())
}

#[inline]
fn read_arg(scanner: &mut Scanner<'_>) -> Step<Arg> {
    let mut arg = Arg::default();
    let mut object = scanner.object()?;
    while let Some(key) = object.next::<ArgKey>(scanner)? {
        match key {
            ArgKey::Channel => arg.stream = Stream::of(scanner.word()?),
            ArgKey::InstId => arg.symbol = scanner.string()?,
        }
    }
    Ok(arg)
}

/// Reads the digits of a number that we sent; other text is none of ours.
fn number_of(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads the pushed items.
#[inline]
fn read_data(scanner: &mut Scanner<'_>, arg: Arg, out: &mut Decoded) -> Step<()> {
    if arg.stream == Stream::Other {
        return scanner.skip();
    }
    if arg.stream.channel().is_some() && arg.symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("instId"));
    }
    let trades = out.trades_mark();
    let mut items = scanner.array()?;
    while items.next(scanner)? {
        match arg.stream {
            Stream::Books => read_book(scanner, arg.symbol, out)?,
            Stream::Top => read_top(scanner, arg.symbol, out)?,
            Stream::Trades => out.trades.push(read_trade(scanner)?),
            Stream::Tickers => push_ticker(scanner, arg.symbol, out)?,
            Stream::Instruments => read_status(scanner, out)?,
            Stream::Other => scanner.skip()?,
        }
    }
    let trades = trades..out.trades_mark();
    if !trades.is_empty() {
        let new = out.trades.get_mut(trades.start as usize..).unwrap_or_default();
        new.sort_unstable_by_key(|trade| trade.id);
        out.events.push(Event::Trades(TradesEvent { symbol: arg.symbol, is_snapshot: false, trades }));
    }
    Ok(())
}

/// Reads one item with levels, of a push or a REST answer. Both sides must stand there, be it empty.
#[inline]
pub(super) fn read_book_item(scanner: &mut Scanner<'_>, symbol: Span, out: &mut Decoded) -> Step<BookEvent> {
    let start = out.levels_mark();
    let mut book = BookEvent {
        symbol,
        is_snapshot: true,
        ts_event: 0,
        sequence: Sequence::default(),
        checksum: None,
        levels: start..start,
    };
    let (mut has_asks, mut has_bids) = (false, false);
    let mut object = scanner.object()?;
    while let Some(key) = object.next::<BookKey>(scanner)? {
        match key {
            BookKey::Asks => {
                push_levels(scanner, BookSide::Ask, &mut out.levels)?;
                has_asks = true;
            }
            BookKey::Bids => {
                push_levels(scanner, BookSide::Bid, &mut out.levels)?;
                has_bids = true;
            }
            BookKey::Ts => book.ts_event = scanner.epoch()?,
            BookKey::Checksum => book.checksum = Some(scanner.bits32()?).filter(|&bits| bits != 0),
            BookKey::PrevSeqId => book.sequence.previous = scanner.unsigned_or_absent()?,
            BookKey::SeqId => book.sequence.last = scanner.unsigned_or_absent()?,
        }
    }
    if !has_asks {
        return Err(DecodeErrorKind::Missing("asks"));
    }
    if !has_bids {
        return Err(DecodeErrorKind::Missing("bids"));
    }
    book.levels.end = out.levels_mark();
    Ok(book)
}

#[inline]
fn read_book(scanner: &mut Scanner<'_>, symbol: Span, out: &mut Decoded) -> Step<()> {
    let book = read_book_item(scanner, symbol, out)?;
    out.events.push(Event::Book(book));
    Ok(())
}

/// Reads one item of `bbo-tbt`: a book of at most one level a side.
fn read_top(scanner: &mut Scanner<'_>, symbol: Span, out: &mut Decoded) -> Step<()> {
    let book = read_book_item(scanner, symbol, out)?;
    let levels = out.levels_of(&book);
    let best = |side| {
        let level = levels.iter().find(|level| level.side == side);
        best_level(level.map(|level| level.px), level.map(|level| level.qty))
    };
    let top = TopOfBook { bid: best(BookSide::Bid), ask: best(BookSide::Ask) };
    out.levels.truncate(book.levels.start as usize);
    out.events.push(Event::Top(TopEvent {
        symbol,
        ts_event: book.ts_event,
        sequence: book.sequence.last,
        top,
    }));
    Ok(())
}

/// Reads one trade, of a push or a REST answer.
pub(super) fn read_trade(scanner: &mut Scanner<'_>) -> Step<Trade> {
    let (mut id, mut px, mut qty, mut side, mut ts_event) = (None, None, None, None, 0);
    let mut object = scanner.object()?;
    while let Some(key) = object.next::<TradeKey>(scanner)? {
        match key {
            TradeKey::TradeId => id = Some(scanner.unsigned()?),
            TradeKey::Px => px = Some(scanner.decimal()?),
            TradeKey::Sz => qty = Some(scanner.decimal()?),
            TradeKey::Side => side = Some(scanner.word()?),
            TradeKey::Ts => ts_event = scanner.epoch()?,
        }
    }
    Ok(Trade {
        id: id.ok_or(DecodeErrorKind::Missing("tradeId"))?,
        px: px.ok_or(DecodeErrorKind::Missing("px"))?,
        qty: qty.ok_or(DecodeErrorKind::Missing("sz"))?,
        side: match side.ok_or(DecodeErrorKind::Missing("side"))? {
            b"buy" => TakerSide::Buy,
            b"sell" => TakerSide::Sell,
            _ => TakerSide::Unknown,
        },
        ts_event,
        is_market: true,
    })
}

/// Reads one item of `tickers`. Its best prices stay inside the statistics: `bbo-tbt` is the stream of those.
pub(super) fn read_ticker(scanner: &mut Scanner<'_>) -> Step<(i64, Statistics)> {
    let (mut ticker, mut ts_event, mut is_spot) = (Statistics::default(), 0, false);
    let (mut bid_px, mut bid_qty, mut ask_px, mut ask_qty) = (None, None, None, None);
    let mut object = scanner.object()?;
    while let Some(key) = object.next::<TickerKey>(scanner)? {
        match key {
            TickerKey::InstType => is_spot = scanner.word()? == b"SPOT",
            TickerKey::Last => ticker.last_px = scanner.decimal_or_absent()?,
            TickerKey::LastSz => ticker.last_qty = scanner.decimal_or_absent()?,
            TickerKey::AskPx => ask_px = scanner.decimal_or_absent()?,
            TickerKey::AskSz => ask_qty = scanner.decimal_or_absent()?,
            TickerKey::BidPx => bid_px = scanner.decimal_or_absent()?,
            TickerKey::BidSz => bid_qty = scanner.decimal_or_absent()?,
            TickerKey::Open24h => ticker.open_px = scanner.decimal_or_absent()?,
            TickerKey::High24h => ticker.high_px = scanner.decimal_or_absent()?,
            TickerKey::Low24h => ticker.low_px = scanner.decimal_or_absent()?,
            TickerKey::VolCcy24h => ticker.quote_volume = scanner.sum_or_absent()?,
            TickerKey::Vol24h => ticker.volume = scanner.sum_or_absent()?,
            TickerKey::Ts => ts_event = scanner.epoch()?,
        }
    }
    if !is_spot {
        ticker.quote_volume = None; // derivatives: `volCcy24h` counts the base currency
    }
    ticker.top = TopOfBook { bid: best_level(bid_px, bid_qty), ask: best_level(ask_px, ask_qty) };
    Ok((ts_event, ticker))
}

fn push_ticker(scanner: &mut Scanner<'_>, symbol: Span, out: &mut Decoded) -> Step<()> {
    let (ts_event, told) = read_ticker(scanner)?;
    out.events.push(Event::Ticker(TickerEvent { symbol, ts_event, ticker: told.ticker() }));
    Ok(())
}

/// Reads one item of `instruments`: only the state, the rest is in the REST list.
fn read_status(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut status) = (Span::default(), InstrumentStatus::Unknown);
    let mut object = scanner.object()?;
    while let Some(key) = object.next::<StatusKey>(scanner)? {
        match key {
            StatusKey::InstId => symbol = scanner.string()?,
            StatusKey::State => status = status_of(scanner.word()?),
        }
    }
    let told = StatusEvent { symbol, status, price_precision: None, quantity_precision: None };
    out.events.push(if symbol.is_empty() { Event::Ignored } else { Event::InstrumentStatus(told) });
    Ok(())
}

/// Translates an answer. Codes count, texts do not; only the symbol of a refused arg stands nowhere but in the text.
fn event_of_answer(scanner: &Scanner<'_>, answer: Answer<'_>, arg: Arg) -> Event {
    let control = |arg: Arg, is_subscribe| Control {
        request_id: answer.request_id,
        channel: arg.stream.channel(),
        symbol: arg.symbol,
        is_subscribe,
        message: answer.message,
    };
    match answer.event {
        b"subscribe" if arg.stream.channel().is_some() => Event::Acked(control(arg, true)),
        b"unsubscribe" if arg.stream.channel().is_some() => Event::Acked(control(arg, false)),
        b"error" if arg.symbol.is_empty() => {
            Event::Refused(control(refused_arg(scanner, answer.message), true))
        }
        b"error" => Event::Refused(control(arg, true)),
        b"notice" if answer.code == CODE_UPGRADE => Event::Notice,
        _ => Event::Ignored,
    }
}

/// Finds the arg of `Wrong URL or channel:books,instId:FOO-BAR doesn't exist.` (code 60018, which sends no `arg`).
fn refused_arg(scanner: &Scanner<'_>, message: Span) -> Arg {
    let stream = between(scanner, message, b"channel:", b",")
        .map_or(Stream::Other, |name| Stream::of(scanner.of(name)));
    Arg { stream, symbol: between(scanner, message, b"instId:", b" doesn't").unwrap_or_default() }
}

/// Returns what stands between the first `open` and the next `close` of a text.
fn between(scanner: &Scanner<'_>, text: Span, open: &[u8], close: &[u8]) -> Option<Span> {
    let behind = hint::find(scanner.of(text), open)? + open.len();
    let start = text.start + u32::try_from(behind).ok()?;
    let length = hint::find(scanner.of(Span { start, end: text.end }), close)?;
    Some(Span { start, end: start + u32::try_from(length).ok()? })
}

//! Data frames of Kraken's channels.

use facade_model::{BookSide, LevelChange, TakerSide, Ticker, TopOfBook, Trade};

use super::status;
use crate::levels::{best_level, change};
use crate::scan::{Scanner, Step, keys};
use crate::{
    BookEvent, DecodeErrorKind, Decoded, Event, Sequence, Span, StatusEvent, TickerEvent, TopEvent,
    TradesEvent,
};

keys! {
    /// Every data frame.
    Envelope { Channel = "channel", Type = "type", Data = "data" }
}

keys! {
    /// A book or changes of it.
    Book { Symbol = "symbol", Bids = "bids", Asks = "asks", Checksum = "checksum", Time = "timestamp" }
}

keys! {
    /// One level.
    Entry { Price = "price", Quantity = "qty" }
}

keys! {
    /// One execution.
    Execution { Symbol = "symbol", Side = "side", Price = "price", Quantity = "qty", Id = "trade_id",
                Time = "timestamp" }
}

keys! {
    /// Best prices and statistics.
    Statistics { Symbol = "symbol", BidPrice = "bid", BidQuantity = "bid_qty", AskPrice = "ask",
                 AskQuantity = "ask_qty", Last = "last", Volume = "volume", Low = "low", High = "high",
                 Time = "timestamp" }
}

keys! {
    /// The state of the venue.
    System { State = "system" }
}

keys! {
    /// The lists of the `instrument` channel.
    Lists { Pairs = "pairs" }
}

keys! {
    /// One pair of the `instrument` channel.
    Pair { Symbol = "symbol", Status = "status", QuantityPrecision = "qty_precision",
           PricePrecision = "price_precision" }
}

/// Reads a frame that names its channel.
pub(super) fn push_data(channel: &[u8], scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let read = match channel {
        b"book" => push_book,
        b"trade" => push_trade,
        b"ticker" => push_ticker,
        b"status" => push_system,
        b"instrument" => return push_instruments(scanner, out),
        b"heartbeat" => return push_plain(scanner, out, Event::Heartbeat(None)),
        _ => return push_plain(scanner, out, Event::Ignored),
    };
    let mut is_snapshot = None;
    let mut has_data = false;
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Envelope>(scanner)? {
        match key {
            Envelope::Channel => scanner.pass_text()?,
            Envelope::Type => is_snapshot = Some(scanner.word()? == b"snapshot"),
            Envelope::Data => {
                let mut items = scanner.array()?;
                while items.next(scanner)? {
                    read(scanner, out)?;
                }
                has_data = true;
            }
        }
    }
    let (Some(is_snapshot), true) = (is_snapshot, has_data) else {
        return Err(DecodeErrorKind::Missing("type, data"));
    };
    if is_snapshot {
        mark_snapshots(out);
    }
    Ok(())
}

/// Passes over a frame of which the channel tells all.
fn push_plain(scanner: &mut Scanner<'_>, out: &mut Decoded, event: Event) -> Step<()> {
    scanner.skip()?;
    out.events.push(event);
    Ok(())
}

/// Marks all events of the frame as snapshots. The order of a snapshot's trades is not documented: oldest first here.
fn mark_snapshots(out: &mut Decoded) {
    for event in &mut out.events {
        match event {
            Event::Book(book) => book.is_snapshot = true,
            Event::Trades(event) => {
                event.is_snapshot = true;
                let range = event.trades.start as usize..event.trades.end as usize;
                if let Some(trades) = out.trades.get_mut(range) {
                    trades.sort_unstable_by_key(|trade| trade.id);
                }
            }
            _ => {}
        }
    }
}

/// Reads one book.
fn push_book(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut checksum, mut ts_event) = (Span::default(), None, 0);
    let (mut has_bids, mut has_asks) = (false, false);
    let start = out.levels_mark();
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Book>(scanner)? {
        match key {
            Book::Symbol => symbol = scanner.string()?,
            Book::Bids => {
                push_entries(scanner, BookSide::Bid, &mut out.levels)?;
                has_bids = true;
            }
            Book::Asks => {
                push_entries(scanner, BookSide::Ask, &mut out.levels)?;
                has_asks = true;
            }
            Book::Checksum => checksum = Some(scanner.bits32()?),
            Book::Time => ts_event = scanner.rfc3339()?,
        }
    }
    if symbol.is_empty() || !has_bids || !has_asks || checksum.is_none() {
        return Err(DecodeErrorKind::Missing("symbol, bids, asks, checksum"));
    }
    let (levels, sequence) = (start..out.levels_mark(), Sequence::default());
    out.events.push(Event::Book(BookEvent {
        symbol,
        is_snapshot: false,
        ts_event,
        sequence,
        checksum,
        levels,
    }));
    Ok(())
}

/// Reads one side of a book.
#[inline]
fn push_entries(scanner: &mut Scanner<'_>, side: BookSide, levels: &mut Vec<LevelChange>) -> Step<()> {
    let mut entries = scanner.array()?;
    entries.pairs(scanner, (b"{\"price\":", b",\"qty\":", b"}"), |px, qty| {
        levels.push(LevelChange { side, px, qty });
    });
    while entries.next(scanner)? {
        let (mut px, mut qty) = (None, None);
        let mut members = scanner.object()?;
        while let Some(key) = members.next::<Entry>(scanner)? {
            match key {
                Entry::Price => px = Some(scanner.decimal()?),
                Entry::Quantity => qty = Some(scanner.decimal()?),
            }
        }
        let (Some(px), Some(qty)) = (px, qty) else {
            return Err(DecodeErrorKind::Missing("price, qty"));
        };
        levels.push(change(side, px, qty)?);
    }
    Ok(())
}

/// Reads one execution; it joins the event before it if that is of the same symbol.
fn push_trade(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut symbol = Span::default();
    let (mut id, mut px, mut qty, mut side, mut ts_event) = (None, None, None, TakerSide::Unknown, 0);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Execution>(scanner)? {
        match key {
            Execution::Symbol => symbol = scanner.string()?,
            Execution::Side => side = taker_side(scanner.word()?),
            Execution::Price => px = Some(scanner.decimal()?),
            Execution::Quantity => qty = Some(scanner.decimal()?),
            Execution::Id => id = Some(scanner.unsigned()?),
            Execution::Time => ts_event = scanner.rfc3339()?,
        }
    }
    let (Some(id), Some(px), Some(qty), false) = (id, px, qty, symbol.is_empty()) else {
        return Err(DecodeErrorKind::Missing("symbol, price, qty, trade_id"));
    };
    let start = out.trades_mark();
    out.trades.push(Trade { id, px, qty, side, ts_event, is_market: true });
    let end = out.trades_mark();
    if let Some(Event::Trades(last)) = out.events.last_mut()
        && scanner.of(last.symbol) == scanner.of(symbol)
    {
        last.trades.end = end;
    } else {
        out.events.push(Event::Trades(TradesEvent { symbol, is_snapshot: false, trades: start..end }));
    }
    Ok(())
}

/// Reads the side of the taker, which is the one that Kraken tells.
fn taker_side(text: &[u8]) -> TakerSide {
    match text {
        b"buy" => TakerSide::Buy,
        b"sell" => TakerSide::Sell,
        _ => TakerSide::Unknown,
    }
}

/// Reads one ticker: best prices and statistics are two events.
fn push_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut ts_event, mut ticker) = (Span::default(), 0, Ticker::default());
    let (mut bid_px, mut bid_qty, mut ask_px, mut ask_qty) = (None, None, None, None);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Statistics>(scanner)? {
        match key {
            Statistics::Symbol => symbol = scanner.string()?,
            Statistics::BidPrice => bid_px = scanner.decimal_or_absent()?,
            Statistics::BidQuantity => bid_qty = scanner.decimal_or_absent()?,
            Statistics::AskPrice => ask_px = scanner.decimal_or_absent()?,
            Statistics::AskQuantity => ask_qty = scanner.decimal_or_absent()?,
            Statistics::Last => ticker.last_px = scanner.decimal_or_absent()?,
            Statistics::Volume => ticker.volume = scanner.decimal_or_absent()?,
            Statistics::Low => ticker.low_px = scanner.decimal_or_absent()?,
            Statistics::High => ticker.high_px = scanner.decimal_or_absent()?,
            Statistics::Time => ts_event = scanner.rfc3339()?,
        }
    }
    if symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("symbol"));
    }
    let top = TopOfBook { bid: best_level(bid_px, bid_qty), ask: best_level(ask_px, ask_qty) };
    ticker.top = top;
    out.events.push(Event::Top(TopEvent { symbol, ts_event, sequence: None, top }));
    out.events.push(Event::Ticker(TickerEvent { symbol, ts_event, ticker }));
    Ok(())
}

/// Reads the state of the venue; without one it says nothing.
fn push_system(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut event = Event::Ignored;
    let mut members = scanner.object()?;
    while let Some(System::State) = members.next::<System>(scanner)? {
        event = Event::InstrumentStatus(StatusEvent {
            symbol: Span::default(),
            status: status(scanner.word()?),
            price_precision: None,
            quantity_precision: None,
        });
    }
    out.events.push(event);
    Ok(())
}

/// Reads the `instrument` channel, whose data is an object: one event a pair.
fn push_instruments(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Envelope>(scanner)? {
        match key {
            Envelope::Channel | Envelope::Type => scanner.skip()?,
            Envelope::Data => {
                let mut lists = scanner.object()?;
                while let Some(Lists::Pairs) = lists.next::<Lists>(scanner)? {
                    let mut pairs = scanner.array()?;
                    while pairs.next(scanner)? {
                        push_pair(scanner, out)?;
                    }
                }
            }
        }
    }
    if out.events.is_empty() {
        out.events.push(Event::Ignored);
    }
    Ok(())
}

/// Reads one pair of the `instrument` channel.
fn push_pair(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut state) = (Span::default(), None);
    let (mut price_precision, mut quantity_precision) = (None, None);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Pair>(scanner)? {
        match key {
            Pair::Symbol => symbol = scanner.string()?,
            Pair::Status => state = Some(status(scanner.word()?)),
            Pair::QuantityPrecision => quantity_precision = u8::try_from(scanner.unsigned()?).ok(),
            Pair::PricePrecision => price_precision = u8::try_from(scanner.unsigned()?).ok(),
        }
    }
    let (Some(status), false) = (state, symbol.is_empty()) else {
        return Err(DecodeErrorKind::Missing("symbol, status"));
    };
    let event = StatusEvent { symbol, status, price_precision, quantity_precision };
    out.events.push(Event::InstrumentStatus(event));
    Ok(())
}

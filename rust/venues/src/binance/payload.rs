//! Payloads of Binance's streams.

use facade_model::{BookSide, TakerSide, Ticker, TopOfBook, Trade};

use super::{Binance, push_answer};
use crate::levels::{best_level, push_levels};
use crate::scan::{Scanner, Step, keys};
use crate::{BookEvent, DecodeErrorKind, Decoded, Event, Sequence, Span, TickerEvent, TopEvent, TradesEvent};

keys! {
    /// `depthUpdate`; `pu` on futures only.
    Diff { Type = "e", Time = "E", Matched = "T", Symbol = "s", First = "U", Last = "u", Previous = "pu",
           Bids = "b", Asks = "a" }
}

keys! {
    /// `trade`; `X` on futures only, where the time stands before the symbol.
    Execution { Type = "e", Time = "E", Symbol = "s", Id = "t", Price = "p", Quantity = "q", Kind = "X",
                Matched = "T", IsBuyerMaker = "m", Ignore = "M" }
}

keys! {
    /// `bookTicker`; type and times on futures only.
    Best { Type = "e", Update = "u", Symbol = "s", BidPrice = "b", BidQuantity = "B", AskPrice = "a",
           AskQuantity = "A", Matched = "T", Time = "E" }
}

keys! {
    /// `24hrTicker`; best prices on spot only.
    Statistics { Type = "e", Time = "E", Symbol = "s", Last = "c", LastQuantity = "Q", BidPrice = "b",
                 BidQuantity = "B", AskPrice = "a", AskQuantity = "A", Open = "o", High = "h", Low = "l",
                 Volume = "v", QuoteVolume = "q" }
}

impl Binance {
    /// Reads one payload, or an answer to a request.
    #[inline]
    pub(super) fn decode_payload(self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        if scanner.begins_with(b"{\"e\":\"depthUpdate\"") {
            return push_diff(scanner, out);
        }
        if scanner.begins_with(b"{\"e\":\"trade\"") {
            return push_trade(scanner, out);
        }
        if scanner.begins_with(b"{\"e\":\"bookTicker\"") {
            return push_top(scanner, out);
        }
        if scanner.begins_with(b"{\"u\":") {
            let start = *scanner;
            if push_top(scanner, out).is_ok() {
                return Ok(());
            }
            *scanner = start;
        }
        self.decode_by_type(scanner, out)
    }

    /// Reads one payload whose type is not told by its first bytes.
    fn decode_by_type(self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        if scanner.peek() != Some(b'{') {
            return ignore(scanner, out);
        }
        let Some(mut probe) = scanner.find(b"e")? else {
            return match scanner.find_any([b"B", b"result", b"code", b"error"])? {
                Some((0, _)) => push_top(scanner, out),
                Some(_) => push_answer(scanner, out),
                None => ignore(scanner, out),
            };
        };
        match probe.word()? {
            b"depthUpdate" => push_diff(scanner, out),
            b"trade" => push_trade(scanner, out),
            b"bookTicker" => push_top(scanner, out),
            b"24hrTicker" => self.push_ticker(scanner, out),
            b"serverShutdown" => {
                out.events.push(Event::Notice);
                scanner.skip()
            }
            _ => ignore(scanner, out),
        }
    }

    /// Reads a `24hrTicker`.
    fn push_ticker(self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        let (mut symbol, mut ts_event) = (Span::default(), 0);
        let mut ticker = Ticker::default();
        let (mut bid_px, mut bid_qty, mut ask_px, mut ask_qty) = (None, None, None, None);
        let mut members = scanner.object()?;
        while let Some(key) = members.next::<Statistics>(scanner)? {
            match key {
                Statistics::Type => scanner.pass_text()?,
                Statistics::Time => ts_event = scanner.epoch()?,
                Statistics::Symbol => symbol = scanner.string()?,
                Statistics::Last => ticker.last_px = scanner.decimal_or_absent()?,
                Statistics::LastQuantity => ticker.last_qty = scanner.decimal_or_absent()?,
                Statistics::BidPrice => bid_px = scanner.decimal_or_absent()?,
                Statistics::BidQuantity => bid_qty = scanner.decimal_or_absent()?,
                Statistics::AskPrice => ask_px = scanner.decimal_or_absent()?,
                Statistics::AskQuantity => ask_qty = scanner.decimal_or_absent()?,
                Statistics::Open => ticker.open_px = scanner.decimal_or_absent()?,
                Statistics::High => ticker.high_px = scanner.decimal_or_absent()?,
                Statistics::Low => ticker.low_px = scanner.decimal_or_absent()?,
                Statistics::Volume => ticker.volume = scanner.decimal_or_absent()?,
                Statistics::QuoteVolume => ticker.quote_volume = scanner.decimal_or_absent()?,
            }
        }
        if symbol.is_empty() {
            return Err(DecodeErrorKind::Missing("s"));
        }
        if self == Self::Coinm {
            ticker.quote_volume = None; // there `q` counts base units
        }
        ticker.top = TopOfBook { bid: best_level(bid_px, bid_qty), ask: best_level(ask_px, ask_qty) };
        out.events.push(Event::Ticker(TickerEvent { symbol, ts_event, ticker }));
        Ok(())
    }
}

/// Passes over a payload that we do not use.
fn ignore(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    scanner.skip()?;
    out.events.push(Event::Ignored);
    Ok(())
}

/// Reads a `depthUpdate`.
fn push_diff(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut ts_event) = (Span::default(), 0);
    let mut sequence = Sequence::default();
    let (mut has_bids, mut has_asks) = (false, false);
    let start = out.levels_mark();
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Diff>(scanner)? {
        match key {
            Diff::Type => scanner.pass_text()?,
            Diff::Matched => _ = scanner.epoch()?,
            Diff::Time => ts_event = scanner.epoch()?,
            Diff::Symbol => symbol = scanner.string()?,
            Diff::First => sequence.first = Some(scanner.unsigned()?),
            Diff::Last => sequence.last = Some(scanner.unsigned()?),
            Diff::Previous => sequence.previous = scanner.unsigned_or_absent()?,
            Diff::Bids => {
                push_levels(scanner, BookSide::Bid, &mut out.levels)?;
                has_bids = true;
            }
            Diff::Asks => {
                push_levels(scanner, BookSide::Ask, &mut out.levels)?;
                has_asks = true;
            }
        }
    }
    if symbol.is_empty() || sequence.first.is_none() || sequence.last.is_none() || !has_bids || !has_asks {
        return Err(DecodeErrorKind::Missing("s, U, u, b, a"));
    }
    let levels = start..out.levels_mark();
    let book = BookEvent { symbol, is_snapshot: false, ts_event, sequence, checksum: None, levels };
    out.events.push(Event::Book(book));
    Ok(())
}

/// Reads a `trade`.
fn push_trade(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut symbol = Span::default();
    let (mut id, mut px, mut qty, mut side) = (None, None, None, None);
    let (mut ts_event, mut ts_matched, mut is_market) = (0, None, true);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Execution>(scanner)? {
        match key {
            Execution::Type => scanner.pass_text()?,
            Execution::Time => ts_event = scanner.epoch()?,
            Execution::Symbol => symbol = scanner.string()?,
            Execution::Id => id = Some(scanner.unsigned()?),
            Execution::Price => px = Some(scanner.decimal()?),
            Execution::Quantity => qty = Some(scanner.decimal()?),
            Execution::Kind => is_market = scanner.word()? == b"MARKET",
            Execution::Matched => ts_matched = Some(scanner.epoch()?),
            Execution::Ignore => _ = scanner.boolean()?,
            Execution::IsBuyerMaker => {
                side = Some(if scanner.boolean()? { TakerSide::Sell } else { TakerSide::Buy });
            }
        }
    }
    let (Some(id), Some(px), Some(qty), Some(side), false) = (id, px, qty, side, symbol.is_empty()) else {
        return Err(DecodeErrorKind::Missing("s, t, p, q, m"));
    };
    let start = out.trades_mark();
    out.trades.push(Trade { id, px, qty, side, ts_event: ts_matched.unwrap_or(ts_event), is_market });
    let trades = start..out.trades_mark();
    out.events.push(Event::Trades(TradesEvent { symbol, is_snapshot: false, trades }));
    Ok(())
}

/// Reads a `bookTicker`.
fn push_top(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut sequence, mut ts_event) = (Span::default(), None, 0);
    let (mut bid_px, mut bid_qty, mut ask_px, mut ask_qty) = (None, None, None, None);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Best>(scanner)? {
        match key {
            Best::Type if scanner.word()? != b"bookTicker" => return Err(DecodeErrorKind::Syntax),
            Best::Type => {}
            Best::Matched => _ = scanner.epoch()?,
            Best::Update => sequence = Some(scanner.unsigned()?),
            Best::Symbol => symbol = scanner.string()?,
            Best::BidPrice => bid_px = scanner.decimal_or_absent()?,
            Best::BidQuantity => bid_qty = scanner.decimal_or_absent()?,
            Best::AskPrice => ask_px = scanner.decimal_or_absent()?,
            Best::AskQuantity => ask_qty = scanner.decimal_or_absent()?,
            Best::Time => ts_event = scanner.epoch()?,
        }
    }
    if symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("s"));
    }
    let top = TopOfBook { bid: best_level(bid_px, bid_qty), ask: best_level(ask_px, ask_qty) };
    out.events.push(Event::Top(TopEvent { symbol, ts_event, sequence, top }));
    Ok(())
}

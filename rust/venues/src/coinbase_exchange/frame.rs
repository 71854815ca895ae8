//! Frames of Coinbase Exchange: flat objects, told apart by their `type`.

use facade_model::{BookSide, Channel, LevelChange, Ticker, TopOfBook, Trade};

use crate::coinbase::{read_products, taker_of_maker};
use crate::levels::{best_level, change, push_levels};
use crate::scan::{Scanner, Step, keys};
use crate::{
    BookEvent, Control, DecodeErrorKind, Decoded, Event, Sequence, Span, TickerEvent, TopEvent, TradesEvent,
    hint,
};

keys! { UpdateKey { Type = "type", ProductId = "product_id", Changes = "changes", Time = "time" } }

keys! { SnapshotKey { Type = "type", ProductId = "product_id", Asks = "asks", Bids = "bids", Time = "time" } }

keys! {
    MatchKey {
        Type = "type",
        TradeId = "trade_id",
        Side = "side",
        Size = "size",
        Price = "price",
        ProductId = "product_id",
        Time = "time",
    }
}

keys! {
    TickerKey {
        Type = "type",
        Sequence = "sequence",
        ProductId = "product_id",
        Price = "price",
        Open24h = "open_24h",
        Volume24h = "volume_24h",
        Low24h = "low_24h",
        High24h = "high_24h",
        BestBid = "best_bid",
        BestBidSize = "best_bid_size",
        BestAsk = "best_ask",
        BestAskSize = "best_ask_size",
        Time = "time",
        LastSize = "last_size",
    }
}

keys! { SubscriptionsKey { Type = "type", Channels = "channels" } }

keys! { SubscriptionKey { Name = "name", ProductIds = "product_ids" } }

keys! { ErrorKey { Type = "type", Message = "message", Reason = "reason" } }

keys! { StatusKey { Type = "type", Products = "products" } }

/// Reads one frame.
pub(super) fn decode(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let kind = match scanner.find(b"type")? {
        Some(mut probe) => probe.word_or_skip()?,
        None => b"",
    };
    match kind {
        b"l2update" => read_update(scanner, out),
        b"snapshot" => read_snapshot(scanner, out),
        b"match" => read_match(scanner, false, out),
        b"last_match" => read_match(scanner, true, out),
        b"ticker" => read_ticker(scanner, out),
        b"heartbeat" => {
            out.events.push(Event::Heartbeat(None));
            scanner.skip()
        }
        b"subscriptions" => read_subscriptions(scanner, out),
        b"status" => read_status(scanner, out),
        b"error" => read_error(scanner, out),
        _ => {
            out.events.push(Event::Ignored);
            scanner.skip()
        }
    }
}

/// Reads `l2update`: rows of side, price and absolute quantity.
#[inline]
fn read_update(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut ts_event, mut has_changes) = (Span::default(), 0, false);
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<UpdateKey>(scanner)? {
        match key {
            UpdateKey::Type => scanner.skip()?,
            UpdateKey::ProductId => symbol = scanner.string()?,
            UpdateKey::Changes => {
                read_changes(scanner, out)?;
                has_changes = true;
            }
            UpdateKey::Time => ts_event = scanner.rfc3339()?,
        }
    }
    if !has_changes {
        return Err(DecodeErrorKind::Missing("changes"));
    }
    push_book(symbol, false, ts_event, out)
}

#[inline]
fn read_changes(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut changes = scanner.array()?;
    while changes.next(scanner)? {
        if let Some((px, qty)) = scanner.pair(br#"["buy",""#, br#"",""#, br#""]"#) {
            out.levels.push(LevelChange { side: BookSide::Bid, px, qty });
            continue;
        }
        if let Some((px, qty)) = scanner.pair(br#"["sell",""#, br#"",""#, br#""]"#) {
            out.levels.push(LevelChange { side: BookSide::Ask, px, qty });
            continue;
        }
        let mut row = scanner.array()?;
        if !row.next(scanner)? {
            return Err(DecodeErrorKind::Missing("side"));
        }
        let side = match scanner.word()? {
            b"buy" => BookSide::Bid,
            b"sell" => BookSide::Ask,
            _ => return Err(DecodeErrorKind::Syntax),
        };
        if !row.next(scanner)? {
            return Err(DecodeErrorKind::Missing("price"));
        }
        let px = scanner.decimal()?;
        if !row.next(scanner)? {
            return Err(DecodeErrorKind::Missing("size"));
        }
        let qty = scanner.decimal()?;
        while row.next(scanner)? {
            scanner.skip()?;
        }
        out.levels.push(change(side, px, qty)?);
    }
    Ok(())
}

/// Reads `snapshot`: the whole book.
fn read_snapshot(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut ts_event) = (Span::default(), 0);
    let (mut has_asks, mut has_bids) = (false, false);
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<SnapshotKey>(scanner)? {
        match key {
            SnapshotKey::Type => scanner.skip()?,
            SnapshotKey::ProductId => symbol = scanner.string()?,
            SnapshotKey::Asks => {
                push_levels(scanner, BookSide::Ask, &mut out.levels)?;
                has_asks = true;
            }
            SnapshotKey::Bids => {
                push_levels(scanner, BookSide::Bid, &mut out.levels)?;
                has_bids = true;
            }
            SnapshotKey::Time => ts_event = scanner.rfc3339()?,
        }
    }
    if !has_asks || !has_bids {
        return Err(DecodeErrorKind::Missing("asks, bids"));
    }
    push_book(symbol, true, ts_event, out)
}

fn push_book(symbol: Span, is_snapshot: bool, ts_event: i64, out: &mut Decoded) -> Step<()> {
    if symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("product_id"));
    }
    out.events.push(Event::Book(BookEvent {
        symbol,
        is_snapshot,
        ts_event,
        sequence: Sequence::default(),
        checksum: None,
        levels: 0..out.levels_mark(),
    }));
    Ok(())
}

/// Reads `match`, or `last_match`: the trade before the subscription, which may be known already.
fn read_match(scanner: &mut Scanner<'_>, is_snapshot: bool, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut id, mut px, mut qty, mut side, mut ts_event) =
        (Span::default(), None, None, None, None, 0);
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<MatchKey>(scanner)? {
        match key {
            MatchKey::Type => scanner.skip()?,
            MatchKey::TradeId => id = Some(scanner.unsigned()?),
            MatchKey::Side => side = Some(scanner.word()?),
            MatchKey::Size => qty = Some(scanner.decimal()?),
            MatchKey::Price => px = Some(scanner.decimal()?),
            MatchKey::ProductId => symbol = scanner.string()?,
            MatchKey::Time => ts_event = scanner.rfc3339()?,
        }
    }
    if symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("product_id"));
    }
    out.trades.push(Trade {
        id: id.ok_or(DecodeErrorKind::Missing("trade_id"))?,
        px: px.ok_or(DecodeErrorKind::Missing("price"))?,
        qty: qty.ok_or(DecodeErrorKind::Missing("size"))?,
        side: taker_of_maker(side.ok_or(DecodeErrorKind::Missing("side"))?),
        ts_event,
        is_market: true,
    });
    out.events.push(Event::Trades(TradesEvent { symbol, is_snapshot, trades: 0..out.trades_mark() }));
    Ok(())
}

/// Reads `ticker`. The first one of a product repeats its last trade and may be minutes old: see its time.
///
/// Best prices without quantities (as before 2022) make no top.
fn read_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut ts_event, mut sequence, mut has_top) = (Span::default(), 0, None, false);
    let (mut ticker, mut bid_px, mut bid_qty, mut ask_px, mut ask_qty) =
        (Ticker::default(), None, None, None, None);
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<TickerKey>(scanner)? {
        match key {
            TickerKey::Type => scanner.skip()?,
            TickerKey::Sequence => sequence = scanner.unsigned_or_absent()?,
            TickerKey::ProductId => symbol = scanner.string()?,
            TickerKey::Price => ticker.last_px = scanner.decimal_or_absent()?,
            TickerKey::Open24h => ticker.open_px = scanner.decimal_or_absent()?,
            TickerKey::Volume24h => ticker.volume = scanner.decimal_or_absent()?,
            TickerKey::Low24h => ticker.low_px = scanner.decimal_or_absent()?,
            TickerKey::High24h => ticker.high_px = scanner.decimal_or_absent()?,
            TickerKey::BestBid => bid_px = scanner.decimal_or_absent()?,
            TickerKey::BestBidSize => {
                bid_qty = scanner.decimal_or_absent()?;
                has_top = true;
            }
            TickerKey::BestAsk => ask_px = scanner.decimal_or_absent()?,
            TickerKey::BestAskSize => {
                ask_qty = scanner.decimal_or_absent()?;
                has_top = true;
            }
            TickerKey::Time => ts_event = scanner.rfc3339()?,
            TickerKey::LastSize => ticker.last_qty = scanner.decimal_or_absent()?,
        }
    }
    if symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("product_id"));
    }
    ticker.top = TopOfBook { bid: best_level(bid_px, bid_qty), ask: best_level(ask_px, ask_qty) };
    if has_top {
        out.events.push(Event::Top(TopEvent { symbol, ts_event, sequence, top: ticker.top }));
    }
    out.events.push(Event::Ticker(TickerEvent { symbol, ts_event, ticker }));
    Ok(())
}

/// Reads the whole set of subscriptions, which answers every request: what is missing in it has ended.
fn read_subscriptions(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<SubscriptionsKey>(scanner)? {
        match key {
            SubscriptionsKey::Type => scanner.skip()?,
            SubscriptionsKey::Channels => {
                let mut channels = scanner.array()?;
                while channels.next(scanner)? {
                    read_subscription(scanner, out)?;
                }
            }
        }
    }
    if out.events.is_empty() {
        out.events.push(Event::Ignored);
    }
    Ok(())
}

fn read_subscription(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut name, mut products): (&[u8], _) = (b"", None);
    let mut object = scanner.object()?;
    while let Some(key) = object.next::<SubscriptionKey>(scanner)? {
        match key {
            SubscriptionKey::Name => name = scanner.word()?,
            SubscriptionKey::ProductIds => {
                products = Some(*scanner);
                scanner.skip()?;
            }
        }
    }
    let channel = match name {
        b"level2" | b"level2_50" | b"level2_batch" => Channel::BookL2,
        b"matches" => Channel::Trades,
        b"ticker" | b"ticker_batch" => Channel::Ticker,
        _ => return Ok(()),
    };
    let Some(mut products) = products else { return Ok(()) };
    let mut items = products.array()?;
    while items.next(&mut products)? {
        let symbol = products.string()?;
        let control = Control { channel: Some(channel), symbol, is_subscribe: true, ..Control::default() };
        out.events.push(Event::Acked(control));
    }
    Ok(())
}

fn read_status(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<StatusKey>(scanner)? {
        match key {
            StatusKey::Type => scanner.skip()?,
            StatusKey::Products => read_products(scanner, out)?,
        }
    }
    if out.events.is_empty() {
        out.events.push(Event::Ignored);
    }
    Ok(())
}

/// Reads `error`. The refused product stands nowhere but in the text, `BTC-FOO is not a valid product`.
fn read_error(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut message, mut reason) = (Span::default(), Span::default());
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<ErrorKey>(scanner)? {
        match key {
            ErrorKey::Type => scanner.skip()?,
            ErrorKey::Message => message = scanner.string_or_skip()?,
            ErrorKey::Reason => reason = scanner.string_or_skip()?,
        }
    }
    let length = hint::find(scanner.of(reason), b" is not a valid product");
    let symbol = length
        .and_then(|length| u32::try_from(length).ok())
        .map(|length| Span { start: reason.start, end: reason.start + length });
    out.events.push(Event::Refused(Control {
        symbol: symbol.unwrap_or_default(),
        is_subscribe: true,
        message: if reason.is_empty() { message } else { reason },
        ..Control::default()
    }));
    Ok(())
}

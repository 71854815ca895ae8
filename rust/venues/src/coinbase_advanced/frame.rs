//! Frames of Advanced Trade: one envelope, numbered over all channels of the connection, around several events.

use facade_model::{BookSide, Channel, LevelChange};

use super::market::{read_tickers, read_trades};
use crate::coinbase::read_products;
use crate::levels::change;
use crate::scan::{Scanner, Step, keys};
use crate::timestamp::parse_rfc3339;
use crate::{BookEvent, Control, DecodeErrorKind, Decoded, Event, Sequence, Span, TickerEvent, TopEvent};

keys! {
    FrameKey {
        Channel = "channel",
        Timestamp = "timestamp",
        SequenceNum = "sequence_num",
        Events = "events",
        Type = "type",
        Message = "message",
        Reason = "reason",
    }
}

keys! { BookKey { Type = "type", ProductId = "product_id", Updates = "updates" } }

keys! {
    UpdateKey {
        Side = "side",
        EventTime = "event_time",
        PriceLevel = "price_level",
        NewQuantity = "new_quantity",
    }
}

keys! { HeartbeatKey { HeartbeatCounter = "heartbeat_counter" } }

keys! { SubscriptionsKey { Subscriptions = "subscriptions" } }

keys! {
    SubscriptionKey {
        Level2 = "level2",
        MarketTrades = "market_trades",
        Ticker = "ticker",
        TickerBatch = "ticker_batch",
    }
}

keys! { StatusKey { Products = "products" } }

/// What a frame delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Books,
    Trades,
    Tickers,
    Heartbeats,
    Subscriptions,
    Status,
    /// Candles, and whatever else nobody reads.
    Other,
}

impl Stream {
    fn of(name: &[u8]) -> Self {
        match name {
            b"l2_data" => Self::Books,
            b"market_trades" => Self::Trades,
            b"ticker" | b"ticker_batch" => Self::Tickers,
            b"heartbeats" => Self::Heartbeats,
            b"subscriptions" => Self::Subscriptions,
            b"status" => Self::Status,
            _ => Self::Other,
        }
    }
}

/// Reads one frame.
///
/// Whatever its channel, its number comes first: [`Event::ConnectionSequence`]. Error frames have no number.
pub(super) fn decode(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    out.events.push(Event::ConnectionSequence(0));
    let (mut stream, mut sequence, mut ts_envelope) = (None, None, 0);
    let (mut is_error, mut message, mut reason) = (false, Span::default(), Span::default());
    let mut deferred = None; // events that came before their channel
    let mut frame = scanner.object()?;
    while let Some(key) = frame.next::<FrameKey>(scanner)? {
        match key {
            FrameKey::Channel => stream = Some(Stream::of(scanner.word()?)),
            FrameKey::Timestamp => ts_envelope = scanner.rfc3339()?,
            FrameKey::SequenceNum => sequence = Some(scanner.unsigned()?),
            FrameKey::Events => {
                if let Some(stream) = stream {
                    read_events(scanner, stream, out)?;
                } else {
                    deferred = Some(*scanner);
                    scanner.skip()?;
                }
            }
            FrameKey::Type => is_error = scanner.word_or_skip()? == b"error",
            FrameKey::Message => message = scanner.string_or_skip()?,
            FrameKey::Reason => reason = scanner.string_or_skip()?,
        }
    }
    let Some(stream) = stream else {
        out.events.clear();
        let message = if reason.is_empty() { message } else { reason };
        let refused = Control { is_subscribe: true, message, ..Control::default() };
        out.events.push(if is_error { Event::Refused(refused) } else { Event::Ignored });
        return Ok(());
    };
    if let Some(mut events) = deferred {
        read_events(&mut events, stream, out)?;
    }
    finish(sequence.ok_or(DecodeErrorKind::Missing("sequence_num"))?, ts_envelope, out);
    Ok(())
}

/// Puts the frame's number first, and its time where the events have none of their own.
#[inline]
fn finish(sequence: u64, ts_envelope: i64, out: &mut Decoded) {
    for event in &mut out.events {
        match event {
            Event::ConnectionSequence(number) => *number = sequence,
            Event::Book(BookEvent { ts_event, .. })
            | Event::Top(TopEvent { ts_event, .. })
            | Event::Ticker(TickerEvent { ts_event, .. })
                if *ts_event == 0 =>
            {
                *ts_event = ts_envelope;
            }
            _ => {}
        }
    }
    if out.events.len() == 1 {
        out.events.push(Event::Ignored);
    }
}

#[inline]
fn read_events(scanner: &mut Scanner<'_>, stream: Stream, out: &mut Decoded) -> Step<()> {
    if stream == Stream::Other {
        return scanner.skip();
    }
    let mut events = scanner.array()?;
    while events.next(scanner)? {
        match stream {
            Stream::Books => read_book(scanner, out)?,
            Stream::Trades => read_trades(scanner, out)?,
            Stream::Tickers => read_tickers(scanner, out)?,
            Stream::Heartbeats => read_heartbeat(scanner, out)?,
            Stream::Subscriptions => read_subscriptions(scanner, out)?,
            Stream::Status => read_status(scanner, out)?,
            Stream::Other => scanner.skip()?,
        }
    }
    Ok(())
}

/// Reads the levels of one product. Its time is that of its newest level; snapshots may tell none (1970).
#[inline]
fn read_book(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let start = out.levels_mark();
    let (mut kind, mut symbol, mut ts_event): (Option<&[u8]>, _, _) = (None, Span::default(), None);
    let mut event = scanner.object()?;
    while let Some(key) = event.next::<BookKey>(scanner)? {
        match key {
            BookKey::Type => kind = Some(scanner.word()?),
            BookKey::ProductId => symbol = scanner.string()?,
            BookKey::Updates => ts_event = Some(read_updates(scanner, out)?),
        }
    }
    if symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("product_id"));
    }
    out.events.push(Event::Book(BookEvent {
        symbol,
        is_snapshot: match kind.ok_or(DecodeErrorKind::Missing("type"))? {
            b"snapshot" => true,
            b"update" => false,
            _ => return Err(DecodeErrorKind::Syntax),
        },
        ts_event: ts_event.ok_or(DecodeErrorKind::Missing("updates"))?,
        sequence: Sequence::default(),
        checksum: None,
        levels: start..out.levels_mark(),
    }));
    Ok(())
}

/// Reads levels; returns the time of the newest, ns UTC, 0 if none has one.
#[inline]
fn read_updates(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<i64> {
    let mut ts_newest = 0;
    let mut ts_text: &[u8] = b"";
    let mut updates = scanner.array()?;
    while updates.next(scanner)? {
        if let Some(level) = usual_update(scanner, ts_text) {
            out.levels.push(level);
            continue;
        }
        let (mut side, mut px, mut qty) = (None, None, None);
        let mut update = scanner.object()?;
        while let Some(key) = update.next::<UpdateKey>(scanner)? {
            match key {
                UpdateKey::Side => side = Some(side_of(scanner.word()?)?),
                UpdateKey::EventTime => {
                    let text = scanner.word()?;
                    if text != ts_text {
                        ts_newest = ts_newest.max(parse_rfc3339(text).ok_or(DecodeErrorKind::Syntax)?);
                        ts_text = text;
                    }
                }
                UpdateKey::PriceLevel => px = Some(scanner.decimal()?),
                UpdateKey::NewQuantity => qty = Some(scanner.decimal()?),
            }
        }
        out.levels.push(change(
            side.ok_or(DecodeErrorKind::Missing("side"))?,
            px.ok_or(DecodeErrorKind::Missing("price_level"))?,
            qty.ok_or(DecodeErrorKind::Missing("new_quantity"))?,
        )?);
    }
    Ok(ts_newest)
}

/// Takes one level in few steps if it stands in the venue's usual form, with the time of the level before it.
#[inline]
fn usual_update(scanner: &mut Scanner<'_>, ts_text: &[u8]) -> Option<LevelChange> {
    let mut probe = *scanner;
    let side = if probe.literal(br#"{"side":"bid","event_time":""#) {
        BookSide::Bid
    } else if probe.literal(br#"{"side":"offer","event_time":""#) {
        BookSide::Ask
    } else {
        return None;
    };
    if ts_text.is_empty() || !probe.same(ts_text) {
        return None;
    }
    let (px, qty) = probe.pair(br#"","price_level":""#, br#"","new_quantity":""#, br#""}"#)?;
    *scanner = probe;
    Some(LevelChange { side, px, qty })
}

#[inline]
fn side_of(name: &[u8]) -> Step<BookSide> {
    match name {
        b"bid" => Ok(BookSide::Bid),
        b"offer" | b"ask" => Ok(BookSide::Ask),
        _ => Err(DecodeErrorKind::Syntax),
    }
}

fn read_heartbeat(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut counter = None;
    let mut event = scanner.object()?;
    while let Some(HeartbeatKey::HeartbeatCounter) = event.next::<HeartbeatKey>(scanner)? {
        counter = Some(scanner.unsigned()?);
    }
    out.events.push(Event::Heartbeat(counter));
    Ok(())
}

/// Reads the whole set of subscriptions, which answers every request: what is missing in it has ended.
fn read_subscriptions(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut event = scanner.object()?;
    while let Some(SubscriptionsKey::Subscriptions) = event.next::<SubscriptionsKey>(scanner)? {
        let mut channels = scanner.object()?;
        while let Some(key) = channels.next::<SubscriptionKey>(scanner)? {
            let channel = Some(match key {
                SubscriptionKey::Level2 => Channel::BookL2,
                SubscriptionKey::MarketTrades => Channel::Trades,
                SubscriptionKey::Ticker | SubscriptionKey::TickerBatch => Channel::Ticker,
            });
            let mut products = scanner.array()?;
            while products.next(scanner)? {
                let symbol = scanner.string()?;
                let control = Control { channel, symbol, is_subscribe: true, ..Control::default() };
                out.events.push(Event::Acked(control));
            }
        }
    }
    Ok(())
}

fn read_status(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut event = scanner.object()?;
    while let Some(StatusKey::Products) = event.next::<StatusKey>(scanner)? {
        read_products(scanner, out)?;
    }
    Ok(())
}

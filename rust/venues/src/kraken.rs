//! Kraken spot, WebSocket v2 and REST, to the model. Version 1 of the socket is not spoken: its frames are ignored.
//!
//! Source: Kraken API documentation, `websocket-v2/*` and `rest-api/*`, 2026-05-27.

mod answer;
mod channel;
mod instruments;
mod request;
pub(crate) mod rest;

use facade_model::{BookSide, Channel, Instrument, InstrumentStatus};

use crate::history::{KlineRow, KlinesSpan, RestRequest, TradesSpan};
use crate::levels::push_levels;
use crate::product::Protocol;
use crate::scan::{Scanner, Step, keys};
use crate::{BookEvent, ControlOp, DecodeErrorKind, Decoded, Event, Sequence, Span, hint};

/// Kraken spot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kraken;

keys! {
    /// A REST answer.
    Reply { Error = "error", Result = "result" }
}

keys! {
    /// A REST book.
    Depth { Asks = "asks", Bids = "bids" }
}

impl Protocol for Kraken {
    fn decode(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        if scanner.peek() != Some(b'{') {
            scanner.skip()?;
            out.events.push(Event::Ignored);
            return Ok(());
        }
        if scanner.begins_with(b"{\"channel\":\"book\"") {
            return channel::push_data(b"book", scanner, out);
        }
        match scanner.find(b"channel")? {
            Some(mut probe) => channel::push_data(probe.word()?, scanner, out),
            None => answer::push_answer(scanner, out),
        }
    }

    fn book_hint(&self, frame: &[u8]) -> Option<Span> {
        let channel = hint::string_member(frame, "channel")?;
        let is_book = channel.of(frame) == b"book" && !hint::contains(frame, b"\"method\"");
        is_book.then(|| hint::string_member(frame, "symbol").unwrap_or_default())
    }

    fn decode_snapshot(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        let mut is_read = false;
        read_result(scanner, |scanner| {
            let mut books = scanner.object()?;
            while books.next_any(scanner)?.is_some() {
                if is_read {
                    return Err(DecodeErrorKind::DuplicateKey); // one book was asked for
                }
                read_depth(scanner, out)?;
                is_read = true;
            }
            Ok(())
        })?;
        if is_read { Ok(()) } else { Err(DecodeErrorKind::Missing("result")) }
    }

    fn decode_instruments(&self, scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
        instruments::read(scanner)
    }

    fn instruments_paths(&self) -> &'static [&'static str] {
        &["/0/public/AssetPairs"]
    }

    fn snapshot_path(&self, venue_symbol: &str, levels: u32) -> Option<String> {
        Some(request::depth_path(venue_symbol, levels))
    }

    fn snapshot_weight(&self, _levels: u32) -> u32 {
        1
    }

    fn control(
        &self,
        op: ControlOp,
        request_id: u64,
        items: &[(&str, Channel)],
        depth: u32,
        out: &mut Vec<String>,
    ) {
        request::push_control(op, request_id, items, depth, out);
    }

    fn stream_of(&self, channel: Channel) -> Option<Channel> {
        match channel {
            Channel::Trades | Channel::BookL2 => Some(channel),
            Channel::TopOfBook | Channel::Ticker => Some(Channel::Ticker),
            Channel::Klines | Channel::ConsolidatedTop => None,
        }
    }

    fn ping(&self, request_id: u64) -> Option<String> {
        Some(format!("{{\"method\":\"ping\",\"req_id\":{request_id}}}"))
    }

    fn trades_request(&self, venue_symbol: &str, span: &TradesSpan) -> RestRequest {
        rest::trades_request(venue_symbol, span)
    }

    fn klines_request(&self, venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
        rest::klines_request(venue_symbol, span)
    }

    fn ticker_request(&self, venue_symbol: &str) -> RestRequest {
        rest::ticker_request(venue_symbol)
    }

    fn decode_trades(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        rest::decode_trades(scanner, out)
    }

    fn decode_klines(&self, scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()> {
        rest::decode_klines(scanner, rows)
    }

    fn decode_ticker(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        rest::decode_ticker(scanner, out)
    }

    fn opening(&self) -> &'static [&'static str] {
        // Halts and new precisions of every pair come only here; without a number its answer concerns no item.
        &[r#"{"method":"subscribe","params":{"channel":"instrument","snapshot":true}}"#]
    }
}

/// Walks a REST answer `{"error": [], "result": {..}}`; a filled `error` refuses it.
fn read_result<'a>(
    scanner: &mut Scanner<'a>,
    mut read: impl FnMut(&mut Scanner<'a>) -> Step<()>,
) -> Step<()> {
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Reply>(scanner)? {
        match key {
            Reply::Error => {
                let mut errors = scanner.array()?;
                if errors.next(scanner)? {
                    return Err(DecodeErrorKind::Refused);
                }
            }
            Reply::Result => read(scanner)?,
        }
    }
    Ok(())
}

/// Reads one REST book.
fn read_depth(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut has_bids, mut has_asks) = (false, false);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Depth>(scanner)? {
        match key {
            Depth::Asks => {
                push_levels(scanner, BookSide::Ask, &mut out.levels)?;
                has_asks = true;
            }
            Depth::Bids => {
                push_levels(scanner, BookSide::Bid, &mut out.levels)?;
                has_bids = true;
            }
        }
    }
    if !has_bids || !has_asks {
        return Err(DecodeErrorKind::Missing("asks, bids"));
    }
    out.events.push(Event::Book(BookEvent {
        symbol: Span::default(),
        is_snapshot: true,
        ts_event: 0,
        sequence: Sequence::default(),
        checksum: None,
        levels: 0..out.levels_mark(),
    }));
    Ok(())
}

/// Reads the status of a pair or of the whole venue; one that we do not know is not tradable.
fn status(text: &[u8]) -> InstrumentStatus {
    match text {
        b"online" | b"limit_only" | b"reduce_only" => InstrumentStatus::Trading,
        b"post_only" => InstrumentStatus::Auction,
        b"cancel_only" | b"maintenance" | b"work_in_progress" => InstrumentStatus::Halted,
        b"delisted" => InstrumentStatus::Delisted,
        _ => InstrumentStatus::Unknown,
    }
}

//! Binance spot and futures: frames and REST answers to the model.
//!
//! Source: binance-spot-api-docs `web-socket-streams.md`, `rest-api.md`, 2026-07-21; derivatives pages, 2026-01.

mod instruments;
mod payload;
mod request;
mod rest;

pub(crate) use rest::read_last_id;

use facade_model::{BookSide, Channel, Instrument};

use crate::history::{KlineRow, KlinesSpan, RestRequest, TradesSpan};
use crate::levels::push_levels;
use crate::product::Protocol;
use crate::scan::{Scanner, Step, keys};
use crate::{BookEvent, Control, ControlOp, DecodeErrorKind, Decoded, Event, Sequence, Span, hint};

/// Binance, by product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binance {
    /// Spot.
    Spot,
    /// Futures margined in stablecoins.
    Usdm,
    /// Futures margined in coins.
    Coinm,
}

keys! {
    /// A payload on a combined connection.
    Envelope { Stream = "stream", Data = "data" }
}

keys! {
    /// An answer to a request of ours; never wrapped.
    Answer { Result = "result", Error = "error", Code = "code", Message = "msg", Id = "id" }
}

keys! {
    /// A REST depth answer; futures tell times too.
    Depth { Last = "lastUpdateId", Time = "E", Bids = "bids", Asks = "asks", Code = "code" }
}

impl Protocol for Binance {
    fn decode(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        if is_wrapped(scanner)? {
            let mut members = scanner.object()?;
            while let Some(key) = members.next::<Envelope>(scanner)? {
                match key {
                    Envelope::Stream => scanner.pass_text()?,
                    Envelope::Data => self.decode_payload(scanner, out)?,
                }
            }
            return Ok(());
        }
        self.decode_payload(scanner, out)
    }

    fn book_hint(&self, frame: &[u8]) -> Option<Span> {
        hint::contains(frame, b"\"depthUpdate\"").then(|| hint::string_member(frame, "s").unwrap_or_default())
    }

    fn decode_snapshot(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        let (mut last, mut ts_event) = (None, 0);
        let (mut has_bids, mut has_asks) = (false, false);
        let mut members = scanner.object()?;
        while let Some(key) = members.next::<Depth>(scanner)? {
            match key {
                Depth::Last => last = Some(scanner.unsigned()?),
                Depth::Time => ts_event = scanner.epoch()?,
                Depth::Bids => {
                    push_levels(scanner, BookSide::Bid, &mut out.levels)?;
                    has_bids = true;
                }
                Depth::Asks => {
                    push_levels(scanner, BookSide::Ask, &mut out.levels)?;
                    has_asks = true;
                }
                Depth::Code => return Err(DecodeErrorKind::Refused),
            }
        }
        if last.is_none() || !has_bids || !has_asks {
            return Err(DecodeErrorKind::Missing("lastUpdateId, bids, asks"));
        }
        out.events.push(Event::Book(BookEvent {
            symbol: Span::default(),
            is_snapshot: true,
            ts_event,
            sequence: Sequence { first: None, last, previous: None },
            checksum: None,
            levels: 0..out.levels_mark(),
        }));
        Ok(())
    }

    fn decode_instruments(&self, scanner: &mut Scanner<'_>) -> Step<Vec<Instrument>> {
        self.read_instruments(scanner)
    }

    fn instruments_paths(&self) -> &'static [&'static str] {
        match self {
            Self::Spot => &["/api/v3/exchangeInfo"],
            Self::Usdm => &["/fapi/v1/exchangeInfo"],
            Self::Coinm => &["/dapi/v1/exchangeInfo"],
        }
    }

    fn snapshot_path(&self, venue_symbol: &str, levels: u32) -> Option<String> {
        Some(self.depth_path(venue_symbol, levels))
    }

    fn snapshot_weight(&self, levels: u32) -> u32 {
        self.depth_limit(levels).1
    }

    fn control(
        &self,
        op: ControlOp,
        request_id: u64,
        items: &[(&str, Channel)],
        _depth: u32,
        out: &mut Vec<String>,
    ) {
        self.push_control(op, request_id, items, out);
    }

    fn stream_of(&self, channel: Channel) -> Option<Channel> {
        self.stream_suffix(channel).map(|_| channel)
    }

    fn ping(&self, _request_id: u64) -> Option<String> {
        None
    }

    fn trades_request(&self, venue_symbol: &str, span: &TradesSpan) -> RestRequest {
        (*self).trades_request(venue_symbol, span)
    }

    fn klines_request(&self, venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
        (*self).klines_request(venue_symbol, span)
    }

    fn ticker_request(&self, venue_symbol: &str) -> RestRequest {
        (*self).ticker_request(venue_symbol)
    }

    fn ticker_rest_request(&self, venue_symbol: &str) -> Option<RestRequest> {
        self.best_request(venue_symbol)
    }

    fn decode_trades(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        rest::decode_trades(scanner, out)
    }

    fn decode_klines(&self, scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()> {
        self.read_klines(scanner, rows)
    }

    fn decode_ticker(&self, scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        Self::read_ticker(scanner, out)
    }
}

/// Whether the payload stands inside `{"stream": .., "data": ..}`.
#[inline]
fn is_wrapped(scanner: &mut Scanner<'_>) -> Step<bool> {
    scanner.peek();
    if scanner.begins_with(b"{\"stream\":") {
        return Ok(true);
    }
    if scanner.begins_with(b"{\"e\":") || scanner.begins_with(b"{\"u\":") || scanner.peek() != Some(b'{') {
        return Ok(false);
    }
    Ok(matches!(scanner.find_any([b"data", b"e"])?, Some((0, _))))
}

/// Reads an answer to a request of ours: an acknowledgement, an error, or an object that we do not know.
fn push_answer(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut control = Control { is_subscribe: true, ..Control::default() };
    let (mut is_answer, mut is_error) = (false, false);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Answer>(scanner)? {
        match key {
            Answer::Result => {
                scanner.skip()?;
                is_answer = true;
            }
            Answer::Error => {
                control.message = error_message(scanner)?;
                is_error = true;
            }
            Answer::Code => {
                scanner.skip()?;
                is_error = true;
            }
            Answer::Message => control.message = scanner.string()?,
            Answer::Id => control.request_id = request_id(scanner)?,
        }
    }
    out.events.push(if is_error {
        Event::Refused(control)
    } else if is_answer {
        Event::Acked(control)
    } else {
        Event::Ignored
    });
    Ok(())
}

/// Reads the text of `{"code": 2, "msg": ".."}`.
fn error_message(scanner: &mut Scanner<'_>) -> Step<Span> {
    let mut message = Span::default();
    if scanner.peek() != Some(b'{') {
        scanner.skip()?;
        return Ok(message);
    }
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Answer>(scanner)? {
        match key {
            Answer::Message => message = scanner.string()?,
            _ => scanner.skip()?,
        }
    }
    Ok(message)
}

/// Reads the number of a request; texts and `null`, which we never send, are absent.
fn request_id(scanner: &mut Scanner<'_>) -> Step<Option<u64>> {
    if matches!(scanner.peek(), Some(b'0'..=b'9')) {
        return scanner.unsigned().map(Some);
    }
    scanner.skip()?;
    Ok(None)
}

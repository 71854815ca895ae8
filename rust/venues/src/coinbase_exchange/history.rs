//! REST of Coinbase Exchange beside the book and the list: trades, candles, tickers. All newest first.
//!
//! Source: Coinbase Exchange "Get product trades", "candles", "ticker", 2026-08-22.

use std::fmt::Write as _;

use facade_model::{Decimal, Ticker, Trade};

use crate::coinbase::taker_of_maker;
use crate::history::{KlineRow, KlinesSpan, RestRequest, SECOND_NS, TradesSpan};
use crate::klines::{read_rows, seconds_to_ns, whole_seconds};
use crate::request::push_percent_encoded;
use crate::scan::{Scanner, Step, keys};
use crate::trades::{next_item, read_trades, skip_rest};
use crate::{DecodeErrorKind, Decoded, Event, Span, TickerEvent};

/// Most trades of one answer.
const TRADES_MAX: u32 = 1_000;
/// Most candles of one answer.
const CANDLES_MAX: i64 = 300;
/// Seconds of the granularities.
const GRANULARITIES: [i64; 6] = [60, 300, 900, 3_600, 21_600, 86_400];

keys! { TradeKey { Time = "time", TradeId = "trade_id", Price = "price", Size = "size", Side = "side" } }

keys! {
    TickerKey { Volume = "volume", Price = "price", Size = "size", Time = "time", Message = "message" }
}

/// Path of trades up to an id, or of the newest.
pub(super) fn trades_request(venue_symbol: &str, span: &TradesSpan) -> RestRequest {
    let mut path = path("trades", venue_symbol);
    let _ = write!(path, "?limit={TRADES_MAX}");
    if let Some(last) = span.id_last {
        let _ = write!(path, "&after={}", last.saturating_add(1)); // older than this cursor
    }
    RestRequest { path, weight: 1 }
}

/// Path of candles; `None`: no such granularity.
pub(super) fn klines_request(venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
    let seconds = whole_seconds(span.interval_ns).filter(|seconds| GRANULARITIES.contains(seconds))?;
    let mut path = path("candles", venue_symbol);
    let (first, last) = (span.ts_first / SECOND_NS, span.last_of(CANDLES_MAX) / SECOND_NS);
    let _ = write!(path, "?granularity={seconds}&start={first}&end={last}");
    Some(RestRequest { path, weight: 1 })
}

/// Path of the last trade and the day's volume.
pub(super) fn ticker_request(venue_symbol: &str) -> RestRequest {
    RestRequest { path: path("ticker", venue_symbol), weight: 1 }
}

fn path(name: &str, venue_symbol: &str) -> String {
    let mut path = String::from("/products/");
    push_percent_encoded(&mut path, venue_symbol);
    path.push('/');
    path.push_str(name);
    path
}

/// Reads trades; `side` is the maker's.
pub(super) fn decode_trades(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    read_trades(scanner, out, |scanner| {
        let (mut id, mut px, mut qty, mut side, mut ts_event) = (None, None, None, None, 0);
        let mut trade = scanner.object()?;
        while let Some(key) = trade.next::<TradeKey>(scanner)? {
            match key {
                TradeKey::Time => ts_event = scanner.rfc3339()?,
                TradeKey::TradeId => id = Some(scanner.unsigned()?),
                TradeKey::Price => px = Some(scanner.decimal()?),
                TradeKey::Size => qty = Some(scanner.decimal()?),
                TradeKey::Side => side = Some(taker_of_maker(scanner.word()?)),
            }
        }
        let (Some(id), Some(px), Some(qty), Some(side)) = (id, px, qty, side) else {
            return Err(DecodeErrorKind::Missing("trade_id, price, size, side"));
        };
        Ok(Trade { id, px, qty, side, ts_event, is_market: true })
    })
}

/// Reads candles: rows of time, low, high, open, close, volume, all bare numbers.
pub(super) fn decode_klines(scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()> {
    read_rows(scanner, rows, |scanner| {
        let mut row = scanner.array()?;
        next_item(&mut row, scanner, "time")?;
        let ts_open = seconds_to_ns(scanner.unsigned()?)?;
        let mut numbers = [Decimal::ZERO; 5];
        for slot in &mut numbers {
            next_item(&mut row, scanner, "low, high, open, close, volume")?;
            *slot = scanner.decimal()?;
        }
        skip_rest(&mut row, scanner)?;
        let [low, high, open, close, volume] = numbers;
        Ok(KlineRow {
            ts_open,
            open,
            high,
            low,
            close,
            volume,
            quote_volume: None,
            taker_buy_volume: None,
            trade_count: None,
            is_closed: None,
        })
    })
}

/// Reads a ticker; its best prices stand there without quantities, so they make no top.
pub(super) fn decode_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut ticker, mut ts_event) = (Ticker::default(), 0);
    let mut answer = scanner.object()?;
    while let Some(key) = answer.next::<TickerKey>(scanner)? {
        match key {
            TickerKey::Volume => ticker.volume = scanner.decimal_or_absent()?,
            TickerKey::Price => ticker.last_px = scanner.decimal_or_absent()?,
            TickerKey::Size => ticker.last_qty = scanner.decimal_or_absent()?,
            TickerKey::Time => ts_event = scanner.rfc3339()?,
            TickerKey::Message => return Err(DecodeErrorKind::Refused),
        }
    }
    if ticker.last_px.is_none() {
        return Err(DecodeErrorKind::Missing("price"));
    }
    out.events.push(Event::Ticker(TickerEvent { symbol: Span::default(), ts_event, ticker }));
    Ok(())
}

//! REST of OKX beside the book and the lists: trades, candles, tickers.
//!
//! Source: OKX "GET /market/trades", "history-trades", "candles", "history-candles", "ticker", 2026-08-22. Pages run
//! backward: `after` asks for what is older, `before` for what is newer.

use std::fmt::Write as _;

use super::frame::{read_ticker, read_trade};
use super::rest::read_answer;
use crate::history::{KlineRow, KlinesSpan, MILLI_NS, RestRequest, TradesSpan};
use crate::klines::{read_prices, read_rows, whole_seconds};
use crate::request::push_percent_encoded;
use crate::scan::{Scanner, Step};
use crate::trades::{next_item, push_event, skip_rest};
use crate::{DecodeErrorKind, Decoded, Span};

/// Most rows of `trades`, of `history-trades`, and of either list of candles.
const TRADES_MAX: u32 = 500;
const HISTORY_TRADES_MAX: u32 = 100;
const CANDLES_MAX: u32 = 300;
/// Candles that `candles` holds; older ones stand in `history-candles`.
const CANDLES_RECENT: i64 = 1_440;

/// Bars with their seconds. From six hours on the plain names begin at UTC+8; these are those of UTC.
const BARS: [(i64, &str); 16] = [
    (1, "1s"),
    (60, "1m"),
    (180, "3m"),
    (300, "5m"),
    (900, "15m"),
    (1_800, "30m"),
    (3_600, "1H"),
    (7_200, "2H"),
    (14_400, "4H"),
    (21_600, "6Hutc"),
    (43_200, "12Hutc"),
    (86_400, "1Dutc"),
    (172_800, "2Dutc"),
    (259_200, "3Dutc"),
    (604_800, "1Wutc"),
    (2_592_000, "1Mutc"), // a calendar month, see Interval
];

/// Path of trades: up to an id, or the newest.
pub(super) fn trades_request(venue_symbol: &str, span: &TradesSpan) -> RestRequest {
    let path = if let Some(last) = span.id_last {
        let mut path = path("history-trades", venue_symbol);
        let _ = write!(path, "&type=1&after={}&limit={HISTORY_TRADES_MAX}", last.saturating_add(1));
        path
    } else if span.ts_last > 0 {
        let mut path = path("history-trades", venue_symbol);
        let _ = write!(path, "&type=2&after={}&limit={HISTORY_TRADES_MAX}", span.ts_last / MILLI_NS);
        path
    } else {
        let mut path = path("trades", venue_symbol);
        let _ = write!(path, "&limit={}", span.rows(TRADES_MAX));
        path
    };
    RestRequest { path, weight: 1 }
}

/// Path of candles, newest first; `None`: no such bar.
pub(super) fn klines_request(venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
    let seconds = whole_seconds(span.interval_ns)?;
    let (_, bar) = BARS.iter().find(|(length, _)| *length == seconds)?;
    let is_recent = span.now.saturating_sub(span.ts_first) / span.interval_ns < CANDLES_RECENT;
    let mut path = path(if is_recent { "candles" } else { "history-candles" }, venue_symbol);
    let (first, last) = (span.ts_first / MILLI_NS, span.last_of(i64::from(CANDLES_MAX)) / MILLI_NS);
    let _ = write!(path, "&bar={bar}&before={}&after={}&limit={CANDLES_MAX}", first - 1, last + 1);
    Some(RestRequest { path, weight: 1 })
}

/// Path of the statistics.
pub(super) fn ticker_request(venue_symbol: &str) -> RestRequest {
    RestRequest { path: path("ticker", venue_symbol), weight: 1 }
}

fn path(name: &str, venue_symbol: &str) -> String {
    let mut path = format!("/api/v5/market/{name}?instId=");
    push_percent_encoded(&mut path, venue_symbol);
    path
}

/// Reads trades. Here each match is a row; the stream merges those of one taker order and price, under the last id.
pub(super) fn decode_trades(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let start = out.trades_mark();
    read_answer(scanner, |scanner| {
        let mut rows = scanner.array()?;
        while rows.next(scanner)? {
            let trade = read_trade(scanner)?;
            out.trades.push(trade);
        }
        Ok(())
    })?;
    push_event(start, out);
    Ok(())
}

/// Reads candles: rows of nine texts.
pub(super) fn decode_klines(scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()> {
    read_answer(scanner, |scanner| read_rows(scanner, rows, read_candle))
}

fn read_candle(scanner: &mut Scanner<'_>) -> Step<KlineRow> {
    let mut row = scanner.array()?;
    next_item(&mut row, scanner, "ts")?;
    let ts_open = scanner.epoch()?;
    let prices = read_prices(&mut row, scanner)?;
    next_item(&mut row, scanner, "vol")?;
    let volume = scanner.sum()?;
    next_item(&mut row, scanner, "volCcy")?;
    scanner.skip()?;
    next_item(&mut row, scanner, "volCcyQuote")?;
    let quote_volume = scanner.sum_or_absent()?;
    next_item(&mut row, scanner, "confirm")?;
    let is_closed = Some(scanner.word()? == b"1");
    skip_rest(&mut row, scanner)?;
    Ok(KlineRow { quote_volume, is_closed, ..KlineRow::new(ts_open, prices, volume) })
}

/// Reads a ticker.
pub(super) fn decode_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    read_answer(scanner, |scanner| {
        let mut rows = scanner.array()?;
        while rows.next(scanner)? {
            let (ts_event, ticker) = read_ticker(scanner)?;
            out.push_statistics(Span::default(), ts_event, &ticker);
        }
        Ok(())
    })?;
    if out.events.len() == 1 { Ok(()) } else { Err(DecodeErrorKind::Missing("ticker")) }
}

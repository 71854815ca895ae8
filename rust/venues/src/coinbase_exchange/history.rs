//! REST of Coinbase Exchange beside the book and the list: trades, candles, tickers. All newest first.
//!
//! Source: Coinbase Exchange "Get product trades", "candles", "ticker", 2026-08-22.

use std::fmt::Write as _;

use facade_model::{Decimal, Statistics, Trade};

use crate::coinbase::taker_of_maker;
use crate::history::{KlineRow, KlinesSpan, RestRequest, SECOND_NS, TradesSpan};
use crate::klines::{read_rows, seconds_to_ns, whole_seconds};
use crate::request::push_percent_encoded;
use crate::scan::{Scanner, Step, keys};
use crate::trades::{next_item, read_trades, skip_rest};
use crate::{DecodeErrorKind, Decoded, Span};

/// Most trades of one answer.
const TRADES_MAX: u32 = 1_000;
/// Most candles of one answer.
const CANDLES_MAX: i64 = 300;
/// Seconds of the granularities.
const GRANULARITIES: [i64; 6] = [60, 300, 900, 3_600, 21_600, 86_400];

keys! { TradeKey { Time = "time", TradeId = "trade_id", Price = "price", Size = "size", Side = "side" } }

keys! {
    /// `ticker` and `stats`, which tells the day's prices alone.
    TickerKey { Ask = "ask", Bid = "bid", Open = "open", High = "high", Low = "low", Last = "last",
                Volume = "volume", Price = "price", Size = "size", Time = "time", Message = "message" }
}

/// Path of trades up to an id, or of the newest.
pub(super) fn trades_request(venue_symbol: &str, span: &TradesSpan) -> RestRequest {
    let mut path = path("trades", venue_symbol);
    let _ = write!(path, "?limit={}", span.rows(TRADES_MAX));
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

/// Path of the day's prices.
pub(super) fn stats_request(venue_symbol: &str) -> RestRequest {
    RestRequest { path: path("stats", venue_symbol), weight: 1 }
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
        let mut prices = [Decimal::ZERO; 4];
        for slot in &mut prices {
            next_item(&mut row, scanner, "low, high, open, close")?;
            *slot = scanner.decimal()?;
        }
        next_item(&mut row, scanner, "volume")?;
        let volume = scanner.sum()?;
        skip_rest(&mut row, scanner)?;
        let [low, high, open, close] = prices;
        Ok(KlineRow::new(ts_open, [open, high, low, close], volume))
    })
}

/// Reads a ticker, or the day's prices; the best prices stand there without quantities, so they make no top.
pub(super) fn decode_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut ticker, mut ts_event, mut is_told) = (Statistics::default(), 0, false);
    let mut answer = scanner.object()?;
    while let Some(key) = answer.next::<TickerKey>(scanner)? {
        match key {
            TickerKey::Ask => ticker.ask_px = scanner.price_or_absent()?,
            TickerKey::Bid => ticker.bid_px = scanner.price_or_absent()?,
            TickerKey::Open => ticker.open_px = scanner.price_or_absent()?,
            TickerKey::High => ticker.high_px = scanner.price_or_absent()?,
            TickerKey::Low => ticker.low_px = scanner.price_or_absent()?,
            TickerKey::Volume => ticker.volume = scanner.sum_or_absent()?,
            TickerKey::Price | TickerKey::Last => {
                ticker.last_px = scanner.price_or_absent()?;
                is_told = true;
            }
            TickerKey::Size => ticker.last_qty = scanner.decimal_or_absent()?,
            TickerKey::Time => ts_event = scanner.rfc3339()?,
            TickerKey::Message => return Err(DecodeErrorKind::Refused),
        }
    }
    if !is_told {
        return Err(DecodeErrorKind::Missing("price"));
    }
    out.push_statistics(Span::default(), ts_event, &ticker);
    Ok(())
}

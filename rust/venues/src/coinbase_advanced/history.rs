//! REST of Advanced Trade beside the book and the list: trades with the best prices, candles.
//!
//! Source: Advanced Trade "Get Public Market Trades", "Get Public Product Candles", 2026-08-22. Both newest first.

use std::fmt::Write as _;

use facade_model::{Decimal, Statistics};

use super::market::read_trade;
use crate::history::{KlineRow, KlinesSpan, RestRequest, SECOND_NS, TradesSpan};
use crate::klines::{read_rows, seconds_to_ns, whole_seconds};
use crate::request::push_percent_encoded;
use crate::scan::{Scanner, Step, keys};
use crate::trades::push_event;
use crate::{DecodeErrorKind, Decoded, Span};

/// Most trades asked for at once. The venue tells no bound.
const TRADES_MAX: u32 = 1_000;
/// Most candles of one answer.
const CANDLES_MAX: i64 = 350;

/// Granularities with their seconds.
const GRANULARITIES: [(i64, &str); 9] = [
    (60, "ONE_MINUTE"),
    (300, "FIVE_MINUTE"),
    (900, "FIFTEEN_MINUTE"),
    (1_800, "THIRTY_MINUTE"),
    (3_600, "ONE_HOUR"),
    (7_200, "TWO_HOUR"),
    (14_400, "FOUR_HOUR"),
    (21_600, "SIX_HOUR"),
    (86_400, "ONE_DAY"),
];

keys! { TradesKey { Trades = "trades", Bid = "best_bid", Ask = "best_ask", Error = "error" } }

keys! { CandlesKey { Candles = "candles", Error = "error" } }

keys! {
    CandleKey { Start = "start", Low = "low", High = "high", Open = "open", Close = "close", Volume = "volume" }
}

/// Path of trades between two times, or of the newest.
pub(super) fn trades_request(venue_symbol: &str, span: &TradesSpan) -> RestRequest {
    let mut path = path("ticker", venue_symbol);
    let _ = write!(path, "?limit={}", span.rows(TRADES_MAX));
    if span.ts_first > 0 && span.ts_last > 0 {
        // whole seconds, both ends inside
        let _ = write!(path, "&start={}&end={}", span.ts_first / SECOND_NS, span.ts_last / SECOND_NS + 1);
    }
    RestRequest { path, weight: 1 }
}

/// Path of candles; `None`: no such granularity.
pub(super) fn klines_request(venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
    let seconds = whole_seconds(span.interval_ns)?;
    let (_, granularity) = GRANULARITIES.iter().find(|(length, _)| *length == seconds)?;
    let mut path = path("candles", venue_symbol);
    let (first, last) = (span.ts_first / SECOND_NS, span.last_of(CANDLES_MAX) / SECOND_NS);
    let _ = write!(path, "?start={first}&end={last}&granularity={granularity}&limit={CANDLES_MAX}");
    Some(RestRequest { path, weight: 1 })
}

/// Path of the last trade. Statistics of 24 hours stand nowhere else.
pub(super) fn ticker_request(venue_symbol: &str) -> RestRequest {
    let mut path = path("ticker", venue_symbol);
    path.push_str("?limit=1");
    RestRequest { path, weight: 1 }
}

fn path(name: &str, venue_symbol: &str) -> String {
    let mut path = String::from("/api/v3/brokerage/market/products/");
    push_percent_encoded(&mut path, venue_symbol);
    path.push('/');
    path.push_str(name);
    path
}

/// Reads trades; their `side` is the maker's, as on the stream.
pub(super) fn decode_trades(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let start = out.trades_mark();
    read_answer(scanner, out)?;
    push_event(start, out);
    Ok(())
}

/// Reads the last trade and the best prices, which stand there without quantities, so they make no top.
pub(super) fn decode_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let [bid_px, ask_px] = read_answer(scanner, out)?;
    let Some(last) = out.trades.iter().max_by_key(|trade| trade.id).copied() else {
        return Err(DecodeErrorKind::Missing("trades"));
    };
    out.trades.clear();
    let (last_px, last_qty) = (Some(last.px), Some(last.qty));
    let ticker = Statistics { last_px, last_qty, bid_px, ask_px, ..Statistics::default() };
    out.push_statistics(Span::default(), last.ts_event, &ticker);
    Ok(())
}

/// Reads the trades as they stand; returns best bid and best ask.
fn read_answer(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<[Option<Decimal>; 2]> {
    let (mut has_trades, mut bid_px, mut ask_px) = (false, None, None);
    let mut answer = scanner.object()?;
    while let Some(key) = answer.next::<TradesKey>(scanner)? {
        match key {
            TradesKey::Trades => {
                let mut rows = scanner.array()?;
                while rows.next(scanner)? {
                    let (_, trade) = read_trade(scanner)?;
                    out.trades.push(trade);
                }
                has_trades = true;
            }
            TradesKey::Bid => bid_px = scanner.price_or_absent()?,
            TradesKey::Ask => ask_px = scanner.price_or_absent()?,
            TradesKey::Error => return Err(DecodeErrorKind::Refused),
        }
    }
    if has_trades { Ok([bid_px, ask_px]) } else { Err(DecodeErrorKind::Missing("trades")) }
}

/// Reads candles.
pub(super) fn decode_klines(scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()> {
    let mut has_candles = false;
    let mut answer = scanner.object()?;
    while let Some(key) = answer.next::<CandlesKey>(scanner)? {
        match key {
            CandlesKey::Candles => {
                read_rows(scanner, rows, read_candle)?;
                has_candles = true;
            }
            CandlesKey::Error => return Err(DecodeErrorKind::Refused),
        }
    }
    if has_candles { Ok(()) } else { Err(DecodeErrorKind::Missing("candles")) }
}

fn read_candle(scanner: &mut Scanner<'_>) -> Step<KlineRow> {
    let (mut ts_open, mut low, mut high, mut open, mut close, mut volume) =
        (None, None, None, None, None, None);
    let mut candle = scanner.object()?;
    while let Some(key) = candle.next::<CandleKey>(scanner)? {
        match key {
            CandleKey::Start => ts_open = Some(seconds_to_ns(scanner.unsigned()?)?),
            CandleKey::Low => low = Some(scanner.decimal()?),
            CandleKey::High => high = Some(scanner.decimal()?),
            CandleKey::Open => open = Some(scanner.decimal()?),
            CandleKey::Close => close = Some(scanner.decimal()?),
            CandleKey::Volume => volume = Some(scanner.sum()?),
        }
    }
    let (Some(ts_open), Some(open), Some(high), Some(low), Some(close), Some(volume)) =
        (ts_open, open, high, low, close, volume)
    else {
        return Err(DecodeErrorKind::Missing("start, open, high, low, close, volume"));
    };
    Ok(KlineRow::new(ts_open, [open, high, low, close], volume))
}

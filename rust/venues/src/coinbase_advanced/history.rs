//! REST of Advanced Trade beside the book and the list: trades with the best prices, candles.
//!
//! Source: Advanced Trade "Get Public Market Trades", "Get Public Product Candles", 2026-08-22. Both newest first.

use std::fmt::Write as _;

use facade_model::Ticker;

use super::market::read_trade;
use crate::history::{KlineRow, KlinesSpan, RestRequest, SECOND_NS, TradesSpan};
use crate::klines::{read_rows, seconds_to_ns, whole_seconds};
use crate::request::push_percent_encoded;
use crate::scan::{Scanner, Step, keys};
use crate::trades::push_event;
use crate::{DecodeErrorKind, Decoded, Event, Span, TickerEvent};

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

keys! { TradesKey { Trades = "trades", Error = "error" } }

keys! { CandlesKey { Candles = "candles", Error = "error" } }

keys! {
    CandleKey { Start = "start", Low = "low", High = "high", Open = "open", Close = "close", Volume = "volume" }
}

/// Path of trades between two times, or of the newest.
pub(super) fn trades_request(venue_symbol: &str, span: &TradesSpan) -> RestRequest {
    let mut path = path("ticker", venue_symbol);
    let _ = write!(path, "?limit={TRADES_MAX}");
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
    let mut has_trades = false;
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
            TradesKey::Error => return Err(DecodeErrorKind::Refused),
        }
    }
    if !has_trades {
        return Err(DecodeErrorKind::Missing("trades"));
    }
    push_event(start, out);
    Ok(())
}

/// Reads the price of the last trade; the best prices stand there without quantities, so they make no top.
pub(super) fn decode_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    decode_trades(scanner, out)?;
    out.events.clear();
    let Some(last) = out.trades.pop() else { return Err(DecodeErrorKind::Missing("trades")) };
    out.trades.clear();
    let ticker = Ticker { last_px: Some(last.px), last_qty: Some(last.qty), ..Ticker::default() };
    out.events.push(Event::Ticker(TickerEvent { symbol: Span::default(), ts_event: last.ts_event, ticker }));
    Ok(())
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
            CandleKey::Volume => volume = Some(scanner.decimal()?),
        }
    }
    let (Some(ts_open), Some(open), Some(high), Some(low), Some(close), Some(volume)) =
        (ts_open, open, high, low, close, volume)
    else {
        return Err(DecodeErrorKind::Missing("start, open, high, low, close, volume"));
    };
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
}

//! REST of Kraken beside the book and the lists: trades, OHLC, tickers.
//!
//! Source: Kraken `rest-api/get-recent-trades`, `get-ohlc-data`, `get-ticker-information`, 2026-05-27. No history of
//! klines: only the newest 720 can be had.

use std::fmt::Write as _;

use facade_model::{Decimal, NumberError, Statistics, TakerSide, TopOfBook, Trade};

use super::read_result;
use super::request::push_pair;
use crate::history::{KlineRow, KlinesSpan, RestRequest, SECOND_NS, TradesSpan};
use crate::klines::{read_prices, read_rows, seconds_to_ns, whole_seconds};
use crate::levels::best_level;
use crate::scan::{Scanner, Step, keys};
use crate::trades::{next_item, push_event, skip_rest};
use crate::{DecodeErrorKind, Decoded, Event, Span, TopEvent};

/// Most rows of `Trades`.
const TRADES_MAX: u32 = 1_000;
/// Its stream tells microseconds where its REST tells more digits of the same instant.
const STREAM_NS: i64 = 1_000;

/// Minutes of the intervals.
const MINUTES: [i64; 8] = [1, 5, 15, 30, 60, 240, 1_440, 10_080];

keys! {
    /// A ticker; each member is a list, of which the first item or, for 24 hours, the second one counts.
    TickerKey { Ask = "a", Bid = "b", Last = "c", Volume = "v", Mean = "p", Count = "t", Low = "l", High = "h" }
}

/// Path of trades: from a time on, or the newest.
pub(super) fn trades_request(venue_symbol: &str, span: &TradesSpan) -> RestRequest {
    let mut path = String::from("/0/public/Trades?pair=");
    push_pair(&mut path, venue_symbol);
    if span.ts_first > 0 {
        let _ = write!(path, "&since={}", span.ts_first - 1);
    }
    let _ = write!(path, "&count={}", span.rows(TRADES_MAX));
    RestRequest { path, weight: 1 }
}

/// Path of klines, oldest first; `None`: no such interval.
pub(super) fn klines_request(venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
    let seconds = whole_seconds(span.interval_ns)?;
    let minutes = MINUTES.into_iter().find(|minutes| minutes * 60 == seconds)?;
    let mut path = String::from("/0/public/OHLC?pair=");
    push_pair(&mut path, venue_symbol);
    let _ = write!(path, "&interval={minutes}&since={}", span.ts_first / SECOND_NS - 1);
    Some(RestRequest { path, weight: 1 })
}

/// Path of the statistics.
pub(super) fn ticker_request(venue_symbol: &str) -> RestRequest {
    let mut path = String::from("/0/public/Ticker?pair=");
    push_pair(&mut path, venue_symbol);
    RestRequest { path, weight: 1 }
}

/// Reads the one member of a result that is not `last`: the venue's own name of the pair.
fn read_pair(scanner: &mut Scanner<'_>, mut read: impl FnMut(&mut Scanner<'_>) -> Step<()>) -> Step<()> {
    let mut is_read = false;
    read_result(scanner, |scanner| {
        let mut members = scanner.object()?;
        while let Some(name) = members.next_any(scanner)? {
            if scanner.of(name) == b"last" {
                scanner.skip()?;
            } else if is_read {
                return Err(DecodeErrorKind::DuplicateKey); // one pair was asked for
            } else {
                read(scanner)?;
                is_read = true;
            }
        }
        Ok(())
    })?;
    if is_read { Ok(()) } else { Err(DecodeErrorKind::Missing("result")) }
}

keys! {
    /// A book.
    DepthKey { Asks = "asks", Bids = "bids" }
}

/// Reads the newest time of the rows `[price, volume, seconds]` of a book, ns UTC: the book itself tells none.
pub(crate) fn newest_row(scanner: &mut Scanner<'_>) -> Step<Option<i64>> {
    let mut newest = None;
    read_pair(scanner, |scanner| {
        let mut sides = scanner.object()?;
        while sides.next::<DepthKey>(scanner)?.is_some() {
            let mut rows = scanner.array()?;
            while rows.next(scanner)? {
                newest = newest.max(Some(row_seconds(scanner)?));
            }
        }
        Ok(())
    })?;
    Ok(newest.and_then(|seconds| seconds.checked_mul(SECOND_NS)))
}

fn row_seconds(scanner: &mut Scanner<'_>) -> Step<i64> {
    let mut row = scanner.array()?;
    for name in ["price", "volume"] {
        next_item(&mut row, scanner, name)?;
        scanner.skip()?;
    }
    next_item(&mut row, scanner, "time")?;
    let seconds = scanner.decimal()?.rescale(0).ok_or(DecodeErrorKind::Number(NumberError::Range))?;
    skip_rest(&mut row, scanner)?;
    Ok(seconds)
}

/// Reads trades.
pub(super) fn decode_trades(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let start = out.trades_mark();
    read_pair(scanner, |scanner| {
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

/// Reads `[price, volume, seconds, side, order type, text, id]`.
fn read_trade(scanner: &mut Scanner<'_>) -> Step<Trade> {
    let mut row = scanner.array()?;
    next_item(&mut row, scanner, "price")?;
    let px = scanner.decimal()?;
    next_item(&mut row, scanner, "volume")?;
    let qty = scanner.decimal()?;
    next_item(&mut row, scanner, "time")?;
    let ts_exact = scanner.decimal()?.rescale(-9).ok_or(DecodeErrorKind::Number(NumberError::Range))?;
    let ts_event = ts_exact - ts_exact % STREAM_NS; // else a backfilled trade lies behind younger ones of its instant
    next_item(&mut row, scanner, "side")?;
    let side = match scanner.word()? {
        b"b" => TakerSide::Buy,
        b"s" => TakerSide::Sell,
        _ => TakerSide::Unknown,
    };
    for name in ["order type", "text"] {
        next_item(&mut row, scanner, name)?;
        scanner.skip()?;
    }
    next_item(&mut row, scanner, "trade id")?;
    let id = scanner.unsigned()?;
    skip_rest(&mut row, scanner)?;
    Ok(Trade { id, px, qty, side, ts_event, is_market: true })
}

/// Reads klines.
pub(super) fn decode_klines(scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()> {
    read_pair(scanner, |scanner| read_rows(scanner, rows, read_kline))
}

/// Reads `[seconds, open, high, low, close, vwap, volume, count]`.
fn read_kline(scanner: &mut Scanner<'_>) -> Step<KlineRow> {
    let mut row = scanner.array()?;
    next_item(&mut row, scanner, "time")?;
    let ts_open = seconds_to_ns(scanner.unsigned()?)?;
    let prices = read_prices(&mut row, scanner)?;
    next_item(&mut row, scanner, "vwap")?;
    let vwap = scanner.sum_or_absent()?.filter(|vwap| !vwap.is_zero());
    next_item(&mut row, scanner, "volume")?;
    let volume = scanner.sum()?;
    next_item(&mut row, scanner, "count")?;
    let trade_count = scanner.unsigned_or_absent()?;
    skip_rest(&mut row, scanner)?;
    Ok(KlineRow { vwap, trade_count, ..KlineRow::new(ts_open, prices, volume) })
}

/// Reads a ticker. A pair that nobody quotes or trades has zeros for prices: they are absent.
pub(super) fn decode_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    read_pair(scanner, |scanner| {
        let mut ticker = Statistics::default();
        let (mut bid, mut ask) = ([None; 3], [None; 3]);
        let mut members = scanner.object()?;
        while let Some(key) = members.next::<TickerKey>(scanner)? {
            match key {
                TickerKey::Ask => ask = read_list(scanner, Scanner::decimal)?,
                TickerKey::Bid => bid = read_list(scanner, Scanner::decimal)?,
                TickerKey::Last => [ticker.last_px, ticker.last_qty] = read_list(scanner, Scanner::decimal)?,
                TickerKey::Volume => [_, ticker.volume] = read_list(scanner, Scanner::sum)?,
                TickerKey::Mean => [_, ticker.vwap] = read_list(scanner, Scanner::sum)?,
                TickerKey::Count => [_, ticker.trade_count] = read_list(scanner, Scanner::unsigned)?,
                TickerKey::Low => [_, ticker.low_px] = read_list(scanner, Scanner::decimal)?,
                TickerKey::High => [_, ticker.high_px] = read_list(scanner, Scanner::decimal)?,
            }
        }
        for px in [&mut ticker.last_px, &mut ticker.low_px, &mut ticker.high_px] {
            *px = px.filter(|px| !px.is_zero());
        }
        ticker.vwap = ticker.vwap.filter(|px| !px.is_zero());
        let level = |[px, _, qty]: [Option<Decimal>; 3]| best_level(px, qty);
        ticker.top = TopOfBook { bid: level(bid), ask: level(ask) };
        let (symbol, ts_event) = (Span::default(), 0);
        out.events.push(Event::Top(TopEvent { symbol, ts_event, sequence: None, top: ticker.top }));
        out.push_statistics(symbol, ts_event, &ticker);
        Ok(())
    })
}

/// Reads the first numbers of a list; those that it lacks are absent.
fn read_list<'a, T: Copy, const N: usize>(
    scanner: &mut Scanner<'a>,
    read: impl Fn(&mut Scanner<'a>) -> Step<T>,
) -> Step<[Option<T>; N]> {
    let mut numbers = [None; N];
    let mut items = scanner.array()?;
    let mut slots = numbers.iter_mut();
    while items.next(scanner)? {
        match slots.next() {
            Some(slot) => *slot = Some(read(scanner)?),
            None => scanner.skip()?,
        }
    }
    Ok(numbers)
}

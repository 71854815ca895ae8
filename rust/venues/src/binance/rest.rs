//! REST of Binance beside the book: trades, klines, statistics.
//!
//! Source: binance-spot-api-docs `rest-api.md`, 2026-07-21; futures: derivatives pages, 2026-01. The futures' own
//! `historicalTrades` wants a key, so that only their newest trades can be had.

use std::fmt::Write as _;

use facade_model::{Statistics, TakerSide, TopOfBook, Trade};

use super::Binance;
use crate::history::{KlineRow, KlinesSpan, MILLI_NS, RestRequest, TradesSpan};
use crate::klines::read_prices;
use crate::levels::best_level;
use crate::request::push_percent_encoded;
use crate::scan::{Scanner, Step, keys};
use crate::trades::{next_item, read_trades, skip_rest};
use crate::{DecodeErrorKind, Decoded, Event, Span, TopEvent};

/// Most rows of one answer, of trades and klines.
const ROWS_MAX: u32 = 1_000;

/// Intervals that the venue knows, with their seconds. One second: spot only.
const INTERVALS: [(i64, &str); 16] = [
    (1, "1s"),
    (60, "1m"),
    (180, "3m"),
    (300, "5m"),
    (900, "15m"),
    (1_800, "30m"),
    (3_600, "1h"),
    (7_200, "2h"),
    (14_400, "4h"),
    (21_600, "6h"),
    (28_800, "8h"),
    (43_200, "12h"),
    (86_400, "1d"),
    (259_200, "3d"),
    (604_800, "1w"),
    (2_592_000, "1M"), // a calendar month, see Interval
];

keys! {
    /// One trade.
    Row { Id = "id", Price = "price", Quantity = "qty", Time = "time", IsBuyerMaker = "isBuyerMaker" }
}

keys! {
    /// `ticker/24hr`, and `ticker/bookTicker`, which tells the best prices alone.
    TickerKey { Symbol = "symbol", Change = "priceChangePercent", Mean = "weightedAvgPrice",
                 LastPrice = "lastPrice", LastQuantity = "lastQty", BidPrice = "bidPrice", BidQuantity = "bidQty",
                 AskPrice = "askPrice", AskQuantity = "askQty", Open = "openPrice", High = "highPrice",
                 Low = "lowPrice", Volume = "volume", QuoteVolume = "quoteVolume", CloseTime = "closeTime",
                 Count = "count", Time = "time", Code = "code" }
}

impl Binance {
    /// Path of trades: from an id on, or up to one, or the newest.
    pub(super) fn trades_request(self, venue_symbol: &str, span: &TradesSpan) -> RestRequest {
        let from = match (span.id_first, span.id_last) {
            (Some(first), _) => Some(first),
            (None, Some(last)) => Some(last.saturating_sub(u64::from(ROWS_MAX) - 1)),
            (None, None) => None,
        };
        let (name, weight) = match (self, from) {
            (Self::Spot, Some(_)) => ("historicalTrades", 25),
            (Self::Spot, None) => ("trades", 25),
            _ => ("trades", 5),
        };
        let mut path = self.path(name, venue_symbol);
        if let (Self::Spot, Some(id)) = (self, from) {
            let _ = write!(path, "&fromId={id}");
        }
        let rows = if self == Self::Spot { wanted_rows(span) } else { u64::from(span.rows(ROWS_MAX)) };
        let _ = write!(path, "&limit={rows}");
        RestRequest { path, weight }
    }

    /// Path of klines, oldest first; `None`: the venue has no such interval.
    pub(super) fn klines_request(self, venue_symbol: &str, span: &KlinesSpan) -> Option<RestRequest> {
        let name = interval_name(span.interval_ns).filter(|name| self == Self::Spot || *name != "1s")?;
        let mut path = self.path("klines", venue_symbol);
        let last = span.last_of(i64::from(ROWS_MAX));
        let rows = (last.saturating_sub(span.ts_first) / span.interval_ns).saturating_add(1);
        let rows = rows.clamp(1, i64::from(ROWS_MAX));
        let (first, last) = (span.ts_first / MILLI_NS, last / MILLI_NS);
        let _ = write!(path, "&interval={name}&startTime={first}&endTime={last}&limit={rows}");
        let weight = match (self, rows) {
            (Self::Usdm | Self::Coinm, ..100) => 1,
            (Self::Spot, _) | (_, ..500) => 2,
            (_, 500..) => 5,
        };
        Some(RestRequest { path, weight })
    }

    /// Path of the statistics.
    pub(super) fn ticker_request(self, venue_symbol: &str) -> RestRequest {
        let weight = if self == Self::Spot { 2 } else { 1 };
        RestRequest { path: self.path("ticker/24hr", venue_symbol), weight }
    }

    /// Path of the best prices, which the futures' statistics leave out.
    pub(super) fn best_request(self, venue_symbol: &str) -> Option<RestRequest> {
        let path = self.path("ticker/bookTicker", venue_symbol);
        (self != Self::Spot).then_some(RestRequest { path, weight: 2 })
    }

    fn path(self, name: &str, venue_symbol: &str) -> String {
        let root = match self {
            Self::Spot => "/api/v3/",
            Self::Usdm => "/fapi/v1/",
            Self::Coinm => "/dapi/v1/",
        };
        let mut path = format!("{root}{name}?symbol=");
        push_percent_encoded(&mut path, venue_symbol);
        path
    }

    /// Reads statistics. The futures of coin margin answer with a list of one.
    pub(super) fn read_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        if scanner.peek() != Some(b'[') {
            return Self::read_statistics(scanner, out);
        }
        let mut rows = scanner.array()?;
        while rows.next(scanner)? {
            Self::read_statistics(scanner, out)?;
        }
        Ok(())
    }

    fn read_statistics(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
        let (mut symbol, mut ts_event, mut ticker) = (Span::default(), 0, Statistics::default());
        let (mut bid_px, mut bid_qty, mut ask_px, mut ask_qty) = (None, None, None, None);
        let mut has_statistics = false;
        let mut members = scanner.object()?;
        while let Some(key) = members.next::<TickerKey>(scanner)? {
            match key {
                TickerKey::Symbol => symbol = scanner.string()?,
                TickerKey::Change => ticker.change_percent = scanner.decimal_or_absent()?,
                TickerKey::Mean => ticker.vwap = scanner.sum_or_absent()?.filter(|px| !px.is_zero()),
                TickerKey::LastPrice => {
                    ticker.last_px = scanner.price_or_absent()?;
                    has_statistics = true;
                }
                TickerKey::LastQuantity => ticker.last_qty = scanner.decimal_or_absent()?,
                TickerKey::BidPrice => bid_px = scanner.decimal_or_absent()?,
                TickerKey::BidQuantity => bid_qty = scanner.decimal_or_absent()?,
                TickerKey::AskPrice => ask_px = scanner.decimal_or_absent()?,
                TickerKey::AskQuantity => ask_qty = scanner.decimal_or_absent()?,
                TickerKey::Open => ticker.open_px = scanner.price_or_absent()?,
                TickerKey::High => ticker.high_px = scanner.price_or_absent()?,
                TickerKey::Low => ticker.low_px = scanner.price_or_absent()?,
                TickerKey::Volume => ticker.volume = scanner.sum_or_absent()?,
                TickerKey::QuoteVolume => ticker.quote_volume = scanner.sum_or_absent()?,
                TickerKey::Count => ticker.trade_count = scanner.unsigned_or_absent()?,
                TickerKey::CloseTime | TickerKey::Time => ts_event = scanner.epoch()?,
                TickerKey::Code => return Err(DecodeErrorKind::Refused),
            }
        }
        if symbol.is_empty() {
            return Err(DecodeErrorKind::Missing("symbol"));
        }
        let top = TopOfBook { bid: best_level(bid_px, bid_qty), ask: best_level(ask_px, ask_qty) };
        if bid_px.is_some() || ask_px.is_some() {
            out.events.push(Event::Top(TopEvent { symbol, ts_event, sequence: None, top }));
        }
        if has_statistics {
            ticker.top = top;
            out.push_statistics(symbol, ts_event, &ticker);
        }
        Ok(())
    }
}

/// Returns how many rows cover a span of ids.
fn wanted_rows(span: &TradesSpan) -> u64 {
    let count = match (span.id_first, span.id_last) {
        (Some(first), Some(last)) => last.saturating_sub(first).saturating_add(1),
        (None, None) => u64::from(span.rows(ROWS_MAX)),
        _ => u64::from(ROWS_MAX),
    };
    count.clamp(1, u64::from(ROWS_MAX))
}

fn interval_name(interval_ns: i64) -> Option<&'static str> {
    let seconds = crate::klines::whole_seconds(interval_ns)?;
    INTERVALS.iter().find(|(length, _)| *length == seconds).map(|(_, name)| *name)
}

keys! {
    /// A merged trade, of which only its last single one counts here.
    Merged { Last = "l" }
}

/// Reads `aggTrades`: the last single trade of the last row; `None`: no row.
pub(crate) fn read_last_id(scanner: &mut Scanner<'_>) -> Step<Option<u64>> {
    if scanner.peek() == Some(b'{') {
        scanner.skip()?;
        return Err(DecodeErrorKind::Refused);
    }
    let mut id = None;
    let mut rows = scanner.array()?;
    while rows.next(scanner)? {
        let mut members = scanner.object()?;
        let mut last = None;
        while let Some(Merged::Last) = members.next::<Merged>(scanner)? {
            last = Some(scanner.unsigned()?);
        }
        id = Some(last.ok_or(DecodeErrorKind::Missing("l"))?);
    }
    Ok(id)
}

/// Reads `trades` or `historicalTrades`.
pub(super) fn decode_trades(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    read_trades(scanner, out, read_trade)
}

fn read_trade(scanner: &mut Scanner<'_>) -> Step<Trade> {
    let (mut id, mut px, mut qty, mut side, mut ts_event) = (None, None, None, None, 0);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Row>(scanner)? {
        match key {
            Row::Id => id = Some(scanner.unsigned()?),
            Row::Price => px = Some(scanner.decimal()?),
            Row::Quantity => qty = Some(scanner.decimal()?),
            Row::Time => ts_event = scanner.epoch()?,
            Row::IsBuyerMaker => {
                side = Some(if scanner.boolean()? { TakerSide::Sell } else { TakerSide::Buy });
            }
        }
    }
    let (Some(id), Some(px), Some(qty), Some(side)) = (id, px, qty, side) else {
        return Err(DecodeErrorKind::Missing("id, price, qty, isBuyerMaker"));
    };
    Ok(Trade { id, px, qty, side, ts_event, is_market: true })
}

impl Binance {
    /// Reads `klines`: rows of twelve items. Coin-margined ones count the base where the others count the quote.
    pub(super) fn read_klines(self, scanner: &mut Scanner<'_>, rows: &mut Vec<KlineRow>) -> Step<()> {
        crate::klines::read_rows(scanner, rows, |scanner| {
            let mut row = scanner.array()?;
            next_item(&mut row, scanner, "open time")?;
            let ts_open = scanner.epoch()?;
            let [open, high, low, close] = read_prices(&mut row, scanner)?;
            next_item(&mut row, scanner, "volume")?;
            let volume = scanner.sum()?;
            next_item(&mut row, scanner, "close time")?;
            scanner.skip()?;
            next_item(&mut row, scanner, "quote volume")?;
            let quote_volume = scanner.sum_or_absent()?.filter(|_| self != Self::Coinm);
            next_item(&mut row, scanner, "trades")?;
            let trade_count = scanner.unsigned_or_absent()?;
            next_item(&mut row, scanner, "taker volume")?;
            let taker_buy_volume = scanner.sum_or_absent()?;
            skip_rest(&mut row, scanner)?;
            let told = KlineRow::new(ts_open, [open, high, low, close], volume);
            Ok(KlineRow { quote_volume, taker_buy_volume, trade_count, ..told })
        })
    }
}

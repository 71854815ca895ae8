//! The past of a topic from the venue's REST, page by page: requests, and rows as encoded records flagged HISTORY.
//!
//! A cursor is what the next page begins (or ends) with; only this module reads it. Trades of OKX have no history here:
//! its REST lists the matches that its stream merges, so nothing would join the two.

use facade_model::{Channel, Trade, UpdateFlags, Variant};
use facade_venues::{DecodeError, Decoded, KlineRow, KlinesSpan, Product, RestRequest, TradesSpan};
use facade_wire::{self as wire, Completeness, Exponents, Header, KlineState, Ohlc, WireError};

use crate::feed::Feed;
use crate::stream::usual_of;

/// Nanoseconds of one second.
const SECOND_NS: i64 = 1_000_000_000;

/// Which part of the past of a topic is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Canonical symbol.
    pub symbol: &'a str,
    /// Channel.
    pub channel: Channel,
    /// Variant.
    pub variant: Variant,
    /// First instant, ns UTC.
    pub ts_from: i64,
    /// First instant behind it, ns UTC.
    pub ts_until: i64,
    /// What the last page said about the next one; empty: the first one.
    pub cursor: &'a str,
}

/// One row of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRow {
    /// The venue's trade id, or the kline's opening time in ns: rows are unique and ordered by it.
    pub key: i64,
    /// Venue time, ns UTC.
    pub ts_event: i64,
    /// Bare `Update`.
    pub update: Vec<u8>,
}

/// Why a page is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The body is no such page.
    #[error(transparent)]
    Body(#[from] DecodeError),
    /// A number of it cannot be encoded.
    #[error(transparent)]
    Number(#[from] WireError),
    /// Nothing of the kind was asked for.
    #[error("no such history")]
    Unknown,
}

impl Feed {
    /// Returns the request for the page at the cursor; `None`: this venue has no such history.
    #[must_use]
    pub fn history_request(&self, past: &Past<'_>) -> Option<RestRequest> {
        let product = self.config.product;
        let instrument = self.instruments().find(|instrument| instrument.symbol == past.symbol)?;
        match past.channel {
            Channel::Trades if product != Product::Okx => {
                let span = trades_span(product, past)?;
                Some(product.trades_request(&instrument.venue_symbol, &span))
            }
            Channel::Klines => {
                let span = klines_span(past, self.clock.wall_ns())?;
                product.klines_request(&instrument.venue_symbol, &span)
            }
            _ => None,
        }
    }

    /// Reads a page: its rows inside the wanted part, by ascending key, and the cursor of the next page (empty: that was
    /// the last one).
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn history_rows(&self, past: &Past<'_>, body: &[u8]) -> Result<(Vec<PastRow>, String), HistoryError> {
        match past.channel {
            Channel::Trades => self.past_trades(past, body),
            Channel::Klines => self.past_klines(past, body),
            _ => Err(HistoryError::Unknown),
        }
    }

    fn past_trades(&self, past: &Past<'_>, body: &[u8]) -> Result<(Vec<PastRow>, String), HistoryError> {
        let product = self.config.product;
        let mut decoded = Decoded::default();
        product.decode_trades(body, &mut decoded)?;
        let mut rows = Vec::new();
        for trade in &decoded.trades {
            if (past.ts_from..past.ts_until).contains(&trade.ts_event) {
                let update = self.past_update(past, trade.ts_event, |out, header, usual| {
                    wire::trade(out, header, usual, trade)
                })?;
                rows.push(PastRow { key: trade.id.cast_signed(), ts_event: trade.ts_event, update });
            }
        }
        Ok((rows, next_trades(product, past, &decoded.trades).unwrap_or_default()))
    }

    fn past_klines(&self, past: &Past<'_>, body: &[u8]) -> Result<(Vec<PastRow>, String), HistoryError> {
        let span = klines_span(past, self.clock.wall_ns()).ok_or(HistoryError::Unknown)?;
        let mut rows = Vec::new();
        for row in self.config.product.decode_klines(body)? {
            let end = row.ts_open.saturating_add(span.interval_ns);
            let is_closed = row.is_closed.unwrap_or(end <= span.now);
            let is_inside = (past.ts_from..past.ts_until).contains(&row.ts_open);
            if !is_closed || !is_inside || row.volume.is_zero() {
                continue; // as everywhere, an interval without trades has no kline
            }
            let kline = kline_of(&row, end);
            let update = self.past_update(past, row.ts_open, |out, header, usual| {
                wire::kline(out, header, usual, &kline)
            })?;
            rows.push(PastRow { key: row.ts_open, ts_event: row.ts_open, update });
        }
        let last = self.config.product.klines_last(&span);
        let next = last.saturating_add(span.interval_ns);
        let is_over = next >= past.ts_until || next > span.now;
        Ok((rows, if is_over { String::new() } else { next.to_string() }))
    }

    fn past_update(
        &self,
        past: &Past<'_>,
        ts_event: i64,
        encode: impl FnOnce(&mut Vec<u8>, &Header<'_>, Exponents) -> Result<(), WireError>,
    ) -> Result<Vec<u8>, HistoryError> {
        let instrument = self.instruments().find(|instrument| instrument.symbol == past.symbol);
        let usual = instrument.map(usual_of).ok_or(HistoryError::Unknown)?;
        let variant = past.variant.to_string();
        let header = Header {
            venue: self.config.product.venue(),
            symbol: past.symbol,
            channel: past.channel,
            variant: &variant,
            epoch: self.config.epoch,
            seq: 0,
            ts_event,
            ts_recv: 0,
            ts_publish: self.clock.wall_ns(),
            integrity: facade_model::Integrity::Unspecified,
            flags: UpdateFlags::HISTORY,
            venue_sequence_previous: None,
            venue_sequence: None,
        };
        let mut update = Vec::new();
        encode(&mut update, &header, usual)?;
        Ok(update)
    }
}

/// The span of the page of trades at a cursor.
fn trades_span(product: Product, past: &Past<'_>) -> Option<TradesSpan> {
    let cursor = if past.cursor.is_empty() { None } else { Some(past.cursor.parse::<i64>().ok()?) };
    let span = TradesSpan { ts_first: past.ts_from, ts_last: past.ts_until, ..TradesSpan::default() };
    Some(match (product, cursor) {
        (Product::Kraken, Some(ts)) => TradesSpan { ts_first: ts, ..span },
        (Product::CoinbaseAdvanced, Some(ts)) => TradesSpan { ts_last: ts, ..span },
        (_, Some(id)) => TradesSpan { id_last: u64::try_from(id).ok(), ..span },
        (_, None) => span,
    })
}

/// The cursor behind a page of trades; `None`: that was the last one.
fn next_trades(product: Product, past: &Past<'_>, page: &[Trade]) -> Option<String> {
    let (oldest, newest) = (page.first()?, page.last()?);
    let next = match product {
        Product::Kraken => {
            let is_over = newest.ts_event >= past.ts_until || page.len() < 2;
            (!is_over).then_some(newest.ts_event)
        }
        Product::CoinbaseAdvanced => {
            // whole seconds: what shares the oldest one's second may be cut off
            let is_over = oldest.ts_event <= past.ts_from || page.len() < 2;
            (!is_over).then_some(oldest.ts_event / SECOND_NS * SECOND_NS)
        }
        Product::BinanceUsdm | Product::BinanceCoinm => None,
        _ => {
            let is_over = oldest.ts_event < past.ts_from || oldest.id == 0;
            (!is_over).then(|| oldest.id.cast_signed() - 1)
        }
    };
    next.map(|next| next.to_string()).filter(|next| next != past.cursor)
}

/// The span of the page of klines at a cursor; `None`: klines of another kind.
fn klines_span(past: &Past<'_>, now: i64) -> Option<KlinesSpan> {
    let Variant::Time { seconds } = past.variant else { return None };
    let interval_ns = i64::from(seconds) * SECOND_NS;
    let first = past.ts_from.div_euclid(interval_ns) * interval_ns;
    let first = if first < past.ts_from { first + interval_ns } else { first };
    let ts_first = if past.cursor.is_empty() { first } else { past.cursor.parse().ok()? };
    Some(KlinesSpan { interval_ns, ts_first, ts_last: past.ts_until - 1, now })
}

fn kline_of(row: &KlineRow, ts_close: i64) -> wire::Kline {
    wire::Kline {
        ts_open: row.ts_open,
        ts_close,
        prices: Some(Ohlc { open: row.open, high: row.high, low: row.low, close: row.close }),
        volume: Some(row.volume),
        quote_volume: row.quote_volume,
        vwap: row.vwap,
        taker_buy_volume: row.taker_buy_volume,
        trade_count: row.trade_count,
        state: Some(KlineState::Final),
        revision: 0,
        completeness: Completeness::Unknown, // the venue's own word
        trades_seq_first: 0,
        trades_seq_last: 0,
        flags: UpdateFlags::default(),
    }
}

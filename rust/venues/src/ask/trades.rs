//! Trades: backward by id, or by time where a venue pages so. What no cursor can reach is not asked for.

use std::fmt::Write as _;

use facade_model::Trade;

use super::{Ask, Page, PageOrder};
use crate::history::{MILLI_NS, RestRequest, SECOND_NS, TradesSpan};
use crate::request::push_percent_encoded;
use crate::{DecodeError, Decoded, Product, Rows};

/// Returns the request; `None`: the venue keeps no such past.
pub(super) fn request(product: Product, ask: &Ask<'_>) -> Option<RestRequest> {
    if is_search(product, ask) {
        return Some(search(ask));
    }
    Some(product.trades_request(ask.venue_symbol, &span(product, ask)?))
}

/// Reads a page.
pub(super) fn page(product: Product, ask: &Ask<'_>, body: &[u8]) -> Result<Page, DecodeError> {
    if is_search(product, ask) {
        let id = product.decode_last_id(body)?;
        let cursor = id.map(|id| id.to_string()).unwrap_or_default();
        return Ok(Page { rows: Rows::Trades(Vec::new()), ts_told: 0, cursor, order: PageOrder::Backward });
    }
    let mut decoded = Decoded::default();
    product.decode_trades(body, &mut decoded)?;
    let cursor = next(product, ask, &decoded.trades).map(|next| next.to_string()).unwrap_or_default();
    let cursor = if cursor == ask.cursor { String::new() } else { cursor };
    let mut rows = decoded.trades;
    let ts_told = rows.iter().map(|trade| trade.ts_event).max().unwrap_or_default();
    let range = ask.range();
    rows.retain(|trade| range.contains(&trade.ts_event) && trade.qty.mantissa > 0);
    rows.dedup_by_key(|trade| trade.id);
    Ok(Page { rows: Rows::Trades(rows), ts_told, cursor, order: order(product, ask) })
}

/// Whether this page only finds the id at which the past part ends: Binance reads single trades by id alone.
fn is_search(product: Product, ask: &Ask<'_>) -> bool {
    product == Product::BinanceSpot && ask.cursor.is_empty() && !ask.is_newest()
}

/// The merged trade before the end; it names the ids that it holds.
///
/// Source: binance-spot-api-docs `rest-api.md`, aggTrades, 2026-07-21.
fn search(ask: &Ask<'_>) -> RestRequest {
    let mut path = String::from("/api/v3/aggTrades?symbol=");
    push_percent_encoded(&mut path, ask.venue_symbol);
    let _ = write!(path, "&endTime={}&limit=1", (ask.until() - 1) / MILLI_NS);
    RestRequest { path, weight: 4 }
}

fn order(product: Product, ask: &Ask<'_>) -> PageOrder {
    if product == Product::Kraken && ask.ts_from > 0 { PageOrder::Forward } else { PageOrder::Backward }
}

/// What the page at the cursor covers; `None`: no page of this venue reaches there.
fn span(product: Product, ask: &Ask<'_>) -> Option<TradesSpan> {
    let rows_max = if ask.ts_from == 0 { ask.limit } else { 0 };
    let newest = TradesSpan { rows_max, ..TradesSpan::default() };
    let cursor = if ask.cursor.is_empty() { None } else { Some(ask.cursor.parse::<i64>().ok()?) };
    let is_past = !ask.is_newest();
    Some(match (product, cursor) {
        (Product::BinanceUsdm | Product::BinanceCoinm, None) if !is_past => newest,
        (Product::Kraken, None) if ask.ts_from > 0 => TradesSpan { ts_first: ask.ts_from, ..newest },
        (Product::Kraken, Some(ts)) => TradesSpan { ts_first: ts, ..newest },
        (Product::CoinbaseAdvanced, cursor) if ask.ts_from > 0 => {
            TradesSpan { ts_first: ask.ts_from, ts_last: cursor.unwrap_or(ask.until()), ..newest }
        }
        // the futures' older trades want a key; the others page by time, but from when on?
        (Product::BinanceUsdm | Product::BinanceCoinm, _) | (Product::CoinbaseAdvanced, Some(_)) => {
            return None;
        }
        (Product::Kraken | Product::CoinbaseAdvanced, _) if is_past => return None,
        (Product::Okx, None) if is_past => TradesSpan { ts_last: ask.ts_until, ..newest },
        (_, Some(id)) => TradesSpan { id_last: u64::try_from(id).ok(), ..newest },
        (_, None) => newest,
    })
}

/// The cursor behind a page, oldest first; `None`: that was the last one.
fn next(product: Product, ask: &Ask<'_>, page: &[Trade]) -> Option<i64> {
    let (oldest, newest) = (page.first()?, page.last()?);
    match product {
        Product::Kraken => {
            let has_more = ask.ts_from > 0 && newest.ts_event < ask.until() && page.len() > 1;
            has_more.then_some(newest.ts_event)
        }
        Product::CoinbaseAdvanced => {
            // whole seconds: what shares the oldest one's second may be cut off
            let has_more = ask.ts_from > 0 && oldest.ts_event > ask.ts_from && page.len() > 1;
            has_more.then_some(oldest.ts_event / SECOND_NS * SECOND_NS)
        }
        Product::BinanceUsdm | Product::BinanceCoinm => None,
        _ => {
            let has_more = oldest.ts_event >= ask.ts_from && oldest.id > 0;
            has_more.then(|| oldest.id.cast_signed() - 1)
        }
    }
}

impl Product {
    /// Reads the last single trade's id in the answer to a search; `None`: there is no trade that old.
    fn decode_last_id(self, body: &[u8]) -> Result<Option<u64>, DecodeError> {
        let mut id = None;
        self.read(body, &mut Decoded::default(), |_, scanner, _| {
            id = crate::binance::read_last_id(scanner)?;
            Ok(())
        })?;
        Ok(id)
    }
}

//! Klines: pages run forward from the first opening time; the cursor is the next one.

use super::{Ask, Page, PageOrder, at_start};
use crate::history::{KlinesSpan, RestRequest};
use crate::{DecodeError, DecodeErrorKind, Interval, Product, Rows};

/// Returns the request; `None`: the venue has no such interval, or begins it elsewhere.
pub(super) fn request(product: Product, interval: Interval, ask: &Ask<'_>) -> Option<RestRequest> {
    // where Kraken's weeks begin is not documented, and ours begin on Monday
    let has_weeks = product != Product::Kraken;
    if !has_weeks && interval.length_ns() > Interval::Seconds(86_400).length_ns() {
        return None;
    }
    product.klines_request(ask.venue_symbol, &span(interval, ask)?)
}

/// Reads a page.
pub(super) fn page(
    product: Product,
    interval: Interval,
    ask: &Ask<'_>,
    body: &[u8],
) -> Result<Page, DecodeError> {
    let range = ask.kline_range(interval);
    let span = span(interval, ask).ok_or_else(|| at_start(DecodeErrorKind::Missing("cursor")))?;
    let mut rows = product.decode_klines(body)?;
    if interval.is_anchored() && rows.iter().any(|row| interval.floor(row.ts_open) != row.ts_open) {
        return Err(at_start(DecodeErrorKind::OffGrid));
    }
    let ts_told = rows.last().map_or(0, |row| row.ts_open);
    rows.retain(|row| range.contains(&row.ts_open));
    for row in &mut rows {
        let is_over = interval.next(row.ts_open) <= ask.now;
        row.is_closed = Some(row.is_closed.unwrap_or(is_over));
    }
    let next = interval.next(interval.floor(product.klines_last(&span)));
    let cursor = if next < range.end { next.to_string() } else { String::new() };
    Ok(Page { rows: Rows::Klines(rows), ts_told, cursor, order: PageOrder::Forward })
}

/// The part that the page at the cursor covers at most.
fn span(interval: Interval, ask: &Ask<'_>) -> Option<KlinesSpan> {
    let range = ask.kline_range(interval);
    let ts_first = if ask.cursor.is_empty() { range.start } else { ask.cursor.parse().ok()? };
    let ts_last = interval.floor(range.end - 1);
    (ts_first <= ts_last).then_some(KlinesSpan {
        interval_ns: interval.length_ns(),
        ts_first,
        ts_last,
        now: ask.now,
    })
}

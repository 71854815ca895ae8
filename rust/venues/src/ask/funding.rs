//! Funding rates: the one that comes next, then the settled ones.
//!
//! The first page of a question about the newest tells the rate ahead, where the venue has one; its cursor leads to the
//! settled rates. A question about the past begins there.

mod binance;
mod kraken;
mod okx;

use facade_model::FundingRate;

use super::{Ask, Page, PageOrder, RestSource, at_start, unknown};
use crate::history::{MILLI_NS, RestRequest};
use crate::scan::{Scanner, Step};
use crate::{DecodeError, DecodeErrorKind, Product, Rows};

/// Cursor of the first page of settled rates.
const SETTLED: &str = "settled";
/// Longest interval between two rates that the venues use, ns: eight hours.
const INTERVAL_NS_MAX: i64 = 8 * 3_600 * 1_000_000_000;
/// Settled rates of an answer for which the caller set no limit.
const ROWS_DEFAULT: u32 = 100;

/// What one page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The rate ahead.
    Next,
    /// Settled rates; `from` and `until` as the cursor narrows them.
    Settled { from: i64, until: i64 },
}

/// Returns the request; `None`: the venue has no funding.
pub(super) fn request(source: RestSource, ask: &Ask<'_>) -> Option<RestRequest> {
    let path = match (source, part(source, ask)?) {
        (RestSource::Product(product @ (Product::BinanceUsdm | Product::BinanceCoinm)), part) => {
            binance::path(product, ask, part)
        }
        (RestSource::Product(Product::Okx), part) => okx::path(ask, part),
        (RestSource::KrakenFutures, _) => kraken::path(ask),
        (RestSource::Product(_), _) => return None,
    };
    Some(RestRequest { path, weight: 1 })
}

/// Reads a page.
pub(super) fn page(source: RestSource, ask: &Ask<'_>, body: &[u8]) -> Result<Page, DecodeError> {
    let part = part(source, ask).ok_or_else(|| at_start(DecodeErrorKind::Missing("cursor")))?;
    let mut rates = Vec::new();
    let read = match source {
        RestSource::Product(Product::BinanceUsdm | Product::BinanceCoinm) => binance::read,
        RestSource::Product(Product::Okx) => okx::read,
        RestSource::KrakenFutures => kraken::read,
        RestSource::Product(_) => return Err(unknown()),
    };
    crate::product::read(body, |scanner| read(scanner, part, &mut rates))?;
    rates.sort_by_key(|rate| (rate.ts_funding, rate.is_settled));
    rates.dedup_by_key(|rate| (rate.ts_funding, rate.is_settled));
    let order =
        if source == RestSource::Product(Product::Okx) { PageOrder::Backward } else { PageOrder::Forward };
    let cursor = next(source, ask, part, &rates);
    let ts_told = rates.last().map_or(0, |rate| rate.ts_funding);
    if let Part::Settled { .. } = part {
        let range = ask.range();
        rates.retain(|rate| range.contains(&rate.ts_funding));
    }
    Ok(Page { rows: Rows::Funding(rates), ts_told, cursor, order })
}

/// What the page at the cursor is about; `None`: no such cursor, or a past that has no bound below.
fn part(source: RestSource, ask: &Ask<'_>) -> Option<Part> {
    let (from, until) = (first(ask), ask.until());
    match ask.cursor {
        "" if ask.is_newest() && source != RestSource::KrakenFutures => Some(Part::Next),
        "" | SETTLED => Some(Part::Settled { from, until }),
        cursor => {
            let at: i64 = cursor.parse().ok()?;
            let is_backward = source == RestSource::Product(Product::Okx);
            Some(if is_backward {
                Part::Settled { from, until: at }
            } else {
                Part::Settled { from: at, until }
            })
        }
    }
}

/// Settled rates wanted.
fn wanted(ask: &Ask<'_>) -> u32 {
    if ask.limit == 0 { ROWS_DEFAULT } else { ask.limit }
}

/// The earliest instant from which on the newest rates must lie: rates are at most eight hours apart.
fn first(ask: &Ask<'_>) -> i64 {
    let span = INTERVAL_NS_MAX.saturating_mul(i64::from(wanted(ask)) + 1);
    ask.until().saturating_sub(span).max(ask.ts_from).max(MILLI_NS)
}

/// The cursor behind a page, oldest first.
fn next(source: RestSource, ask: &Ask<'_>, part: Part, page: &[FundingRate]) -> String {
    let Part::Settled { from, until } = part else { return SETTLED.to_owned() };
    let (Some(oldest), Some(newest)) = (page.first(), page.last()) else { return String::new() };
    let next = match source {
        RestSource::Product(Product::Okx) => {
            let has_more = page.len() >= okx::ROWS_MAX as usize && oldest.ts_funding > from;
            has_more.then_some(oldest.ts_funding)
        }
        RestSource::Product(_) => {
            let after = newest.ts_funding.saturating_add(MILLI_NS);
            (page.len() >= binance::ROWS_MAX as usize && after < until).then_some(after)
        }
        RestSource::KrakenFutures => None,
    };
    next.map(|next| next.to_string()).filter(|next| next != ask.cursor).unwrap_or_default()
}

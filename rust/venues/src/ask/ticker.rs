//! Statistics of 24 hours: where a venue tells them in two places, two pages make the one row.

use facade_model::Statistics;

use super::{Ask, Page, PageOrder, at_start};
use crate::history::RestRequest;
use crate::{DecodeError, DecodeErrorKind, Decoded, Event, Product, Rows};

/// Cursor of the second page.
const REST: &str = "rest";

/// Returns the request; `None`: there is no such page.
pub(super) fn request(product: Product, ask: &Ask<'_>) -> Option<RestRequest> {
    match ask.cursor {
        "" => Some(product.ticker_request(ask.venue_symbol)),
        REST => product.ticker_rest_request(ask.venue_symbol),
        _ => None,
    }
}

/// Reads a page.
pub(super) fn page(product: Product, ask: &Ask<'_>, body: &[u8]) -> Result<Page, DecodeError> {
    let mut decoded = Decoded::default();
    product.decode_ticker(body, &mut decoded)?;
    let (ts_event, ticker) = match (decoded.events.last(), decoded.statistics) {
        (Some(Event::Ticker(event)), Some(told)) => (event.ts_event, told),
        (Some(Event::Top(event)), _) => {
            (event.ts_event, Statistics { top: event.top, ..Statistics::default() })
        }
        _ => return Err(at_start(DecodeErrorKind::Missing("ticker"))),
    };
    let ticker = Box::new(ticker);
    let has_more = ask.cursor.is_empty() && product.ticker_rest_request(ask.venue_symbol).is_some();
    let cursor = if has_more { REST.to_owned() } else { String::new() };
    Ok(Page { rows: Rows::Ticker { ts_event, ticker }, ts_told: ts_event, cursor, order: PageOrder::Parts })
}

//! Funding of Kraken's linear perpetuals.
//!
//! Source: docs.kraken.com futures-api "historical funding rates", 2026-05-27. `fundingRate` is an amount per contract;
//! the share that other venues tell is `relativeFundingRate`. Nothing tells the interval's length.

use facade_model::FundingRate;

use super::{Ask, Scanner, Step};
use crate::DecodeErrorKind;
use crate::request::push_percent_encoded;
use crate::scan::keys;

keys! { Answer { Result = "result", Error = "error", Rates = "rates" } }

keys! { Row { Time = "timestamp", Rate = "relativeFundingRate" } }

/// Path of all settled rates: the venue takes no range.
///
/// `venue_symbol` is the futures' own (`PF_XBTUSD`), or a pair of spot (`BTC/USD`), which names the linear perpetual.
pub(super) fn path(ask: &Ask<'_>) -> String {
    let mut path = String::from("/derivatives/api/v3/historical-funding-rates?symbol=");
    match ask.venue_symbol.split_once('/') {
        Some((base, quote)) => {
            let base = if base == "BTC" { "XBT" } else { base };
            path.push_str("PF_");
            push_percent_encoded(&mut path, base);
            push_percent_encoded(&mut path, quote);
        }
        None => push_percent_encoded(&mut path, ask.venue_symbol),
    }
    path
}

/// Reads the one page, in either order: the documents say ascending, a record was descending.
pub(super) fn read(scanner: &mut Scanner<'_>, _part: super::Part, rates: &mut Vec<FundingRate>) -> Step<()> {
    let (mut is_success, mut has_rates) = (false, false);
    let mut answer = scanner.object()?;
    while let Some(key) = answer.next::<Answer>(scanner)? {
        match key {
            Answer::Result => is_success = scanner.word()? == b"success",
            Answer::Error => return Err(DecodeErrorKind::Refused),
            Answer::Rates => {
                let mut rows = scanner.array()?;
                while rows.next(scanner)? {
                    rates.push(read_row(scanner)?);
                }
                has_rates = true;
            }
        }
    }
    match (is_success, has_rates) {
        (true, true) => Ok(()),
        (true, false) => Err(DecodeErrorKind::Missing("rates")),
        (false, _) => Err(DecodeErrorKind::Refused),
    }
}

fn read_row(scanner: &mut Scanner<'_>) -> Step<FundingRate> {
    let (mut ts_funding, mut rate) = (None, None);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Row>(scanner)? {
        match key {
            Row::Time => ts_funding = Some(scanner.rfc3339()?),
            Row::Rate => rate = Some(scanner.decimal()?),
        }
    }
    let (Some(ts_funding), Some(rate)) = (ts_funding, rate) else {
        return Err(DecodeErrorKind::Missing("timestamp, relativeFundingRate"));
    };
    Ok(FundingRate { ts_funding, rate, interval_s: 0, is_settled: true, mark_px: None, index_px: None })
}

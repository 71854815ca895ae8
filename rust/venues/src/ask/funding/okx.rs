//! Funding of OKX's swaps.
//!
//! Source: OKX "GET /public/funding-rate", "funding-rate-history", 2026-08-22: newest first, three months.

use std::fmt::Write as _;

use facade_model::FundingRate;

use super::{Ask, MILLI_NS, Part, Scanner, Step};
use crate::DecodeErrorKind;
use crate::okx::read_answer;
use crate::request::push_percent_encoded;
use crate::scan::keys;

/// Most rows of `funding-rate-history`.
pub(super) const ROWS_MAX: u32 = 400;
/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;

keys! {
    Row { Rate = "fundingRate", Realized = "realizedRate", Time = "fundingTime", Next = "nextFundingTime" }
}

/// Path of a page.
pub(super) fn path(ask: &Ask<'_>, part: Part) -> String {
    let name = if part == Part::Next { "funding-rate" } else { "funding-rate-history" };
    let mut path = format!("/api/v5/public/{name}?instId=");
    push_percent_encoded(&mut path, ask.venue_symbol);
    if let Part::Settled { from, until } = part {
        let (before, after) = (from / MILLI_NS - 1, (until - 1) / MILLI_NS + 1);
        let _ = write!(path, "&before={before}&after={after}&limit={ROWS_MAX}");
    }
    path
}

/// Reads a page.
pub(super) fn read(scanner: &mut Scanner<'_>, part: Part, rates: &mut Vec<FundingRate>) -> Step<()> {
    read_answer(scanner, |scanner| {
        let mut rows = scanner.array()?;
        while rows.next(scanner)? {
            rates.extend(read_row(scanner, part != Part::Next)?);
        }
        Ok(())
    })
}

/// Reads a row; one without a rate tells none. Of a settled one counts what was realized.
fn read_row(scanner: &mut Scanner<'_>, is_settled: bool) -> Step<Option<FundingRate>> {
    let (mut rate, mut realized, mut ts_funding, mut ts_next) = (None, None, None, None);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Row>(scanner)? {
        match key {
            Row::Rate => rate = scanner.decimal_or_absent()?,
            Row::Realized => realized = scanner.decimal_or_absent()?,
            Row::Time => ts_funding = Some(scanner.epoch()?),
            Row::Next => ts_next = scanner.unsigned_or_absent()?,
        }
    }
    let ts_funding = ts_funding.ok_or(DecodeErrorKind::Missing("fundingTime"))?;
    let rate = if is_settled { realized.or(rate) } else { rate };
    let length_ns = ts_next
        .and_then(|ts| i64::try_from(ts).ok()?.checked_mul(MILLI_NS)?.checked_sub(ts_funding))
        .unwrap_or_default();
    let interval_s = u32::try_from(length_ns / SECOND_NS).unwrap_or_default();
    Ok(rate.map(|rate| FundingRate {
        ts_funding,
        rate,
        interval_s,
        is_settled,
        mark_px: None,
        index_px: None,
    }))
}

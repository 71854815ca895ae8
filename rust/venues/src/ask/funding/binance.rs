//! Funding of Binance's perpetuals.
//!
//! Source: derivatives pages "Get Funding Rate History", "Mark Price", 2026-01. No answer tells the interval's length.

use std::fmt::Write as _;

use facade_model::FundingRate;

use super::{Ask, MILLI_NS, Part, Scanner, Step};
use crate::request::push_percent_encoded;
use crate::scan::keys;
use crate::{DecodeErrorKind, Product};

/// Most rows of `fundingRate`.
pub(super) const ROWS_MAX: u32 = 1_000;

keys! { Settled { Time = "fundingTime", Rate = "fundingRate", Mark = "markPrice" } }

keys! {
    Ahead { Mark = "markPrice", Index = "indexPrice", Rate = "lastFundingRate", Time = "nextFundingTime",
            Code = "code" }
}

/// Path of a page.
pub(super) fn path(product: Product, ask: &Ask<'_>, part: Part) -> String {
    let root = if product == Product::BinanceCoinm { "/dapi/v1/" } else { "/fapi/v1/" };
    let name = if part == Part::Next { "premiumIndex" } else { "fundingRate" };
    let mut path = format!("{root}{name}?symbol=");
    push_percent_encoded(&mut path, ask.venue_symbol);
    if let Part::Settled { from, until } = part {
        let (first, last) = (from / MILLI_NS, (until - 1) / MILLI_NS);
        let _ = write!(path, "&startTime={first}&endTime={last}&limit={ROWS_MAX}");
    }
    path
}

/// Reads a page.
pub(super) fn read(scanner: &mut Scanner<'_>, part: Part, rates: &mut Vec<FundingRate>) -> Step<()> {
    if part == Part::Next && scanner.peek() == Some(b'{') {
        rates.extend(read_next(scanner)?); // coin margin answers with a list of one
        return Ok(());
    }
    if scanner.peek() == Some(b'{') {
        scanner.skip()?;
        return Err(DecodeErrorKind::Refused);
    }
    let mut rows = scanner.array()?;
    while rows.next(scanner)? {
        rates.extend(if part == Part::Next { read_next(scanner)? } else { Some(read_settled(scanner)?) });
    }
    Ok(())
}

fn read_settled(scanner: &mut Scanner<'_>) -> Step<FundingRate> {
    let (mut ts_funding, mut rate, mut mark_px) = (None, None, None);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Settled>(scanner)? {
        match key {
            Settled::Time => ts_funding = Some(scanner.epoch()?),
            Settled::Rate => rate = Some(scanner.decimal()?),
            Settled::Mark => mark_px = scanner.price_or_absent()?,
        }
    }
    let (Some(ts_funding), Some(rate)) = (ts_funding, rate) else {
        return Err(DecodeErrorKind::Missing("fundingTime, fundingRate"));
    };
    Ok(FundingRate { ts_funding, rate, interval_s: 0, is_settled: true, mark_px, index_px: None })
}

/// Reads the estimate; dated futures have a time of 0 or no rate.
fn read_next(scanner: &mut Scanner<'_>) -> Step<Option<FundingRate>> {
    let (mut ts_funding, mut rate, mut mark_px, mut index_px) = (None, None, None, None);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Ahead>(scanner)? {
        match key {
            Ahead::Mark => mark_px = scanner.price_or_absent()?,
            Ahead::Index => index_px = scanner.price_or_absent()?,
            Ahead::Rate => rate = scanner.decimal_or_absent()?,
            Ahead::Time => ts_funding = Some(scanner.epoch()?),
            Ahead::Code => return Err(DecodeErrorKind::Refused),
        }
    }
    let ts_funding = ts_funding.ok_or(DecodeErrorKind::Missing("nextFundingTime"))?;
    Ok(rate.filter(|_| ts_funding > 0).map(|rate| FundingRate {
        ts_funding,
        rate,
        interval_s: 0,
        is_settled: false,
        mark_px,
        index_px,
    }))
}

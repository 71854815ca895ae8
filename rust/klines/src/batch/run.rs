//! One run of trades that belong to one bar.

use super::{Bits, Row, Sides, Trades};
use crate::KlineError;

/// Trades that are summed in 64 bits at once, where their numbers allow it.
const BLOCK: usize = 512;
const BLOCK_BITS: u32 = BLOCK.ilog2();

/// Sums of one block, or of several.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    volume: i128,
    quote_volume: i128,
}

/// Makes the bar of a run, which is not empty, without its times.
pub fn bar(run: &Trades<'_>) -> Result<Row, KlineError> {
    let (mut low, mut high, mut bits, mut sums) = (i64::MAX, i64::MIN, 0, Sums::default());
    for (px, qty) in run.px.chunks(BLOCK).zip(run.qty.chunks(BLOCK)) {
        let (block_low, block_high) = extremes(px);
        low = low.min(block_low);
        high = high.max(block_high);
        let quantity_bits = qty.iter().fold(0, |bits, qty| bits | qty);
        if quantity_bits < 0 {
            return Err(KlineError::NegativeQuantity);
        }
        bits |= quantity_bits;
        let px_bits = block_low.unsigned_abs() | block_high.unsigned_abs();
        let wide = (u64::BITS - px_bits.leading_zeros()) + (u64::BITS - quantity_bits.leading_zeros());
        let block = if wide + BLOCK_BITS < u64::BITS { sum_short(px, qty) } else { sum_wide(px, qty)? };
        sums.volume = sums.volume.checked_add(block.volume).ok_or(KlineError::NumberRange)?;
        sums.quote_volume =
            sums.quote_volume.checked_add(block.quote_volume).ok_or(KlineError::NumberRange)?;
    }
    let (buy_volume, sell_volume) = volumes_of_takers(run, sums.volume, bits);
    Ok(Row {
        open: run.px.first().copied().unwrap_or_default(),
        high,
        low,
        close: run.px.last().copied().unwrap_or_default(),
        volume: sums.volume,
        quote_volume: sums.quote_volume,
        buy_volume,
        sell_volume,
        trade_count: run.px.len() as u64,
        ..Row::default()
    })
}

/// Sums what takers bought and what they sold; `bits` are those that any quantity of the run has.
fn volumes_of_takers(run: &Trades<'_>, volume: i128, bits: i64) -> (i128, i128) {
    let is_short = bits.leading_zeros() > run.qty.len().ilog2() + 1; // the sum of all fits 63 bits
    match run.sides {
        Sides::Unknown => (0, 0),
        Sides::Signs(signs) => (
            sum_where(run.qty, signs.iter().map(|&sign| sign > 0)),
            sum_where(run.qty, signs.iter().map(|&sign| sign < 0)),
        ),
        Sides::Buys(is_buy) => {
            let bought =
                if is_short { sum_short_where(run.qty, is_buy) } else { sum_where(run.qty, is_buy.iter()) };
            (bought, volume - bought)
        }
    }
}

/// Lowest and highest price.
fn extremes(px: &[i64]) -> (i64, i64) {
    px.iter().fold((i64::MAX, i64::MIN), |(low, high), &px| (low.min(px), high.max(px)))
}

/// Sums a block whose sums are known to fit 64 bits.
fn sum_short(px: &[i64], qty: &[i64]) -> Sums {
    let (mut volume, mut value) = (0_i64, 0_i64);
    for (&px, &qty) in px.iter().zip(qty) {
        volume = volume.wrapping_add(qty); // does not wrap: the caller counted the bits
        value = value.wrapping_add(px.wrapping_mul(qty));
    }
    Sums { volume: i128::from(volume), quote_volume: i128::from(value) }
}

/// Sums any block.
#[cold]
fn sum_wide(px: &[i64], qty: &[i64]) -> Result<Sums, KlineError> {
    let mut sums = Sums::default();
    for (&px, &qty) in px.iter().zip(qty) {
        let (px, qty) = (i128::from(px), i128::from(qty));
        sums.volume += qty; // 512 numbers of 64 bits
        sums.quote_volume = sums.quote_volume.checked_add(px * qty).ok_or(KlineError::NumberRange)?;
    }
    Ok(sums)
}

/// Sums the quantities that are chosen.
fn sum_where(qty: &[i64], is_chosen: impl Iterator<Item = bool>) -> i128 {
    let chosen = qty.iter().zip(is_chosen).filter(|(_, is_chosen)| *is_chosen);
    chosen.map(|(&qty, _)| i128::from(qty)).sum()
}

/// Sums the quantities that are chosen, where their sum is known to fit 63 bits.
fn sum_short_where(qty: &[i64], is_chosen: Bits<'_>) -> i128 {
    let mut sum = 0_i64;
    for (qty, mut word) in qty.chunks(64).zip(is_chosen.words()) {
        for &qty in qty {
            sum = sum.wrapping_add(qty & (word & 1).cast_signed().wrapping_neg());
            word >>= 1;
        }
    }
    i128::from(sum)
}

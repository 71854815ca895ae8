//! Prices outside all reason (row B20). Pure.
//!
//! A price is judged against the last good one. Anything within a power of ten or more passes, so a true fall of
//! 20 % in a second does. A price that stays where nobody believed it is believed in the end.

use facade_model::{Decimal, POW10, TopOfBook, Trade};

/// How far a trade may lie from the last good one: a factor of ten.
const TRADE_REACH: i32 = 1;
/// How far a best price may lie from the last good one: quotes far from the market are legal, a millionfold is not.
const QUOTE_REACH: i32 = 3;
/// Prices in a row that agree with each other and not with the last good one, after which they are believed.
const SUSPECTS_MIN: u32 = 10;

/// A positive value by its leading digit: exact, and comparable across exponents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Magnitude {
    power: i32,
    digits: u64,
}

impl Magnitude {
    /// `None`: zero or less.
    fn of(value: Decimal) -> Option<Self> {
        let mantissa = u64::try_from(value.mantissa).ok().filter(|mantissa| *mantissa > 0)?;
        let length = mantissa.ilog10();
        let scale = POW10.get(18_usize.checked_sub(length as usize)?)?.unsigned_abs();
        let power = i32::from(value.exponent) + i32::try_from(length).ok()?;
        Some(Self { power, digits: mantissa * scale }) // below 10^19
    }

    /// Whether neither is more than `10^reach` times the other.
    fn is_near(self, other: Self, reach: i32) -> bool {
        let raised = |value: Self| Self { power: value.power + reach, ..value };
        self <= raised(other) && other <= raised(self)
    }
}

/// Judges the prices of one kind of one instrument.
#[derive(Debug, Clone, Copy, Default)]
struct PriceJudge {
    good: Option<Magnitude>,
    suspect: Option<Magnitude>,
    suspects: u32,
}

impl PriceJudge {
    /// Whether a price can be no price of this market.
    fn is_bad(&mut self, px: Decimal, reach: i32) -> bool {
        let Some(magnitude) = Magnitude::of(px) else { return true };
        let Some(good) = self.good else {
            self.good = Some(magnitude);
            return false;
        };
        if magnitude.is_near(good, reach) || self.convinces(magnitude, reach) {
            *self = Self { good: Some(magnitude), suspect: None, suspects: 0 };
            return false;
        }
        true
    }

    /// Whether enough prices in a row say the same.
    fn convinces(&mut self, magnitude: Magnitude, reach: i32) -> bool {
        let agrees = self.suspect.is_some_and(|suspect| magnitude.is_near(suspect, reach));
        self.suspects = if agrees { self.suspects + 1 } else { 1 };
        self.suspect = Some(magnitude);
        self.suspects >= SUSPECTS_MIN
    }
}

/// Judges the prices of one instrument.
#[derive(Debug, Clone, Copy, Default)]
pub struct TickJudge {
    trade: PriceJudge,
    statistic: PriceJudge,
    bid: PriceJudge,
    ask: PriceJudge,
}

impl TickJudge {
    /// Whether a trade has a price or a quantity outside all reason. It is told and flagged, and enters no sum.
    pub fn is_bad_trade(&mut self, trade: &Trade) -> bool {
        let is_bad = self.trade.is_bad(trade.px, TRADE_REACH);
        is_bad || trade.qty.mantissa <= 0
    }

    /// Whether the price of the last trade, as statistics repeat it, is outside all reason.
    pub fn is_bad_last(&mut self, px: Decimal) -> bool {
        self.statistic.is_bad(px, TRADE_REACH)
    }

    /// Takes the sides out of best prices that are outside all reason; tells whether there were any.
    pub fn clean(&mut self, top: &mut TopOfBook) -> bool {
        let mut is_bad = false;
        for (side, judge) in [(&mut top.bid, &mut self.bid), (&mut top.ask, &mut self.ask)] {
            if let Some(level) = *side
                && (judge.is_bad(level.px, QUOTE_REACH) || level.qty.mantissa <= 0)
            {
                *side = None;
                is_bad = true;
            }
        }
        is_bad
    }
}

#[cfg(test)]
mod tests {
    use facade_model::{Level, TakerSide};
    use proptest::prelude::*;

    use super::*;

    fn trade(px: &str, qty: &str) -> Trade {
        let number = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
        Trade { id: 1, px: number(px), qty: number(qty), side: TakerSide::Buy, ts_event: 0, is_market: true }
    }

    #[test]
    fn row_b20_prices_and_quantities_outside_all_reason_are_bad_and_do_not_move_the_judge() {
        let mut judge = TickJudge::default();
        assert!(!judge.is_bad_trade(&trade("61602.01", "0.5")));
        for (px, qty) in [
            ("0", "1"),
            ("-1", "1"),
            ("61602010000", "1"),
            ("0.06160201", "1"),
            ("61602.02", "-1"),
            ("61602.02", "0"),
            ("616021", "1"),
            ("6160.2", "1"),
        ] {
            assert!(judge.is_bad_trade(&trade(px, qty)), "{px} {qty}");
            assert!(!judge.is_bad_trade(&trade("61602.03", "0.1")), "after {px} {qty}");
        }
    }

    #[test]
    fn row_b20_true_big_moves_pass() {
        let mut judge = TickJudge::default();
        for px in ["100", "80", "96", "9.7", "0.98", "9", "89", "1e-8"] {
            let is_true = px != "1e-8";
            assert_eq!(judge.is_bad_trade(&trade(px, "1")), !is_true, "{px}");
        }
    }

    #[test]
    fn row_b20_price_that_stays_is_believed_in_the_end() {
        let mut judge = TickJudge::default();
        assert!(!judge.is_bad_trade(&trade("100", "1")));
        let verdicts: Vec<bool> = (0..12).map(|_| judge.is_bad_trade(&trade("5000", "1"))).collect();
        assert_eq!(verdicts.iter().filter(|is_bad| **is_bad).count(), 9);
        assert_eq!(verdicts.last(), Some(&false));
        assert!(judge.is_bad_trade(&trade("100", "1")), "the old price is far away now");
    }

    #[test]
    fn row_b20_bad_side_of_best_prices_is_taken_out() {
        let level = |px: &str| Some(Level { px: trade(px, "1").px, qty: Decimal::new(1, 0) });
        let mut judge = TickJudge::default();
        let mut good = TopOfBook { bid: level("100"), ask: level("101") };
        assert!(!judge.clean(&mut good));
        let mut bad = TopOfBook { bid: level("100000000"), ask: level("101") };
        assert!(judge.clean(&mut bad));
        assert_eq!((bad.bid, bad.ask), (None, level("101")));
        let mut stub = TopOfBook { bid: level("0.2"), ask: level("9999") };
        assert!(!judge.clean(&mut stub), "a quote far from the market is legal");
        let mut negative = TopOfBook { bid: level("100"), ask: level("-1") };
        assert!(judge.clean(&mut negative));
        assert_eq!(negative.ask, None);
    }

    proptest! {
        #[test]
        fn row_b20_moves_below_tenfold_pass_and_millionfold_ones_do_not(
            mantissa in 1_i64..1_000_000_000_000, exponent in -12_i8..3, step in 11_i64..=99, is_up in any::<bool>(),
        ) {
            let mut judge = TickJudge::default();
            let start = Trade { px: Decimal::new(mantissa, exponent), ..trade("1", "1") };
            prop_assert!(!judge.is_bad_trade(&start));
            let far = |power: i8| Trade { px: Decimal::new(mantissa, exponent + power), ..start };
            prop_assert!(judge.is_bad_trade(&far(6)));
            prop_assert!(judge.is_bad_trade(&far(-6)));
            let negative = Trade { px: Decimal::new(-mantissa, exponent), ..start };
            prop_assert!(judge.is_bad_trade(&negative));
            let times = if is_up { 10_i64 } else { 100 }; // 1.1 to 9.9 times, or 0.11 to 0.99 times
            let moved = Decimal::new(mantissa * step, exponent - i8::try_from(times.ilog10()).unwrap());
            let moved = Trade { px: moved, ..start };
            prop_assert!(!judge.is_bad_trade(&moved));
        }
    }
}

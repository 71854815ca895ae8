//! The book against a naive model: one ordered map a side, values as 128-bit integers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;

use facade_book::{Book, BookError, merge_changes};
use facade_model::{BookSide, Decimal, Level, LevelChange};
use proptest::prelude::*;

const LEVELS_MAX: usize = 12;

/// Value of a decimal in units of 1e-18.
fn value_of(number: Decimal) -> i128 {
    i128::from(number.mantissa) * 10_i128.pow(u32::try_from(i32::from(number.exponent) + 18).unwrap())
}

/// Whether one power of ten holds all values in 64 bits.
fn fits(values: impl Iterator<Item = i128> + Clone) -> bool {
    let mut values: Vec<i128> = values.filter(|value| *value != 0).collect();
    while !values.is_empty() && values.iter().all(|value| value % 10 == 0) {
        for value in &mut values {
            *value /= 10;
        }
    }
    values.iter().all(|value| i64::try_from(*value).is_ok())
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    bids: BTreeMap<i128, Decimal>,
    asks: BTreeMap<i128, Decimal>,
}

#[derive(Debug, PartialEq)]
enum Refusal {
    Range,
    Depth,
}

impl Model {
    fn side(&mut self, side: BookSide) -> &mut BTreeMap<i128, Decimal> {
        match side {
            BookSide::Bid => &mut self.bids,
            BookSide::Ask => &mut self.asks,
        }
    }

    fn apply(&mut self, changes: &[LevelChange]) -> Result<(), Refusal> {
        let held = self.bids.keys().chain(self.asks.keys()).copied();
        let coming =
            changes.iter().filter(|change| change.qty.mantissa != 0).map(|change| value_of(change.px));
        if !fits(held.chain(coming)) {
            return Err(Refusal::Range);
        }
        let mut after = self.clone();
        for change in changes {
            let side = after.side(change.side);
            if change.qty.mantissa == 0 {
                side.remove(&value_of(change.px));
            } else {
                side.insert(value_of(change.px), change.qty);
            }
        }
        if after.bids.len() > LEVELS_MAX || after.asks.len() > LEVELS_MAX {
            return Err(Refusal::Depth);
        }
        *self = after;
        Ok(())
    }

    fn load(&mut self, levels: &[LevelChange]) -> Result<(), Refusal> {
        let mut fresh = Self::default();
        fresh.apply(levels)?;
        *self = fresh;
        Ok(())
    }

    fn truncate(&mut self, depth: usize) -> Vec<(BookSide, i128)> {
        let mut removed = Vec::new();
        while self.bids.len() > depth {
            removed.push((BookSide::Bid, self.bids.pop_first().unwrap().0));
        }
        while self.asks.len() > depth {
            removed.push((BookSide::Ask, self.asks.pop_last().unwrap().0));
        }
        removed
    }

    fn text(&self) -> String {
        let bids = self.bids.iter().rev().map(|(px, qty)| format!("b,{},{qty}", plain(*px)));
        let asks = self.asks.iter().map(|(px, qty)| format!("a,{},{qty}", plain(*px)));
        bids.chain(asks).collect::<Vec<_>>().join("\n")
    }
}

/// Plain text of a value in units of 1e-18.
fn plain(value: i128) -> String {
    let digits = format!("{:019}", value.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    let text = format!("{}{whole}.{fraction}", if value < 0 { "-" } else { "" });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn refusal_of(result: Result<(), BookError>) -> Result<(), Refusal> {
    result.map_err(|error| match error {
        BookError::NumberRange { .. } => Refusal::Range,
        BookError::DepthLimit { .. } => Refusal::Depth,
        other => panic!("unknown {other}"),
    })
}

fn text_of(book: &Book) -> String {
    let line = |side, level: Level| format!("{side},{},{}", level.px, level.qty);
    let bids = book.bids().map(|level| line("b", level));
    let asks = book.asks().map(|level| line("a", level));
    bids.chain(asks).collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Clone)]
enum Step {
    Load(Vec<LevelChange>),
    Apply(Vec<LevelChange>),
    Truncate(usize),
    Clear,
}

fn side() -> impl Strategy<Value = BookSide> {
    prop_oneof![Just(BookSide::Bid), Just(BookSide::Ask)]
}

/// Few prices, so that they meet; some finer than the book's usual exponent, some at the limits of 64 bits.
fn price() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        20 => (-5_i64..60, -2_i8..=0).prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent)),
        3 => (1_i64..60, -6_i8..=-3).prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent)),
        1 => Just(Decimal::new(1, -18)),
        1 => (999_999_999_999_999_990_i64..=999_999_999_999_999_999, -18_i8..=0)
            .prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent)),
    ]
    .prop_map(Decimal::canonical)
}

fn quantity() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        2 => Just(Decimal::ZERO),
        4 => (1_i64..1_000, -8_i8..=0).prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent)),
        1 => Just(Decimal::new(1, -18)),
        1 => Just(Decimal::new(999_999_999_999_999_999, -9)),
    ]
}

fn changes(count: usize) -> impl Strategy<Value = Vec<LevelChange>> {
    let change = (side(), price(), quantity()).prop_map(|(side, px, qty)| LevelChange { side, px, qty });
    prop::collection::vec(change, 0..count)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => changes(60).prop_map(Step::Load),
        8 => changes(30).prop_map(Step::Apply),
        2 => (0_usize..30).prop_map(Step::Truncate),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #[test]
    fn row_b09_any_sequence_of_steps_leaves_the_same_book_as_the_naive_model(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let mut book = Book::with_levels_max(-2, LEVELS_MAX);
        let mut model = Model::default();
        for step in &steps {
            match step {
                Step::Load(levels) => prop_assert_eq!(refusal_of(book.load(levels)), model.load(levels)),
                Step::Apply(changes) => prop_assert_eq!(refusal_of(book.apply(changes)), model.apply(changes)),
                Step::Truncate(depth) => {
                    let mut removed = Vec::new();
                    book.truncate(*depth, &mut removed);
                    prop_assert!(removed.iter().all(|change| change.qty.is_zero()));
                    let removed: Vec<_> = removed.iter().map(|gone| (gone.side, value_of(gone.px))).collect();
                    prop_assert_eq!(removed, model.truncate(*depth));
                }
                Step::Clear => {
                    book.clear();
                    model = Model::default();
                }
            }
            prop_assert_eq!(text_of(&book), model.text());
            prop_assert_eq!(book.len(BookSide::Bid), model.bids.len());
            prop_assert_eq!(book.len(BookSide::Ask), model.asks.len());
            prop_assert_eq!(book.best_bid(), book.bids().next());
            prop_assert_eq!(book.best_ask(), book.asks().next());
            let is_crossed = match (model.bids.last_key_value(), model.asks.first_key_value()) {
                (Some((bid, _)), Some((ask, _))) => bid >= ask,
                _ => false,
            };
            prop_assert_eq!(book.is_crossed(), is_crossed);
        }
    }

    #[test]
    fn deep_sides_equal_the_naive_map_through_splits_and_joins(
        rounds in prop::collection::vec((0_i64..6_000, 1_i64..3_000, any::<bool>(), any::<u64>()), 1..8),
    ) {
        let mut book = Book::new(0);
        let mut naive = BTreeMap::new();
        for (start, span, is_removal, salt) in rounds {
            let mut changes = Vec::new();
            for step in 0..span {
                let scattered = (step.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt) % span.unsigned_abs();
                let px = start + i64::try_from(scattered).unwrap();
                let quantity = if is_removal { 0 } else { step + 1 };
                changes.push(LevelChange {
                    side: BookSide::Ask,
                    px: Decimal::new(px, 0),
                    qty: Decimal::new(quantity, 0),
                });
                if is_removal {
                    naive.remove(&px);
                } else {
                    naive.insert(px, quantity);
                }
            }
            book.apply(&changes).unwrap();
            let held: Vec<_> = book.asks().map(|level| (value_of(level.px), level.qty.mantissa)).collect();
            let expected: Vec<_> = naive.iter().map(|(px, quantity)| (value_of(Decimal::new(*px, 0)), *quantity)).collect();
            prop_assert_eq!(held, expected);
        }
    }

    #[test]
    fn merged_changes_do_the_same_as_all_and_name_each_price_once(changes in changes(200)) {
        let mut merged = changes.clone();
        merge_changes(&mut merged);
        let mut seen: Vec<_> = merged.iter().map(|change| (change.side == BookSide::Ask, value_of(change.px))).collect();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), merged.len());
        let mut rest = changes.iter();
        prop_assert!(merged.iter().all(|kept| rest.any(|sent| sent == kept)), "order changed");
        let last = |list: &[LevelChange], wanted: &LevelChange| {
            list.iter().rfind(|change| change.side == wanted.side && value_of(change.px) == value_of(wanted.px)).copied()
        };
        for change in &changes {
            prop_assert_eq!(last(&merged, change), last(&changes, change));
        }
    }

    #[test]
    fn row_b28_price_and_quantity_text_survive_the_book(
        px in "[1-9][0-9]{0,8}(\\.[0-9]{0,8}[1-9])?",
        qty in "[1-9][0-9]{0,8}(\\.[0-9]{0,8}[1-9])?",
    ) {
        let mut book = Book::new(-2);
        let level = LevelChange {
            side: BookSide::Bid,
            px: Decimal::parse(px.as_bytes()).unwrap(),
            qty: Decimal::parse(qty.as_bytes()).unwrap(),
        };
        book.apply(&[level]).unwrap();
        prop_assert_eq!(text_of(&book), format!("b,{px},{qty}"));
    }
}

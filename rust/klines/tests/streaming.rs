//! When bars leave, and what they say of themselves, by example.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use facade_klines::{Aggregator, Bar, BarKind, Completeness, KlineError, Rules, Tick};
use facade_model::{Channel, Decimal, Variant};

const S: i64 = 1_000_000_000;
const START: i64 = 1_723_161_600 * S; // 2024-08-09T00:00:00Z

fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

fn kind(variant: &str) -> BarKind {
    BarKind::of(Variant::parse(Channel::Klines, variant).unwrap()).unwrap()
}

fn aggregator(variant: &str) -> Aggregator {
    Aggregator::new(Rules { provisional_ns: 0, ..Rules::of(kind(variant)) }, -2, -5)
}

fn at(seconds: f64, price: &str, quantity: &str) -> Tick {
    #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
    let ts_event = START + (seconds * 1e3) as i64 * 1_000_000;
    Tick {
        ts_event,
        ts_recv: ts_event,
        price: number(price),
        quantity: number(quantity),
        is_buy: Some(true),
        seq: 0,
        id: 0,
        is_backfilled: false,
    }
}

fn drain(aggregator: &mut Aggregator) -> Vec<Bar> {
    let mut bars = Vec::new();
    aggregator.drain(|bar| bars.push(*bar));
    bars
}

fn told(bars: &[Bar]) -> Vec<(i64, bool, u32, bool)> {
    let of = |bar: &Bar| {
        let is_whole = bar.completeness == Completeness::Complete;
        ((bar.ts_open - START) / S, bar.is_final, bar.revision, is_whole)
    };
    bars.iter().map(of).collect()
}

#[test]
fn a_bar_holds_what_was_traded_in_it() {
    let mut bars = aggregator("1m");
    let trades = [(0.0, "100.5", "2"), (10.0, "99.25", "1.5"), (59.999, "101", "0.00001"), (60.0, "7", "7")];
    for (seq, (second, price, quantity)) in (1..).zip(trades) {
        let is_buy = [None, Some(true), Some(false), None][seq - 1];
        bars.on_trade(&Tick { seq: seq as u64, is_buy, ..at(second, price, quantity) }).unwrap();
    }
    assert!(drain(&mut bars).is_empty());
    bars.on_time(START + 60 * S + 250_000_000);
    let out = drain(&mut bars);
    assert_eq!(told(&out), [(0, true, 0, true)]);
    let bar = out[0];
    assert_eq!((bar.ts_open, bar.ts_close), (START, START + 60 * S));
    assert_eq!([bar.open, bar.high, bar.low, bar.close], [10_050, 10_100, 9_925, 10_100]);
    assert_eq!((bar.trade_count, bar.trades_seq_first, bar.trades_seq_last), (3, 1, 3));
    assert_eq!(bar.volume().to_string(), "3.50001");
    assert_eq!(bar.quote_volume().to_string(), "349.87601");
    assert_eq!(bar.taker_buy_volume().to_string(), "1.5");
    assert_eq!(bar.taker_sell_volume().to_string(), "0.00001");
    assert_eq!(bar.vwap().unwrap().to_string(), "99.964288673460933");
}

#[test]
fn a_bar_is_final_250_ms_after_its_end_by_trades_or_by_the_clock() {
    let mut bars = aggregator("1s");
    bars.on_trade(&at(0.5, "1", "1")).unwrap();
    bars.on_trade(&at(1.249, "2", "1")).unwrap();
    assert!(drain(&mut bars).is_empty());
    bars.on_trade(&at(0.9, "3", "1")).unwrap(); // late, but before the bar is final
    bars.on_trade(&at(1.25, "2", "1")).unwrap();
    let out = drain(&mut bars);
    assert_eq!(told(&out), [(0, true, 0, true)]);
    assert_eq!((out[0].close, out[0].trade_count), (300, 2));
    bars.on_time(START + 2_249_999_999);
    assert!(drain(&mut bars).is_empty());
    bars.on_time(START + 2_250_000_000);
    assert_eq!(told(&drain(&mut bars)), [(1, true, 0, true)]);
}

#[test]
fn intervals_without_trades_have_no_bar() {
    let mut bars = aggregator("1s");
    bars.on_trade(&at(0.5, "1", "1")).unwrap();
    bars.on_trade(&at(600.0, "1", "1")).unwrap();
    bars.on_time(START + 7_200 * S);
    assert_eq!(told(&drain(&mut bars)), [(0, true, 0, true), (600, true, 0, true)]);
    bars.on_time(START + 9_000 * S);
    assert!(drain(&mut bars).is_empty());
}

#[test]
fn a_late_trade_issues_its_bar_again_and_a_later_one_is_counted() {
    let mut bars = aggregator("1s");
    bars.on_trade(&at(0.5, "1", "1")).unwrap();
    bars.on_trade(&at(2.9, "1", "1")).unwrap();
    assert_eq!(told(&drain(&mut bars)), [(0, true, 0, true)]);
    bars.on_trade(&at(0.4, "9", "1")).unwrap();
    bars.on_trade(&at(1.0, "5", "1")).unwrap(); // a bar that had no trade so far
    let out = drain(&mut bars);
    assert_eq!(told(&out), [(0, true, 1, true), (1, true, 0, true)]);
    assert_eq!([out[0].open, out[0].high, out[0].close], [900, 900, 100]);
    bars.on_time(START + 3 * S); // 2 s after the end of the first bar: still in time
    bars.on_trade(&at(0.6, "4", "0.5")).unwrap();
    let out = drain(&mut bars);
    assert_eq!(told(&out), [(0, true, 2, true)]);
    assert_eq!((out[0].close, out[0].trade_count), (400, 3));
    bars.on_time(START + 3 * S + 1);
    bars.on_trade(&at(0.6, "4", "0.25")).unwrap();
    assert!(drain(&mut bars).is_empty());
    let late = bars.late();
    assert_eq!(
        (late.count, late.volume.to_string(), late.quote_volume.to_string()),
        (1, "0.25".into(), "1".into())
    );
}

#[test]
fn a_gap_makes_its_bars_incomplete_and_a_whole_fill_complete() {
    let mut bars = aggregator("1s");
    for second in [0.5, 1.5, 2.5] {
        bars.on_trade(&at(second, "1", "1")).unwrap();
    }
    bars.on_time(START + 60 * S); // silence: the venue is gone, nobody has noticed
    assert_eq!(told(&drain(&mut bars)), [(0, true, 0, true), (1, true, 0, true), (2, true, 0, true)]);
    bars.on_gap(START + 2_500_000_000, START + 61_200_000_000);
    bars.on_trade(&at(61.2, "1", "1")).unwrap();
    bars.on_trade(&at(63.0, "1", "1")).unwrap();
    assert_eq!(told(&drain(&mut bars)), [(2, true, 1, false), (61, true, 0, false)]);
    for second in [2.6, 30.0, 61.1] {
        bars.on_trade(&Tick { is_backfilled: true, ..at(second, "2", "1") }).unwrap();
    }
    assert!(drain(&mut bars).is_empty()); // not before all of it is there
    bars.on_fill(START + 2_500_000_000, START + 61_200_000_000, true);
    let out = drain(&mut bars);
    assert_eq!(told(&out), [(2, true, 2, true), (30, true, 0, true), (61, true, 1, true)]);
    assert_eq!(out.iter().map(|bar| bar.trade_count).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(bars.late().count, 0);
}

#[test]
fn a_gap_that_is_not_filled_whole_leaves_bars_incomplete() {
    let mut bars = aggregator("1s");
    bars.on_trade(&at(0.5, "1", "1")).unwrap();
    bars.on_gap(START + S / 2, START + 3 * S);
    bars.on_trade(&at(3.0, "1", "1")).unwrap();
    assert_eq!(told(&drain(&mut bars)), [(0, true, 0, false)]);
    bars.on_trade(&Tick { is_backfilled: true, ..at(0.7, "1", "1") }).unwrap();
    bars.on_fill(START + S / 2, START + 3 * S, false);
    assert_eq!(told(&drain(&mut bars)), [(0, true, 1, false)]);
}

#[test]
fn a_gap_that_nobody_closes_holds_its_bars_for_ten_minutes() {
    let mut bars = aggregator("1s");
    bars.on_trade(&at(0.5, "1", "1")).unwrap();
    bars.on_gap(START + S / 2, START + S);
    bars.on_time(START + 10 * S);
    assert_eq!(told(&drain(&mut bars)), [(0, true, 0, false)]);
    bars.on_trade(&Tick { is_backfilled: true, ..at(0.7, "1", "1") }).unwrap();
    assert!(drain(&mut bars).is_empty());
    bars.on_time(START + 601 * S);
    assert_eq!(told(&drain(&mut bars)), [(0, true, 1, false)]);
    bars.on_trade(&Tick { is_backfilled: true, ..at(0.8, "1", "1") }).unwrap();
    assert_eq!(bars.late().count, 1);
}

#[test]
fn a_bar_begun_in_its_middle_is_incomplete_unless_filled() {
    for is_filled in [false, true] {
        let mut bars = aggregator("1m");
        bars.restart(START + 30 * S);
        bars.on_trade(&at(31.0, "1", "1")).unwrap();
        bars.on_trade(&Tick { is_backfilled: true, ..at(2.0, "5", "1") }).unwrap();
        if is_filled {
            bars.on_fill(START, START + 30 * S, true);
        }
        bars.on_trade(&at(61.0, "1", "1")).unwrap();
        bars.on_trade(&at(121.0, "1", "1")).unwrap();
        assert_eq!(told(&drain(&mut bars)), [(0, true, 0, is_filled), (60, true, 0, true)]);
    }
}

#[test]
fn provisional_bars_leave_at_most_once_in_their_time() {
    let rules = Rules { provisional_ns: S, ..Rules::of(kind("1m")) };
    let mut bars = Aggregator::new(rules, -2, -5);
    let mut counts = Vec::new();
    for tenth in 0..40 {
        bars.on_trade(&at(f64::from(tenth) / 10.0, "1", "1")).unwrap();
        counts.extend(drain(&mut bars).iter().map(|bar| {
            assert!(!bar.is_final);
            bar.trade_count
        }));
    }
    assert_eq!(counts, [1, 11, 21, 31]);
    bars.on_time(START + 5 * S);
    assert_eq!(drain(&mut bars)[0].trade_count, 40);
    bars.on_time(START + 7 * S);
    assert!(drain(&mut bars).is_empty()); // nothing new
}

#[test]
fn the_trade_that_reaches_the_bound_closes_the_bar_and_is_not_split() {
    for (variant, counts) in [("2t", [2, 2, 2]), ("3v", [3, 2, 1]), ("7.000000001q", [2, 3, 1])] {
        let mut bars = aggregator(variant);
        for (second, (price, quantity)) in
            (0..).zip([("4", "1"), ("3.1", "1"), ("2", "1.5"), ("8", "0.5"), ("3", "2.5"), ("9", "9")])
        {
            bars.on_trade(&at(f64::from(second), price, quantity)).unwrap();
        }
        let out = drain(&mut bars);
        assert_eq!(out.iter().map(|bar| bar.trade_count).take(3).collect::<Vec<_>>(), counts, "{variant}");
        assert!(out.iter().all(|bar| bar.is_final && bar.completeness == Completeness::Complete));
        assert_eq!((out[0].ts_open - START) / S, 0);
        assert_eq!(out[0].ts_close, START + (i64::try_from(counts[0]).unwrap() - 1) * S + 1);
    }
}

#[test]
fn a_gap_tears_the_open_bar_by_trades_or_the_next() {
    let mut bars = aggregator("2t");
    bars.on_trade(&at(0.0, "1", "1")).unwrap();
    bars.on_gap(START, START + S);
    for second in 1..6 {
        bars.on_trade(&at(f64::from(second), "1", "1")).unwrap();
    }
    bars.on_trade(&Tick { is_backfilled: true, ..at(0.5, "1", "1") }).unwrap();
    bars.on_gap(START + 5 * S, START + 6 * S);
    bars.on_trade(&at(6.0, "1", "1")).unwrap();
    bars.on_trade(&at(7.0, "1", "1")).unwrap();
    let out = told(&drain(&mut bars));
    assert_eq!(out, [(0, true, 0, false), (2, true, 0, true), (4, true, 0, true), (6, true, 0, false)]);
    assert_eq!(bars.late().count, 1);
}

#[test]
fn finer_digits_widen_their_bar_only() {
    let mut bars = aggregator("1s");
    bars.on_trade(&at(0.0, "100.01", "10")).unwrap();
    bars.on_trade(&at(0.1, "100.012345", "0.000000000000000001")).unwrap();
    bars.on_trade(&at(1.0, "100.01", "10")).unwrap();
    bars.on_time(START + 9 * S);
    let out = drain(&mut bars);
    assert_eq!((out[0].price_exponent, out[0].quantity_exponent), (-6, -18));
    assert_eq!(out[0].price(out[0].open).to_string(), "100.01");
    assert_eq!(out[0].volume().to_string(), "10.000000000000000001");
    assert_eq!(out[0].quote_volume().to_string(), "1000.100000000000000100012345");
    assert_eq!((out[1].price_exponent, out[1].quantity_exponent), (-2, -5));
}

#[test]
fn a_refused_trade_changes_nothing() {
    let mut bars = aggregator("1s");
    bars.on_trade(&at(0.0, "1", "1")).unwrap();
    for (second, price, quantity, error) in [
        (0.5, "1", "-1", KlineError::NegativeQuantity),
        (5.5, "1", "-1", KlineError::NegativeQuantity),
        (5.5, "9000000000000000000", "1", KlineError::NumberRange),
        (0.5, "0.000000000000000000000000000001", "1", KlineError::NumberRange),
    ] {
        assert_eq!(bars.on_trade(&at(second, price, quantity)), Err(error));
    }
    bars.on_time(START + 3 * S);
    let out = drain(&mut bars);
    assert_eq!(told(&out), [(0, true, 0, true)]);
    assert_eq!((out[0].trade_count, out[0].high), (1, 100));
}

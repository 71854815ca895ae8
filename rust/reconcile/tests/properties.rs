//! What holds for any quotes and any bars, and a few that stand at a border.

use facade_model::{Decimal, Sum};
use facade_reconcile::{
    Bar, BarReconciler, Method, Outcome, Quote, Reason, Reconciler, Rules, Verdict, read_price,
};
use proptest::prelude::*;

#[expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
fn rules(method: Method) -> Rules {
    Rules::new(method, 0.01, 2, 0.7, 0.1).unwrap()
}

fn quote(text: &str) -> Quote {
    Quote { price: read_price(text.as_bytes()), age_ns: 0, age_ns_max: 1, is_aggregator: false }
}

fn judge(texts: &[&str]) -> (Verdict, Vec<Reason>) {
    let quotes: Vec<Quote> = texts.iter().map(|text| quote(text)).collect();
    let mut reasons = vec![Reason::Used; quotes.len()];
    let verdict = Reconciler::new(rules(Method::TrimmedMedian)).judge(&quotes, &mut reasons);
    (verdict, reasons)
}

fn price(verdict: &Verdict) -> Option<String> {
    verdict.price.map(|price| price.to_string())
}

#[test]
fn quote_at_the_border_is_in_and_one_unit_beyond_is_out() {
    let (verdict, reasons) = judge(&["100", "100", "100", "101", "99"]);
    assert_eq!((verdict.accepted, reasons), (5, vec![Reason::Used; 5]));
    let (verdict, reasons) = judge(&["100", "100", "100", "101.000000000000001", "98.9999999999999999"]);
    assert_eq!((price(&verdict).as_deref(), verdict.accepted), (Some("100"), 3));
    assert_eq!(reasons[3..], [Reason::Outlier; 2]);
}

#[test]
fn mean_of_the_middle_two_is_exact() {
    let (verdict, _) = judge(&["100.01", "100.02"]);
    assert_eq!(price(&verdict).as_deref(), Some("100.015"));
    assert_eq!(verdict.price_narrow(), Some(Decimal::new(100_015, -3)));
    let (verdict, _) = judge(&["0.000000000000000001", "0.000000000000000001"]);
    assert_eq!(price(&verdict).as_deref(), Some("0.000000000000000001"));
}

#[test]
fn of_two_sources_none_is_an_outlier() {
    let (verdict, reasons) = judge(&["100", "150"]);
    assert_eq!((verdict.outcome, verdict.accepted), (Outcome::LowConfidence, 2));
    assert_eq!((verdict.price, verdict.confidence_ratio), (None, 0.0));
    assert_eq!(reasons, [Reason::Used; 2]);
}

#[test]
fn row_d02_two_against_two_give_no_price_however_far_apart() {
    for far in ["100.7", "101", "101.5", "102", "103", "105", "200", "900000000000000", "1e-18"] {
        let (verdict, _) = judge(&["100", "100", far, far]);
        assert_ne!(verdict.outcome, Outcome::Accepted, "{far}");
        assert_eq!(verdict.price, None, "{far}");
        assert!(verdict.confidence_ratio < 0.7, "{far}");
    }
    assert_eq!(judge(&["100", "100", "100.6", "100.6"]).0.outcome, Outcome::Accepted); // within 0.3 % of 100.3
}

#[test]
fn row_d06_prices_of_absurd_size_move_nothing_by_a_digit() {
    let exact = "0.0000000012345678901234567";
    for absurd in ["1e15", "1e-18", "999999999999999.999", "1e30", "NaN", "-1", "0"] {
        let (verdict, reasons) = judge(&[exact, absurd, exact, exact]);
        assert_eq!(price(&verdict).as_deref(), Some(exact), "{absurd}");
        assert_ne!(reasons[1], Reason::Used, "{absurd}");
    }
    let (verdict, reasons) = judge(&["1e15", "1e15", "0.0000000012345678901234567", "1e-18"]);
    assert_eq!((verdict.outcome, verdict.price), (Outcome::InsufficientSources, None));
    assert_eq!(reasons, [Reason::Outlier; 4]);
    assert_eq!(judge(&["1e15", "0.0000000012345678901234567"]).0.outcome, Outcome::LowConfidence);
}

#[test]
fn trimmed_mean_cuts_half_at_each_end_and_says_so() {
    let texts: Vec<String> = (0..20).map(|at| format!("{}", 1_000 + at % 7)).collect();
    let quotes: Vec<Quote> = texts.iter().map(|text| quote(text)).collect();
    let mut reasons = vec![Reason::Used; 20];
    let verdict = Reconciler::new(rules(Method::TrimmedMean)).judge(&quotes, &mut reasons);
    assert_eq!(reasons.iter().filter(|reason| **reason == Reason::Trimmed).count(), 2);
    assert_eq!(verdict.accepted, 20);

    let mut values: Vec<i128> = (0..20).map(|at| 1_000 + at % 7).collect();
    values.sort_unstable();
    let total: i128 = values[1..19].iter().sum();
    assert_eq!(verdict.price, Sum::new(total, 0).quotient(Sum::new(18, 0)));
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (9_000_i64..11_000, -2_i8..=0).prop_map(|(n, digits)| Decimal::new(n, digits).to_string()),
        4 => (99_500_i64..100_500).prop_map(|n| Decimal::new(n, -3).to_string()),
        1 => (1_i64..i64::MAX, -30_i8..=10).prop_map(|(n, exponent)| Decimal::new(n, exponent).to_string()),
        1 => prop::sample::select(vec!["0", "NaN", "inf", "-5", "1e30", "x", ""]).prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn row_d06_answer_lies_within_what_was_accepted_in_any_order(
        (texts, ages, flags) in (1_usize..30).prop_flat_map(|n| (
            prop::collection::vec(hostile(), n),
            prop::collection::vec(-1_i64..3, n),
            prop::collection::vec(any::<bool>(), n),
        )),
        turn in 0_usize..30,
        is_mean: bool,
    ) {
        let method = if is_mean { Method::TrimmedMean } else { Method::TrimmedMedian };
        let mut quotes: Vec<Quote> = texts.iter().map(|text| quote(text)).collect();
        for ((quote, age), flag) in quotes.iter_mut().zip(&ages).zip(&flags) {
            (quote.age_ns, quote.is_aggregator) = (*age, *flag);
        }
        let mut reasons = vec![Reason::Used; quotes.len()];
        let mut machine = Reconciler::new(rules(method));
        let verdict = machine.judge(&quotes, &mut reasons);

        let turn = turn % quotes.len();
        quotes.rotate_left(turn);
        quotes.reverse();
        let mut turned = vec![Reason::Used; quotes.len()];
        prop_assert_eq!(machine.judge(&quotes, &mut turned), verdict);
        quotes.reverse();
        turned.reverse();
        quotes.rotate_right(turn);
        turned.rotate_right(turn);
        if !is_mean || quotes.len() < 20 {
            prop_assert_eq!(&turned, &reasons);
        }

        let used: Vec<Decimal> = quotes.iter().zip(&reasons)
            .filter(|(_, reason)| **reason == Reason::Used)
            .map(|(quote, _)| quote.price.unwrap())
            .collect();
        for (quote, reason) in quotes.iter().zip(&reasons) {
            prop_assert!(*reason != Reason::Used || (quote.price.is_ok() && (0..=1).contains(&quote.age_ns)));
        }
        prop_assert_eq!(verdict.price.is_some(), verdict.outcome == Outcome::Accepted);
        if let Some(price) = verdict.price {
            prop_assert!(used.len() >= 2 && verdict.confidence_ratio >= 0.7);
            let inside = |other: &Decimal, is_low: bool| {
                let exponent = price.exponent.min(other.exponent);
                let (price, other) = (price.rescale(exponent).unwrap(), Sum::from(*other).rescale(exponent).unwrap());
                if is_low { other <= price } else { other >= price }
            };
            prop_assert!(used.iter().any(|other| inside(other, true)));
            prop_assert!(used.iter().any(|other| inside(other, false)));
        }
    }

    #[test]
    fn bars_keep_their_order_in_any_order_of_sources(
        walks in prop::collection::vec(prop::collection::vec(9_950_i64..10_050, 2..8), 2..6),
        is_mean: bool,
        turn in 0_usize..6,
    ) {
        let method = if is_mean { Method::TrimmedMean } else { Method::TrimmedMedian };
        let mut bars: Vec<Bar> = walks.iter().map(|walk| Bar {
            open: walk[0],
            high: *walk.iter().max().unwrap(),
            low: *walk.iter().min().unwrap(),
            close: *walk.last().unwrap(),
        }).collect();
        let mut reasons = vec![Reason::Used; bars.len()];
        let mut machine = BarReconciler::new(rules(method));
        let verdict = machine.judge(&bars, &mut reasons);
        let turn = turn % bars.len();
        bars.rotate_left(turn);
        prop_assert_eq!(machine.judge(&bars, &mut reasons), verdict);
        if verdict.outcome == Outcome::Accepted {
            let [open, high, low, close] = verdict.prices;
            prop_assert!(low <= open.min(close) && open.max(close) <= high);
        }
    }
}

#[test]
fn bar_that_contradicts_itself_or_opens_elsewhere_takes_no_part() {
    let good = Bar { open: 10_000, high: 10_050, low: 9_990, close: 10_020 };
    let bars = [
        good,
        Bar { high: 30_000, ..good },               // one false tick
        Bar { high: 10_000, ..good },               // closes above its high
        Bar { low: 0, ..good },                     // zero means absent
        Bar { open: 10_200, high: 10_300, ..good }, // opens 2 % off
        good,
    ];
    let mut reasons = [Reason::Used; 6];
    let verdict = BarReconciler::new(rules(Method::TrimmedMedian)).judge(&bars, &mut reasons);
    let out = [Reason::NotOrdered, Reason::NotPositive, Reason::Outlier];
    assert_eq!(reasons, [Reason::Used, Reason::Used, out[0], out[1], out[2], Reason::Used]);
    assert_eq!(verdict.prices, [100_000, 100_500, 99_900, 100_200]);
    assert_eq!((verdict.accepted, verdict.confidence_ratio), (3, 1.0));
}

#[test]
fn row_d05_aggregators_that_agree_against_the_venues_are_flagged() {
    let with = |prices: &[(&str, bool)]| {
        let quotes: Vec<Quote> =
            prices.iter().map(|&(text, is_aggregator)| Quote { is_aggregator, ..quote(text) }).collect();
        let mut reasons = vec![Reason::Used; quotes.len()];
        Reconciler::new(rules(Method::TrimmedMedian)).judge(&quotes, &mut reasons)
    };
    let venues = [("100", false), ("100.1", false), ("99.9", false)];
    let verdict = with(&[&venues[..], &[("102", true), ("102.05", true)]].concat());
    assert_eq!((verdict.is_correlated, price(&verdict).as_deref()), (true, Some("100")));
    assert!(with(&[("100", false), ("102", true), ("102.05", true)]).is_correlated); // they outvote the venue
    assert!(!with(&[&venues[..], &[("101", true), ("101", true)]].concat()).is_correlated); // within 1 %
    assert!(!with(&[&venues[..], &[("102", true), ("98", true)]].concat()).is_correlated); // they do not agree
    assert!(!with(&[&venues[..], &[("102", true)]].concat()).is_correlated); // one alone is an outlier
    assert!(!with(&[("102", true), ("102.05", true)]).is_correlated); // against nobody
}

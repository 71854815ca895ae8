//! The streaming aggregator against a naive model.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod model;

use std::collections::BTreeMap;

use facade_klines::{Aggregator, Bar, BarKind, Completeness, Rules, Tick};
use facade_model::{Channel, Decimal, Variant};
use model::{DAY, S, big, by_interval, of_bar, tick};
use num_bigint::BigInt;
use proptest::prelude::*;

const START: i64 = 1_723_161_600 * S; // 2024-08-09T00:00:00Z
/// Midnights (UTC) of days on which Europe or America changed its clocks, and of a leap day.
const ODD_DAYS: [i64; 5] = [1_711_843_200, 1_729_987_200, 1_710_028_800, 1_730_592_000, 1_709_164_800];

fn rules(interval_ns: i64) -> Rules {
    Rules { provisional_ns: 0, ..Rules::of(BarKind::Time { interval_ns }) }
}

fn nanoseconds(variant: &str) -> i64 {
    match Variant::parse(Channel::Klines, variant).unwrap() {
        Variant::Time { seconds } => i64::from(seconds) * S,
        other => panic!("{other:?}"),
    }
}

/// Bars as the last issue of each told them; an issue must be the next revision of its bar.
#[derive(Default)]
struct Told(BTreeMap<i64, Bar>);

impl Told {
    fn take(&mut self, aggregator: &mut Aggregator) {
        let mut before = i64::MIN;
        aggregator.drain(|bar| {
            assert!(bar.is_final && bar.ts_open > before);
            before = bar.ts_open;
            let revision = self.0.get(&bar.ts_open).map_or(0, |told| told.revision + 1);
            assert_eq!(bar.revision, revision);
            self.0.insert(bar.ts_open, *bar);
        });
    }
}

/// Plays one day with trades in every interval and around each boundary, and holds every bar against the model.
fn one_day(midnight: i64, interval_ns: i64) {
    let step = usize::try_from(interval_ns / S / 4).unwrap().clamp(1, 30);
    let mut times: Vec<i64> =
        (0..86_400).step_by(step).map(|second| midnight + second * S + second % 7 * 100_000_000).collect();
    let mut boundary = midnight - midnight.rem_euclid(interval_ns);
    while boundary <= midnight + DAY {
        times
            .extend([boundary - 1, boundary].into_iter().filter(|&ts| ts >= midnight && ts < midnight + DAY));
        boundary += interval_ns;
    }
    times.sort_unstable();
    let trades: Vec<Tick> = (0_i64..)
        .zip(times)
        .map(|(at, ts)| {
            tick(ts, Decimal::new(6_000_000 + at * 37 % 1_013, -2), Decimal::new(1 + at % 11, -5))
        })
        .collect();
    let mut aggregator = Aggregator::new(rules(interval_ns), -2, -5);
    let (mut told, mut finals) = (BTreeMap::new(), 0);
    for trade in &trades {
        aggregator.on_trade(trade).unwrap();
        aggregator.drain(|bar| {
            finals += 1;
            told.insert(bar.ts_open, (bar.ts_close, bar.revision, bar.completeness, of_bar(bar)));
        });
    }
    aggregator.on_time(midnight + 30 * DAY);
    aggregator.drain(|bar| {
        finals += 1;
        told.insert(bar.ts_open, (bar.ts_close, bar.revision, bar.completeness, of_bar(bar)));
    });
    let wanted: BTreeMap<_, _> = by_interval(&trades, interval_ns)
        .into_iter()
        .map(|(open, content)| (open, (open + interval_ns, 0, Completeness::Complete, content)))
        .collect();
    assert_eq!(finals, told.len(), "a bar was issued twice");
    assert_eq!(told, wanted);
    assert_eq!(aggregator.late().count, 0);
}

#[test]
fn row_d10_every_interval_of_a_day_has_one_bar_at_its_boundary() {
    for variant in [
        "1s", "5s", "10s", "15s", "30s", "1m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "4h", "6h", "8h",
        "12h", "1d", "1w", "7m", "11m", "13m", "45m", "59m", "77m", "601m", "90s", "3d",
    ] {
        one_day(START, nanoseconds(variant));
    }
}

#[test]
fn row_d10_clock_changes_of_any_country_move_no_boundary() {
    for midnight in ODD_DAYS {
        for variant in ["1m", "1h", "4h", "1d", "1w", "37m"] {
            one_day(midnight * S, nanoseconds(variant));
        }
    }
}

#[test]
fn row_d10_weeks_begin_on_monday() {
    let mut aggregator = Aggregator::new(rules(nanoseconds("1w")), 0, 0);
    for day in 0..21 {
        aggregator.on_trade(&tick(START + day * DAY, Decimal::new(1, 0), Decimal::new(1, 0))).unwrap();
    }
    let mut opens = Vec::new();
    aggregator.drain(|bar| opens.push(bar.ts_open / S));
    assert_eq!(opens, [1_722_816_000, 1_723_420_800, 1_724_025_600]); // 2024-08-05, -12, -19: Mondays
}

/// One step of a run: how far time goes on, and how late the trade is.
fn steps() -> impl Strategy<Value = Vec<(i64, i64, i64, i64)>> {
    let late = prop_oneof![4 => Just(0), 3 => 0_i64..400, 2 => 0_i64..2_600, 1 => 0_i64..20_000];
    prop::collection::vec((0_i64..900, late, 1_i64..500, 1_i64..10_000), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn row_d08_bars_and_late_trades_together_are_the_truth(steps in steps(), seconds in 1_i64..4) {
        let interval = seconds * S;
        let mut aggregator = Aggregator::new(rules(interval), -2, -4);
        let (mut told, mut now, mut in_time, mut late) = (Told::default(), START, Vec::new(), Vec::new());
        for &(onward, behind, px, qty) in &steps {
            now += onward * 1_000_000;
            aggregator.on_time(now);
            let trade = tick(now - behind * 1_000_000, Decimal::new(px, -2), Decimal::new(qty, -4));
            aggregator.on_trade(&trade).unwrap();
            let end = trade.ts_event - trade.ts_event.rem_euclid(interval) + interval;
            if now <= end + 2 * S { in_time.push(trade) } else { late.push(trade) }
            told.take(&mut aggregator);
        }
        aggregator.on_time(now + 10 * S);
        told.take(&mut aggregator);
        let held: BTreeMap<_, _> = told.0.iter().map(|(open, bar)| (*open, of_bar(bar))).collect();
        prop_assert_eq!(&held, &by_interval(&in_time, interval));
        let counted = aggregator.late();
        prop_assert_eq!(counted.count, late.len() as u64);
        let truth: BigInt = steps.iter().map(|step| big(Decimal::new(step.3, -4).into())).sum();
        let bars: BigInt = held.values().map(|bar| &bar.volume).sum();
        prop_assert_eq!(bars + big(counted.volume), truth);
        let truth: i64 = steps.iter().map(|step| step.2 * step.3).sum();
        let bars: BigInt = held.values().map(|bar| &bar.quote_volume).sum();
        prop_assert_eq!(bars + big(counted.quote_volume), big(Decimal::new(truth, -6).into()));
    }

    /// Whatever order trades of a bar come in, by ids it is the same bar.
    #[test]
    fn order_of_arrival_changes_nothing_where_ids_tell_the_order(
        seed in prop::collection::vec((0_i64..3, 1_i64..100, any::<u32>()), 1..40)
    ) {
        let mut trades: Vec<(u32, Tick)> = (1..).zip(&seed).map(|(id, &(ms, px, shuffle))| {
            let mut trade = tick(START + ms * 1_000_000, Decimal::new(px, 0), Decimal::new(1, 0));
            trade.id = id;
            (shuffle, trade)
        }).collect();
        let wanted = by_interval(&trades.iter().map(|trade| trade.1).collect::<Vec<_>>(), S);
        trades.sort_by_key(|trade| trade.0);
        let mut aggregator = Aggregator::new(rules(S), 0, 0);
        for (_, trade) in &trades {
            aggregator.on_trade(trade).unwrap();
        }
        aggregator.on_time(START + 9 * S);
        let mut told = Told::default();
        told.take(&mut aggregator);
        prop_assert_eq!(of_bar(&told.0[&START]), wanted[&START].clone());
    }

    /// A bar is COMPLETE if and only if every gap that touches it was filled whole, and then it holds all trades.
    #[test]
    fn a_bar_is_complete_if_and_only_if_no_gap_is_left_in_it(
        kinds in prop::collection::vec((1_i64..1_500, 0_u8..4), 10..120)
    ) {
        let mut aggregator = Aggregator::new(rules(S), 0, 0);
        let (mut told, mut truth, mut torn) = (Told::default(), Vec::new(), Vec::new());
        let (mut now, mut last, mut lost) = (START, START, Vec::new());
        for (id, &(onward, kind)) in (1_u64..).zip(&kinds) {
            now += onward * 1_000_000;
            let mut trade = tick(now, Decimal::new(onward, 0), Decimal::new(1, 0));
            trade.id = id;
            truth.push(trade);
            if kind < 2 && id > 1 {
                lost.push(trade); // the venue had it, we did not get it
                continue;
            }
            if !lost.is_empty() {
                aggregator.on_gap(last, now);
            }
            aggregator.on_trade(&trade).unwrap();
            told.take(&mut aggregator);
            if !lost.is_empty() {
                let is_whole = kind == 2;
                let filled = if is_whole { lost.len() } else { lost.len() / 2 };
                for trade in &lost[..filled] {
                    aggregator.on_trade(&Tick { is_backfilled: true, ..*trade }).unwrap();
                    told.take(&mut aggregator);
                }
                aggregator.on_fill(last, now, is_whole);
                told.take(&mut aggregator);
                if !is_whole {
                    torn.push((last, now));
                }
                lost.clear();
            }
            last = now;
        }
        aggregator.on_time(now + 10 * S);
        told.take(&mut aggregator);
        let unseen = lost.len();
        truth.truncate(truth.len() - unseen);
        let wanted = by_interval(&truth, S);
        for (open, bar) in &told.0 {
            let is_torn = torn.iter().any(|&(first, last)| first < open + S && last >= *open);
            prop_assert_eq!(bar.completeness == Completeness::Incomplete, is_torn);
            if !is_torn {
                prop_assert_eq!(&of_bar(bar), &wanted[open]);
            }
        }
        let is_torn = |open: i64| torn.iter().any(|&(first, last)| first < open + S && last >= open);
        for open in wanted.keys() {
            prop_assert!(told.0.contains_key(open) || is_torn(*open));
        }
        prop_assert_eq!(aggregator.late().count, 0);
    }

    /// Sums are exact and the mean is right to 12 digits, whatever digits come together.
    #[test]
    fn sums_are_exact_and_vwap_is_right_to_12_digits(
        numbers in prop::collection::vec((1_i64..1_000_000, -8_i8..=0, 1_i64..1_000_000, -18_i8..=0), 1..60)
    ) {
        let trades: Vec<Tick> = numbers.iter().map(|&(px, px_power, qty, qty_power)| {
            tick(START, Decimal::new(px, px_power).canonical(), Decimal::new(qty, qty_power).canonical())
        }).collect();
        let mut aggregator = Aggregator::new(rules(S), -2, -5);
        for trade in &trades {
            aggregator.on_trade(trade).unwrap();
        }
        aggregator.on_time(START + 9 * S);
        let mut told = Told::default();
        told.take(&mut aggregator);
        let (bar, wanted) = (told.0[&START], &by_interval(&trades, S)[&START]);
        prop_assert_eq!(&of_bar(&bar), wanted);
        let vwap = big(bar.vwap().unwrap());
        let exact = &wanted.quote_volume * BigInt::from(10).pow(48) / &wanted.volume;
        let error = (vwap - &exact).magnitude() * BigInt::from(10).pow(12).magnitude();
        prop_assert!(error <= *exact.magnitude());
    }

    #[test]
    fn bars_by_trades_cut_the_trades_where_the_bound_is_reached(
        numbers in prop::collection::vec((1_i64..1_000, 1_i64..1_000), 1..150), bound in 1_i64..20_000
    ) {
        for (name, kind) in [
            ("t", BarKind::Count(u64::try_from(bound).unwrap() % 9 + 1)),
            ("v", BarKind::Volume(Decimal::new(bound, -1))),
            ("q", BarKind::Value(Decimal::new(bound, -3))),
        ] {
            let trades: Vec<Tick> = (0..).zip(&numbers).map(|(at, &(px, qty))| {
                tick(START + at, Decimal::new(px, -2), Decimal::new(qty, -1))
            }).collect();
            let mut aggregator = Aggregator::new(Rules { provisional_ns: 0, ..Rules::of(kind) }, -2, -1);
            for trade in &trades {
                aggregator.on_trade(trade).unwrap();
            }
            let mut rest = &trades[..];
            aggregator.drain(|bar| {
                let (taken, left) = rest.split_at(usize::try_from(bar.trade_count).unwrap());
                rest = left;
                assert_eq!(of_bar(bar), model::content(&taken.iter().collect::<Vec<_>>()), "{name}");
                assert_eq!((bar.ts_open, bar.ts_close), (taken[0].ts_event, taken[taken.len() - 1].ts_event + 1));
                assert!(reaches(kind, taken) && !reaches(kind, &taken[..taken.len() - 1]), "{name}");
            });
            assert!(!reaches(kind, rest), "{name}");
        }
    }
}

/// Whether trades reach the bound of a kind together.
fn reaches(kind: BarKind, trades: &[Tick]) -> bool {
    if trades.is_empty() {
        return false;
    }
    let content = model::content(&trades.iter().collect::<Vec<_>>());
    match kind {
        BarKind::Time { .. } => false,
        BarKind::Count(count) => content.trade_count >= count,
        BarKind::Volume(bound) => content.volume >= big(bound.into()),
        BarKind::Value(bound) => content.quote_volume >= big(bound.into()),
    }
}

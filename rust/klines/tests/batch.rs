//! Bars of columns: equal to the streamed ones, however the columns are cut.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod model;

use facade_klines::batch::{
    Bits, Fill, Row, Sides, Trades, bars_from_bars, bars_from_trades, fill_empty, join,
};
use facade_klines::{Aggregator, Bar, BarKind, Grid, KlineError, Rules, Tick};
use facade_model::{Decimal, Sum};
use model::{DAY, S, of_bar, of_row, tick};
use proptest::prelude::*;

const MINUTE: BarKind = BarKind::Time { interval_ns: 60 * S };

/// Columns of trades that a test owns.
#[derive(Debug, Clone, Default)]
struct Columns {
    ts: Vec<i64>,
    px: Vec<i64>,
    qty: Vec<i64>,
    signs: Vec<i8>,
}

impl Columns {
    fn trades(&self) -> Trades<'_> {
        Trades::new(&self.ts, &self.px, &self.qty, Sides::Signs(&self.signs)).unwrap()
    }

    fn ticks(&self) -> impl Iterator<Item = Tick> {
        (0..self.ts.len()).map(|at| Tick {
            is_buy: [Some(false), None, Some(true)][usize::try_from(self.signs[at] + 1).unwrap()],
            ..tick(self.ts[at], Decimal::new(self.px[at], -2), Decimal::new(self.qty[at], -5))
        })
    }
}

fn columns(rows: &[(i64, i64, i64, i8)]) -> Columns {
    let mut columns = Columns::default();
    let mut now = 1_723_161_600 * S;
    for &(onward, px, qty, sign) in rows {
        now += onward * 1_000_000;
        columns.ts.push(now);
        columns.px.push(px);
        columns.qty.push(qty);
        columns.signs.push(sign);
    }
    columns
}

/// Rows of a few trades a second to a few a minute; numbers small, or so large that 64 bits hold no sum.
fn rows() -> impl Strategy<Value = Vec<(i64, i64, i64, i8)>> {
    let px = prop_oneof![6 => 1_i64..10_000_000, 1 => -500_i64..500, 1 => i64::MAX - 9..i64::MAX];
    let qty = prop_oneof![6 => 0_i64..10_000_000, 1 => (1_i64 << 50)..1 << 51];
    prop::collection::vec((0_i64..30_000, px, qty, -1_i8..=1), 0..300)
}

fn kinds() -> [BarKind; 6] {
    [
        BarKind::Time { interval_ns: S },
        MINUTE,
        BarKind::Time { interval_ns: 7 * DAY },
        BarKind::Count(7),
        BarKind::Volume(Decimal::new(123_456, -3)),
        BarKind::Value(Decimal::new(98_765_432_101, -8)),
    ]
}

fn streamed(kind: BarKind, columns: &Columns) -> Vec<Bar> {
    let mut aggregator = Aggregator::new(Rules { provisional_ns: 0, ..Rules::of(kind) }, -2, -5);
    for tick in columns.ticks() {
        aggregator.on_trade(&tick).unwrap();
    }
    aggregator.on_time(i64::MAX);
    let mut bars = Vec::new();
    aggregator.drain(|bar| bars.push(*bar));
    bars
}

proptest! {
    #[test]
    fn batch_and_stream_make_the_same_bars(rows in rows()) {
        let columns = columns(&rows);
        for kind in kinds() {
            let made = bars_from_trades(kind, &columns.trades(), -2, -5).unwrap();
            let wanted = streamed(kind, &columns);
            let times = |open, close| (open, close);
            prop_assert_eq!(
                made.iter().map(|row| times(row.ts_open, row.ts_close)).collect::<Vec<_>>(),
                wanted.iter().map(|bar| times(bar.ts_open, bar.ts_close)).collect::<Vec<_>>()
            );
            for (row, bar) in made.iter().zip(&wanted) {
                prop_assert_eq!(of_row(row, -2, -5), of_bar(bar));
            }
        }
    }

    #[test]
    fn parts_of_the_trades_join_to_the_same_bars(rows in rows(), cut in 0_usize..310) {
        let columns = columns(&rows);
        let (left, right) = columns.trades().split_at(cut);
        let parts = [left, right].map(|part| bars_from_trades(MINUTE, &part, -2, -5).unwrap());
        prop_assert_eq!(join(parts).unwrap(), bars_from_trades(MINUTE, &columns.trades(), -2, -5).unwrap());
    }

    #[test]
    fn bits_tell_the_sides_as_signs_do(rows in rows(), offset in 0_usize..19, cut in 0_usize..310) {
        let mut columns = columns(&rows);
        for sign in &mut columns.signs {
            *sign = if *sign > 0 { 1 } else { -1 };
        }
        let mut bytes = vec![0x5a; (offset + rows.len()).div_ceil(8)];
        for (at, sign) in (offset..).zip(&columns.signs) {
            bytes[at / 8] = bytes[at / 8] & !(1 << (at % 8)) | u8::from(*sign > 0) << (at % 8);
        }
        let sides = Sides::Buys(Bits::new(&bytes, offset, rows.len()).unwrap());
        let trades = Trades::new(&columns.ts, &columns.px, &columns.qty, sides).unwrap();
        let (left, right) = trades.split_at(cut);
        let parts = [left, right].map(|part| bars_from_trades(MINUTE, &part, -2, -5).unwrap());
        prop_assert_eq!(join(parts).unwrap(), bars_from_trades(MINUTE, &columns.trades(), -2, -5).unwrap());
    }

    #[test]
    fn bars_of_bars_are_the_bars_of_the_trades(rows in rows(), short in 0_usize..4, long in 0_usize..3) {
        let columns = columns(&rows);
        let (short, long) = ([1, 5, 30, 60][short], [60, 300, 7 * 86_400][long]);
        let of = |seconds: i64| {
            let kind = BarKind::Time { interval_ns: seconds * S };
            bars_from_trades(kind, &columns.trades(), -2, -5).unwrap()
        };
        prop_assert_eq!(bars_from_bars(Grid::new(long * S), of(short)).unwrap(), of(long));
    }

    #[test]
    fn filled_bars_follow_each_other_and_change_no_real_one(rows in rows(), method in 0_usize..3, behind in 0_i64..9) {
        let columns = columns(&rows);
        let bars = bars_from_trades(MINUTE, &columns.trades(), -2, -5).unwrap();
        let end = bars.last().map(|bar| bar.ts_close + behind * 60 * S);
        let method = [Fill::Previous, Fill::Zero, Fill::Interpolate][method];
        let filled = fill_empty(Grid::new(60 * S), method, bars.clone(), end).unwrap();
        let real: Vec<Row> = filled.iter().filter(|bar| !bar.is_synthetic).copied().collect();
        prop_assert_eq!(&real, &bars);
        prop_assert!(filled.windows(2).all(|pair| pair[0].ts_close == pair[1].ts_open));
        if let (Some(last), Some(end)) = (filled.last(), end) && method != Fill::Interpolate {
            prop_assert_eq!(last.ts_close, end);
        }
        for at in 0..filled.len() {
            let bar = filled[at];
            if bar.is_synthetic {
                prop_assert_eq!((bar.volume, bar.quote_volume, bar.trade_count), (0, 0, 0));
                let before = filled[..at].iter().rfind(|bar| !bar.is_synthetic).unwrap().close;
                match method {
                    Fill::Previous => prop_assert_eq!(bar.open, before),
                    Fill::Zero => prop_assert_eq!(bar.open, 0),
                    Fill::Interpolate => {
                        let behind = filled[at..].iter().find(|bar| !bar.is_synthetic).unwrap().open;
                        prop_assert!((before.min(behind)..=before.max(behind)).contains(&bar.open));
                    }
                }
            }
        }
    }

    #[test]
    fn the_mean_of_a_row_is_rounded_half_to_even(value in -1_000_000_i128..1_000_000, volume in 1_i128..1_000) {
        let row = Row { volume, quote_volume: value, ..Row::default() };
        let mean = row.vwap(3).unwrap();
        let twice = 2 * (value * 1_000 - mean * volume);
        prop_assert!(twice.abs() < volume || (twice.abs() == volume && mean % 2 == 0));
    }
}

#[test]
fn the_mean_of_a_row_needs_no_more_bits_than_its_sums() {
    let row = Row { volume: 1 << 90, quote_volume: 3 << 120, ..Row::default() };
    assert_eq!(row.vwap(12), Some((3 << 30) * 10_i128.pow(12)));
}

#[test]
fn a_straight_line_leads_over_empty_intervals() {
    let bar = |minute: i64, open, close| Row {
        ts_open: minute * 60 * S,
        ts_close: (minute + 1) * 60 * S,
        open,
        high: open.max(close),
        low: open.min(close),
        close,
        volume: 1,
        trade_count: 1,
        ..Row::default()
    };
    let filled =
        fill_empty(Grid::new(60 * S), Fill::Interpolate, [bar(0, 5, 10), bar(4, 20, 7)], None).unwrap();
    assert_eq!(filled.iter().map(|bar| bar.close).collect::<Vec<_>>(), [10, 12, 15, 18, 7]); // 12.5, 15, 17.5
}

#[test]
fn synthetic_rows_count_only_where_there_are_no_others() {
    let row = |second: i64, px, is_synthetic: bool| Row {
        ts_open: second * S,
        ts_close: (second + 1) * S,
        open: px,
        high: px,
        low: px,
        close: px,
        volume: i128::from(!is_synthetic),
        trade_count: u64::from(!is_synthetic),
        is_synthetic,
        ..Row::default()
    };
    let rows = [row(0, 9, true), row(1, 5, false), row(2, 7, true), row(60, 7, true), row(61, 8, true)];
    let bars = bars_from_bars(Grid::new(60 * S), rows).unwrap();
    assert_eq!(
        bars.iter().map(|bar| (bar.open, bar.close, bar.is_synthetic)).collect::<Vec<_>>(),
        [(5, 5, false), (7, 8, true)]
    );
}

#[test]
fn columns_that_make_no_sense_are_refused() {
    let trades = |ts: &[i64], qty: &[i64]| {
        let px = vec![i64::MAX; ts.len()];
        let trades = Trades::new(ts, &px, qty, Sides::Unknown).unwrap();
        bars_from_trades(MINUTE, &trades, 0, 0).unwrap_err()
    };
    assert_eq!(trades(&[1, 3, 2], &[1, 1, 1]), KlineError::Unsorted { row: 2 });
    assert_eq!(trades(&[1, 2], &[1, -1]), KlineError::NegativeQuantity);
    assert_eq!(trades(&[1, 2, 3], &[i64::MAX; 3]), KlineError::NumberRange);
    assert_eq!(Trades::new(&[1], &[1, 2], &[1], Sides::Unknown).unwrap_err(), KlineError::Lengths);
    assert!(Bits::new(&[0], 1, 8).is_none());
    let row = |ts_open, ts_close| Row { ts_open: ts_open * S, ts_close: ts_close * S, ..Row::default() };
    let minute = Grid::new(60 * S);
    assert_eq!(bars_from_bars(minute, [row(45, 90)]).unwrap_err(), KlineError::Straddles { row: 0 });
    assert_eq!(bars_from_bars(minute, [row(5, 6), row(5, 6)]).unwrap_err(), KlineError::Unsorted { row: 1 });
    let fill = |rows: Vec<Row>, end| fill_empty(minute, Fill::Previous, rows, end).unwrap_err();
    assert_eq!(fill(vec![row(1, 61)], None), KlineError::Straddles { row: 0 });
    assert_eq!(fill(vec![row(60, 120), row(0, 60)], None), KlineError::Unsorted { row: 1 });
    assert_eq!(fill(vec![row(0, 60)], Some(i64::MAX)), KlineError::TooMany);
}

#[test]
fn a_billion_trades_of_tiny_quantities_lose_no_digit() {
    // FAULTS D13: 1e-18 each at a price with 8 digits; the sum of a billion is that of one, a billion times.
    let one = Row { volume: 1, quote_volume: 6_160_201_000_001, trade_count: 1, ..Row::default() };
    let million = Row { volume: 1_000_000, quote_volume: one.quote_volume * 1_000_000, ..one };
    let rows = (0..1_000).map(|at| Row { ts_open: at * S / 50, ts_close: at * S / 50 + 1, ..million });
    let bar = bars_from_bars(Grid::new(60 * S), rows).unwrap()[0];
    assert_eq!(Sum::new(bar.volume, -18).to_string(), "0.000000001");
    assert_eq!(Sum::new(bar.quote_volume, -26).to_string(), "0.00006160201000001");
    assert_eq!(bar.vwap(4).map(|vwap| Sum::new(vwap, -12).to_string()).unwrap(), "61602.01000001");
}

//! Trades one by one through the streaming aggregator, one thread, as the feed does it: a drain behind each trade.
//!
//! `cargo bench -p facade-klines --bench stream -- TRADES VARIANT ROUNDS`: TRADES holds four 64-bit integers a
//! trade (ns, price in hundredths, quantity in hundred-thousandths, 1 where the taker bought), little endian.
//! Prints one JSON line: trades a second of the best round, and the final bars of the last one.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures time and prints it")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that meets an error has no result")]

use std::fmt::Write;
use std::time::Instant;

use facade_klines::{Aggregator, Bar, BarKind, Rules, Tick};
use facade_model::{Channel, Decimal, Variant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let [path, variant, rounds] = arguments.as_slice() else { panic!("expected TRADES VARIANT ROUNDS") };
    let kind = BarKind::of(Variant::parse(Channel::Klines, variant).unwrap()).unwrap();
    let ticks = read(path);
    let (mut best, mut bars) = (0.0_f64, Vec::new());
    for _ in 0..rounds.parse::<u32>().unwrap() {
        let (seconds, made) = play(kind, &ticks);
        #[expect(clippy::cast_precision_loss, reason = "a count of trades")]
        let rate = ticks.len() as f64 / seconds;
        best = best.max(rate);
        bars = made;
    }
    println!("{{\"trades_per_s\": {best:.0}, \"bars\": [{}]}}", rows(&bars));
}

fn read(path: &str) -> Vec<Tick> {
    let bytes = std::fs::read(path).unwrap();
    let mut numbers = bytes.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
    let mut ticks = Vec::with_capacity(bytes.len() / 32);
    while let Some(ts_event) = numbers.next() {
        let mut next = || numbers.next().unwrap();
        let (price, quantity) = (Decimal::new(next(), -2).canonical(), Decimal::new(next(), -5).canonical());
        let is_buy = Some(next() == 1);
        let seq = ticks.len() as u64 + 1;
        ticks.push(Tick {
            ts_event,
            ts_recv: 0,
            price,
            quantity,
            is_buy,
            seq,
            id: seq,
            is_backfilled: false,
        });
    }
    ticks
}

/// Plays all trades; the last bars are closed by time.
fn play(kind: BarKind, ticks: &[Tick]) -> (f64, Vec<Bar>) {
    let mut aggregator = Aggregator::new(Rules::of(kind), -2, -5);
    let mut bars = Vec::with_capacity(ticks.len() / 10);
    let mut keep = |bar: &Bar| {
        if bar.is_final {
            bars.push(*bar);
        }
    };
    let start = Instant::now();
    for tick in ticks {
        aggregator.on_trade(tick).unwrap();
        aggregator.drain(&mut keep);
    }
    let seconds = start.elapsed().as_secs_f64();
    aggregator.on_time(i64::MAX);
    aggregator.drain(&mut keep);
    (seconds, bars)
}

/// Writes open, high, low, close and volume of each bar as mantissas.
fn rows(bars: &[Bar]) -> String {
    let mut text = String::new();
    for bar in bars {
        let comma = if text.is_empty() { "" } else { ", " };
        let volume = bar.volume().rescale(-5).unwrap();
        write!(text, "{comma}[{}, {}, {}, {}, {volume}]", bar.open, bar.high, bar.low, bar.close).unwrap();
    }
    text
}

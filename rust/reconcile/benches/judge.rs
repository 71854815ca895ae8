//! The kernel alone: 1,000 symbols, 5 sources each, with a reason for every quote. Prints one JSON line.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures and prints")]

use std::hint::black_box;
use std::time::Instant;

use facade_model::Decimal;
use facade_reconcile::{Method, Quote, Reason, Reconciler, Rules};

const SYMBOLS: i64 = 1_000;
const SOURCES: i64 = 5;
const ROUNDS: usize = 2_000;

fn main() {
    let Ok(rules) = Rules::new(Method::TrimmedMedian, 0.01, 2, 0.7, 0.1) else { return };
    let quotes: Vec<Vec<Quote>> =
        (0..SYMBOLS).map(|symbol| (0..SOURCES).map(|at| quote(symbol, at)).collect()).collect();
    let mut machine = Reconciler::new(rules);
    let mut reasons = [Reason::Used; 5];
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for quotes in &quotes {
            black_box(machine.judge(black_box(quotes), &mut reasons));
            black_box(&reasons);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{{\"symbols\": {SYMBOLS}, \"sources\": {SOURCES}, \"best_us\": {:.1}}}", best * 1e6);
}

/// One quote in five is 3 % off; the others lie within 0.1 %.
fn quote(symbol: i64, at: i64) -> Quote {
    let price = 1_000_000 + symbol * 977;
    let off = if at == symbol % SOURCES { price * 3 / 100 } else { at * price / 5_000 };
    let price = Ok(Decimal::new(price + off, -2));
    Quote { price, age_ns: 0, age_ns_max: 1, is_aggregator: at == 0 }
}

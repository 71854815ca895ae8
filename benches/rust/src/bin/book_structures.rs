//! Which structure holds one side of a book? One sorted array, `BTreeMap`, or short sorted runs (`facade_book`).
//!
//! `cargo run --release -p facade-benches --bin book_structures [-- ROUNDS]`. All three play the same changes in turn,
//! the best round counts, and every round must end at the digest of `expected.json`.
#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use facade_benches::{Session, binance_spot, coinbase_btc};
use facade_book::{Book, Ladder};
use facade_model::{BookSide, Decimal, LevelChange};
use sha2::{Digest, Sha256};

/// One side of a book by rank; the best rank is the largest.
trait Side: Clone + Default {
    const NAME: &'static str;
    fn load(&mut self, rising: &[(i64, Decimal)]);
    fn set(&mut self, rank: i64, quantity: Decimal);
    fn remove(&mut self, rank: i64);
    fn best_first(&self) -> Vec<(i64, Decimal)>;
}

/// One array of ranks, the best last, quantities beside it.
#[derive(Clone, Default)]
struct SortedArray {
    ranks: Vec<i64>,
    quantities: Vec<Decimal>,
}

impl Side for SortedArray {
    const NAME: &'static str = "sorted array";

    fn load(&mut self, rising: &[(i64, Decimal)]) {
        (self.ranks, self.quantities) = rising.iter().copied().unzip();
    }

    fn set(&mut self, rank: i64, quantity: Decimal) {
        match self.ranks.binary_search(&rank) {
            Ok(at) => {
                if let Some(held) = self.quantities.get_mut(at) {
                    *held = quantity;
                }
            }
            Err(at) => {
                self.ranks.insert(at, rank);
                self.quantities.insert(at, quantity);
            }
        }
    }

    fn remove(&mut self, rank: i64) {
        if let Ok(at) = self.ranks.binary_search(&rank) {
            self.ranks.remove(at);
            self.quantities.remove(at);
        }
    }

    fn best_first(&self) -> Vec<(i64, Decimal)> {
        self.ranks
            .iter()
            .copied()
            .zip(self.quantities.iter().copied())
            .rev()
            .collect()
    }
}

/// The standard library's tree.
#[derive(Clone, Default)]
struct Tree(BTreeMap<i64, Decimal>);

impl Side for Tree {
    const NAME: &'static str = "BTreeMap";

    fn load(&mut self, rising: &[(i64, Decimal)]) {
        self.0 = rising.iter().copied().collect();
    }

    fn set(&mut self, rank: i64, quantity: Decimal) {
        self.0.insert(rank, quantity);
    }

    fn remove(&mut self, rank: i64) {
        self.0.remove(&rank);
    }

    fn best_first(&self) -> Vec<(i64, Decimal)> {
        self.0
            .iter()
            .rev()
            .map(|(rank, quantity)| (*rank, *quantity))
            .collect()
    }
}

impl Side for Ladder {
    const NAME: &'static str = "sorted runs";

    fn load(&mut self, rising: &[(i64, Decimal)]) {
        Self::load(self, rising.iter().copied());
    }

    fn set(&mut self, rank: i64, quantity: Decimal) {
        Self::set(self, rank, quantity);
    }

    fn remove(&mut self, rank: i64) {
        Self::remove(self, rank);
    }

    fn best_first(&self) -> Vec<(i64, Decimal)> {
        self.iter().collect()
    }
}

/// A change as a side sees it.
#[derive(Clone, Copy)]
struct Step {
    side: BookSide,
    rank: i64,
    quantity: Decimal,
}

impl Step {
    fn new(change: &LevelChange, exponent: i8) -> Result<Self, Box<dyn Error>> {
        let price = change
            .px
            .rescale(exponent)
            .ok_or("a price finer than the instrument's")?;
        let rank = if change.side == BookSide::Bid {
            price
        } else {
            !price
        };
        Ok(Self {
            side: change.side,
            rank,
            quantity: change.qty,
        })
    }
}

/// What is played: a start, steps, and the digest of the end if it is known.
struct Script {
    name: String,
    exponent: i8,
    bids: Vec<(i64, Decimal)>,
    asks: Vec<(i64, Decimal)>,
    steps: Vec<Step>,
    digest: String,
}

impl Script {
    fn new(session: &Session) -> Result<Self, Box<dyn Error>> {
        let exponent = session.price_exponent;
        let step = |change| Step::new(change, exponent);
        let start: Vec<Step> = session.start.iter().map(step).collect::<Result<_, _>>()?;
        let steps = session
            .messages
            .iter()
            .flatten()
            .map(step)
            .collect::<Result<_, _>>()?;
        let rising = |side| {
            let mut levels: Vec<_> = start
                .iter()
                .filter(|step| step.side == side)
                .map(|step| (step.rank, step.quantity))
                .collect();
            levels.sort_unstable_by_key(|(rank, _)| *rank);
            levels
        };
        let (bids, asks) = (rising(BookSide::Bid), rising(BookSide::Ask));
        Ok(Self {
            name: session.name.to_owned(),
            exponent,
            bids,
            asks,
            steps,
            digest: session.digest.clone(),
        })
    }

    /// The same start, then levels all over the book that go and come back: made, not recorded.
    fn churned(&self, changes: usize) -> Self {
        let mut noise = 0x2545_F491_4F6C_DD1D_u64;
        let mut steps = Vec::with_capacity(changes);
        while steps.len() < changes {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let (side, levels) = if noise.is_multiple_of(2) {
                (BookSide::Bid, &self.bids)
            } else {
                (BookSide::Ask, &self.asks)
            };
            let at = usize::try_from(noise >> 20).unwrap_or_default() % levels.len();
            if let Some(&(rank, quantity)) = levels.get(at) {
                steps.push(Step {
                    side,
                    rank,
                    quantity: Decimal::ZERO,
                });
                steps.push(Step {
                    side,
                    rank,
                    quantity,
                });
            }
        }
        let (bids, asks) = (self.bids.clone(), self.asks.clone());
        let digest = digest_of(
            self.exponent,
            bids.iter().rev().copied(),
            asks.iter().rev().copied(),
        );
        Self {
            name: format!("{}, churn everywhere", self.name),
            exponent: self.exponent,
            bids,
            asks,
            steps,
            digest,
        }
    }
}

fn digest_of(
    exponent: i8,
    bids: impl Iterator<Item = (i64, Decimal)>,
    asks: impl Iterator<Item = (i64, Decimal)>,
) -> String {
    let bids =
        bids.map(|(rank, quantity)| format!("b,{},{quantity}", Decimal::new(rank, exponent)));
    let asks =
        asks.map(|(rank, quantity)| format!("a,{},{quantity}", Decimal::new(!rank, exponent)));
    let text = bids.chain(asks).collect::<Vec<_>>().join("\n");
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Times of one structure: the best of all rounds.
struct Best {
    load: Duration,
    apply: Duration,
}

/// Plays a script once and checks its end.
fn play<S: Side>(script: &Script, best: &mut Best) -> Result<(), Box<dyn Error>> {
    let (mut bids, mut asks) = (S::default(), S::default());
    let begin = Instant::now();
    bids.load(&script.bids);
    asks.load(&script.asks);
    best.load = best.load.min(begin.elapsed());
    let begin = Instant::now();
    for step in &script.steps {
        let side = if step.side == BookSide::Bid {
            &mut bids
        } else {
            &mut asks
        };
        if step.quantity.is_zero() {
            side.remove(step.rank);
        } else {
            side.set(step.rank, step.quantity);
        }
    }
    best.apply = best.apply.min(begin.elapsed());
    let digest = digest_of(
        script.exponent,
        bids.best_first().into_iter(),
        asks.best_first().into_iter(),
    );
    if digest != script.digest {
        return Err(format!(
            "{} ends {} at {digest}, not {}",
            S::NAME,
            script.name,
            script.digest
        )
        .into());
    }
    Ok(())
}

fn report(name: &str, script: &Script, best: &Best) {
    let changes = u32::try_from(script.steps.len()).unwrap_or(u32::MAX);
    let per_change = best.apply.as_secs_f64() * 1e9 / f64::from(changes);
    println!(
        "  {name:<14}{per_change:>10.1} ns/change  load {:>8.1} us",
        best.load.as_secs_f64() * 1e6
    );
}

fn compare(script: &Script, rounds: u32) -> Result<(), Box<dyn Error>> {
    println!(
        "{} ({} + {} levels at first, {} changes)",
        script.name,
        script.bids.len(),
        script.asks.len(),
        script.steps.len()
    );
    let mut best = [(); 3].map(|()| Best {
        load: Duration::MAX,
        apply: Duration::MAX,
    });
    for _ in 0..rounds {
        let [array, tree, runs] = &mut best;
        play::<SortedArray>(script, array)?;
        play::<Tree>(script, tree)?;
        play::<Ladder>(script, runs)?;
    }
    for (name, best) in [SortedArray::NAME, Tree::NAME, <Ladder as Side>::NAME]
        .into_iter()
        .zip(&best)
    {
        report(name, script, best);
    }
    Ok(())
}

/// The whole book as the feed calls it: numbers validated and converted, changes by message.
fn whole_book(session: &Session, rounds: u32) -> Result<(), Box<dyn Error>> {
    let mut best = Best {
        load: Duration::MAX,
        apply: Duration::MAX,
    };
    for _ in 0..rounds {
        let mut book = Book::new(session.price_exponent);
        let begin = Instant::now();
        book.load(&session.start)?;
        best.load = best.load.min(begin.elapsed());
        let begin = Instant::now();
        for changes in &session.messages {
            book.apply(changes)?;
        }
        best.apply = best.apply.min(begin.elapsed());
        let digest = book
            .sha256(0)
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        if digest != session.digest {
            return Err(
                format!("{} ends at {digest}, not {}", session.name, session.digest).into(),
            );
        }
    }
    let changes = u32::try_from(session.changes()).unwrap_or(u32::MAX);
    let per_change = best.apply.as_secs_f64() * 1e9 / f64::from(changes);
    println!(
        "  {:<14}{per_change:>10.1} ns/change  load {:>8.1} us",
        "Book",
        best.load.as_secs_f64() * 1e6
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args()
        .nth(1)
        .map_or(Ok(20), |text| text.parse())?;
    let folder =
        std::env::var_os("DATAFACADE_RECORDINGS").unwrap_or_else(|| "../shared/recordings".into());
    let recordings = PathBuf::from(folder);
    for session in [binance_spot(&recordings)?, coinbase_btc(&recordings)?] {
        let script = Script::new(&session)?;
        compare(&script, rounds)?;
        whole_book(&session, rounds)?;
        compare(&script.churned(20_000), rounds)?;
    }
    Ok(())
}

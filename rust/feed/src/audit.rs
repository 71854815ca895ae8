//! A live book beside a REST snapshot that was taken at some unknown moment of a window. Pure.
//!
//! No venue says at which of our messages its REST book was taken. So from before the request until the stream has passed
//! the answer, the prices that change are noted. A price that did not change in all that time had one quantity at every
//! moment of it, the snapshot's included: there both must agree. Of prices that changed nothing is said.

use std::cmp::Reverse;

use facade_book::Book;
use facade_model::{BookSide, Decimal, LevelChange};

/// Levels a side that are compared at most, the best ones: the turn that compares them stays below 1 ms.
const LEVELS_MAX: usize = 1_000;
/// Changes that are noted at most; beyond them an audit says nothing.
const NOTED_MAX: usize = 1 << 16;
/// Differences that are remembered at most, the best ones.
const SUSPECTS_MAX: usize = 256;
/// Quantities that a venue could not tell are capped here (Binance), so they say nothing.
const CAPPED: i64 = i64::MAX;

/// A price at which book and snapshot differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// Side of the book.
    pub side: BookSide,
    /// Price, canonical.
    pub px: Decimal,
    /// Our quantity, canonical; 0: we hold no such level.
    pub ours: Decimal,
    /// The snapshot's quantity, canonical; 0: it has no such level.
    pub theirs: Decimal,
}

/// Prices that changed while a window was open.
#[derive(Debug, Default)]
pub struct Notes {
    changed: Vec<(BookSide, Decimal)>,
    is_sorted: bool,
}

/// The best levels of a REST snapshot, by side, best first.
#[derive(Debug, Default)]
pub struct Rest {
    bids: Vec<(Decimal, Decimal)>,
    asks: Vec<(Decimal, Decimal)>,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Finding {
    /// Levels a side down to which both are known, the smaller number of both sides.
    pub levels: usize,
    /// Prices that were compared.
    pub compared: usize,
    /// Prices inside these levels that changed in the window, so that nothing is said of them.
    pub passed_over: usize,
    /// Where they differ, the best prices first.
    pub suspects: Vec<Suspect>,
}

impl Notes {
    /// Notes the changes of one message.
    pub fn take(&mut self, levels: &[LevelChange]) {
        if !self.is_overrun() {
            self.changed.extend(levels.iter().map(|level| (level.side, level.px.canonical())));
            self.is_sorted = false;
        }
    }

    /// Whether too much changed for anything to be said.
    #[must_use]
    pub const fn is_overrun(&self) -> bool {
        self.changed.len() > NOTED_MAX
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.changed.clear();
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            self.changed.sort_unstable_by_key(key);
            self.changed.dedup();
            self.is_sorted = true;
        }
    }

    fn contains(&self, side: BookSide, px: Decimal) -> bool {
        self.changed.binary_search_by_key(&key(&(side, px)), key).is_ok()
    }
}

/// An order of prices, whatever it is: they are only looked up.
const fn key(noted: &(BookSide, Decimal)) -> (bool, i64, i8) {
    (matches!(noted.0, BookSide::Ask), noted.1.mantissa, noted.1.exponent)
}

impl Rest {
    /// Keeps the best levels of a snapshot.
    #[must_use]
    pub fn new(levels: &[LevelChange]) -> Self {
        let side = |side: BookSide| {
            let held = levels.iter().filter(|level| level.side == side && !level.qty.is_zero());
            held.take(LEVELS_MAX).map(|level| (level.px.canonical(), level.qty.canonical())).collect()
        };
        Self { bids: side(BookSide::Bid), asks: side(BookSide::Ask) } // venues send the best first
    }

    fn side(&self, side: BookSide) -> &[(Decimal, Decimal)] {
        match side {
            BookSide::Bid => &self.bids,
            BookSide::Ask => &self.asks,
        }
    }
}

/// Compares a book with a snapshot at all prices that did not change in the window.
///
/// `known`: worst price a side of the state that the book began with, where the venue cut it: deeper levels are known only
/// if they changed since.
#[must_use]
pub fn compare(book: &Book, known: [Option<Decimal>; 2], rest: &Rest, notes: &mut Notes) -> Finding {
    notes.sort();
    let mut finding = Finding { levels: usize::MAX, ..Finding::default() };
    for (side, known) in [BookSide::Bid, BookSide::Ask].into_iter().zip(known) {
        compare_side(book, (side, known), rest.side(side), notes, &mut finding);
    }
    finding.suspects.truncate(SUSPECTS_MAX);
    finding
}

fn compare_side(
    book: &Book,
    (side, known): (BookSide, Option<Decimal>),
    rest: &[(Decimal, Decimal)],
    notes: &Notes,
    finding: &mut Finding,
) {
    let mut theirs: Vec<(i64, Decimal)> =
        rest.iter().filter_map(|&(px, qty)| Some((book.rank(side, px)?, qty))).collect();
    theirs.sort_unstable_by_key(|&(rank, _)| Reverse(rank));
    let (Some(&(last, _)), false) = (theirs.last(), theirs.len() < rest.len()) else {
        finding.levels = 0; // no such side, or prices finer than any that we hold: nothing to be said of it
        return;
    };
    let worst = book.ranks(side).nth(LEVELS_MAX).or_else(|| book.ranks(side).last());
    let floor = worst.map_or(last, |(rank, _)| rank.max(last));
    let known = known.and_then(|px| book.rank(side, px)).unwrap_or(i64::MIN);
    let mut ours = book.ranks(side).take_while(|&(rank, _)| rank >= floor).peekable();
    let mut theirs = theirs.into_iter().take_while(|&(rank, _)| rank >= floor).peekable();
    let mut levels = 0;
    loop {
        let next = ours.peek().map(|&(rank, _)| rank).max(theirs.peek().map(|&(rank, _)| rank));
        let Some(rank) = next else { break };
        let held = ours.next_if(|&(at, _)| at == rank).map_or(Decimal::ZERO, |(_, qty)| qty.canonical());
        let told = theirs.next_if(|&(at, _)| at == rank).map_or(Decimal::ZERO, |(_, qty)| qty);
        levels += usize::from(!held.is_zero());
        let suspect = Suspect { side, px: book.price(side, rank), ours: held, theirs: told };
        let is_unknown = held.is_zero() && rank < known;
        if is_unknown || told.mantissa == CAPPED || notes.contains(side, suspect.px) {
            finding.passed_over += 1;
            continue;
        }
        finding.compared += 1;
        if held != told {
            finding.suspects.push(suspect);
        }
    }
    finding.levels = finding.levels.min(levels);
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;

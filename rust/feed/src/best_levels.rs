//! The best levels of a book, followed by its changes. Pure.
//!
//! A window holds the places of its levels. It reads the changes of each message and nothing else; only where levels
//! left it does it ask the book which ones follow. So a change beyond the window costs one comparison.

use facade_book::Book;
use facade_model::{BookSide, Decimal, LevelChange};

/// The places of the best levels of a book, and what changed in them.
#[derive(Debug)]
pub struct DepthWindow {
    depth: usize,
    exponent: i8,
    bids: Shown,
    asks: Shown,
    changes: Vec<LevelChange>,
}

/// One side of a window.
#[derive(Debug)]
struct Shown {
    side: BookSide,
    ranks: Vec<i64>, // rising: the best last
    fresh: Vec<i64>, // came in with the message at hand
}

impl DepthWindow {
    /// Makes a window of `depth` levels a side of an empty book.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        let side = |side| Shown { side, ranks: Vec::with_capacity(depth + 1), fresh: Vec::new() };
        Self { depth, exponent: 0, bids: side(BookSide::Bid), asks: side(BookSide::Ask), changes: Vec::new() }
    }

    /// Shows a book from now on.
    pub fn load(&mut self, book: &Book) {
        self.exponent = book.exponent();
        for side in [&mut self.bids, &mut self.asks] {
            side.ranks.clear();
            side.ranks.extend(book.ranks(side.side).take(self.depth).map(|(rank, _)| rank));
            side.ranks.reverse();
        }
    }

    /// Follows a book to which `changes` were applied, each price once; returns what changed in the window: levels that
    /// came in or moved, and deletes of those that left.
    pub fn follow(&mut self, book: &Book, changes: &[LevelChange]) -> &[LevelChange] {
        self.changes.clear();
        if self.exponent != book.exponent() {
            self.refit(book);
        }
        for side in [&mut self.bids, &mut self.asks] {
            side.follow(book, changes, self.depth, &mut self.changes);
        }
        &self.changes
    }

    /// Moves to the book's new exponent; places that it cannot express were deleted.
    #[cold]
    fn refit(&mut self, book: &Book) {
        let exponent = std::mem::replace(&mut self.exponent, book.exponent());
        for side in [&mut self.bids, &mut self.asks] {
            let (name, gone) = (side.side, &mut self.changes);
            let mut kept = Vec::with_capacity(self.depth + 1);
            for &rank in &side.ranks {
                let px = Book::price_of(name, rank, exponent);
                match book.rank(name, px) {
                    Some(rank) => kept.push(rank),
                    None => gone.push(LevelChange { side: name, px, qty: Decimal::ZERO }),
                }
            }
            side.ranks = kept;
        }
    }
}

impl Shown {
    fn follow(&mut self, book: &Book, changes: &[LevelChange], depth: usize, out: &mut Vec<LevelChange>) {
        self.fresh.clear();
        let was_full = self.ranks.len() >= depth; // else the window is the whole side
        let side = self.side;
        for change in changes.iter().filter(|change| change.side == side) {
            self.take(book, *change, was_full, out);
        }
        self.trim(book, depth, out);
        self.refill(book, depth, out);
    }

    fn take(&mut self, book: &Book, change: LevelChange, was_full: bool, out: &mut Vec<LevelChange>) {
        let Some(rank) = book.rank(self.side, change.px) else { return };
        if was_full && self.ranks.first().is_none_or(|&worst| rank < worst) {
            return; // beyond the window; if room was made, it is filled from the book
        }
        match (self.ranks.binary_search(&rank), change.qty.is_zero()) {
            (Ok(at), true) => {
                self.ranks.remove(at);
                out.push(change);
            }
            (Ok(_), false) => out.push(change),
            (Err(at), false) => {
                self.ranks.insert(at, rank);
                self.fresh.push(rank);
                out.push(change);
            }
            (Err(_), true) => {}
        }
    }

    /// Lets the worst levels fall out.
    fn trim(&mut self, book: &Book, depth: usize, out: &mut Vec<LevelChange>) {
        let excess = self.ranks.len().saturating_sub(depth);
        for rank in self.ranks.drain(..excess) {
            let (side, px) = (self.side, book.price(self.side, rank));
            let told = out.iter().position(|change| change.side == side && change.px.canonical() == px);
            if let Some(at) = told {
                out.remove(at);
            }
            if !self.fresh.contains(&rank) {
                out.push(LevelChange { side, px, qty: Decimal::ZERO });
            }
        }
    }

    /// Lets the levels in that follow the worst one.
    fn refill(&mut self, book: &Book, depth: usize, out: &mut Vec<LevelChange>) {
        while self.ranks.len() < depth {
            let Some((rank, qty)) = book.next_worse(self.side, self.ranks.first().copied()) else { return };
            self.ranks.insert(0, rank);
            out.push(LevelChange { side: self.side, px: book.price(self.side, rank), qty });
        }
    }
}

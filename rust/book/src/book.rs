//! The book: two ladders whose ranks are prices at one exponent.

use facade_model::{BookSide, Decimal, Level, LevelChange};

use crate::error::BookError;
use crate::fit::{convert, exponent_needed, price_of, rank_of};
use crate::ladder::Ladder;

/// Levels a side that a book holds at most unless its owner says otherwise.
pub const LEVELS_MAX: usize = 50_000;

/// Bids and asks of one instrument, exact, whole unless the owner truncates it.
#[derive(Debug, Clone)]
pub struct Book {
    bids: Ladder,
    asks: Ladder,
    exponent_usual: i8,
    exponent: i8, // of every price that is held; the usual one, or finer or coarser where digits demand it
    levels_max: usize,
    prices: Vec<Option<i64>>, // scratch of one update
}

impl Book {
    /// Makes an empty book of at most [`LEVELS_MAX`] levels a side; `price_exponent` is the usual one of its prices.
    #[must_use]
    pub fn new(price_exponent: i8) -> Self {
        Self::with_levels_max(price_exponent, LEVELS_MAX)
    }

    /// Makes an empty book of at most `levels_max` levels a side.
    #[must_use]
    pub fn with_levels_max(price_exponent: i8, levels_max: usize) -> Self {
        Self {
            bids: Ladder::new(),
            asks: Ladder::new(),
            exponent_usual: price_exponent,
            exponent: price_exponent,
            levels_max,
            prices: Vec::new(),
        }
    }

    /// Removes every level.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.exponent = self.exponent_usual;
    }

    /// Removes every level and changes the usual exponent of prices.
    pub fn reset(&mut self, price_exponent: i8) {
        self.exponent_usual = price_exponent;
        self.clear();
    }

    /// Replaces both sides, as if `levels` were applied in order to an empty book, but in bulk.
    ///
    /// A price that stands twice has its last quantity; quantity 0 is no level. Sorted input is not sorted again.
    ///
    /// # Errors
    /// [`BookError`]; the book keeps what it held.
    pub fn load(&mut self, levels: &[LevelChange]) -> Result<(), BookError> {
        let mut prices = Vec::with_capacity(levels.len());
        let mut exponent = self.exponent_usual;
        if convert(levels, exponent, &mut prices).is_err() {
            exponent = exponent_needed(held_prices(levels)).unwrap_or(exponent);
            convert(levels, exponent, &mut prices).map_err(|px| BookError::NumberRange { px })?;
        }
        let bids = rising(levels, &prices, BookSide::Bid);
        let asks = rising(levels, &prices, BookSide::Ask);
        self.check_depth(BookSide::Bid, bids.len())?;
        self.check_depth(BookSide::Ask, asks.len())?;
        self.bids.load(bids);
        self.asks.load(asks);
        self.exponent = exponent;
        Ok(())
    }

    /// Applies changes in order. Deleting a price that is not held is no error.
    ///
    /// # Errors
    /// [`BookError`]; every level is as before.
    #[inline]
    pub fn apply(&mut self, changes: &[LevelChange]) -> Result<(), BookError> {
        if convert(changes, self.exponent, &mut self.prices).is_err() {
            self.refit(changes)?;
        }
        let fullest = self.bids.len().max(self.asks.len());
        if fullest + changes.len() > self.levels_max {
            self.check_depth_after(changes, BookSide::Bid)?;
            self.check_depth_after(changes, BookSide::Ask)?;
        }
        for (change, price) in changes.iter().zip(&self.prices) {
            let Some(price) = *price else { continue };
            let ladder = match change.side {
                BookSide::Bid => &mut self.bids,
                BookSide::Ask => &mut self.asks,
            };
            let rank = rank_of(change.side, price);
            if change.qty.is_zero() {
                ladder.remove(rank);
            } else {
                ladder.set(rank, change.qty);
            }
        }
        Ok(())
    }

    /// Cuts both sides to `depth` levels; appends what fell out to `removed`, as deletes.
    pub fn truncate(&mut self, depth: usize, removed: &mut Vec<LevelChange>) {
        let exponent = self.exponent;
        for (side, ladder) in [(BookSide::Bid, &mut self.bids), (BookSide::Ask, &mut self.asks)] {
            ladder.remove_worst(ladder.len().saturating_sub(depth), |rank| {
                let px = Decimal::new(price_of(side, rank), exponent).canonical();
                removed.push(LevelChange { side, px, qty: Decimal::ZERO });
            });
        }
    }

    /// Returns the best bid.
    #[must_use]
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.best().map(|held| level(BookSide::Bid, self.exponent, held))
    }

    /// Returns the best ask.
    #[must_use]
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.best().map(|held| level(BookSide::Ask, self.exponent, held))
    }

    /// Returns the worst price of a side.
    #[must_use]
    pub fn worst(&self, side: BookSide) -> Option<Decimal> {
        self.ladder(side).worst().map(|rank| self.price(side, rank))
    }

    /// Returns the bids, best first, prices in canonical form.
    pub fn bids(&self) -> impl Iterator<Item = Level> + Clone + '_ {
        let exponent = self.exponent;
        self.bids.iter().map(move |held| level(BookSide::Bid, exponent, held))
    }

    /// Returns the asks, best first, prices in canonical form.
    pub fn asks(&self) -> impl Iterator<Item = Level> + Clone + '_ {
        let exponent = self.exponent;
        self.asks.iter().map(move |held| level(BookSide::Ask, exponent, held))
    }

    /// Returns the place of a price on its side: larger is better, the same for as long as [`Book::exponent`] is.
    /// `None`: no level of the book can have this price.
    #[inline]
    #[must_use]
    pub fn rank(&self, side: BookSide, px: Decimal) -> Option<i64> {
        px.rescale(self.exponent).map(|price| rank_of(side, price))
    }

    /// Returns the price of a rank.
    #[must_use]
    pub fn price(&self, side: BookSide, rank: i64) -> Decimal {
        Self::price_of(side, rank, self.exponent)
    }

    /// Returns the price of a rank of a book whose exponent is, or was, `exponent`.
    #[must_use]
    pub fn price_of(side: BookSide, rank: i64, exponent: i8) -> Decimal {
        Decimal::new(price_of(side, rank), exponent).canonical()
    }

    /// Power of ten of all prices; it changes where a new price demands it.
    #[must_use]
    pub const fn exponent(&self) -> i8 {
        self.exponent
    }

    /// Returns ranks and quantities of a side, best first.
    pub fn ranks(&self, side: BookSide) -> impl Iterator<Item = (i64, Decimal)> + Clone + '_ {
        self.ladder(side).iter()
    }

    /// Returns the best of the levels that are worse than a rank; `None`: worse than nothing, so the best of all.
    #[must_use]
    pub fn next_worse(&self, side: BookSide, rank: Option<i64>) -> Option<(i64, Decimal)> {
        match rank {
            Some(rank) => self.ladder(side).next_worse(rank),
            None => self.ladder(side).best(),
        }
    }

    /// Returns the number of levels of a side.
    #[must_use]
    pub const fn len(&self, side: BookSide) -> usize {
        self.ladder(side).len()
    }

    /// Whether neither side has a level.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }

    /// Whether the best bid is not below the best ask.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        match (self.bids.best(), self.asks.best()) {
            (Some((bid, _)), Some((ask, _))) => bid >= price_of(BookSide::Ask, ask),
            _ => false,
        }
    }

    const fn ladder(&self, side: BookSide) -> &Ladder {
        match side {
            BookSide::Bid => &self.bids,
            BookSide::Ask => &self.asks,
        }
    }

    /// Finds an exponent for all that is held and all that comes, moves the book to it and converts the changes.
    #[cold]
    fn refit(&mut self, changes: &[LevelChange]) -> Result<(), BookError> {
        let held = || self.bids().chain(self.asks()).map(|level| level.px);
        let needed = exponent_needed(held().chain(held_prices(changes))).unwrap_or(self.exponent);
        if let Some(px) = held().find(|px| px.rescale(needed).is_none()) {
            return Err(BookError::NumberRange { px });
        }
        convert(changes, needed, &mut self.prices).map_err(|px| BookError::NumberRange { px })?;
        let exponent = self.exponent;
        for (side, ladder) in [(BookSide::Bid, &mut self.bids), (BookSide::Ask, &mut self.asks)] {
            ladder.map_ranks(|rank| {
                let price = price_of(side, rank);
                rank_of(side, Decimal::new(price, exponent).rescale(needed).unwrap_or(price))
            });
        }
        self.exponent = needed;
        Ok(())
    }

    /// Refuses changes that would leave a side too deep; counts exactly.
    #[cold]
    fn check_depth_after(&self, changes: &[LevelChange], side: BookSide) -> Result<(), BookError> {
        let mut levels = self.len(side);
        let ladder = self.ladder(side);
        for (rank, quantity) in final_quantities(changes, &self.prices, side) {
            match (quantity.is_zero(), ladder.contains(rank)) {
                (false, false) => levels += 1,
                (true, true) => levels -= 1,
                _ => {}
            }
        }
        self.check_depth(side, levels)
    }

    const fn check_depth(&self, side: BookSide, levels: usize) -> Result<(), BookError> {
        if levels > self.levels_max {
            return Err(BookError::DepthLimit { side, levels, levels_max: self.levels_max });
        }
        Ok(())
    }
}

/// Prices of changes that leave a level behind.
fn held_prices(changes: &[LevelChange]) -> impl Iterator<Item = Decimal> + '_ {
    changes.iter().filter(|change| !change.qty.is_zero()).map(|change| change.px)
}

#[inline]
fn level(side: BookSide, exponent: i8, (rank, qty): (i64, Decimal)) -> Level {
    Level { px: Decimal::new(price_of(side, rank), exponent).canonical(), qty }
}

/// Returns the levels that `changes` leave on an empty side, ranks rising.
fn rising(changes: &[LevelChange], prices: &[Option<i64>], side: BookSide) -> Vec<(i64, Decimal)> {
    let mut levels = final_quantities(changes, prices, side);
    levels.retain(|(_, quantity)| !quantity.is_zero());
    levels
}

/// Returns the last quantity of each rank of a side, ranks rising; input that is sorted best first is only reversed.
fn final_quantities(changes: &[LevelChange], prices: &[Option<i64>], side: BookSide) -> Vec<(i64, Decimal)> {
    let mut levels: Vec<(i64, Decimal)> = changes
        .iter()
        .zip(prices)
        .rev()
        .filter(|(change, _)| change.side == side)
        .filter_map(|(change, price)| Some((rank_of(side, (*price)?), change.qty)))
        .collect();
    if !levels.is_sorted_by(|(rank, _), (next, _)| rank < next) {
        levels.sort_by_key(|&(rank, _)| rank); // stable: of equal ranks the last sent stands first
        levels.dedup_by_key(|&mut (rank, _)| rank);
    }
    levels
}

//! Down to where a book is known: a venue that cuts its first state tells of deeper levels only what changes.

use facade_model::{BookSide, Decimal};

use crate::machine::BookMachine;

impl BookMachine {
    /// Worst price a side, bids first, down to which levels are known that never changed; absent: all are.
    #[must_use]
    pub const fn known(&self) -> [Option<Decimal>; 2] {
        self.known
    }

    /// Notes that what was cut is not known any more, unless the venue tells it again.
    pub(crate) fn shrink_known(&mut self) {
        if self.rules.tells_again() {
            return;
        }
        let worst = self.worst();
        for ((side, known), worst) in
            [BookSide::Bid, BookSide::Ask].into_iter().zip(&mut self.known).zip(worst)
        {
            let rank = |px: Option<Decimal>| px.and_then(|px| self.book.rank(side, px));
            if rank(worst) > rank(*known) {
                *known = worst;
            }
        }
    }

    /// Worst price of each side, bids first.
    pub(crate) fn worst(&self) -> [Option<Decimal>; 2] {
        [BookSide::Bid, BookSide::Ask].map(|side| self.book.worst(side))
    }
}

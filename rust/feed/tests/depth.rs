//! A limited book against the naive one: the best levels of the whole book, taken anew after every message.

use std::collections::BTreeMap;

use facade_book::{Book, merge_changes};
use facade_feed::DepthWindow;
use facade_model::{BookSide, Decimal, Level, LevelChange};
use proptest::prelude::*;

/// What a subscriber holds: prices as text, so that nothing of ours compares them.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Copy {
    bids: BTreeMap<String, String>,
    asks: BTreeMap<String, String>,
}

impl Copy {
    fn of_best(book: &Book, depth: usize) -> Self {
        let text = |level: Level| (level.px.to_string(), level.qty.to_string());
        Self {
            bids: book.bids().take(depth).map(text).collect(),
            asks: book.asks().take(depth).map(text).collect(),
        }
    }

    fn apply(&mut self, changes: &[LevelChange]) {
        for change in changes {
            let side = if change.side == BookSide::Bid { &mut self.bids } else { &mut self.asks };
            if change.qty.is_zero() {
                assert!(side.remove(&change.px.to_string()).is_some(), "a level that nobody held is deleted");
            } else {
                side.insert(change.px.to_string(), change.qty.to_string());
            }
        }
    }
}

fn change(is_bid: bool, step: i64, fraction: u8, qty: i64) -> LevelChange {
    // now and then a price finer than the book's usual step: the book and the window move to its digits
    let (side, px) =
        if is_bid { (BookSide::Bid, 9_990 - 10 * step) } else { (BookSide::Ask, 10_010 + 10 * step) };
    let finer = i64::from(fraction == 0);
    LevelChange { side, px: Decimal::new(px + finer, -2).canonical(), qty: Decimal::new(qty, 0) }
}

type Message = Vec<(bool, i64, u8, i64)>;

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let one = (any::<bool>(), 0_i64..40, 0_u8..40, prop_oneof![2 => Just(0), 3 => 1_i64..100]);
    prop::collection::vec(prop::collection::vec(one, 0..12), 1..80)
}

proptest! {
    #[test]
    fn row_b09_limited_book_is_the_best_of_the_whole_one(
        depth in prop_oneof![Just(1_usize), Just(3), Just(10), Just(25), Just(100)],
        loaded in prop::collection::vec((any::<bool>(), 0_i64..40, 1_u8..40, 1_i64..100), 0..60),
        messages in messages(),
    ) {
        let mut book = Book::new(-1);
        let levels: Vec<LevelChange> = loaded.iter().map(|&(is_bid, step, fine, qty)| change(is_bid, step, fine, qty)).collect();
        book.load(&levels).unwrap();
        let mut window = DepthWindow::new(depth);
        window.load(&book);
        let mut copy = Copy::of_best(&book, depth);
        for message in messages {
            let mut changes: Vec<LevelChange> =
                message.iter().map(|&(is_bid, step, fine, qty)| change(is_bid, step, fine, qty)).collect();
            book.apply(&changes).unwrap();
            merge_changes(&mut changes);
            let before = Copy::of_best(&book, depth);
            let told = window.follow(&book, &changes);
            copy.apply(told);
            prop_assert_eq!(&copy, &before);
            let mut once = told.to_vec();
            merge_changes(&mut once);
            prop_assert_eq!(once.len(), told.len(), "a price stands twice");
        }
    }
}

#[test]
fn change_beyond_the_window_tells_nothing() {
    let mut book = Book::new(-1);
    let levels: Vec<LevelChange> =
        (0..20).flat_map(|step| [change(true, step, 1, 5), change(false, step, 1, 5)]).collect();
    book.load(&levels).unwrap();
    let mut window = DepthWindow::new(10);
    window.load(&book);
    for qty in [7, 0] {
        let beyond = [change(true, 10, 1, qty), change(false, 19, 1, qty)];
        book.apply(&beyond).unwrap();
        assert!(window.follow(&book, &beyond).is_empty());
    }
    let inside = [change(true, 9, 1, 0)];
    book.apply(&inside).unwrap();
    let told = window.follow(&book, &inside);
    assert_eq!(told, [inside[0], change(true, 11, 1, 5)]); // step 10 was deleted above: the next one moves in
}

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::audit::Rest;

/// A naive side-by-side book: price to quantity, 0 never held.
type Naive = [BTreeMap<i64, i64>; 2];

const SIDES: [BookSide; 2] = [BookSide::Bid, BookSide::Ask];

fn level(side: usize, px: i64, qty: i64) -> LevelChange {
    LevelChange { side: SIDES[side], px: Decimal::new(px, -1), qty: Decimal::new(qty, -2) }
}

/// Levels of a naive book, best first, `most` a side.
fn levels_of(naive: &Naive, most: usize) -> Vec<LevelChange> {
    let bids = naive[0].iter().rev().take(most).map(|(&px, &qty)| level(0, px, qty));
    let asks = naive[1].iter().take(most).map(|(&px, &qty)| level(1, px, qty));
    bids.chain(asks).collect()
}

fn set(naive: &mut Naive, (side, px, qty): (usize, i64, i64)) {
    if qty == 0 {
        naive[side].remove(&px);
    } else {
        naive[side].insert(px, qty);
    }
}

fn opening(step: i64, count: i64) -> Naive {
    let bids = (0..count).map(|at| (10_000 - step * at, 100 + at)).collect();
    let asks = (0..count).map(|at| (10_001 + step * at, 200 + at)).collect();
    [bids, asks]
}

/// Prices of changes: near the best, deep, and in between.
fn change() -> impl Strategy<Value = (usize, i64, i64)> {
    (0_usize..2, 0_i64..120, 0_i64..4).prop_map(|(side, far, qty)| {
        let px = if side == 0 { 10_000 - far } else { 10_001 + far };
        (side, px, qty * 7)
    })
}

fn loaded(naive: &Naive, most: usize) -> Book {
    let mut book = Book::new(-1);
    book.load(&levels_of(naive, most)).unwrap();
    book
}

/// One look of a venue that tells `changes[..told]` before the look, the others while notes are taken; its REST answers
/// with the state at `taken`, of `depth` levels.
fn look(
    book: &mut Book,
    truth: &mut Naive,
    changes: &[(usize, i64, i64)],
    (taken, depth): (usize, usize),
    known: [Option<Decimal>; 2],
) -> Finding {
    let (mut notes, mut rest) = (Notes::default(), Rest::new(&levels_of(truth, depth)));
    for (at, &(side, px, qty)) in changes.iter().enumerate() {
        set(truth, (side, px, qty));
        book.apply(&[level(side, px, qty)]).unwrap();
        notes.take(&[level(side, px, qty)]);
        if at + 1 == taken {
            rest = Rest::new(&levels_of(truth, depth));
        }
    }
    compare(book, known, &rest, &mut notes)
}

fn worst(book: &Book) -> [Option<Decimal>; 2] {
    SIDES.map(|side| book.worst(side))
}

proptest! {
    #[test]
    fn the_right_book_never_differs_whenever_the_snapshot_was_taken(
        changes in prop::collection::vec(change(), 0..200), taken in 0_usize..200, depth in 1_usize..80,
        begin in 5_usize..80,
    ) {
        let mut truth = opening(1, 60);
        let mut book = loaded(&truth, begin); // a venue that cuts its first state, as Binance does
        let known = worst(&book);
        let taken = taken.min(changes.len());
        let found = look(&mut book, &mut truth, &changes, (taken, depth), known);
        prop_assert_eq!(found.suspects, vec![]);
    }

    #[test]
    fn damage_that_stays_is_found_by_both_looks(
        first in prop::collection::vec(change(), 0..60), second in prop::collection::vec(change(), 0..60),
        (side, far, qty) in (0_usize..2, 0_i64..30, 0_i64..5), taken in 0_usize..60,
    ) {
        let mut truth = opening(1, 60);
        let mut book = loaded(&truth, 60);
        let px = if side == 0 { 10_000 - far } else { 10_001 + far };
        let touches = |changes: &[(usize, i64, i64)]| changes.iter().any(|&(at, price, _)| (at, price) == (side, px));
        prop_assume!(!touches(&first) && !touches(&second));
        book.apply(&[level(side, px, qty)]).unwrap(); // 100 and more is the truth
        let known = worst(&book);
        let one = look(&mut book, &mut truth, &first, (taken.min(first.len()), 60), known);
        let two = look(&mut book, &mut truth, &second, (taken.min(second.len()), 60), known);
        let both: Vec<_> = one.suspects.iter().filter(|suspect| two.suspects.contains(suspect)).collect();
        prop_assert_eq!(both.len(), 1);
        prop_assert_eq!((both[0].side, both[0].px), (SIDES[side], Decimal::new(px, -1).canonical()));
    }
}

#[test]
fn what_lies_below_the_first_state_of_a_cut_book_is_not_missed() {
    let truth = opening(1, 60);
    let book = loaded(&truth, 20);
    let rest = Rest::new(&levels_of(&truth, 60));
    let mut deeper = book.clone();
    deeper.apply(&[level(0, 10_000 - 40, 140)]).unwrap(); // told by the stream: only the 20 levels above are unknown
    let found = compare(&deeper, worst(&book), &rest, &mut Notes::default());
    assert_eq!((found.suspects.len(), found.passed_over), (0, 20));
    let found = compare(&deeper, [None; 2], &rest, &mut Notes::default());
    assert_eq!(found.suspects.len(), 20);
}

#[test]
fn a_finding_counts_what_was_compared_and_how_deep() {
    let truth = opening(1, 60);
    let book = loaded(&truth, 60);
    let mut notes = Notes::default();
    notes.take(&[level(0, 10_000, 1), level(0, 10_000, 2), level(1, 10_050, 0)]);
    let found = compare(&book, [None; 2], &Rest::new(&levels_of(&truth, 30)), &mut notes);
    assert_eq!((found.levels, found.compared, found.passed_over), (30, 59, 1));
}

#[test]
fn nothing_is_said_of_a_side_that_the_snapshot_does_not_have() {
    let mut truth = opening(1, 5);
    let book = loaded(&truth, 5);
    truth[1].clear();
    let found = compare(&book, [None; 2], &Rest::new(&levels_of(&truth, 5)), &mut Notes::default());
    assert_eq!((found.levels, found.suspects.len()), (0, 0));
}

#[test]
fn a_capped_quantity_is_passed_over() {
    let truth = opening(1, 5);
    let book = loaded(&truth, 5);
    let mut levels = levels_of(&truth, 5);
    levels[0].qty = Decimal::new(i64::MAX, -8);
    let found = compare(&book, [None; 2], &Rest::new(&levels), &mut Notes::default());
    assert_eq!((found.suspects.len(), found.passed_over), (0, 1));
}

#[test]
fn too_many_changes_overrun_the_notes() {
    let mut notes = Notes::default();
    let many = vec![level(0, 1, 1); NOTED_MAX];
    notes.take(&many);
    assert!(!notes.is_overrun());
    notes.take(&many);
    notes.take(&many);
    assert!(notes.is_overrun() && notes.changed.len() == 2 * NOTED_MAX);
}

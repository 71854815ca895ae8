//! Single facts: the hash vector, values at the limits, windows, refusals.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use facade_book::{Book, BookError, LEVELS_MAX, merge_changes};
use facade_model::{BookSide, Decimal, LevelChange};

fn change(side: BookSide, px: &str, qty: &str) -> LevelChange {
    let number = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
    LevelChange { side, px: number(px), qty: number(qty) }
}

fn bid(px: &str, qty: &str) -> LevelChange {
    change(BookSide::Bid, px, qty)
}

fn ask(px: &str, qty: &str) -> LevelChange {
    change(BookSide::Ask, px, qty)
}

fn lines(book: &Book) -> Vec<String> {
    book.bids().chain(book.asks()).map(|level| format!("{} {}", level.px, level.qty)).collect()
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn hash_vector_of_the_contract_matches() {
    let mut book = Book::new(-2);
    book.load(&[bid("61602.01", "1.67177"), bid("61602.00", "0.5"), ask("61602.02", "2.66795")]).unwrap();
    assert_eq!(hex(book.sha256(0)), "ca17416e9010662095b9158f0323a6446cdfa1fa385097617cd356a57e077c2b");
    assert_eq!(hex(book.sha256(50)), hex(book.sha256(0)));
}

#[test]
fn hash_of_an_empty_book_is_that_of_the_empty_text() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex(Book::new(-2).sha256(0)), empty);
}

#[test]
fn hash_of_the_best_levels_leaves_out_the_rest_of_each_side() {
    let mut book = Book::new(0);
    book.load(&[bid("10", "1"), bid("9", "1"), ask("11", "1"), ask("12", "1")]).unwrap();
    let mut top = Book::new(0);
    top.load(&[bid("10", "1"), ask("11", "1")]).unwrap();
    assert_eq!(book.sha256(1), top.sha256(0));
    assert_ne!(book.sha256(2), top.sha256(0));
}

#[test]
fn row_b28_tiny_quantity_stands_beside_a_usual_one() {
    let mut book = Book::new(-2);
    book.load(&[bid("10", "10"), bid("9.99", "0.000000000000000001"), ask("10.01", "999999999.999999999")])
        .unwrap();
    assert_eq!(lines(&book), ["10 10", "9.99 0.000000000000000001", "10.01 999999999.999999999"]);
}

#[test]
fn row_b28_eighteen_digits_fit_at_any_usual_exponent() {
    for exponent in [-8, -2, 0] {
        let mut book = Book::new(exponent);
        book.load(&[bid("123456789012345678", "1")]).unwrap();
        book.apply(&[ask("999999999999999999", "2")]).unwrap();
        assert_eq!(lines(&book), ["123456789012345678 1", "999999999999999999 2"], "{exponent}");
        assert!(!book.is_crossed());
    }
}

#[test]
fn row_b28_one_side_may_be_empty_and_one_level_is_a_book() {
    let mut book = Book::new(-2);
    book.load(&[ask("5", "1")]).unwrap();
    assert_eq!((book.best_bid(), book.len(BookSide::Ask), book.is_crossed()), (None, 1, false));
    book.apply(&[ask("5.00", "0")]).unwrap();
    assert!(book.is_empty());
    assert_eq!((book.best_bid(), book.best_ask()), (None, None));
    book.load(&[]).unwrap();
    assert!(book.is_empty());
}

#[test]
fn row_b28_prices_that_share_no_exponent_are_refused_and_change_nothing() {
    let mut book = Book::new(-2);
    book.load(&[bid("10", "1")]).unwrap();
    let before = lines(&book);
    let tiny = bid("0.000000000000000001", "1");
    assert_eq!(book.apply(&[bid("9", "1"), tiny]), Err(BookError::NumberRange { px: Decimal::new(10, 0) }));
    assert!(matches!(book.load(&[bid("9", "1"), ask("100", "1"), tiny]), Err(BookError::NumberRange { .. })));
    assert_eq!(lines(&book), before);
}

#[test]
fn deleting_a_price_that_no_level_can_have_is_no_error() {
    let mut book = Book::new(-2);
    book.load(&[bid("10", "1")]).unwrap();
    book.apply(&[bid("0.000000000000000001", "0"), bid("999999999999999999", "0"), ask("11", "0")]).unwrap();
    assert_eq!(lines(&book), ["10 1"]);
}

#[test]
fn finer_price_rescales_both_sides_exactly() {
    let mut book = Book::new(-1);
    book.load(&[bid("63388.7", "1"), ask("63388.8", "2")]).unwrap();
    book.apply(&[bid("63388.75", "3"), ask("63388.7875", "4")]).unwrap();
    assert_eq!(lines(&book), ["63388.75 3", "63388.7 1", "63388.7875 4", "63388.8 2"]);
    book.apply(&[bid("63388.7", "0"), ask("63388.80", "5")]).unwrap();
    assert_eq!(lines(&book), ["63388.75 3", "63388.7875 4", "63388.8 5"]);
}

#[test]
fn load_in_any_order_gives_the_same_book_and_the_last_of_equal_prices_wins() {
    let mut sorted = Book::new(-2);
    sorted.load(&[bid("3", "30"), bid("2", "20"), ask("4", "40"), ask("5", "50")]).unwrap();
    let mut mixed = Book::new(-2);
    let levels =
        [ask("5", "50"), bid("2", "9"), ask("6", "1"), bid("3", "30"), bid("2.0", "20"), ask("4", "40")];
    mixed.load(&levels).unwrap();
    mixed.load(&[&levels[..], &[ask("6", "0")]].concat()).unwrap();
    assert_eq!(lines(&mixed), lines(&sorted));
}

#[test]
fn negative_and_zero_prices_keep_their_order() {
    let mut book = Book::new(-2);
    book.load(&[bid("-37.63", "1"), bid("-40", "2"), ask("0", "3"), ask("-10", "4")]).unwrap();
    assert_eq!(lines(&book), ["-37.63 1", "-40 2", "-10 4", "0 3"]);
}

#[test]
fn row_b09_level_that_left_the_window_does_not_come_back_by_itself() {
    let mut book = Book::new(0);
    let mut removed = Vec::new();
    book.load(&[bid("10", "1"), bid("9", "1"), bid("8", "1")]).unwrap();
    book.apply(&[bid("11", "1")]).unwrap();
    book.truncate(3, &mut removed);
    assert_eq!(removed, [bid("8", "0")]);
    book.apply(&[bid("11", "0")]).unwrap();
    assert_eq!(lines(&book), ["10 1", "9 1"]);
    book.apply(&[bid("8", "2")]).unwrap();
    assert_eq!(lines(&book), ["10 1", "9 1", "8 2"]);
}

#[test]
fn side_deeper_than_the_bound_is_refused_whole() {
    let deep: Vec<_> = (1..=50_001).map(|px| ask(&px.to_string(), "1")).collect();
    let mut book = Book::new(0);
    book.load(&deep[..50_000]).unwrap();
    assert_eq!(book.len(BookSide::Ask), LEVELS_MAX);
    let refused = BookError::DepthLimit { side: BookSide::Ask, levels: 50_001, levels_max: LEVELS_MAX };
    let before = book.sha256(0);
    assert_eq!(book.apply(&[ask("1", "2"), ask("50001", "1")]), Err(refused));
    assert_eq!(book.load(&deep), Err(refused));
    assert_eq!(book.sha256(0), before);
    book.apply(&[ask("50001", "1"), ask("7", "0")]).unwrap();
    assert_eq!(book.len(BookSide::Ask), LEVELS_MAX);
}

#[test]
fn crossed_and_locked_books_are_told() {
    let mut book = Book::new(-2);
    book.load(&[bid("10", "1"), ask("10.01", "1")]).unwrap();
    assert!(!book.is_crossed());
    book.apply(&[ask("10", "1")]).unwrap();
    assert!(book.is_crossed());
    book.apply(&[bid("10", "0"), bid("9.999", "1")]).unwrap();
    assert!(!book.is_crossed());
}

#[test]
fn merge_joins_prices_that_are_written_differently() {
    let coarse = LevelChange { side: BookSide::Bid, px: Decimal::new(100, -1), qty: Decimal::new(1, 0) };
    let mut changes = vec![coarse, ask("10", "2"), bid("10", "0")];
    merge_changes(&mut changes);
    assert_eq!(changes, [ask("10", "2"), bid("10", "0")]);
}

//! Exponents follow the numbers of each update; what no exponent holds is refused.

use facade_model::{BookSide, TakerSide, Ticker, TopOfBook};
use facade_wire::{Exponents, WireError};

use crate::given::{HEADER, WHOLE, change, kline_of, level, number, ohlc, trade_of};
use crate::reader::{decode, exponents, get, payload};

#[test]
fn exponents_widen_in_the_update_that_needs_it_and_narrow_in_the_next() {
    let usual = Exponents { price: -1, quantity: -2 };
    let read = |px, qty| {
        let mut bytes = Vec::new();
        facade_wire::book_delta(&mut bytes, &HEADER, usual, &[change(BookSide::Bid, px, qty)]).unwrap();
        exponents(&decode(&bytes))
    };
    assert_eq!(read("10", "1"), (-1, -2));
    assert_eq!(read("10.123", "1e-18"), (-3, -18));
    assert_eq!(read("10.123", "1"), (-3, -2));
    assert_eq!(read("10", "1.001"), (-1, -3));
    assert_eq!(read("10.1", "10"), (-1, -2));
}

#[test]
fn row_b28_a_number_that_is_too_large_for_the_usual_digits_takes_coarser_ones() {
    let usual = Exponents { price: -8, quantity: -8 };
    let large = number("900000000000000000"); // 9e17: 18 digits
    let mut bytes = Vec::new();
    facade_wire::trade(&mut bytes, &HEADER, usual, &trade_of(1, large, large, TakerSide::Sell)).unwrap();
    let update = decode(&bytes);
    assert_eq!(exponents(&update), (17, 17));
    assert_eq!(get(&payload(&update, "trade"), "price").as_i64(), Some(9));
}

#[test]
fn row_b28_numbers_without_a_common_exponent_are_refused_and_leave_the_buffer_alone() {
    let mut out = b"before".to_vec();
    let changes = [change(BookSide::Bid, "1", "1e-18"), change(BookSide::Ask, "2", "10")];
    let outcome = facade_wire::book_delta(&mut out, &HEADER, WHOLE, &changes);
    assert_eq!(outcome, Err(WireError::NumberRange));
    let [bid, ask] = [level("1e-18", "1"), level("10", "1")];
    let snapshot = facade_wire::book_snapshot(&mut out, &HEADER, WHOLE, [bid].into_iter(), [ask].into_iter());
    assert_eq!(snapshot, Err(WireError::NumberRange));
    let top = TopOfBook { bid: Some(bid), ask: Some(ask) };
    assert_eq!(facade_wire::top_of_book(&mut out, &HEADER, WHOLE, &top), Err(WireError::NumberRange));
    let ticker = Ticker { top, ..Ticker::default() };
    assert_eq!(facade_wire::ticker(&mut out, &HEADER, WHOLE, &ticker), Err(WireError::NumberRange));
    assert_eq!(out, b"before");
}

#[test]
fn a_kline_whose_prices_no_exponent_holds_is_refused() {
    let kline = kline_of(Some(ohlc("10", "10", "0.000000000000000001", "10")));
    let mut out = b"before".to_vec();
    assert_eq!(facade_wire::kline(&mut out, &HEADER, WHOLE, &kline), Err(WireError::NumberRange));
    assert_eq!(out, b"before");
}

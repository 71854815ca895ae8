//! The same message in another form says the same; every digit of every level survives (FAULTS B17, B28).

use facade_model::{BookSide, Decimal};
use facade_venues::{Decoded, Event, Product};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::reading::{BINANCE_FRAMES, KRAKEN_FRAMES, Tree, decode, told};

fn frames() -> Vec<(Product, &'static str)> {
    let mut frames = Vec::new();
    for product in [Product::BinanceSpot, Product::BinanceUsdm, Product::BinanceCoinm] {
        frames.extend(BINANCE_FRAMES.map(|frame| (product, frame)));
    }
    frames.extend(KRAKEN_FRAMES.map(|frame| (Product::Kraken, frame)));
    frames
}

/// Puts members into an order that the numbers choose.
fn shuffle(members: &mut [(String, Tree)], numbers: &mut impl Iterator<Item = usize>) {
    for last in (1..members.len()).rev() {
        members.swap(last, numbers.next().unwrap() % (last + 1));
    }
}

/// Values that no venue sends under names that no venue has.
fn foreign(number: usize) -> (String, Tree) {
    let values =
        [r#"{"e":"trade","data":[1,{"s":"\u0041\"}"}]}"#, "[]", "-0.5e-7", "null", "\"channel\"", "true"];
    (format!("foreign_{number}"), Tree::parse(values[number % values.len()]))
}

/// A price or quantity as a venue may print it, with its exact value at 18 decimals.
fn printed_number() -> impl Strategy<Value = (String, i128)> {
    let plain = (0_u64..10_000_000_000, 0_usize..=8, 0_u64..100_000_000, 0_usize..3).prop_map(
        |(whole, places, fraction, padding)| {
            if places == 0 {
                return (whole.to_string(), i128::from(whole) * 10_i128.pow(18));
            }
            let fraction = fraction % 10_u64.pow(u32::try_from(places).unwrap());
            let value = (i128::from(whole) * 10_i128.pow(u32::try_from(places).unwrap())
                + i128::from(fraction))
                * 10_i128.pow(18 - u32::try_from(places).unwrap());
            (format!("{whole}.{fraction:0places$}{}", "0".repeat(padding)), value)
        },
    );
    let scientific = (1_u64..1_000_000, 0_u32..=12).prop_map(|(digits, power)| {
        (format!("{digits}e-{power:02}"), i128::from(digits) * 10_i128.pow(18 - power))
    });
    let fine =
        (1_u64..1_000_000_000_000_000_000).prop_map(|units| (format!("0.{units:018}"), i128::from(units)));
    prop_oneof![6 => plain, 1 => scientific, 1 => fine]
}

fn at_18_decimals(value: Decimal) -> i128 {
    i128::from(value.mantissa) * 10_i128.pow(u32::try_from(18 + i32::from(value.exponent)).unwrap())
}

type Row = ((String, i128), (String, i128));

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((printed_number(), printed_number()), 0..12)
}

/// The levels of a decoded book, exactly.
fn levels(decoded: &Decoded, side: BookSide) -> Vec<(i128, i128)> {
    let levels = decoded.levels.iter().filter(|level| level.side == side);
    levels.map(|level| (at_18_decimals(level.px), at_18_decimals(level.qty))).collect()
}

fn values(rows: &[Row]) -> Vec<(i128, i128)> {
    rows.iter().map(|(px, qty)| (px.1, qty.1)).collect()
}

/// Writes rows the way a venue does.
fn render(rows: &[Row], write: impl Fn(&str, &str) -> String) -> String {
    rows.iter().map(|(px, qty)| write(&px.0, &qty.0)).collect::<Vec<_>>().join(",")
}

proptest! {
    #[test]
    fn row_b17_order_white_space_and_foreign_members_change_nothing(
        which in any::<Index>(),
        numbers in proptest::collection::vec(any::<usize>(), 64),
        space in proptest::sample::select(vec!["", " ", "\n", "\t\r ", "                 "]),
        has_foreign in any::<bool>(),
    ) {
        let all = frames();
        let (product, frame) = all[which.index(all.len())];
        let mut numbers = numbers.into_iter().cycle();
        let mut tree = Tree::parse(frame);
        tree.objects(&mut |members| {
            if has_foreign {
                members.extend([foreign(numbers.next().unwrap()), foreign(numbers.next().unwrap())]);
            }
            shuffle(members, &mut numbers);
        });
        let formed = tree.render(space);
        prop_assert_eq!(told(&formed, &decode(product, &formed)), told(frame, &decode(product, frame)), "{}", formed);
    }

    #[test]
    fn row_b28_levels_of_binance_keep_every_digit(bids in rows(), asks in rows(), is_wrapped in any::<bool>()) {
        let quoted = |px: &str, qty: &str| format!("[\"{px}\",\"{qty}\"]");
        let mut frame = format!(
            "{{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"X\",\"U\":1,\"u\":2,\"b\":[{}],\"a\":[{}]}}",
            render(&bids, quoted),
            render(&asks, quoted)
        );
        if is_wrapped {
            frame = format!("{{\"stream\":\"x@depth\",\"data\":{frame}}}");
        }
        let out = decode(Product::BinanceSpot, &frame);
        prop_assert_eq!(levels(&out, BookSide::Bid), values(&bids));
        prop_assert_eq!(levels(&out, BookSide::Ask), values(&asks));
    }

    #[test]
    fn row_b28_levels_of_kraken_keep_every_digit(bids in rows(), asks in rows(), checksum in any::<u32>()) {
        let bare = |px: &str, qty: &str| format!("{{\"price\":{px},\"qty\":{qty}}}");
        let frame = format!(
            "{{\"channel\":\"book\",\"type\":\"update\",\"data\":[{{\"symbol\":\"A/B\",\"bids\":[{}],\"asks\":[{}],\
             \"checksum\":{checksum}}}]}}",
            render(&bids, bare),
            render(&asks, bare)
        );
        let out = decode(Product::Kraken, &frame);
        prop_assert_eq!(levels(&out, BookSide::Bid), values(&bids));
        prop_assert_eq!(levels(&out, BookSide::Ask), values(&asks));
        let [Event::Book(book)] = &out.events[..] else { panic!("one book") };
        prop_assert_eq!(book.checksum, Some(checksum));
    }
}

#[test]
fn row_b28_number_at_the_end_of_the_text_is_read_like_any_other() {
    // The scanner reads eight bytes at a time: the last digits of a text have fewer behind them.
    for body in [
        r#"{"lastUpdateId":7,"bids":[],"asks":[[1.25,2]]}"#,
        r#"{"asks":[],"bids":[["1","2"]],"lastUpdateId":7}"#,
    ] {
        let mut out = Decoded::default();
        Product::BinanceSpot.decode_snapshot(body.as_bytes(), &mut out).unwrap();
        let [Event::Book(book)] = &out.events[..] else { panic!("one book") };
        assert_eq!((book.sequence.last, out.levels.len()), (Some(7), 1));
    }
}

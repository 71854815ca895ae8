//! Damaged and hostile frames: refused at once, told as what they were, never a panic (FAULTS B18, B19, CTL-S19).

use facade_venues::{DecodeErrorKind, Decoded, Product};
use proptest::prelude::*;

use crate::reading::{BINANCE_FRAMES, KRAKEN_FRAMES, decode, told};

const BINANCE: [Product; 3] = [Product::BinanceSpot, Product::BinanceUsdm, Product::BinanceCoinm];

/// All example frames, each with its product.
fn frames() -> impl Iterator<Item = (Product, &'static str)> {
    let binance = BINANCE.into_iter().flat_map(|product| BINANCE_FRAMES.map(|frame| (product, frame)));
    binance.chain(KRAKEN_FRAMES.map(|frame| (Product::Kraken, frame)))
}

fn refused(product: Product, frame: &[u8]) -> facade_venues::DecodeError {
    let mut out = Decoded::default();
    let error = product.decode(frame, &mut out).expect_err(&String::from_utf8_lossy(frame));
    assert_eq!(out, Decoded::default(), "nothing is told of a refused frame");
    error
}

/// A spot diff with `value` in place of the price.
fn diff_with(value: &str) -> String {
    BINANCE_FRAMES[0].replace("\"0.35130000\"", value)
}

#[test]
fn row_b18_every_truncation_is_refused() {
    for (product, frame) in frames() {
        for end in 0..frame.len() {
            refused(product, &frame.as_bytes()[..end]);
        }
    }
}

#[test]
fn row_b18_trailing_bytes_are_refused_and_white_space_is_not() {
    for (product, frame) in frames() {
        for tail in ["}", "]", ",", "{}", "x", "\0", "null"] {
            refused(product, format!("{frame}{tail}").as_bytes());
        }
        assert_eq!(
            decode(product, &format!("{frame}\r\n\t ")).events.len(),
            decode(product, frame).events.len()
        );
    }
}

#[test]
fn row_b18_odd_numbers_are_refused() {
    let digits = "1".repeat(4_301);
    let odd = [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "0x10",
        "1.",
        ".5",
        "+1",
        "1e",
        "01",
        "1 2",
        &digits,
    ];
    for number in odd {
        for text in [number.to_owned(), format!("\"{number}\"")] {
            if text == "\"01\"" {
                continue; // a quoted number with a leading zero is no trap: it has one meaning
            }
            let error = refused(Product::BinanceSpot, diff_with(&text).as_bytes());
            assert!(error.is_book, "{text}");
            refused(Product::Kraken, KRAKEN_FRAMES[2].replace("0.5657", &text).as_bytes());
        }
        let skipped = BINANCE_FRAMES[9].replace("3712345678", number);
        refused(Product::BinanceSpot, skipped.as_bytes());
    }
    for text in ["-1", "\"-0.5\"", "null", "true", "[]", "{}", "\"\""] {
        refused(Product::BinanceSpot, diff_with(text).as_bytes());
    }
}

#[test]
fn ctl_s19_numbers_of_40_signs_are_the_longest() {
    let with = |number: &str| BINANCE_FRAMES[9].replace("3712345678", number);
    decode(Product::BinanceSpot, &with(&"1".repeat(40)));
    let error = refused(Product::BinanceSpot, with(&"1".repeat(41)).as_bytes());
    assert_eq!(error.kind, DecodeErrorKind::TooLong);
}

#[test]
fn ctl_s19_32_levels_are_the_deepest() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for product in Product::ALL {
        let mut out = Decoded::default();
        let unheard = |depth: usize| format!("{{\"unheard\":{}}}", nested(depth));
        assert!(product.decode(unheard(31).as_bytes(), &mut out).is_ok(), "{product:?}");
        assert_eq!(refused(product, unheard(32).as_bytes()).kind, DecodeErrorKind::Depth);
        assert_eq!(refused(product, unheard(10_000).as_bytes()).kind, DecodeErrorKind::Depth);
        let objects = "{\"a\":".repeat(10_000);
        assert_eq!(refused(product, objects.as_bytes()).kind, DecodeErrorKind::Depth);
    }
    let inside = BINANCE_FRAMES[0].replace("\"e\":", &format!("\"x\":{},\"e\":", nested(30)));
    decode(Product::BinanceSpot, &inside);
    let inside = BINANCE_FRAMES[0].replace("\"e\":", &format!("\"x\":{},\"e\":", nested(31)));
    assert_eq!(refused(Product::BinanceSpot, inside.as_bytes()).kind, DecodeErrorKind::Depth);
}

#[test]
fn row_b18_string_of_10_megabytes_is_refused_after_its_first() {
    for sign in ["x", "\\n", "é"] {
        let long = format!("\"{}\"", sign.repeat(10 << 20));
        for product in Product::ALL {
            let error = refused(product, format!("{{\"e\":{long}}}").as_bytes());
            assert_eq!(error.kind, DecodeErrorKind::TooLong, "{product:?}");
            assert!(error.at < (1 << 20) + 64, "stopped at {}", error.at);
        }
    }
    let short = format!("{{\"e\":\"{}\"}}", "x".repeat(1 << 20));
    decode(Product::BinanceSpot, &short);
}

#[test]
fn row_b18_bytes_that_are_no_utf8_are_refused() {
    for (product, frame) in frames() {
        for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc3"] {
            let mut damaged = frame.as_bytes().to_vec();
            let at = frame.find(":\"").unwrap_or(2) + 2;
            damaged.splice(at..at, bytes.iter().copied());
            assert_eq!(refused(product, &damaged).kind, DecodeErrorKind::Utf8);
        }
    }
    let frame = BINANCE_FRAMES[0].replace("NKNUSDT", "币安USDT");
    let out = decode(Product::BinanceSpot, &frame);
    assert!(told(&frame, &out)[0].starts_with("book 币安USDT"), "UTF-8 symbols exist");
}

#[test]
fn row_b18_control_signs_and_bad_escapes_in_strings_are_refused() {
    for text in ["\u{1}", "\n", "\\x", "\\u12g4", "\\u12", "\\"] {
        refused(Product::BinanceSpot, BINANCE_FRAMES[9].replace("BTCUSDT", text).as_bytes());
    }
    for text in ["\\n", "\\u00e9", "\\\"", "\\\\", "\\/"] {
        decode(Product::BinanceSpot, &BINANCE_FRAMES[9].replace("BTCUSDT", text));
    }
}

#[test]
fn row_b18_members_that_we_read_may_not_stand_twice() {
    for (product, frame, member) in [
        (Product::BinanceSpot, BINANCE_FRAMES[0], "\"stream\":\"x\","),
        (Product::BinanceSpot, BINANCE_FRAMES[1], "\"s\":\"NKNUSDT\","),
        (Product::BinanceSpot, BINANCE_FRAMES[1], "\"u\":499869754,"),
        (Product::BinanceSpot, BINANCE_FRAMES[1], "\"b\":[],"),
        (Product::BinanceSpot, BINANCE_FRAMES[4], "\"p\":\"1\","),
        (Product::Kraken, KRAKEN_FRAMES[2], "\"channel\":\"book\","),
        (Product::Kraken, KRAKEN_FRAMES[2], "\"type\":\"update\","),
        (Product::Kraken, KRAKEN_FRAMES[2], "\"data\":[],"),
    ] {
        let doubled = frame.replacen('{', &format!("{{{member}"), 1);
        assert_eq!(refused(product, doubled.as_bytes()).kind, DecodeErrorKind::DuplicateKey, "{doubled}");
    }
    let doubled = KRAKEN_FRAMES[2].replace("\"price\":0.5657", "\"price\":0.5657,\"price\":0.5657");
    assert_eq!(refused(Product::Kraken, doubled.as_bytes()).kind, DecodeErrorKind::DuplicateKey);
}

#[test]
fn row_b18_broken_structure_is_refused() {
    for frame in [
        "",
        " ",
        "{",
        "}",
        "[",
        "{]",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "[1 2]",
        "tru",
        "nul",
        "truex",
        "{\"a\":1 \"b\":2}",
        "[,1]",
        "\"",
        "-",
        "{\"e\":1}x",
    ] {
        for product in BINANCE.into_iter().chain([Product::Kraken]) {
            refused(product, frame.as_bytes());
        }
    }
}

#[test]
fn row_b19_broken_book_message_names_its_symbol() {
    for (product, frame, symbol) in [
        (Product::BinanceSpot, BINANCE_FRAMES[0], "NKNUSDT"),
        (Product::BinanceUsdm, BINANCE_FRAMES[2], "BTCUSDT"),
        (Product::BinanceCoinm, BINANCE_FRAMES[3], "BTCUSD_PERP"),
        (Product::Kraken, KRAKEN_FRAMES[1], "MATIC/USD"),
        (Product::Kraken, KRAKEN_FRAMES[2], "MATIC/USD"),
    ] {
        for frame in [frame.to_owned(), frame.replace(':', " : ").replace(',', " ,")] {
            let cut = &frame.as_bytes()[..frame.len() - 9];
            let error = refused(product, cut);
            assert!(error.is_book);
            assert_eq!(error.book_symbol.of(cut), symbol.as_bytes());
        }
    }
    for (product, frame) in [(Product::BinanceSpot, BINANCE_FRAMES[4]), (Product::Kraken, KRAKEN_FRAMES[9])] {
        let error = refused(product, &frame.as_bytes()[..frame.len() - 9]);
        assert!(!error.is_book, "a trade and an acknowledgement are no books");
    }
    let nameless = &BINANCE_FRAMES[1].as_bytes()[..40];
    let error = refused(Product::BinanceSpot, nameless);
    assert!(error.is_book && error.book_symbol.is_empty());
}

#[test]
fn message_without_what_it_needs_is_refused() {
    for (product, frame, member) in [
        (Product::BinanceSpot, BINANCE_FRAMES[1], "\"U\":499869753,"),
        (Product::BinanceSpot, BINANCE_FRAMES[1], "\"s\":\"NKNUSDT\","),
        (Product::BinanceSpot, BINANCE_FRAMES[1], "\"b\":[],"),
        (Product::BinanceSpot, BINANCE_FRAMES[4], "\"m\":true,"),
        (Product::BinanceSpot, BINANCE_FRAMES[6], "\"s\":\"BTCUSDT\","),
        (Product::Kraken, KRAKEN_FRAMES[2], "\"checksum\":2114181697,"),
        (Product::Kraken, KRAKEN_FRAMES[2], "\"asks\":[],"),
        (Product::Kraken, KRAKEN_FRAMES[2], "\"type\":\"update\","),
        (Product::Kraken, KRAKEN_FRAMES[3], "\"trade_id\":10218209,"),
    ] {
        let error = refused(product, frame.replace(member, "").as_bytes());
        assert!(matches!(error.kind, DecodeErrorKind::Missing(_)), "{error}");
    }
}

proptest! {
    #[test]
    fn row_b18_random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for product in Product::ALL {
            let mut out = Decoded::default();
            let _ = product.decode(&bytes, &mut out);
            let _ = product.decode_snapshot(&bytes, &mut out);
            let _ = product.decode_instruments(&bytes);
        }
    }

    #[test]
    fn row_b18_random_tokens_never_panic(
        tokens in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"e\"", "\"data\"", "\"channel\"", "\"book\"", "\"depthUpdate\"",
            "\"b\"", "\"a\"", "\"u\"", "\"method\"", "0", "-1", "1.5", "1e9", "true", "null", " ", "\\", "\"s\"",
        ]), 0..40),
    ) {
        let frame = tokens.concat();
        for product in Product::ALL {
            let _ = product.decode(frame.as_bytes(), &mut Decoded::default());
        }
    }

    #[test]
    fn row_b18_frames_with_one_damaged_byte_never_panic(
        index in any::<proptest::sample::Index>(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let all: Vec<_> = frames().collect();
        let (_, frame) = all[index.index(all.len())];
        let mut damaged = frame.as_bytes().to_vec();
        let at = at.index(damaged.len());
        damaged[at] = byte;
        for product in Product::ALL {
            let mut out = Decoded::default();
            let _ = product.decode(&damaged, &mut out);
        }
    }
}

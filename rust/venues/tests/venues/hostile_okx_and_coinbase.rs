//! OKX and Coinbase under hostile bytes: refused in time, never a panic, never half a message (FAULTS B18, S19).

use facade_venues::{DecodeErrorKind, Decoded, Product};
use proptest::prelude::*;

use crate::witness::FRAMES;

const PRODUCTS: [Product; 3] = [Product::Okx, Product::CoinbaseAdvanced, Product::CoinbaseExchange];

fn error_of(product: Product, frame: &[u8]) -> Option<DecodeErrorKind> {
    let mut out = Decoded::default();
    let error = product.decode(frame, &mut out).err();
    assert!(error.is_none() || out == Decoded::default(), "a refused frame leaves something");
    error.map(|error| error.kind)
}

#[test]
fn row_b18_a_frame_cut_anywhere_is_refused() {
    for (product, frame) in FRAMES {
        assert_eq!(error_of(product, frame.as_bytes()), None, "{frame}");
        for end in 0..frame.len() {
            assert!(error_of(product, &frame.as_bytes()[..end]).is_some(), "{}", &frame[..end]);
        }
        let longer = format!("{frame}{{}}");
        assert_eq!(error_of(product, longer.as_bytes()), Some(DecodeErrorKind::Syntax));
    }
}

#[test]
fn row_b18_members_may_not_stand_twice() {
    for (product, frame) in FRAMES {
        let (first, _) = frame.split_once(',').unwrap();
        let doubled = format!("{first},{}", frame.strip_prefix('{').unwrap());
        let is_whole = serde_json::from_str::<serde_json::Value>(&doubled).is_ok();
        assert!(
            !is_whole || error_of(product, doubled.as_bytes()) == Some(DecodeErrorKind::DuplicateKey),
            "{doubled}"
        );
    }
}

#[test]
fn row_b18_numbers_and_depths_out_of_all_reason_are_refused() {
    for (product, frame) in FRAMES {
        for bad in ["NaN", "1e999", "Infinity", "0x1", &"9".repeat(4_301), &"[".repeat(10_000)] {
            let broken = frame.replacen('{', &format!(r#"{{"unknown":{bad},"#), 1);
            assert!(error_of(product, broken.as_bytes()).is_some(), "{broken:.120}");
        }
    }
    for bad in ["NaN", "1e999", "", "-1", "1.2.3", &"9".repeat(4_301)] {
        let frame = FRAMES[0].1.replacen("8476.97", bad, 1);
        assert!(error_of(Product::Okx, frame.as_bytes()).is_some(), "{bad:.20}");
        let frame = FRAMES[4].1.replacen("68900", bad, 1);
        assert!(error_of(Product::CoinbaseAdvanced, frame.as_bytes()).is_some(), "{bad:.20}");
        let frame = FRAMES[8].1.replacen("660.5", bad, 1);
        assert!(error_of(Product::CoinbaseExchange, frame.as_bytes()).is_some(), "{bad:.20}");
    }
}

#[test]
fn row_b18_long_strings_and_bytes_that_are_no_text_are_refused() {
    for product in PRODUCTS {
        let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(10 << 20));
        assert_eq!(error_of(product, long.as_bytes()), Some(DecodeErrorKind::TooLong));
        assert_eq!(error_of(product, b"{\"type\":\"\xff\"}"), Some(DecodeErrorKind::Utf8));
    }
}

proptest! {
    #[test]
    fn row_b18_random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for product in PRODUCTS {
            let mut out = Decoded::default();
            let _ = product.decode(&bytes, &mut out);
            let _ = product.decode_snapshot(&bytes, &mut out);
            let _ = product.decode_instruments(&bytes);
        }
    }

    #[test]
    fn row_b18_a_damaged_frame_never_panics_and_never_leaves_half_a_message(
        which in 0..FRAMES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let (product, frame) = FRAMES[which];
        let mut bytes = frame.as_bytes().to_vec();
        for (at, byte, kind) in damage {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        error_of(product, &bytes);
        let _ = product.decode_snapshot(&bytes, &mut Decoded::default());
        let _ = product.decode_instruments(&bytes);
    }

    /// Whatever the order of the members, the meaning is the same.
    #[test]
    fn the_order_of_members_means_nothing(which in 0..FRAMES.len(), seed in any::<u64>()) {
        let (product, frame) = FRAMES[which];
        let value: serde_json::Value = serde_json::from_str(frame).unwrap();
        let shuffled = shuffled(&value, &mut seed.max(1));
        let (mut as_sent, mut as_shuffled) = (Decoded::default(), Decoded::default());
        product.decode(frame.as_bytes(), &mut as_sent).unwrap();
        prop_assert_eq!(product.decode(shuffled.as_bytes(), &mut as_shuffled), Ok(()));
        let by_side = |out: &Decoded| {
            let mut levels = out.levels.clone();
            levels.sort_by_key(|level| level.side == facade_model::BookSide::Ask);
            levels
        };
        prop_assert_eq!(by_side(&as_sent), by_side(&as_shuffled));
        prop_assert_eq!(&as_sent.trades, &as_shuffled.trades);
        prop_assert_eq!(as_sent.events.len(), as_shuffled.events.len());
    }
}

/// Writes a value with the members of every object in an order drawn from `state` (xorshift).
fn shuffled(value: &serde_json::Value, state: &mut u64) -> String {
    match value {
        serde_json::Value::Object(members) => {
            let mut texts: Vec<String> = members
                .iter()
                .map(|(name, member)| {
                    format!("{}:{}", serde_json::Value::from(name.as_str()), shuffled(member, state))
                })
                .collect();
            for at in (1..texts.len()).rev() {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                texts.swap(at, usize::try_from(*state % (at as u64 + 1)).unwrap());
            }
            format!("{{{}}}", texts.join(","))
        }
        serde_json::Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(|item| shuffled(item, state)).collect();
            format!("[{}]", texts.join(","))
        }
        scalar => scalar.to_string(),
    }
}

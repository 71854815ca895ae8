//! OKX and Coinbase under hostile bytes: refused in time, never a panic, never half a message (FAULTS B18, S19).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use facade_venues::{DecodeErrorKind, Decoded, Product};
use proptest::prelude::*;

const PRODUCTS: [Product; 3] = [Product::Okx, Product::CoinbaseAdvanced, Product::CoinbaseExchange];

/// Frames with all members that the decoders read.
const FRAMES: [(Product, &str); 12] = [
    (
        Product::Okx,
        r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["8477","0","0","0"]],"bids":[["8476.97","0.300","0","13"]],"ts":"1784620800185","checksum":-855196043,"prevSeqId":-1,"seqId":123460}]}"#,
    ),
    (
        Product::Okx,
        r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"7","px":"1.5","sz":"2","side":"sell","ts":"1747087163557"}]}"#,
    ),
    (
        Product::Okx,
        r#"{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","last":"1","lastSz":"","askPx":"2","askSz":"3","bidPx":"1","bidSz":"2","open24h":"1","high24h":"1","low24h":"1","volCcy24h":"1","vol24h":"1","ts":"1747087163557"}]}"#,
    ),
    (
        Product::Okx,
        r#"{"id":"1512","event":"error","code":"60018","msg":"Wrong URL or channel:books,instId:FOO-BAR doesn't exist."}"#,
    ),
    (
        Product::CoinbaseAdvanced,
        r#"{"channel":"l2_data","timestamp":"2026-04-07T14:30:01.456789Z","sequence_num":1,"events":[{"type":"update","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"2026-04-07T14:30:01.450000Z","price_level":"68900","new_quantity":"2"}]}]}"#,
    ),
    (
        Product::CoinbaseAdvanced,
        r#"{"channel":"market_trades","timestamp":"2026-04-07T14:30:02Z","sequence_num":5,"events":[{"type":"update","trades":[{"trade_id":"9","product_id":"A-B","price":"1","size":"0.05","side":"SELL","time":"2026-04-07T14:30:02Z"},{"trade_id":"8","product_id":"C-D","price":"1","size":"0.05","side":"BUY","time":"2026-04-07T14:30:02Z"}]}]}"#,
    ),
    (
        Product::CoinbaseAdvanced,
        r#"{"channel":"ticker","timestamp":"2026-04-07T14:30:03Z","sequence_num":12,"events":[{"type":"snapshot","tickers":[{"type":"ticker","product_id":"A-B","price":"1","volume_24_h":"","best_bid":"1","best_bid_quantity":"1.5","best_ask":"2","best_ask_quantity":"0.5"}]}]}"#,
    ),
    (
        Product::CoinbaseAdvanced,
        r#"{"channel":"subscriptions","timestamp":"2026-08-27T10:00:00Z","sequence_num":0,"events":[{"subscriptions":{"level2":["BTC-USD","ETH-USD"]}}]}"#,
    ),
    (
        Product::CoinbaseExchange,
        r#"{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"]],"time":"2021-04-17T16:43:37.075687Z"}"#,
    ),
    (
        Product::CoinbaseExchange,
        r#"{"type":"snapshot","product_id":"BAND-GBP","asks":[["14.8024","12.77"]],"bids":[["14.7550","10.10"]]}"#,
    ),
    (
        Product::CoinbaseExchange,
        r#"{"type":"match","trade_id":7,"side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","time":"2021-04-17T16:43:37.089723Z"}"#,
    ),
    (
        Product::CoinbaseExchange,
        r#"{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["BTC-USD"]}]}"#,
    ),
];

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

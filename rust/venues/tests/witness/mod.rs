//! Independent witnesses: books kept in plain maps, sums in plain integers.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use facade_model::{BookSide, Channel, Decimal, Level, LevelChange};
use facade_venues::{Control, Decoded, Event, Product};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Decimals of the integers that keep exact sums and order prices.
const PLACES: i8 = -18;

/// Returns the received frames and the REST bodies of a zstd file in cf-jsonl.
pub fn cf_jsonl(path: &Path) -> (Vec<String>, Vec<String>) {
    let (mut frames, mut bodies, mut text) = (Vec::new(), Vec::new(), String::new());
    zstd::stream::read::Decoder::new(File::open(path).unwrap()).unwrap().read_to_string(&mut text).unwrap();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        match record["t"].as_str().unwrap() {
            "recv" => frames.push(record["data"].as_str().unwrap().to_owned()),
            "http" => bodies.push(record["data"].as_str().unwrap().to_owned()),
            _ => {}
        }
    }
    (frames, bodies)
}

/// Frames with all members that the decoders read.
pub const FRAMES: [(Product, &str); 12] = [
    (
        Product::Okx,
        r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["8477","0","0","0"],["8478.5","1.25","0","123456"],["8479","1","0","12345"]],"bids":[["8476.97","0.300","0","13"]],"ts":"1784620800185","checksum":-855196043,"prevSeqId":-1,"seqId":123460}]}"#,
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
        r#"{"channel":"l2_data","timestamp":"2026-04-07T14:30:01.456789Z","sequence_num":1,"events":[{"type":"update","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"2026-04-07T14:30:01.450000Z","price_level":"68900","new_quantity":"2"},{"side":"offer","event_time":"2026-04-07T14:30:01.450000Z","price_level":"68901.5","new_quantity":"0.00012000"}]}]}"#,
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
        r#"{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"],["buy","0.00001305","0.00000000"]],"time":"2021-04-17T16:43:37.075687Z"}"#,
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

/// Reads one frame that must be readable.
pub fn decode(product: Product, frame: &[u8]) -> Decoded {
    let mut out = Decoded::default();
    let result = product.decode(frame, &mut out);
    assert_eq!(result, Ok(()), "{:.300}", String::from_utf8_lossy(frame));
    out
}

/// Returns a number from its text.
pub fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

/// Returns a level from the texts of its numbers.
pub fn level(px: &str, qty: &str) -> Level {
    Level { px: number(px), qty: number(qty) }
}

/// Returns a change of a level from the texts of its numbers.
pub fn change(side: BookSide, px: &str, qty: &str) -> LevelChange {
    LevelChange { side, px: number(px), qty: number(qty) }
}

/// Returns channel and symbol of subscriptions that the venue confirms unasked; all events must be such.
pub fn acknowledged<'a>(events: &[Event], frame: &'a str) -> Vec<(Channel, &'a [u8])> {
    let told = events.iter().map(|event| match event {
        Event::Acked(Control {
            request_id: None,
            channel: Some(channel),
            symbol,
            is_subscribe: true,
            ..
        }) => (*channel, symbol.of(frame.as_bytes())),
        other => unreachable!("{other:?}"),
    });
    told.collect()
}

/// Returns a number from a JSON string.
pub fn text_number(value: &Value) -> Decimal {
    number(value.as_str().unwrap())
}

/// Returns the number as an integer of 18 decimals.
pub fn scaled(value: Decimal) -> i128 {
    let shift = u32::try_from(value.exponent - PLACES).unwrap();
    i128::from(value.mantissa) * 10_i128.pow(shift)
}

/// Returns an integer of 18 decimals as plain text.
pub fn plain(scaled: i128) -> String {
    let unit = 10_i128.pow(18);
    let text = format!("{}.{:018}", scaled / unit, scaled % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A book in two plain maps.
#[derive(Debug, Default)]
pub struct NaiveBook {
    bids: BTreeMap<i128, Level>,
    asks: BTreeMap<i128, Level>,
    pub unknown_deletes: u32,
}

impl NaiveBook {
    pub fn apply(&mut self, is_snapshot: bool, changes: &[LevelChange]) {
        if is_snapshot {
            *self = Self::default();
        }
        for change in changes {
            let side = if change.side == BookSide::Bid { &mut self.bids } else { &mut self.asks };
            let key = scaled(change.px);
            if !change.qty.is_zero() {
                side.insert(key, Level { px: change.px, qty: change.qty });
            } else if side.remove(&key).is_none() {
                self.unknown_deletes += 1;
            }
        }
    }

    pub fn bids(&self) -> impl Iterator<Item = Level> + '_ {
        self.bids.values().rev().copied()
    }

    pub fn asks(&self) -> impl Iterator<Item = Level> + '_ {
        self.asks.values().copied()
    }

    pub fn is_crossed(&self) -> bool {
        matches!((self.bids.keys().next_back(), self.asks.keys().next()), (Some(bid), Some(ask)) if bid >= ask)
    }

    /// Compares counts and digest with a book of `expected.json`.
    pub fn assert_equals(&self, expected: &Value, name: &str) {
        assert_eq!(self.bids.len() as u64, expected["levels_bid"].as_u64().unwrap(), "{name}");
        assert_eq!(self.asks.len() as u64, expected["levels_ask"].as_u64().unwrap(), "{name}");
        let rows = self.bids().map(|level| ('b', level)).chain(self.asks().map(|level| ('a', level)));
        let rows: Vec<String> =
            rows.map(|(side, level)| format!("{side},{},{}", level.px, level.qty)).collect();
        let digest = Sha256::digest(rows.join("\n")).iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        assert_eq!(digest, expected["sha256"].as_str().unwrap(), "{name}");
    }
}

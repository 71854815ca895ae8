//! Recorded book sessions: a start, changes in order, and the digest that the end must have.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null where nothing is, it never panics"
)]

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use facade_model::{BookSide, Decimal, LevelChange};
use flate2::read::GzDecoder;
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One instrument's book over a recording.
#[derive(Debug, Clone)]
pub struct Session {
    /// What was recorded.
    pub name: &'static str,
    /// Usual exponent of its prices.
    pub price_exponent: i8,
    /// Levels of the snapshot.
    pub start: Vec<LevelChange>,
    /// Changes of each later message.
    pub messages: Vec<Vec<LevelChange>>,
    /// Hex SHA-256 of the canonical text at the end.
    pub digest: String,
}

impl Session {
    /// Returns the number of level changes.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.messages.iter().map(Vec::len).sum()
    }
}

/// Reads BTCUSDT of Binance spot, 2024-08-08 and 09: 6,493 messages behind the bridge.
///
/// # Errors
/// A file that is absent or not as the recordings' MANIFEST describes it.
pub fn binance_spot(recordings: &Path) -> Outcome<Session> {
    let mut text = String::new();
    for day in ["20240808", "20240809"] {
        let file = File::open(recordings.join(format!("binance/spot/btcusdt_{day}.gz")))?;
        GzDecoder::new(file).read_to_string(&mut text)?;
    }
    let frames = text.lines().filter_map(|line| line.split_once(' '));
    let mut start = Vec::new();
    let mut messages = Vec::new();
    let mut last = 0;
    for (_, frame) in frames
        .clone()
        .filter(|(_, frame)| frame.starts_with("{\"lastUpdateId\""))
    {
        let body: Value = serde_json::from_str(frame)?;
        last = body["lastUpdateId"].as_u64().unwrap_or_default();
        start = pairs(&body["bids"], BookSide::Bid)?;
        start.extend(pairs(&body["asks"], BookSide::Ask)?);
    }
    for (_, frame) in frames.filter(|(_, frame)| frame.contains("\"depthUpdate\"")) {
        let body: Value = serde_json::from_str(frame)?;
        let data = &body["data"];
        if data["u"].as_u64() > Some(last) {
            let mut changes = pairs(&data["b"], BookSide::Bid)?;
            changes.extend(pairs(&data["a"], BookSide::Ask)?);
            messages.push(changes);
        }
    }
    let expected = expected(recordings, "binance")?;
    let digest = text_of(&expected["binance_spot_btcusdt"]["final"]["sha256"]);
    Ok(Session {
        name: "binance spot BTCUSDT",
        price_exponent: -2,
        start,
        messages,
        digest,
    })
}

/// Reads BTC-USD of Coinbase Advanced, 2026-08-09: a snapshot of 46,000 levels and 185 messages.
///
/// # Errors
/// A file that is absent or not as the recordings' MANIFEST describes it.
pub fn coinbase_btc(recordings: &Path) -> Outcome<Session> {
    let packed =
        fs::read(recordings.join("coinbase/advanced/btcusd_ethusd_20260809_first500.jsonl.zst"))?;
    let text = String::from_utf8(zstd::decode_all(packed.as_slice())?)?;
    let mut start = Vec::new();
    let mut messages = Vec::new();
    for line in text.lines().filter(|line| line.contains("l2_data")) {
        let record: Value = serde_json::from_str(line)?;
        let frame: Value = serde_json::from_str(record["data"].as_str().unwrap_or("null"))?;
        for event in frame["events"].as_array().into_iter().flatten() {
            if event["product_id"] != "BTC-USD" {
                continue;
            }
            let changes = coinbase_updates(&event["updates"])?;
            if event["type"] == "snapshot" {
                start = changes;
            } else {
                messages.push(changes);
            }
        }
    }
    let expected = expected(recordings, "coinbase")?;
    let digest = text_of(&expected["coinbase_advanced_first500"]["final"]["BTC-USD"]["sha256"]);
    Ok(Session {
        name: "coinbase advanced BTC-USD",
        price_exponent: -2,
        start,
        messages,
        digest,
    })
}

fn expected(recordings: &Path, venue: &str) -> Outcome<Value> {
    let path: PathBuf = recordings.join(venue).join("expected.json");
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> Outcome<Decimal> {
    Ok(Decimal::parse(
        value.as_str().unwrap_or_default().as_bytes(),
    )?)
}

fn pairs(levels: &Value, side: BookSide) -> Outcome<Vec<LevelChange>> {
    let level = |level: &Value| {
        Ok(LevelChange {
            side,
            px: number(&level[0])?,
            qty: number(&level[1])?,
        })
    };
    levels.as_array().into_iter().flatten().map(level).collect()
}

fn coinbase_updates(updates: &Value) -> Outcome<Vec<LevelChange>> {
    let update = |update: &Value| {
        let side = if update["side"] == "bid" {
            BookSide::Bid
        } else {
            BookSide::Ask
        };
        Ok(LevelChange {
            side,
            px: number(&update["price_level"])?,
            qty: number(&update["new_quantity"])?,
        })
    };
    updates
        .as_array()
        .into_iter()
        .flatten()
        .map(update)
        .collect()
}

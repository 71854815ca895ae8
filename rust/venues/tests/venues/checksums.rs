//! The checksum vectors that others recorded from live venues.

use facade_model::{Decimal, Level};
use facade_venues::{kraken_checksum, okx_checksum};
use serde_json::Value;

use crate::recording;

fn vectors() -> Option<Value> {
    let text = std::fs::read(recording::folder()?.join("checksums/checksum_vectors.json")).unwrap();
    Some(serde_json::from_slice(&text).unwrap())
}

/// Reads one side, in the order of the file: best first.
fn side(rows: &Value) -> Vec<Level> {
    let number = |value: &Value| Decimal::parse(value.as_str().unwrap().as_bytes()).unwrap();
    rows.as_array().unwrap().iter().map(|row| Level { px: number(&row[0]), qty: number(&row[1]) }).collect()
}

/// Counts the decimals of a text as the venue padded it.
fn decimals(text: &Value) -> u8 {
    let fraction = text.as_str().unwrap().split_once('.').map_or("", |(_, fraction)| fraction);
    u8::try_from(fraction.len()).unwrap()
}

#[test]
fn row_b08_every_recorded_kraken_vector_matches() {
    let Some(vectors) = vectors() else { return };
    let cases = vectors["kraken"].as_array().unwrap();
    assert_eq!(cases.len(), 11);
    for case in cases {
        let (asks, bids) = (side(&case["asks"]), side(&case["bids"]));
        let (px, qty) = (decimals(&case["asks"][0][0]), decimals(&case["asks"][0][1]));
        let checksum = kraken_checksum(asks.into_iter(), bids.into_iter(), px, qty);
        assert_eq!(case["crc32"], checksum, "{}", case["name"]);
    }
}

#[test]
fn every_recorded_okx_vector_matches() {
    let Some(vectors) = vectors() else { return };
    let cases = vectors["okx"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let checksum = okx_checksum(side(&case["bids"]).into_iter(), side(&case["asks"]).into_iter());
        assert_eq!(case["crc32_signed"], checksum.cast_signed(), "{}", case["name"]);
        assert_eq!(case["crc32_unsigned"], checksum, "{}", case["name"]);
    }
}

//! Lines as the store writes them, made by hand.

use sha2::{Digest, Sha256};

pub const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub fn id(number: u64) -> String {
    hex(Sha256::digest(number.to_string()))
}

/// Returns a line with its end, and its hash.
pub fn line(seq: u64, prev: &str, told: &str) -> (String, String) {
    let body = format!(r#"{{"seq":{seq},{told},"prev":"{prev}""#);
    let hash = hex(Sha256::digest(&body));
    (format!("{body},\"hash\":\"{hash}\"}}\n"), hash)
}

/// Returns lines that follow each other from the first number on.
pub fn chained(first: u64, prev: &str, told: &[String]) -> (Vec<String>, String) {
    let mut prev = prev.to_owned();
    let mut lines = Vec::new();
    for (told, seq) in told.iter().zip(first..) {
        let (line, hash) = line(seq, &prev, told);
        lines.push(line);
        prev = hash;
    }
    (lines, prev)
}

pub fn put(number: u64, entity: &str, ts: i64) -> String {
    let id = id(number);
    format!(
        r#""op":"put","id":"{id}","ts":{ts},"mono":-5,"entity":"{entity}","kind":"K","size":{number},"rows":3,"json":[1,"ab"],"meta":[2,"cd"]"#
    )
}

pub fn dropped(number: u64) -> String {
    format!(r#""op":"drop","id":"{}","ts":1,"why":"old""#, id(number))
}

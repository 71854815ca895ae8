//! Frames of ../shared/recordings, as they were received. See `recordings/MANIFEST.md` for the formats.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;

/// Returns the recordings' folder, or `None` where there is none: said past the capture of test output.
///
/// A relative `DATAFACADE_RECORDINGS` starts at the project's root.
pub fn folder() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named =
        std::env::var_os("DATAFACADE_RECORDINGS").map_or("../shared/recordings".into(), PathBuf::from);
    let folder = root.join(named);
    if folder.is_dir() {
        return Some(folder);
    }
    let text = format!("SKIPPED: no recordings at {}; set DATAFACADE_RECORDINGS\n", folder.display());
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    None
}

/// Reads a whole gzip file.
pub fn unpacked(path: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::open(folder()?.join(path)).unwrap();
    MultiGzDecoder::new(file).read_to_end(&mut text).unwrap();
    Some(text)
}

/// Reads the verified facts of one venue.
pub fn expected(venue: &str) -> serde_json::Value {
    let text = std::fs::read(folder().unwrap().join(venue).join("expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Returns what stands behind the first `separator` of every line; lines of the client (`wss://`) are left out.
pub fn lines(text: &[u8], separator: &[u8]) -> Vec<Vec<u8>> {
    let rows = text.split(|byte| *byte == b'\n').filter(|row| !row.is_empty() && !row.starts_with(b"wss://"));
    rows.map(|row| {
        let at = row.windows(separator.len()).position(|window| window == separator).unwrap();
        row[at + separator.len()..].to_vec()
    })
    .collect()
}

/// Returns the bodies of recorded REST answers: `<url> -> <time>: <body>`.
pub fn bodies(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let rows = text.split(|byte| *byte == b'\n').filter(|row| row.starts_with(b"https://"));
    rows.map(|row| {
        let at = row.windows(4).position(|window| window == b" -> ").unwrap();
        let body = row[at..].windows(2).position(|window| window == b": ").unwrap() + at + 2;
        (String::from_utf8(row[..at].to_vec()).unwrap(), row[body..].to_vec())
    })
    .collect()
}

/// Returns the frames of a `cbcap` file.
pub fn cbcap(text: &[u8]) -> Vec<Vec<u8>> {
    let newline = |from: usize| from + text[from..].iter().position(|byte| *byte == b'\n').unwrap();
    let mut frames = Vec::new();
    let mut at = newline(0) + 1;
    while at < text.len() {
        let end = newline(at);
        let head = std::str::from_utf8(&text[at..end]).unwrap();
        let length: usize = head.split(' ').nth(1).unwrap().parse().unwrap();
        frames.push(text[end + 1..end + 1 + length].to_vec());
        at = end + 1 + length + 1;
    }
    frames
}

//! Coinbase Advanced Trade: frames judged by plain JSON and maps.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod documents;
#[path = "../recording/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod recording;
mod replay;
#[path = "../witness/mod.rs"]
mod witness;

use facade_venues::{Decoded, Event, Product};

fn decode(frame: &str) -> Decoded {
    witness::decode(Product::CoinbaseAdvanced, frame.as_bytes())
}

/// Returns the events behind the frame's number, which must come first.
fn numbered(decoded: &Decoded, sequence: u64) -> &[Event] {
    assert_eq!(decoded.events.first(), Some(&Event::ConnectionSequence(sequence)));
    &decoded.events[1..]
}

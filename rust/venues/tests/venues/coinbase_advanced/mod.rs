//! Coinbase Advanced Trade: frames judged by plain JSON and maps.

mod documents;
mod replay;

use facade_venues::{Decoded, Event, Product};

use crate::witness;

fn decode(frame: &str) -> Decoded {
    witness::decode(Product::CoinbaseAdvanced, frame.as_bytes())
}

/// Returns the events behind the frame's number, which must come first.
fn numbered(decoded: &Decoded, sequence: u64) -> &[Event] {
    assert_eq!(decoded.events.first(), Some(&Event::ConnectionSequence(sequence)));
    &decoded.events[1..]
}

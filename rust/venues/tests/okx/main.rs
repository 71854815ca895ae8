//! OKX: frames judged by plain JSON, maps and sums.

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

use facade_venues::{Decoded, Product};

fn decode(frame: &str) -> Decoded {
    witness::decode(Product::Okx, frame.as_bytes())
}

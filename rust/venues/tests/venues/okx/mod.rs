//! OKX: frames judged by plain JSON, maps and sums.

mod documents;
mod replay;

use facade_venues::{Decoded, Product};

use crate::witness;

fn decode(frame: &str) -> Decoded {
    witness::decode(Product::Okx, frame.as_bytes())
}

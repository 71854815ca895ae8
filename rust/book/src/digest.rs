//! The hash of a book's levels that a client can compute in any language (CONTRACT "Hash").

use facade_model::Level;
use sha2::{Digest, Sha256};

use crate::Book;

/// Room for one line; longer ones grow it.
const LINE_BYTES: usize = 96;

impl Book {
    /// Returns the SHA-256 of the best `levels` levels of each side as text; 0: of all.
    #[must_use]
    pub fn sha256(&self, levels: usize) -> [u8; 32] {
        let levels = if levels == 0 { usize::MAX } else { levels };
        let mut hasher = Sha256::new();
        let mut line = Vec::with_capacity(LINE_BYTES);
        let mut is_first = true;
        let bids = self.bids().take(levels).map(|level| (b'b', level));
        let asks = self.asks().take(levels).map(|level| (b'a', level));
        for (side, level) in bids.chain(asks) {
            line.clear();
            if !is_first {
                line.push(b'\n');
            }
            is_first = false;
            write_line(&mut line, side, level);
            hasher.update(&line);
        }
        hasher.finalize().into()
    }
}

/// Appends `b,PRICE,QTY` or `a,PRICE,QTY`.
fn write_line(line: &mut Vec<u8>, side: u8, level: Level) {
    line.extend_from_slice(&[side, b',']);
    level.px.write_plain(line);
    line.push(b',');
    level.qty.write_plain(line);
}

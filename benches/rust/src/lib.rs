//! What the benches share: recorded sessions as decoded changes, read by plain JSON, and a plain book.
//! Independent of `facade-venues` and `facade-book`, so that it can judge them.

mod ladder;
mod numbering;
mod session;

pub use ladder::{Ladder, Side};
pub use numbering::{FIRST_ID, IDS_PER_FRAME, frame_of, last_id};
pub use session::{Session, binance_spot, coinbase_btc};

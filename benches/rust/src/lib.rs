//! What the benches share: recorded sessions as decoded changes. Read by plain JSON, independent of `facade-venues`.

mod session;

pub use session::{Session, binance_spot, coinbase_btc};

//! What a store of snapshots knows of itself: records chained by hashes, and the index of what is live. Pure: no
//! clock, no I/O, no logging.
//!
//! Whoever can write into the store can forge a record with the right hash. So a line is read as strictly as it was
//! written: one spelling, each member once, and all that its operation must tell.

mod calendar;
mod chain;
mod hex;
mod index;
mod line;
mod scan;
mod shelf;
mod timeline;

pub use chain::{Chain, Damage, Segment};
pub use hex::{Key, key_of};
pub use index::{Found, Index, Interval};
pub use line::{Broken, Deed, Line, Put, lines};
pub use shelf::Shelf;

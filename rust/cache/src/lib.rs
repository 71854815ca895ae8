//! A cache of any value: the least recently used entry leaves first, and nothing outlives its time. It knows nothing
//! of markets, reads no clock but the one it is given, and starts no thread.
//!
//! [`Store`] is the plain machine: bounded by entries and by bytes, exact in its order, without allocation on a hit.
//! [`AnswerCache`] is one behind a lock that holds encoded answers, found by their key or by an exact request.

mod aliases;
mod answers;
mod class;
mod held;
mod order;
mod owners;
mod store;
mod terms;

pub use aliases::{ALIAS_REQUEST_BYTES_MAX, ALIASES_MAX};
pub use answers::AnswerCache;
pub use class::{CLASSES, Class, ClassId, ClassStats, UnknownClass};
pub use held::{Found, Held, NewAnswer, Refresh};
pub use owners::OwnerStats;
pub use store::{Handle, Lookup, Removed, Store};
pub use terms::{Bounds, Clock, Terms};

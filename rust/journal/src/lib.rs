//! The disk-backed ring of encoded updates: what a resume needs after a crash of the server.
//!
//! A thread of its own reads the log of the hub in small chunks and appends them to segments, one file after
//! another, within bounds of bytes and time. It writes and does not sync: what the kernel was given survives the
//! death of the process by any signal, not the loss of power (clients are told of a lost tail by a gap).
//!
//! What holds, always:
//! - A reader is given whole groups of records that follow its position without a hole, or nothing.
//! - What is damaged or torn is never given out; it is counted, and the ranges that are told shrink.
//! - A disk that fails stops the journal, which says so and tries again; the hub is not slowed.
//! - Opening costs one small read per segment; only a segment that a crash left open is read whole.

mod appender;
mod error;
mod format;
mod index;
mod journal;
mod segment;
mod shelf;
mod source;

pub use appender::JournalBounds;
pub use error::JournalError;
pub use journal::{Journal, Replay, WallClock};
pub use shelf::{JournalStats, Notices, Range};
pub use source::{HubLog, LogSource};

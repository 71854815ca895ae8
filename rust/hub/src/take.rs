//! Taking: what waits for one subscriber is joined, in the order of publication, up to a bound of bytes.

use std::task::Waker;

use crate::encoder::ResumePosition;
use crate::state::State;
use crate::subscriber::SubscriberId;

/// What a take gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenRecords {
    /// Bytes appended.
    pub bytes: usize,
    /// Records appended.
    pub records: u32,
    /// All that was published on the subscriber's topics before this wall time has been taken. It never goes back.
    pub watermark_wall_ns: i64,
    /// Monotonic time of publication of the oldest topic record in this take; `None` if it holds stream records only.
    pub published_mono_ns: Option<u64>,
    /// Whether more waits already.
    pub has_more: bool,
}

/// Why a stream ends. The subscriber is gone when this is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// It was owed too much or for too long. Delivery gaps were taken before.
    SlowReader {
        /// Where to resume, by topic.
        positions: Vec<ResumePosition>,
    },
    /// The hub drains. All that was published has been taken, and the draining record.
    Draining {
        /// Where to resume, by topic.
        positions: Vec<ResumePosition>,
    },
    /// It was closed, or never was.
    Closed,
}

/// Answer of a take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Entries were appended to the buffer.
    Some(TakenRecords),
    /// Nothing waits; the waker, if one was given, is signalled when something does.
    Empty {
        /// As in [`TakenRecords`].
        watermark_wall_ns: i64,
    },
    /// The stream is over.
    Ended(EndReason),
}

impl State {
    pub fn take(
        &mut self,
        id: SubscriberId,
        bytes_max: usize,
        out: &mut Vec<u8>,
        waker: Option<&Waker>,
    ) -> Taken {
        let _ = (id, bytes_max, out, waker);
        Taken::Ended(EndReason::Closed)
    }
}

//! What a feed wants done. It does no I/O itself: Python executes commands in order.

/// How urgent a fetch is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A book waits for it.
    Snapshot,
    /// Missed trades.
    Backfill,
    /// A question whether a silent stream is mute.
    Probe,
    /// Data while the socket is down.
    Fallback,
    /// Whether a book that nothing speaks against is right.
    Audit,
}

impl Priority {
    /// The name that Python knows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Backfill => "backfill",
            Self::Probe => "probe",
            Self::Fallback => "fallback",
            Self::Audit => "audit",
        }
    }
}

/// One thing to do for a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send this text frame.
    Send(String),
    /// Fetch this path of the venue's REST host and hand the answer to `on_response`.
    Fetch {
        /// Names the answer.
        request_id: u64,
        /// Path and query.
        path: String,
        /// What the venue charges for it.
        weight: u32,
        /// How urgent it is.
        priority: Priority,
    },
    /// Close the socket, then report `on_closed`.
    Close {
        /// WebSocket close code.
        code: u16,
        /// Why, in a few plain words.
        reason: &'static str,
    },
    /// Dial after this delay, then report `on_opened` or `on_dial_failed`.
    Connect {
        /// Nanoseconds from now.
        delay_ns: i64,
    },
}

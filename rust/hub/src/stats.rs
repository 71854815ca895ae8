//! Figures for health and metrics.

/// Figures of the whole hub. Counters count from its creation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubStats {
    /// Batches published.
    pub batches_published: u64,
    /// Records published.
    pub records_published: u64,
    /// Framed bytes published.
    pub bytes_published: u64,
    /// Batches refused.
    pub batches_refused: u64,
    /// Records given to subscribers.
    pub records_taken: u64,
    /// Framed bytes given to subscribers.
    pub bytes_taken: u64,
    /// Wakers signalled.
    pub wakes: u64,
    /// Topic records that slow subscribers were not given (each told in-band).
    pub records_lost: u64,
    /// Subscribers ended as slow readers.
    pub slow_readers: u64,
    /// Records in the ring now.
    pub ring_records: u64,
    /// Bytes that the ring holds now, bookkeeping included.
    pub ring_bytes: u64,
    /// Age of the oldest record in the ring, in nanoseconds of the monotonic clock.
    pub ring_age_ns: u64,
    /// Topics known.
    pub topics: u64,
    /// Subscribers now.
    pub subscribers: u64,
    /// Cursors now: subscribers times their topics.
    pub cursors: u64,
    /// Bytes owed to the subscriber that is owed most.
    pub owed_bytes_max: u64,
    /// Age of the oldest record that any subscriber still has to take, in nanoseconds.
    pub lag_ns_max: u64,
}

/// Figures of one subscriber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscriberStats {
    /// Topics attached.
    pub topics: u64,
    /// Bytes that wait to be taken.
    pub owed_bytes: u64,
    /// Age of the oldest record that waits, in nanoseconds.
    pub lag_ns: u64,
    /// Records taken.
    pub records_taken: u64,
    /// Framed bytes taken.
    pub bytes_taken: u64,
    /// Newest `stream_seq` that the client acknowledged; 0: none.
    pub stream_seq_acked: u64,
    /// Bytes on their way to a client that acknowledges; 0 for one that does not.
    pub unacknowledged_bytes: u64,
}

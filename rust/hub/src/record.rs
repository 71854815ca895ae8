//! What a publisher hands in: the encoded records of one venue frame and their places in the topics.

use crate::topic::TopicId;

/// A moment on both clocks. The hub never reads a clock: its time is the newest stamp it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Nanoseconds since 1970-01-01 UTC.
    pub wall_ns: i64,
    /// Nanoseconds of a monotonic clock.
    pub mono_ns: u64,
}

/// What a record is to those who follow its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A topic record: takes a `seq`.
    Data,
    /// A topic record that tells the state of the stream. Also those who wait for a cut get it, and the newest one is
    /// kept for joiners.
    State,
    /// A topic record that tells a hole of the venue. It goes where State goes, but is not kept for joiners.
    Gap,
    /// A topic record that replaces all before it: those who wait for a cut start here. Its parts share one `seq`.
    Snapshot,
    /// A position record (checkpoint, heartbeat): takes no `seq`, describes the head.
    Position,
    /// A snapshot of the head for all who wait, and for nobody else: takes no `seq`.
    Cut,
}

impl RecordKind {
    /// Whether records of this kind may stand in groups of more than one.
    pub(crate) fn is_groupable(self) -> bool {
        matches!(self, Self::Data | Self::Snapshot | Self::Cut)
    }
}

/// One record of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Topic of the record.
    pub topic: TopicId,
    /// Data, State, Gap, Snapshot: the head + 1 (later parts of a snapshot: the head). Position, Cut: the head, at least 1.
    pub seq: u64,
    /// Kind of the record.
    pub kind: RecordKind,
    /// Whether the next entry of this topic belongs to the same group; a group ends within its batch.
    pub more: bool,
    /// First byte of the bare `Update` in [`Batch::bytes`].
    pub start: u32,
    /// Byte behind the last one.
    pub end: u32,
}

/// The records of one venue frame, in order. Reused from frame to frame.
#[derive(Debug, Default)]
pub struct Batch {
    /// Bare `Update` messages: no tag, no length.
    pub bytes: Vec<u8>,
    /// The records, in the order in which they are to be published.
    pub entries: Vec<Entry>,
}

impl Batch {
    /// Empties the batch and keeps its buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Whether the batch holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends one record that `encode` writes (a bare `Update`).
    ///
    /// # Errors
    /// Whatever `encode` returns; the batch is then as it was.
    pub fn record<E>(
        &mut self,
        topic: TopicId,
        seq: u64,
        kind: RecordKind,
        more: bool,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let length = self.bytes.len();
        if let Err(error) = encode(&mut self.bytes) {
            self.bytes.truncate(length);
            return Err(error);
        }
        // A batch beyond 4 GiB saturates here and is refused as too large when it is published.
        let offset = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let (start, end) = (offset(length), offset(self.bytes.len()));
        self.entries.push(Entry { topic, seq, kind, more, start, end });
        Ok(())
    }

    /// Returns the bare `Update` of an entry; `None` if its range lies outside the batch.
    pub(crate) fn body(&self, entry: &Entry) -> Option<&[u8]> {
        self.bytes.get(entry.start as usize..entry.end as usize)
    }
}

/// Why a batch was refused. Nothing of it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The handle is not one of this hub.
    #[error("unknown topic {topic:?}")]
    UnknownTopic {
        /// The handle.
        topic: TopicId,
    },
    /// An entry points outside the bytes of its batch.
    #[error("entry {start}..{end} lies outside a batch of {bytes} bytes")]
    Range {
        /// First byte of the entry.
        start: u32,
        /// Byte behind its last.
        end: u32,
        /// Bytes in the batch.
        bytes: usize,
    },
    /// The record does not follow the head of its topic.
    #[error("expected seq {expected} on topic {topic:?}, received {received}")]
    Sequence {
        /// Topic of the record.
        topic: TopicId,
        /// The `seq` that the kind of the record demands.
        expected: u64,
        /// The `seq` that came.
        received: u64,
    },
    /// A group changes its kind, has a kind that stands alone, or is open when its batch ends.
    #[error("broken group on topic {topic:?}")]
    Group {
        /// Topic of the group.
        topic: TopicId,
    },
    /// The batch would fill the ring by itself.
    #[error("batch takes {bytes} bytes of a ring of {bytes_max}")]
    TooLarge {
        /// Bytes that the batch would take.
        bytes: usize,
        /// Bytes of the ring.
        bytes_max: usize,
    },
}

//! Reading the whole log: all topics, in the order of publication, for whoever keeps it.

use crate::record::RecordKind;
use crate::ring::Position;
use crate::state::State;
use crate::topic::TopicId;

/// How far a reader of the log is: before the next record to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    at: Position,
    /// Records published before it.
    index: u64,
}

/// One record of a [`LogBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEntry {
    /// Topic of the record.
    pub topic: TopicId,
    /// Its number in the topic; of a position record or a cut: the head that it describes.
    pub seq: u64,
    /// Kind of the record.
    pub kind: RecordKind,
    /// Whether the next record of this topic belongs to the same group.
    pub more: bool,
    /// Time of publication, nanoseconds since 1970-01-01 UTC.
    pub wall_ns: i64,
    /// First byte of the framed entry of field 4 in [`LogBatch::bytes`].
    pub start: usize,
    /// Byte behind the last one.
    pub end: usize,
}

/// Records of all topics, in order. Reused from read to read.
#[derive(Debug, Default)]
pub struct LogBatch {
    /// Framed entries of field 4, joined.
    pub bytes: Vec<u8>,
    /// The records.
    pub entries: Vec<LogEntry>,
}

impl LogBatch {
    /// Empties the batch and keeps its buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}

/// What a read of the log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRead {
    /// Whether records were evicted before they were read: the reader goes on with the oldest that is held.
    pub is_behind: bool,
}

impl State {
    pub fn log_start(&self) -> LogPosition {
        LogPosition { at: self.ring.tail(), index: self.ring.evicted() }
    }

    pub fn log_end(&self) -> LogPosition {
        LogPosition { at: self.ring.end(), index: self.ring.evicted() + self.ring.records() }
    }

    /// Appends what follows `position`: at most `bytes_max` bytes, but at least one record if there is one.
    pub fn read_log(&self, position: &mut LogPosition, bytes_max: usize, batch: &mut LogBatch) -> LogRead {
        let is_behind = position.index < self.ring.evicted();
        let begun = batch.bytes.len();
        let mut index = position.index.max(self.ring.evicted());
        let mut at = self.ring.settle(position.at);
        while let Some((record, framed)) = self.ring.get(at) {
            let taken = batch.bytes.len() - begun;
            if taken > 0 && taken + framed.len() > bytes_max {
                break;
            }
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(framed);
            batch.entries.push(LogEntry {
                topic: record.topic,
                seq: record.seq,
                kind: record.kind,
                more: record.more,
                wall_ns: record.stamp.wall_ns,
                start,
                end: batch.bytes.len(),
            });
            at = self.ring.settle(at.step());
            index += 1;
        }
        *position = LogPosition { at, index };
        LogRead { is_behind }
    }
}

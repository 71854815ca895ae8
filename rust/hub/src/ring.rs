//! The log of all topics: chunks of framed records in the order of publication, the oldest evicted first.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use crate::record::{RecordKind, Stamp};
use crate::topic::TopicId;

const SLOT_BITS: u32 = 16;
const CHUNK_BYTES_MIN: usize = 1 << 10;
const CHUNK_BYTES_MAX: usize = 1 << 18;
/// A record smaller than this wastes slots, not bytes: chunks hold one slot per so many bytes.
const RECORD_BYTES_MIN: usize = 32;
/// Field 4 (`updates`) of the response, length-delimited.
pub(crate) const TAG: u8 = 0x22;

/// Place of a record in the log; grows from record to record and never comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(NonZeroU64);

impl Position {
    fn new(chunk: u64, slot: usize) -> Self {
        let raw = (chunk << SLOT_BITS) | (slot as u64);
        Self(NonZeroU64::new(raw).unwrap_or(NonZeroU64::MIN))
    }

    /// Place behind this one, in the same chunk.
    pub fn step(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    fn chunk(self) -> u64 {
        self.0.get() >> SLOT_BITS
    }

    fn slot(self) -> usize {
        (self.0.get() & ((1 << SLOT_BITS) - 1)) as usize
    }
}

/// What the hub remembers of a record beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub topic: TopicId,
    pub kind: RecordKind,
    /// Whether the next record of the topic belongs to the same group.
    pub more: bool,
    pub seq: u64,
    /// Time of publication, never before that of an older record.
    pub stamp: Stamp,
    /// Framed bytes of its topic published before it (cuts left out).
    pub topic_bytes: u64,
    /// Next record of the topic.
    pub next: Option<Position>,
    start: u32,
    end: u32,
}

impl Record {
    pub fn new(
        topic: TopicId,
        kind: RecordKind,
        more: bool,
        seq: u64,
        stamp: Stamp,
        topic_bytes: u64,
    ) -> Self {
        Self { topic, kind, more, seq, stamp, topic_bytes, next: None, start: 0, end: 0 }
    }
}

/// Bytes of a record of `body` bytes once its tag and length stand before it.
pub(crate) fn framed_len(body: usize) -> usize {
    let bits = (usize::BITS - (body | 1).leading_zeros()) as usize;
    1 + bits.div_ceil(7) + body
}

/// Appends `body` as one entry of the repeated field `updates`.
pub(crate) fn frame(body: &[u8], out: &mut Vec<u8>) {
    out.push(TAG);
    let mut rest = body.len();
    while rest >= 0x80 {
        let [low, ..] = rest.to_le_bytes();
        out.push(low | 0x80);
        rest >>= 7;
    }
    let [low, ..] = rest.to_le_bytes();
    out.push(low);
    out.extend_from_slice(body);
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// The log. It appends, links and evicts; when to evict is the caller's decision.
#[derive(Debug)]
pub(crate) struct Ring {
    chunks: VecDeque<Chunk>,
    /// Number of `chunks[0]`.
    chunk_first: u64,
    /// Slot of the oldest record in `chunks[0]`.
    slot_first: usize,
    spare: Vec<Chunk>,
    spare_max: usize,
    chunk_bytes: usize,
    chunk_records: usize,
    records: u64,
    evicted: u64,
    bytes: usize,
}

impl Ring {
    /// Makes a log that will be kept at about `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        let chunk_bytes = (bytes / 64).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        let chunks = bytes / chunk_bytes + 2;
        Self {
            chunks: VecDeque::with_capacity(chunks),
            chunk_first: 1,
            slot_first: 0,
            spare: Vec::with_capacity(chunks),
            spare_max: chunks,
            chunk_bytes,
            chunk_records: (chunk_bytes / RECORD_BYTES_MIN).min(1 << SLOT_BITS),
            records: 0,
            evicted: 0,
            bytes: 0,
        }
    }

    /// Bytes that a record of `body` bytes takes, bookkeeping included.
    pub fn cost(body: usize) -> usize {
        framed_len(body) + size_of::<Record>()
    }

    /// Bytes held, bookkeeping included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Records held.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Records evicted so far.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Place of the oldest record: whatever lies before it was evicted.
    pub fn tail(&self) -> Position {
        Position::new(self.chunk_first, self.slot_first)
    }

    /// Place before which every record now held lies, and none that will come.
    pub fn end(&self) -> Position {
        let Some(chunk) = self.chunks.back() else { return self.tail() };
        Position::new(self.chunk_first + self.chunks.len() as u64 - 1, chunk.records.len())
    }

    /// Returns the place of the oldest record that lies at `at` or behind it, whatever its topic; the end of the log if
    /// there is none yet.
    pub fn settle(&self, at: Position) -> Position {
        let at = at.max(self.tail());
        let chunk = usize::try_from(at.chunk() - self.chunk_first).unwrap_or(usize::MAX);
        match self.chunks.get(chunk) {
            Some(full) if at.slot() >= full.records.len() && chunk + 1 < self.chunks.len() => {
                Position::new(at.chunk() + 1, 0)
            }
            _ => at,
        }
    }

    /// Returns the oldest record, its place and its framed bytes.
    pub fn front(&self) -> Option<(Position, &Record, &[u8])> {
        let tail = self.tail();
        self.get(tail).map(|(record, bytes)| (tail, record, bytes))
    }

    /// Returns a record and its framed bytes; `None` if it was evicted.
    pub fn get(&self, at: Position) -> Option<(&Record, &[u8])> {
        if at < self.tail() {
            return None;
        }
        let chunk = self.chunks.get(usize::try_from(at.chunk() - self.chunk_first).ok()?)?;
        let record = chunk.records.get(at.slot())?;
        Some((record, chunk.bytes.get(record.start as usize..record.end as usize)?))
    }

    /// Makes `next` the successor of the record at `at` within its topic. An evicted record needs none.
    pub fn link(&mut self, at: Position, next: Position) {
        if at < self.tail() {
            return;
        }
        let chunk = usize::try_from(at.chunk() - self.chunk_first).ok();
        if let Some(chunk) = chunk.and_then(|index| self.chunks.get_mut(index))
            && let Some(record) = chunk.records.get_mut(at.slot())
        {
            record.next = Some(next);
        }
    }

    /// Appends a record; returns its place and the framed length.
    pub fn append(&mut self, mut record: Record, body: &[u8]) -> (Position, usize) {
        let framed = framed_len(body.len());
        let has_room = self.chunks.back().is_some_and(|chunk| {
            chunk.records.len() < self.chunk_records && chunk.bytes.capacity() - chunk.bytes.len() >= framed
        });
        if !has_room {
            let chunk = self.fresh(framed);
            self.chunks.push_back(chunk);
        }
        let number = self.chunk_first + (self.chunks.len() as u64).saturating_sub(1);
        self.records += 1;
        self.bytes += Self::cost(body.len());
        let Some(chunk) = self.chunks.back_mut() else {
            return (Position::new(number, 0), framed);
        };
        record.start = offset(chunk.bytes.len());
        frame(body, &mut chunk.bytes);
        record.end = offset(chunk.bytes.len());
        let slot = chunk.records.len();
        chunk.records.push(record);
        (Position::new(number, slot), framed)
    }

    /// Drops the oldest record.
    pub fn evict(&mut self) {
        let Some(chunk) = self.chunks.front() else { return };
        let Some(record) = chunk.records.get(self.slot_first) else { return };
        self.bytes -= (record.end - record.start) as usize + size_of::<Record>();
        self.records -= 1;
        self.evicted += 1;
        self.slot_first += 1;
        if self.slot_first == chunk.records.len() {
            self.slot_first = 0;
            self.chunk_first += 1;
            if let Some(chunk) = self.chunks.pop_front() {
                self.recycle(chunk);
            }
        }
    }

    /// Returns an empty chunk with room for `framed` bytes: a spare one, or a larger one for a large record.
    fn fresh(&mut self, framed: usize) -> Chunk {
        if framed <= self.chunk_bytes
            && let Some(chunk) = self.spare.pop()
        {
            return chunk;
        }
        Chunk {
            bytes: Vec::with_capacity(framed.max(self.chunk_bytes)),
            records: Vec::with_capacity(if framed > self.chunk_bytes { 1 } else { self.chunk_records }),
        }
    }

    /// Keeps an emptied chunk for later, unless it was made for one large record.
    fn recycle(&mut self, mut chunk: Chunk) {
        if chunk.records.capacity() >= self.chunk_records && self.spare.len() < self.spare_max {
            chunk.bytes.clear();
            chunk.records.clear();
            self.spare.push(chunk);
        }
    }
}

/// Chunks are bounded far below 4 GiB: a batch's entries carry 32-bit offsets already.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

//! A log whose records say what they are, and the naive model of what a journal must give back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and times itself, its helpers too"
)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use facade_hub::{
    DeliveryChange, DeliveryGap, Hub, HubBounds, LogBatch, LogEntry, LogRead, RecordKind, ResumePosition,
    Stamp, StreamEncoder, TopicId, TopicKey, TopicName,
};
use facade_journal::{Journal, JournalBounds, LogSource, Range};

/// Writes no stream record.
pub struct Silent;

impl StreamEncoder for Silent {
    fn gap(&self, _gap: &DeliveryGap<'_>, _out: &mut Vec<u8>) {}
    fn delivery_change(&self, _change: &DeliveryChange<'_>, _out: &mut Vec<u8>) {}
    fn draining(&self, _positions: &[ResumePosition], _now: Stamp, _out: &mut Vec<u8>) {}
}

pub fn hub() -> Arc<Hub> {
    Arc::new(Hub::new(HubBounds::default(), Box::new(Silent)))
}

pub const SECOND_NS: i64 = 1_000_000_000;
/// Wall time at which all logs of the tests begin.
pub const BEGIN_NS: i64 = 1_763_000_000 * SECOND_NS;

pub fn name(topic: usize) -> TopicName {
    TopicName {
        venue: "kraken".into(),
        symbol: format!("T{topic}-USD").into(),
        channel: 1,
        variant: "".into(),
    }
}

/// A record of the model: where it stands and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub seq: u64,
    pub more: bool,
    pub framed: Vec<u8>,
}

/// What was published, by topic, positions and cuts left out.
pub type Model = BTreeMap<usize, Vec<Record>>;

/// Makes the log of one hub, group by group.
pub struct Script {
    hub: Arc<Hub>,
    ids: Vec<TopicId>,
    seqs: Vec<u64>,
    pub entries: Vec<(LogEntry, Vec<u8>)>,
    pub model: Model,
    wall_ns: i64,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = self.entries.iter().map(|(entry, _)| (entry.topic, entry.kind, entry.seq, entry.more));
        formatter.debug_list().entries(rows).finish()
    }
}

impl Script {
    pub fn new(topics: usize) -> Self {
        let hub = hub();
        let ids = (0..topics).map(|topic| hub.topic(&name(topic).as_key())).collect();
        Self { hub, ids, seqs: vec![0; topics], entries: Vec::new(), model: Model::new(), wall_ns: BEGIN_NS }
    }

    /// Publishes one group of `parts` records, each with `filler` bytes.
    pub fn group(&mut self, topic: usize, kind: RecordKind, parts: usize, filler: usize) {
        for part in 0..parts {
            let shares = kind == RecordKind::Snapshot && part > 0;
            let takes = !matches!(kind, RecordKind::Position | RecordKind::Cut) && !shares;
            self.seqs[topic] += u64::from(takes);
            let seq = self.seqs[topic].max(1);
            let more = part + 1 < parts;
            let framed = body(topic, seq, part, filler);
            self.wall_ns += 1_000;
            let entry = LogEntry {
                topic: self.ids[topic],
                seq,
                kind,
                more,
                wall_ns: self.wall_ns,
                start: 0,
                end: framed.len(),
            };
            if !matches!(kind, RecordKind::Position | RecordKind::Cut) {
                let record = Record { seq, more, framed: framed.clone() };
                self.model.entry(topic).or_default().push(record);
            }
            self.entries.push((entry, framed));
        }
    }

    /// Returns a source that gives the log in chunks of these sizes, round and round.
    pub fn source(&self, chunks: &[usize]) -> Played {
        Played {
            hub: Arc::clone(&self.hub),
            left: self.entries.iter().cloned().collect(),
            chunks: chunks.to_vec(),
            turn: 0,
            behind_before: Vec::new(),
            given: 0,
        }
    }
}

/// The bytes of a record tell where it belongs.
pub fn body(topic: usize, seq: u64, part: usize, filler: usize) -> Vec<u8> {
    let mut framed = vec![0x22];
    framed.extend_from_slice(&u32::try_from(topic).unwrap().to_le_bytes());
    framed.extend_from_slice(&seq.to_le_bytes());
    framed.extend_from_slice(&u32::try_from(part).unwrap().to_le_bytes());
    framed.extend(std::iter::repeat_n(u8::try_from(seq % 251).unwrap(), filler));
    framed
}

/// A log that is given out chunk by chunk; some records can be lost on the way.
pub struct Played {
    hub: Arc<Hub>,
    left: VecDeque<(LogEntry, Vec<u8>)>,
    chunks: Vec<usize>,
    turn: usize,
    /// Numbers of records before which the reader is told that it fell behind.
    pub behind_before: Vec<usize>,
    given: usize,
}

impl Played {
    /// Loses the records `first..first + count`.
    pub fn lose(mut self, first: usize, count: usize) -> Self {
        let first = first.min(self.left.len());
        let end = (first + count).min(self.left.len());
        self.left.drain(first..end);
        self.behind_before.push(first);
        self
    }
}

impl LogSource for Played {
    fn read(&mut self, _bytes_max: usize, batch: &mut LogBatch) -> LogRead {
        batch.clear();
        let count = self.chunks[self.turn % self.chunks.len()].max(1);
        self.turn += 1;
        let is_behind = self.behind_before.contains(&self.given);
        self.behind_before.retain(|&before| before != self.given);
        for number in 0..count {
            if number > 0 && self.behind_before.contains(&self.given) {
                break;
            }
            let Some((mut entry, framed)) = self.left.pop_front() else { break };
            entry.start = batch.bytes.len();
            batch.bytes.extend_from_slice(&framed);
            entry.end = batch.bytes.len();
            batch.entries.push(entry);
            self.given += 1;
        }
        LogRead { is_behind }
    }

    fn name(&self, topic: TopicId) -> Option<TopicName> {
        self.hub.name(topic)
    }
}

pub const EPOCH: u32 = 1_763_000_000;

/// Writes a whole log and seals it.
pub fn write(dir: &Path, epoch: u32, bounds: JournalBounds, source: Played) -> Journal {
    let journal = Journal::open(dir, epoch, bounds).unwrap();
    journal.start(Box::new(source), Box::new(|| BEGIN_NS)).unwrap();
    journal.stop();
    journal
}

/// Reads a topic from `seq_after` to where the journal ends, in pieces of `bytes_max`.
pub fn read_all(
    journal: &Journal,
    epoch: u32,
    topic: &TopicKey<'_>,
    seq_after: u64,
    bytes_max: usize,
) -> (Vec<u8>, u64) {
    let (mut entries, mut seq) = (Vec::new(), seq_after);
    loop {
        let replay = journal.read(topic, epoch, seq, bytes_max).unwrap();
        if replay.entries.is_empty() {
            assert_eq!(replay.seq_last, seq, "nothing was read, so nothing was passed over");
            return (entries, seq);
        }
        assert!(replay.seq_last > seq);
        seq = replay.seq_last;
        entries.extend_from_slice(&replay.entries);
    }
}

/// What the model says of the records `first..=last` of a topic.
pub fn expected(model: &Model, topic: usize, first: u64, last: u64) -> Vec<u8> {
    let records = model.get(&topic).map(Vec::as_slice).unwrap_or_default();
    let within = records.iter().filter(|record| (first..=last).contains(&record.seq));
    within.flat_map(|record| record.framed.iter().copied()).collect()
}

/// Whether a group of the topic ends with `seq`.
pub fn ends_group(model: &Model, topic: usize, seq: u64) -> bool {
    let records = model.get(&topic).map(Vec::as_slice).unwrap_or_default();
    records.iter().rfind(|record| record.seq == seq).is_some_and(|record| !record.more)
}

/// Whether a group of the topic begins with `seq`.
pub fn begins_group(model: &Model, topic: usize, seq: u64) -> bool {
    let records = model.get(&topic).map(Vec::as_slice).unwrap_or_default();
    let at = records.iter().position(|record| record.seq == seq).unwrap();
    at == 0 || !records[at - 1].more
}

/// Checks that each range of each topic reads as the model says, whole groups, in pieces of any size.
pub fn check_ranges(journal: &Journal, model: &Model, topics: usize, bytes_max: usize) -> Vec<Vec<Range>> {
    let every = (0..topics).map(|topic| {
        let topic_name = name(topic);
        let ranges = journal.ranges(&topic_name.as_key());
        for range in &ranges {
            assert!(begins_group(model, topic, range.seq_oldest), "{range:?}");
            assert!(ends_group(model, topic, range.seq_last), "{range:?}");
            let (entries, seq) =
                read_all(journal, range.epoch, &topic_name.as_key(), range.seq_oldest - 1, bytes_max);
            assert_eq!(seq, range.seq_last);
            assert_eq!(entries, expected(model, topic, range.seq_oldest, range.seq_last));
        }
        ranges
    });
    every.collect()
}

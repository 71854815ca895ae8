//! Records that tests can read back, and a hub that speaks them.

#![allow(dead_code, reason = "each test binary uses its share")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

use facade_hub::{
    Batch, DeliveryCause, DeliveryChange, DeliveryGap, Hub, HubBounds, RecordKind, ResumePosition, Stamp,
    StreamEncoder, TopicId, TopicKey,
};

/// Kinds of records as a client tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Data,
    State,
    Snapshot,
    Position,
    Cut,
    Status,
    Gap,
    Draining,
    Pushed,
    VenueGap,
    Change,
}

const SEEN: [Seen; 11] = [
    Seen::Data,
    Seen::State,
    Seen::Snapshot,
    Seen::Position,
    Seen::Cut,
    Seen::Status,
    Seen::Gap,
    Seen::Draining,
    Seen::Pushed,
    Seen::VenueGap,
    Seen::Change,
];

impl From<RecordKind> for Seen {
    fn from(kind: RecordKind) -> Self {
        match kind {
            RecordKind::Data => Self::Data,
            RecordKind::State => Self::State,
            RecordKind::Gap => Self::VenueGap,
            RecordKind::Snapshot => Self::Snapshot,
            RecordKind::Position => Self::Position,
            RecordKind::Cut => Self::Cut,
        }
    }
}

/// One record as a client sees it. `seq`: of a status its seam, of a gap its first; `tag`: of a gap its last `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    pub topic: u8,
    pub seen: Seen,
    pub more: bool,
    pub seq: u64,
    pub tag: u64,
}

pub const BODY_BYTES_MIN: usize = 19;

impl Wire {
    /// Writes the record with `padding` bytes behind it.
    pub fn write(&self, padding: usize, out: &mut Vec<u8>) {
        let seen = SEEN.iter().position(|&seen| seen == self.seen).unwrap();
        out.extend_from_slice(&[self.topic, u8::try_from(seen).unwrap(), u8::from(self.more)]);
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.tag.to_le_bytes());
        out.resize(out.len() + padding, 0xEE);
    }

    /// Reads the entries of a response, each with its framed length.
    pub fn read_all(mut bytes: &[u8]) -> Vec<(Self, usize)> {
        let mut wires = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[0], 0x22, "field 4, length-delimited");
            let (mut length, mut at, mut shift) = (0, 1, 0);
            loop {
                length |= usize::from(bytes[at] & 0x7F) << shift;
                shift += 7;
                at += 1;
                if bytes[at - 1] < 0x80 {
                    break;
                }
            }
            let body = &bytes[at..at + length];
            wires.push((
                Self {
                    topic: body[0],
                    seen: SEEN[usize::from(body[1])],
                    more: body[2] == 1,
                    seq: u64::from_le_bytes(body[3..11].try_into().unwrap()),
                    tag: u64::from_le_bytes(body[11..19].try_into().unwrap()),
                },
                at + length,
            ));
            bytes = &bytes[at + length..];
        }
        wires
    }
}

/// The number that stands for a cause in the tag of a change; its `seq` is the count of skipped records.
pub fn cause_tag(cause: DeliveryCause) -> u64 {
    match cause {
        DeliveryCause::LagWarning => 1,
        DeliveryCause::LagCleared => 2,
        DeliveryCause::Behind => 3,
        DeliveryCause::Bytes => 4,
        DeliveryCause::KeepsUp => 5,
        _ => 6,
    }
}

/// Writes gaps and draining records as [`Wire`].
pub struct WireEncoder;

impl StreamEncoder for WireEncoder {
    fn gap(&self, gap: &DeliveryGap<'_>, out: &mut Vec<u8>) {
        assert_eq!(gap.count, gap.seq_last - gap.seq_first + 1);
        let topic = gap.topic.symbol.parse().unwrap();
        Wire { topic, seen: Seen::Gap, more: false, seq: gap.seq_first, tag: gap.seq_last }.write(0, out);
    }

    fn delivery_change(&self, change: &DeliveryChange<'_>, out: &mut Vec<u8>) {
        let topic = change.topic.symbol.parse().unwrap();
        let tag = cause_tag(change.cause);
        Wire { topic, seen: Seen::Change, more: false, seq: change.skipped, tag }.write(0, out);
    }

    fn draining(&self, positions: &[ResumePosition], _now: Stamp, out: &mut Vec<u8>) {
        let tag = positions.len() as u64;
        Wire { topic: 0, seen: Seen::Draining, more: false, seq: 0, tag }.write(0, out);
    }
}

/// Makes a hub that speaks [`Wire`] and `count` topics named by their numbers.
pub fn hub(bounds: HubBounds, count: u8) -> (Hub, Vec<TopicId>) {
    let hub = Hub::new(bounds, Box::new(WireEncoder));
    let topics = (0..count).map(|topic| hub.topic(&key(&topic.to_string()))).collect();
    (hub, topics)
}

pub fn key(symbol: &str) -> TopicKey<'_> {
    TopicKey { venue: "binance", symbol, channel: 1, variant: "" }
}

/// A moment `ns` after the start, on both clocks.
pub fn at(ns: u64) -> Stamp {
    Stamp { wall_ns: 1_000_000 + i64::try_from(ns).unwrap(), mono_ns: ns }
}

/// Adds one record to a batch.
#[expect(clippy::too_many_arguments, reason = "a record has that many parts")]
pub fn add(
    batch: &mut Batch,
    id: TopicId,
    topic: u8,
    kind: RecordKind,
    more: bool,
    seq: u64,
    tag: u64,
    padding: usize,
) {
    let wire = Wire { topic, seen: kind.into(), more, seq, tag };
    batch
        .record(id, seq, kind, more, |out| {
            wire.write(padding, out);
            Ok::<(), ()>(())
        })
        .unwrap();
}

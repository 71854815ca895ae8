//! What may happen: any step, in any order, under any bounds.

use facade_hub::{HubBounds, RecordKind, Start};
use proptest::prelude::*;

pub const TOPICS: u8 = 4;

/// One group of records to publish.
#[derive(Debug, Clone)]
pub struct Group {
    pub topic: u8,
    pub kind: RecordKind,
    pub count: u64,
    pub padding: usize,
}

#[derive(Debug, Clone)]
pub enum Op {
    Publish { groups: Vec<Group>, dt: u64 },
    Advance { dt: u64 },
    Subscribe,
    Attach { who: usize, topic: u8, start: Start },
    Detach { who: usize, topic: u8 },
    Push { who: usize, padding: usize },
    Take { who: usize, bytes_max: usize },
    Close { who: usize },
    Cuts,
}

fn group() -> impl Strategy<Value = Group> {
    let kind = prop_oneof![
        8 => Just(RecordKind::Data),
        1 => Just(RecordKind::State),
        1 => Just(RecordKind::Gap),
        1 => Just(RecordKind::Snapshot),
        2 => Just(RecordKind::Position),
        2 => Just(RecordKind::Cut),
    ];
    let count = prop_oneof![4 => Just(1_u64), 1 => 2..5_u64];
    let padding = prop_oneof![8 => 0..200_usize, 1 => 1000..5000_usize];
    (0..TOPICS, kind, count, padding).prop_map(|(topic, kind, count, padding)| Group {
        topic,
        kind,
        count,
        padding,
    })
}

pub fn op() -> impl Strategy<Value = Op> {
    let start = prop_oneof![Just(Start::Next), Just(Start::Newest), Just(Start::Cut)];
    let bytes_max = prop_oneof![2 => 1..400_usize, 1 => Just(1 << 20)];
    prop_oneof![
        12 => (prop::collection::vec(group(), 1..4), 0..20_u64)
            .prop_map(|(groups, dt)| Op::Publish { groups, dt }),
        1 => (0..200_u64).prop_map(|dt| Op::Advance { dt }),
        1 => Just(Op::Subscribe),
        4 => (0..8_usize, 0..TOPICS, start).prop_map(|(who, topic, start)| Op::Attach { who, topic, start }),
        1 => (0..8_usize, 0..TOPICS).prop_map(|(who, topic)| Op::Detach { who, topic }),
        1 => (0..8_usize, 0..200_usize).prop_map(|(who, padding)| Op::Push { who, padding }),
        12 => (0..8_usize, bytes_max).prop_map(|(who, bytes_max)| Op::Take { who, bytes_max }),
        1 => (0..8_usize).prop_map(|who| Op::Close { who }),
        1 => Just(Op::Cuts),
    ]
}

pub fn bounds() -> impl Strategy<Value = HubBounds> {
    (40_000..120_000_usize, 100..2000_u64, 2_000..30_000_u64, 50..2000_u64).prop_map(
        |(ring_bytes, ring_age_ns, owed_bytes, lag_ns)| HubBounds {
            ring_bytes,
            ring_age_ns,
            owed_bytes,
            lag_ns,
        },
    )
}

//! In steady state the hub allocates nothing (R12).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::alloc::System;
use std::task::Waker;

use facade_hub::{AttachOptions, Batch, Hub, HubBounds, RecordKind, Start, SubscriberId, Taken, TopicId};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::{Seen, Wire, add, at, hub};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOPICS: u8 = 32;

/// One turn: every topic publishes, most subscribers take all, one takes every tenth turn only.
fn turn(
    hub: &Hub,
    ids: &[TopicId],
    readers: &[SubscriberId],
    batch: &mut Batch,
    out: &mut Vec<u8>,
    number: u64,
) {
    for (topic, &id) in (0..TOPICS).zip(ids) {
        batch.clear();
        let seq = 3 * number;
        add(batch, id, topic, RecordKind::Data, true, seq + 1, 0, 70);
        add(batch, id, topic, RecordKind::Data, false, seq + 2, 0, 70);
        add(batch, id, topic, RecordKind::State, false, seq + 3, 0, 70);
        add(batch, id, topic, RecordKind::Position, false, seq + 3, 0, 70);
        hub.publish(batch, at(number * 1_000)).unwrap();
    }
    for (index, &reader) in readers.iter().enumerate() {
        if index > 0 || number.is_multiple_of(10) {
            loop {
                out.clear();
                match hub.take(reader, 16 << 10, out, Some(Waker::noop())) {
                    Taken::Some(_) => {}
                    Taken::Empty { .. } => break,
                    Taken::Ended(reason) => panic!("{reason:?}"),
                }
            }
        }
    }
}

#[test]
fn publish_and_take_allocate_nothing_in_steady_state() {
    let (hub, ids) = hub(HubBounds { ring_bytes: 1 << 20, ..HubBounds::default() }, TOPICS);
    let readers: Vec<SubscriberId> = (0..4).map(|_| hub.subscriber()).collect();
    for &reader in &readers {
        for (topic, &id) in (0..TOPICS).zip(&ids) {
            let wire = Wire { topic, seen: Seen::Status, more: false, seq: 0, tag: 0 };
            hub.attach(
                reader,
                id,
                AttachOptions { start: Start::Newest, ..AttachOptions::default() },
                &mut |_, _, out| wire.write(0, out),
            )
            .unwrap();
        }
    }
    let (mut batch, mut out) = (Batch::default(), Vec::with_capacity(64 << 10));
    for number in 0..300 {
        turn(&hub, &ids, &readers, &mut batch, &mut out, number);
    }
    let evicted = hub.stats().records_published - hub.stats().ring_records;
    assert!(evicted > 0, "the ring has turned over before the measurement");
    let region = Region::new(ALLOCATOR);
    for number in 300..1_000 {
        turn(&hub, &ids, &readers, &mut batch, &mut out, number);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
}

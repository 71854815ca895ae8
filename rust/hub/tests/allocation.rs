//! In steady state the hub allocates nothing (R12).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::alloc::System;
use std::task::Waker;

use facade_hub::{
    AttachOptions, Batch, Conflate, Delivery, Hub, HubBounds, RecordKind, Start, SubscriberId, Taken,
    TopicId, Turn,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::{Seen, Wire, add, at, hub};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOPICS: u8 = 32;
const MS: u64 = 1_000_000;

/// Topics with an even number are books: their readers skip to cuts.
fn options(reader: usize, topic: u8) -> AttachOptions {
    let (start, conflate) = match topic % 2 {
        0 => (Start::Cut, Conflate::Cut),
        _ => (Start::Newest, Conflate::Newest),
    };
    let delivery = match reader {
        0 | 1 => Delivery::Every,
        2 | 3 => Delivery::Latest,
        _ => Delivery::Interval { ns: 50 * MS },
    };
    AttachOptions { start, delivery, conflate }
}

/// One turn: every topic publishes, cuts are served, and the readers take: those with an odd number every tenth turn,
/// which leaves them behind, and acknowledge what they took.
fn turn(hub: &Hub, ids: &[TopicId], readers: &[SubscriberId], work: &mut Work, number: u64) {
    let now = number * 30 * MS;
    work.wanted.clear();
    hub.cuts_wanted(&mut work.wanted);
    for (topic, &id) in (0..TOPICS).zip(ids) {
        let batch = &mut work.batch;
        batch.clear();
        let seq = 3 * number;
        add(batch, id, topic, RecordKind::Data, true, seq + 1, 0, 70);
        add(batch, id, topic, RecordKind::Data, false, seq + 2, 0, 70);
        let notice = if number.is_multiple_of(7) { RecordKind::State } else { RecordKind::Data };
        add(batch, id, topic, notice, false, seq + 3, 0, 70);
        add(batch, id, topic, RecordKind::Position, false, seq + 3, 0, 70);
        if work.wanted.contains(&id) {
            add(batch, id, topic, RecordKind::Cut, false, seq + 3, 0, 300);
        }
        hub.publish(batch, at(now)).unwrap();
    }
    for (index, &reader) in readers.iter().enumerate() {
        if index % 2 == 1 && !number.is_multiple_of(10) {
            continue;
        }
        loop {
            work.out.clear();
            work.stream_seq += 1;
            let turn = Turn { stream_seq: work.stream_seq, bytes_max: 16 << 10, mono_ns: now };
            match hub.take_turn(reader, turn, &mut work.out, Some(Waker::noop())) {
                Taken::Some(_) if index > 1 => hub.ack(reader, work.stream_seq, now + MS),
                Taken::Some(_) => {}
                Taken::Empty { .. } => break,
                Taken::Ended(reason) => panic!("{reason:?}"),
            }
        }
    }
}

#[derive(Default)]
struct Work {
    batch: Batch,
    wanted: Vec<TopicId>,
    out: Vec<u8>,
    stream_seq: u64,
}

fn publish_and_take_allocate_nothing_in_steady_state() {
    let (hub, ids) = hub(HubBounds { ring_bytes: 1 << 20, ..HubBounds::default() }, TOPICS);
    let readers: Vec<SubscriberId> = (0..6).map(|_| hub.subscriber()).collect();
    for (index, &reader) in readers.iter().enumerate() {
        for (topic, &id) in (0..TOPICS).zip(&ids) {
            let wire = Wire { topic, seen: Seen::Status, more: false, seq: 0, tag: 0 };
            let mut status = |_, _, out: &mut Vec<u8>| wire.write(0, out);
            hub.attach(reader, id, options(index, topic), &mut status).unwrap();
        }
    }
    let mut work = Work { out: Vec::with_capacity(64 << 10), ..Work::default() };
    for number in 0..1_500 {
        turn(&hub, &ids, &readers, &mut work, number);
    }
    let evicted = hub.stats().records_published - hub.stats().ring_records;
    assert!(evicted > 0, "the ring has turned over before the measurement");
    let region = Region::new(ALLOCATOR);
    for number in 1_500..3_000 {
        turn(&hub, &ids, &readers, &mut work, number);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
}

fn main() {
    publish_and_take_allocate_nothing_in_steady_state();
}

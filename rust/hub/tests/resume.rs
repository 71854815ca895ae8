//! Resuming behind a position, entries from elsewhere, and the log of all topics.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod support;

use facade_hub::{
    AttachError, AttachOptions, Batch, Hub, HubBounds, LogBatch, Notice, PushError, RecordKind, Seam, Start,
    SubscriberId, Taken, TopicId,
};
use proptest::prelude::*;
use support::{Seen, Wire, add, at, hub};

/// Tag of the status that tells the end of a replay.
const CAUGHT_UP: u64 = 1;

fn resume(hub: &Hub, reader: SubscriberId, id: TopicId, topic: u8, seq: u64) -> Result<Seam, AttachError> {
    let options = AttachOptions { start: Start::After { seq }, ..AttachOptions::default() };
    hub.attach(reader, id, options, &mut |notice, seam, out| {
        let tag = if notice == Notice::CaughtUp { CAUGHT_UP } else { 0 };
        Wire { topic, seen: Seen::Status, more: false, seq: seam.seq_next, tag }.write(0, out);
    })
}

fn publish(hub: &Hub, id: TopicId, topic: u8, kind: RecordKind, seq: u64, now: u64) {
    let mut batch = Batch::default();
    add(&mut batch, id, topic, kind, false, seq, 0, 0);
    hub.publish(&batch, at(now)).unwrap();
}

/// Takes all that waits, in responses of at most `bytes_max` bytes.
fn take(hub: &Hub, reader: SubscriberId, bytes_max: usize) -> Vec<Wire> {
    let mut all = Vec::new();
    loop {
        let mut out = Vec::new();
        match hub.take(reader, bytes_max, &mut out, None) {
            Taken::Some(_) => all.extend(Wire::read_all(&out).into_iter().map(|(wire, _)| wire)),
            Taken::Empty { .. } => return all,
            Taken::Ended(reason) => panic!("{reason:?}"),
        }
    }
}

fn seen(wires: &[Wire]) -> Vec<(Seen, u64, u64)> {
    wires.iter().map(|wire| (wire.seen, wire.seq, wire.tag)).collect()
}

#[test]
fn row_e16_a_position_inside_the_ring_replays_the_rest_then_tells_it_then_goes_on() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let (id, reader) = (ids[0], hub.subscriber());
    publish(&hub, id, 0, RecordKind::State, 1, 0);
    for seq in 2..=4 {
        publish(&hub, id, 0, RecordKind::Data, seq, seq);
    }
    publish(&hub, id, 0, RecordKind::Position, 4, 4);
    assert_eq!(resume(&hub, reader, id, 0, 2), Ok(Seam { seq_next: 3, seq_oldest: 1 }));
    publish(&hub, id, 0, RecordKind::Data, 5, 5);
    publish(&hub, id, 0, RecordKind::Position, 5, 5);
    let expected = [
        (Seen::Status, 3, 0),
        (Seen::Data, 3, 0),
        (Seen::Data, 4, 0),
        (Seen::Status, 5, CAUGHT_UP),
        (Seen::Position, 4, 0),
        (Seen::Data, 5, 0),
        (Seen::Position, 5, 0),
    ];
    assert_eq!(seen(&take(&hub, reader, 1)), expected);
}

#[test]
fn row_e16_a_position_at_the_head_is_caught_up_at_once() {
    let (hub, ids) = hub(HubBounds::default(), 2);
    let reader = hub.subscriber();
    publish(&hub, ids[0], 0, RecordKind::Data, 1, 0);
    assert_eq!(resume(&hub, reader, ids[0], 0, 1), Ok(Seam { seq_next: 2, seq_oldest: 1 }));
    assert_eq!(resume(&hub, reader, ids[1], 1, 0), Ok(Seam { seq_next: 1, seq_oldest: 1 }));
    let statuses = [2, 2, 1, 1].map(|seq| (Seen::Status, seq));
    let told = take(&hub, reader, 1 << 20);
    assert_eq!(told.iter().map(|wire| (wire.seen, wire.seq)).collect::<Vec<_>>(), statuses);
    assert_eq!(told.iter().map(|wire| wire.tag).collect::<Vec<_>>(), [0, CAUGHT_UP, 0, CAUGHT_UP]);
}

#[test]
fn row_e16_a_position_outside_the_ring_or_above_the_head_is_refused_and_says_so() {
    let (hub, ids) = hub(HubBounds { ring_age_ns: 10, ..HubBounds::default() }, 1);
    let (id, reader) = (ids[0], hub.subscriber());
    for seq in 1..=4 {
        publish(&hub, id, 0, RecordKind::Data, seq, 4 * seq);
    }
    publish(&hub, id, 0, RecordKind::Data, 5, 20);
    assert_eq!(resume(&hub, reader, id, 0, 1), Err(AttachError::Evicted { seq_oldest: 3 }));
    assert_eq!(resume(&hub, reader, id, 0, 6), Err(AttachError::AboveHead { head: 5 }));
    assert_eq!(take(&hub, reader, 1), [], "nothing was told to the stream");
    assert!(resume(&hub, reader, id, 0, 2).is_ok(), "the oldest record held is the one behind it");
}

#[test]
fn a_replay_larger_than_the_bound_is_not_owed() {
    let (hub, ids) = hub(HubBounds { owed_bytes: 2_000, ..HubBounds::default() }, 1);
    let (id, reader) = (ids[0], hub.subscriber());
    for seq in 1..=1_000 {
        publish(&hub, id, 0, RecordKind::Data, seq, 0);
    }
    resume(&hub, reader, id, 0, 0).unwrap();
    assert_eq!(hub.owed(reader), Some(21), "the status is");
    assert_eq!(take(&hub, reader, 100).len(), 1_002);
}

#[test]
fn entries_go_first_in_order_and_are_bounded() {
    let (hub, ids) = hub(HubBounds { owed_bytes: 100, ..HubBounds::default() }, 1);
    let reader = hub.subscriber();
    let (mut framed, mut body) = (Vec::new(), Vec::new());
    for seq in 1..=3 {
        body.clear();
        Wire { topic: 0, seen: Seen::Data, more: false, seq, tag: 9 }.write(0, &mut body);
        framed.extend_from_slice(&[0x22, u8::try_from(body.len()).unwrap()]);
        framed.extend_from_slice(&body);
    }
    assert_eq!(hub.push_entries(reader, &framed), Ok(true));
    assert_eq!(hub.owed(reader), Some(63));
    assert_eq!(hub.push_entries(reader, &framed), Ok(false), "beyond the bound");
    assert_eq!(hub.push_entries(reader, &framed[1..]), Err(PushError::Malformed));
    assert_eq!(hub.push_entries(reader, &framed[..62]), Err(PushError::Malformed));
    publish(&hub, ids[0], 0, RecordKind::Data, 1, 0);
    assert_eq!(seen(&take(&hub, reader, 1)), [1, 2, 3].map(|seq| (Seen::Data, seq, 9)));
    assert_eq!(hub.push_entries(reader, &framed), Ok(true), "it was taken");
    hub.close(reader);
    assert_eq!((hub.push_entries(reader, &framed), hub.owed(reader)), (Ok(false), None));
}

#[test]
fn the_log_is_read_whole_and_a_reader_that_fell_behind_is_told() {
    let (hub, ids) = hub(HubBounds { ring_bytes: 40_000, ..HubBounds::default() }, 2);
    let mut position = hub.log_end();
    let mut batch = LogBatch::default();
    for seq in 1..=10 {
        publish(&hub, ids[0], 0, RecordKind::Data, seq, seq);
        publish(&hub, ids[1], 1, RecordKind::State, seq, seq);
    }
    assert!(!hub.read_log(&mut position, 1 << 20, &mut batch).is_behind);
    let seqs: Vec<_> = batch.entries.iter().map(|entry| (entry.topic, entry.seq, entry.kind)).collect();
    let expected =
        (1..=10).flat_map(|seq| [(ids[0], seq, RecordKind::Data), (ids[1], seq, RecordKind::State)]);
    assert_eq!(seqs, expected.collect::<Vec<_>>());
    hub.advance(at(61_000_000_000));
    batch.clear();
    assert!(!hub.read_log(&mut position, 100, &mut batch).is_behind, "an empty ring has lost nothing");
    for seq in 11..=2_000 {
        publish(&hub, ids[0], 0, RecordKind::Data, seq, 61_000_000_000);
    }
    assert!(hub.read_log(&mut position, 100, &mut batch).is_behind);
    assert!(batch.entries[0].seq > 11 && batch.bytes.len() <= 100);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_resume_gives_exactly_what_was_missed_once_and_then_the_live_records(
        groups in prop::collection::vec((0..2_u8, 0..6_u8, 1..4_u64), 1..200),
        after in 0.0..1.0_f64,
        live in 0..20_u64,
        bytes_max in 1..4_000_usize,
        age in 5..400_u64,
    ) {
        let (hub, ids) = hub(HubBounds { ring_age_ns: age, ..HubBounds::default() }, 2);
        let mut published: Vec<Vec<Wire>> = vec![Vec::new(), Vec::new()];
        let mut heads = [0_u64; 2];
        let mut send = |hub: &Hub, heads: &mut [u64; 2], topic: u8, kind: u8, count: u64, now: u64| {
            let kind = [RecordKind::Data, RecordKind::State, RecordKind::Gap, RecordKind::Snapshot,
                RecordKind::Position, RecordKind::Cut][usize::from(kind)];
            let takes_none = matches!(kind, RecordKind::Position | RecordKind::Cut);
            let count = if matches!(kind, RecordKind::Data | RecordKind::Snapshot) { count } else { 1 };
            let head = &mut heads[usize::from(topic)];
            if takes_none && *head == 0 {
                return;
            }
            let mut batch = Batch::default();
            for part in 0..count {
                *head += u64::from(kind == RecordKind::Data || (!takes_none && part == 0));
                let more = part + 1 < count;
                add(&mut batch, ids[usize::from(topic)], topic, kind, more, *head, part, 0);
                if !takes_none {
                    published[usize::from(topic)]
                        .push(Wire { topic, seen: kind.into(), more, seq: *head, tag: part });
                }
            }
            hub.publish(&batch, at(now)).unwrap();
        };
        let mut now = 0;
        for (topic, kind, count) in groups {
            now += 1;
            send(&hub, &mut heads, topic, kind, count, now);
        }
        let head = heads[0];
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let seq = ((head as f64) * after) as u64;
        let reader = hub.subscriber();
        let resumed = resume(&hub, reader, ids[0], 0, seq);
        if let Err(error) = resumed {
            let AttachError::Evicted { seq_oldest } = error else { panic!("{error:?}") };
            prop_assert!(seq + 1 < seq_oldest);
            return Ok(());
        }
        for _ in 0..live {
            send(&hub, &mut heads, 0, 0, 1, now);
        }
        let taken = take(&hub, reader, bytes_max);
        let given: Vec<Wire> = taken.iter().copied()
            .filter(|wire| !matches!(wire.seen, Seen::Status | Seen::Position)).collect();
        let missed: Vec<Wire> = published[0].iter().copied().filter(|wire| wire.seq > seq).collect();
        prop_assert_eq!(given, missed);
        let told = taken.iter().position(|wire| wire.tag == CAUGHT_UP && wire.seen == Seen::Status).unwrap();
        prop_assert_eq!(taken[told].seq, head + 1);
        prop_assert!(taken[..told].iter().all(|wire| wire.seen != Seen::Position && wire.seq <= head + 1));
        prop_assert!(taken[told + 1..].iter().all(|wire| wire.seq > head || wire.seen == Seen::Position));
    }
}

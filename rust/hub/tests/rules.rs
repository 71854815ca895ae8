//! The rules of the hub, one by one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Wake, Waker};

use facade_hub::{
    AttachError, AttachOptions, Batch, EndReason, Hub, HubBounds, PublishError, RecordKind, Seam, Start,
    SubscriberId, Taken, TopicId,
};
use support::{Seen, Wire, add, at, hub, key};

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

fn join(hub: &Hub, reader: SubscriberId, id: TopicId, start: Start) -> Result<Seam, AttachError> {
    hub.attach(reader, id, AttachOptions { start, ..AttachOptions::default() }, &mut |_, seam, out| {
        Wire { topic: 0, seen: Seen::Status, more: false, seq: seam.seq_next, tag: 0 }.write(0, out);
    })
}

fn publish(hub: &Hub, id: TopicId, kind: RecordKind, seq: u64, now: u64) {
    let mut batch = Batch::default();
    add(&mut batch, id, 0, kind, false, seq, 0, 0);
    hub.publish(&batch, at(now)).unwrap();
}

/// Takes all that waits: kind and `seq` of each record.
fn take(hub: &Hub, reader: SubscriberId) -> Vec<(Seen, u64)> {
    let mut out = Vec::new();
    hub.take(reader, usize::MAX, &mut out, None);
    Wire::read_all(&out).into_iter().map(|(wire, _)| (wire.seen, wire.seq)).collect()
}

#[test]
fn a_batch_with_one_wrong_record_publishes_none_of_it() {
    let (hub, ids) = hub(HubBounds::default(), 2);
    let mut batch = Batch::default();
    add(&mut batch, ids[0], 0, RecordKind::Data, false, 1, 0, 0);
    add(&mut batch, ids[1], 1, RecordKind::Data, false, 2, 0, 0);
    let error = PublishError::Sequence { topic: ids[1], expected: 1, received: 2 };
    assert_eq!(hub.publish(&batch, at(0)), Err(error));
    assert_eq!((hub.head(ids[0]), hub.stats().ring_records, hub.stats().batches_refused), (0, 0, 1));
}

#[test]
fn a_group_must_close_in_its_batch_and_keep_its_kind() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let mut batch = Batch::default();
    add(&mut batch, ids[0], 0, RecordKind::Data, true, 1, 0, 0);
    assert_eq!(hub.publish(&batch, at(0)), Err(PublishError::Group { topic: ids[0] }));
    add(&mut batch, ids[0], 0, RecordKind::State, false, 2, 0, 0);
    assert_eq!(hub.publish(&batch, at(0)), Err(PublishError::Group { topic: ids[0] }));
    batch.clear();
    add(&mut batch, ids[0], 0, RecordKind::State, true, 1, 0, 0);
    assert_eq!(hub.publish(&batch, at(0)), Err(PublishError::Group { topic: ids[0] }));
}

#[test]
fn position_records_need_a_record_to_describe() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    for kind in [RecordKind::Position, RecordKind::Cut] {
        let mut batch = Batch::default();
        add(&mut batch, ids[0], 0, kind, false, 0, 0, 0);
        assert!(matches!(hub.publish(&batch, at(0)), Err(PublishError::Sequence { .. })));
    }
}

#[test]
fn ranges_and_sizes_outside_the_batch_or_the_ring_are_refused() {
    let (hub, ids) = hub(HubBounds { ring_bytes: 4_096, ..HubBounds::default() }, 1);
    let mut batch = Batch::default();
    add(&mut batch, ids[0], 0, RecordKind::Data, false, 1, 0, 5_000);
    assert!(matches!(hub.publish(&batch, at(0)), Err(PublishError::TooLarge { bytes_max: 4_096, .. })));
    batch.bytes.truncate(10);
    assert!(matches!(hub.publish(&batch, at(0)), Err(PublishError::Range { bytes: 10, .. })));
}

#[test]
fn a_parked_waker_is_signalled_once_by_a_batch_and_not_again_before_it_parks_anew() {
    let (hub, ids) = hub(HubBounds::default(), 2);
    let reader = hub.subscriber();
    join(&hub, reader, ids[0], Start::Next).unwrap();
    join(&hub, reader, ids[1], Start::Next).unwrap();
    take(&hub, reader);
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut out = Vec::new();
    assert!(matches!(hub.take(reader, 1, &mut out, Some(&waker)), Taken::Empty { .. }));
    let mut batch = Batch::default();
    add(&mut batch, ids[0], 0, RecordKind::Data, false, 1, 0, 0);
    add(&mut batch, ids[1], 1, RecordKind::Data, false, 1, 0, 0);
    hub.publish(&batch, at(1)).unwrap();
    publish(&hub, ids[0], RecordKind::Data, 2, 2);
    assert_eq!((count.get(), hub.stats().wakes), (1, 1));
}

#[test]
fn a_held_publication_signals_at_the_end_of_its_turn() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let reader = hub.subscriber();
    join(&hub, reader, ids[0], Start::Next).unwrap();
    take(&hub, reader);
    let count = Arc::new(Count::default());
    let park = || hub.take(reader, 1, &mut Vec::new(), Some(&Waker::from(count.clone())));
    assert!(matches!(park(), Taken::Empty { .. }));
    let held = |seq| {
        let mut batch = Batch::default();
        add(&mut batch, ids[0], 0, RecordKind::Data, false, seq, 0, 0);
        hub.publish_held(&batch, at(seq)).unwrap();
    };
    held(1);
    held(2);
    assert_eq!(count.get(), 0);
    hub.release();
    assert_eq!(count.get(), 1);
    take(&hub, reader);
    assert!(matches!(park(), Taken::Empty { .. }));
    held(3);
    publish(&hub, ids[0], RecordKind::Data, 4, 4);
    assert_eq!((count.get(), hub.stats().wakes), (2, 2));
}

#[test]
fn a_cut_wakes_those_who_wait_and_nobody_else() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    publish(&hub, ids[0], RecordKind::Snapshot, 1, 0);
    let (live, waiting) = (hub.subscriber(), hub.subscriber());
    join(&hub, live, ids[0], Start::Next).unwrap();
    join(&hub, waiting, ids[0], Start::Cut).unwrap();
    let counts = [live, waiting].map(|reader| {
        take(&hub, reader);
        let count = Arc::new(Count::default());
        hub.take(reader, 1, &mut Vec::new(), Some(&Waker::from(count.clone())));
        count
    });
    publish(&hub, ids[0], RecordKind::Data, 2, 1);
    assert_eq!(counts.each_ref().map(|count| count.get()), [1, 0]);
    publish(&hub, ids[0], RecordKind::Cut, 2, 1);
    publish(&hub, ids[0], RecordKind::Data, 3, 1);
    assert_eq!(counts.each_ref().map(|count| count.get()), [1, 1]);
    assert_eq!(take(&hub, waiting), [(Seen::Cut, 2), (Seen::Data, 3)]);
    assert_eq!(take(&hub, live), [(Seen::Data, 2), (Seen::Data, 3)]);
}

#[test]
fn a_snapshot_also_serves_who_waits_for_a_cut() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    publish(&hub, ids[0], RecordKind::State, 1, 0);
    let reader = hub.subscriber();
    assert_eq!(join(&hub, reader, ids[0], Start::Cut), Ok(Seam { seq_next: 2, seq_oldest: 1 }));
    publish(&hub, ids[0], RecordKind::Data, 2, 0);
    publish(&hub, ids[0], RecordKind::State, 3, 0);
    assert_eq!(take(&hub, reader), [(Seen::Status, 2), (Seen::State, 1), (Seen::State, 3)]);
    assert!(hub.positions(reader).is_empty(), "without a base there is nothing to resume from");
    publish(&hub, ids[0], RecordKind::Snapshot, 4, 0);
    publish(&hub, ids[0], RecordKind::Position, 4, 0);
    assert_eq!(take(&hub, reader), [(Seen::Snapshot, 4), (Seen::Position, 4)]);
    assert_eq!(hub.positions(reader)[0].seq, 4);
}

#[test]
fn the_feed_is_woken_once_until_it_asks_which_cuts_are_wanted() {
    let (hub, ids) = hub(HubBounds::default(), 2);
    let count = Arc::new(Count::default());
    let feed = count.clone();
    hub.set_feed_waker(Box::new(move || feed.clone().wake()));
    let readers = [hub.subscriber(), hub.subscriber()];
    join(&hub, readers[0], ids[1], Start::Newest).unwrap();
    assert_eq!(count.get(), 0);
    join(&hub, readers[0], ids[0], Start::Cut).unwrap();
    join(&hub, readers[1], ids[0], Start::Cut).unwrap();
    assert_eq!(count.get(), 1);
    let mut wanted = Vec::new();
    hub.cuts_wanted(&mut wanted);
    hub.cuts_wanted(&mut wanted);
    assert_eq!(wanted, [ids[0], ids[0]], "a cut stays wanted until it comes");
    join(&hub, readers[1], ids[1], Start::Cut).unwrap();
    assert_eq!(count.get(), 2);
    hub.close(readers[1]);
    hub.detach(readers[0], ids[0]);
    wanted.clear();
    hub.cuts_wanted(&mut wanted);
    assert!(wanted.is_empty(), "nobody waits any more");
}

#[test]
fn a_joiner_of_a_quiet_topic_learns_the_present_after_the_ring_forgot_it() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    publish(&hub, ids[0], RecordKind::State, 1, 0);
    publish(&hub, ids[0], RecordKind::Data, 2, 0);
    hub.advance(at(61_000_000_000));
    assert_eq!(hub.stats().ring_records, 0);
    let (newest, next) = (hub.subscriber(), hub.subscriber());
    assert_eq!(join(&hub, newest, ids[0], Start::Newest), Ok(Seam { seq_next: 2, seq_oldest: 3 }));
    assert_eq!(join(&hub, next, ids[0], Start::Next), Ok(Seam { seq_next: 3, seq_oldest: 3 }));
    publish(&hub, ids[0], RecordKind::Data, 3, 61_000_000_000);
    let described = [(Seen::Status, 2), (Seen::State, 1), (Seen::Data, 2), (Seen::Data, 3)];
    assert_eq!(take(&hub, newest), described);
    assert_eq!(take(&hub, next), [(Seen::Status, 3), (Seen::State, 1), (Seen::Data, 3)]);
}

#[test]
fn a_slow_reader_is_told_the_gap_and_where_to_resume() {
    let (hub, ids) = hub(HubBounds { lag_ns: 29, ..HubBounds::default() }, 2);
    let (slow, fast) = (hub.subscriber(), hub.subscriber());
    for reader in [slow, fast] {
        join(&hub, reader, ids[0], Start::Next).unwrap();
        join(&hub, reader, ids[1], Start::Next).unwrap();
    }
    publish(&hub, ids[0], RecordKind::Data, 1, 0);
    assert_eq!(take(&hub, slow).len(), 3);
    for seq in 2..6 {
        publish(&hub, ids[0], RecordKind::Data, seq, seq * 10);
        assert_eq!(take(&hub, fast).last(), Some(&(Seen::Data, seq)));
    }
    let mut out = Vec::new();
    assert!(matches!(hub.take(slow, 1, &mut out, None), Taken::Some(_)));
    let gap = Wire { topic: 0, seen: Seen::Gap, more: false, seq: 2, tag: 5 };
    // The gap carries the symbol of the topic: `0`.
    assert_eq!(Wire::read_all(&out)[0].0, gap);
    let Taken::Ended(EndReason::SlowReader { positions }) = hub.take(slow, 1, &mut out, None) else {
        panic!("a slow reader ends")
    };
    let positions: Vec<_> =
        positions.iter().map(|position| (position.topic.as_key(), position.seq)).collect();
    assert_eq!(positions, [(key("0"), 1), (key("1"), 0)]);
    assert_eq!(hub.take(slow, 1, &mut out, None), Taken::Ended(EndReason::Closed));
    assert_eq!((hub.stats().slow_readers, hub.stats().records_lost, hub.subscribers(ids[0])), (1, 4, 1));
}

#[test]
fn draining_gives_what_waits_then_says_so_then_ends() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let reader = hub.subscriber();
    join(&hub, reader, ids[0], Start::Next).unwrap();
    take(&hub, reader);
    let count = Arc::new(Count::default());
    hub.take(reader, 1, &mut Vec::new(), Some(&Waker::from(count.clone())));
    hub.drain();
    assert_eq!(count.get(), 1);
    publish(&hub, ids[0], RecordKind::Data, 1, 0);
    assert_eq!(take(&hub, reader), [(Seen::Data, 1)]);
    assert_eq!(take(&hub, reader), [(Seen::Draining, 0)]);
    let ended = hub.take(reader, 1, &mut Vec::new(), None);
    assert!(matches!(ended, Taken::Ended(EndReason::Draining { positions }) if positions[0].seq == 1));
}

#[test]
fn closing_wakes_whoever_waits_and_frees_the_handle_for_good() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let reader = hub.subscriber();
    join(&hub, reader, ids[0], Start::Next).unwrap();
    assert_eq!(join(&hub, reader, ids[0], Start::Next), Err(AttachError::AlreadyAttached { topic: ids[0] }));
    take(&hub, reader);
    let count = Arc::new(Count::default());
    hub.take(reader, 1, &mut Vec::new(), Some(&Waker::from(count.clone())));
    hub.close(reader);
    assert_eq!((count.get(), hub.subscribers(ids[0])), (1, 0));
    let other = hub.subscriber();
    assert_ne!(other, reader);
    assert_eq!(join(&hub, reader, ids[0], Start::Next), Err(AttachError::UnknownSubscriber));
    assert!(!hub.push(reader, b"x"));
    assert_eq!(hub.take(reader, 1, &mut Vec::new(), None), Taken::Ended(EndReason::Closed));
}

#[test]
fn time_never_goes_back_and_the_oldest_stamp_of_a_take_is_told() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let reader = hub.subscriber();
    join(&hub, reader, ids[0], Start::Next).unwrap();
    publish(&hub, ids[0], RecordKind::Data, 1, 50);
    publish(&hub, ids[0], RecordKind::Data, 2, 40);
    let Taken::Some(taken) = hub.take(reader, usize::MAX, &mut Vec::new(), None) else {
        panic!("two records wait")
    };
    assert_eq!((taken.records, taken.published_mono_ns), (3, Some(50)));
    assert_eq!((taken.watermark_wall_ns, taken.has_more), (at(50).wall_ns, false));
}

#[test]
fn acknowledgements_and_figures_are_kept_per_subscriber() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let reader = hub.subscriber();
    join(&hub, reader, ids[0], Start::Next).unwrap();
    take(&hub, reader);
    publish(&hub, ids[0], RecordKind::Data, 1, 5);
    hub.advance(at(12));
    hub.ack(reader, 7, 0);
    hub.ack(reader, 3, 0);
    let stats = hub.subscriber_stats(reader).unwrap();
    assert_eq!((stats.topics, stats.owed_bytes, stats.lag_ns, stats.stream_seq_acked), (1, 21, 7, 7));
    assert_eq!((hub.stats().owed_bytes_max, hub.stats().lag_ns_max), (21, 7));
    assert_eq!(SubscriberId::from_raw(reader.to_raw()), reader);
}

#[test]
fn row_e18_two_hundred_joiners_at_once_share_one_cut_and_read_on_without_a_hole() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    publish(&hub, ids[0], RecordKind::Snapshot, 1, 0);
    let count = Arc::new(Count::default());
    let feed = count.clone();
    hub.set_feed_waker(Box::new(move || feed.clone().wake()));
    let mut joiners = Vec::new();
    for number in 0..200 {
        let reader = hub.subscriber();
        join(&hub, reader, ids[0], Start::Cut).unwrap();
        joiners.push(reader);
        publish(&hub, ids[0], RecordKind::Data, number + 2, number);
    }
    assert_eq!(count.get(), 1, "the feed is asked once");
    publish(&hub, ids[0], RecordKind::Cut, 201, 200);
    let mut wanted = Vec::new();
    hub.cuts_wanted(&mut wanted);
    assert!(wanted.is_empty(), "one cut serves all");
    publish(&hub, ids[0], RecordKind::Data, 202, 201);
    for reader in joiners {
        let taken = take(&hub, reader);
        assert_eq!(taken.get(1..).unwrap(), [(Seen::Cut, 201), (Seen::Data, 202)]);
    }
}

#[test]
fn who_leaves_the_topic_it_was_warned_of_is_warned_of_the_next() {
    let (hub, ids) = hub(HubBounds { owed_bytes: 4_000, ..HubBounds::default() }, 2);
    let reader = hub.subscriber();
    for &id in &ids {
        hub.attach(reader, id, AttachOptions::default(), &mut |_, _, _| {}).unwrap();
    }
    let mut batch = Batch::default();
    add(&mut batch, ids[0], 0, RecordKind::Data, false, 1, 0, 0);
    add(&mut batch, ids[1], 1, RecordKind::Data, false, 1, 0, 3_500);
    hub.publish(&batch, at(0)).unwrap();
    let first = |reader| {
        let mut out = Vec::new();
        hub.take(reader, 1, &mut out, None);
        let (wire, _) = Wire::read_all(&out)[0];
        (wire.seen, wire.topic)
    };
    assert_eq!(first(reader), (Seen::Change, 0));
    assert_eq!(first(reader), (Seen::Data, 0), "it is judged again, warned as it is");
    hub.detach(reader, ids[0]);
    assert_eq!(first(reader), (Seen::Change, 1));
}

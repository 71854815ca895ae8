//! The rules of LATEST and INTERVAL, one by one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use facade_hub::{
    AttachOptions, Batch, Conflate, Delivery, Hub, HubBounds, RecordKind, Start, SubscriberId, Taken,
    TopicId, Turn,
};
use support::{Seen, Wire, add, at, hub};

const MS: u64 = 1_000_000;
/// Tags of changes.
const BEHIND: u64 = 3;
const BYTES: u64 = 4;
const KEEPS_UP: u64 = 5;
const COUNTED: u64 = 6;

struct One {
    hub: Hub,
    id: TopicId,
    reader: SubscriberId,
    wake_at: Option<u64>,
}

fn follow(bounds: HubBounds, start: Start, delivery: Delivery, conflate: Conflate) -> One {
    let (hub, ids) = hub(bounds, 1);
    let reader = hub.subscriber();
    hub.attach(reader, ids[0], AttachOptions { start, delivery, conflate }, &mut |_, _, _| {}).unwrap();
    One { hub, id: ids[0], reader, wake_at: None }
}

fn latest(conflate: Conflate) -> One {
    follow(HubBounds::default(), Start::Next, Delivery::Latest, conflate)
}

fn every_second(conflate: Conflate) -> One {
    let delivery = Delivery::Interval { ns: 1_000 * MS };
    follow(HubBounds::default(), Start::Next, delivery, conflate)
}

impl One {
    fn publish(&self, kind: RecordKind, seq: u64, now_ms: u64) {
        let mut batch = Batch::default();
        add(&mut batch, self.id, 0, kind, false, seq, 0, 0);
        self.hub.publish(&batch, at(now_ms * MS)).unwrap();
    }

    fn data(&self, seqs: std::ops::RangeInclusive<u64>, now_ms: u64) {
        for seq in seqs {
            self.publish(RecordKind::Data, seq, now_ms);
        }
    }

    /// Takes all that waits: kind, `seq` and tag of each record.
    fn take(&mut self, now_ms: u64) -> Vec<(Seen, u64, u64)> {
        let mut out = Vec::new();
        let turn = Turn { stream_seq: 0, bytes_max: usize::MAX, mono_ns: now_ms * MS };
        self.hub.advance(at(now_ms * MS));
        if let Taken::Empty { wake_at_mono_ns, .. } = self.hub.take_turn(self.reader, turn, &mut out, None) {
            self.wake_at = wake_at_mono_ns.map(|ns| ns / MS);
        }
        Wire::read_all(&out).into_iter().map(|(wire, _)| (wire.seen, wire.seq, wire.tag)).collect()
    }

    fn wants_cut(&self) -> bool {
        let mut wanted = Vec::new();
        self.hub.cuts_wanted(&mut wanted);
        !wanted.is_empty()
    }
}

fn data(seq: u64) -> (Seen, u64, u64) {
    (Seen::Data, seq, 0)
}

fn change(cause: u64, skipped: u64) -> (Seen, u64, u64) {
    (Seen::Change, skipped, cause)
}

#[test]
fn latest_gives_every_record_to_who_keeps_up_and_the_newest_to_who_is_behind() {
    let mut one = latest(Conflate::Newest);
    one.data(1..=3, 0);
    assert_eq!(one.take(250), [data(1), data(2), data(3)], "250 ms is not behind yet");
    one.data(4..=9, 300);
    assert_eq!(one.take(551), [change(BEHIND, 5), data(9)]);
    one.data(10..=12, 600);
    assert_eq!(one.take(609), [data(10), data(11), data(12)], "what is fresh is given");
    one.data(13..=15, 700);
    assert_eq!(one.take(711), [data(15)], "what is not is skipped at once");
    one.data(16..=17, 1_600);
    assert_eq!(one.take(1_611), [change(BEHIND, 3), data(17)], "counts are told once a second");
    one.data(18..=19, 2_611);
    assert_eq!(one.take(2_611), [change(KEEPS_UP, 0), data(18), data(19)], "a second without a skip");
    one.data(20..=21, 2_700);
    assert_eq!(one.take(2_800), [data(20), data(21)], "every record again");
}

#[test]
fn states_and_gaps_are_given_in_their_place_whatever_is_skipped() {
    let mut one = latest(Conflate::Newest);
    one.data(1..=2, 0);
    one.publish(RecordKind::State, 3, 0);
    one.data(4..=5, 0);
    one.publish(RecordKind::Gap, 6, 0);
    one.data(7..=8, 0);
    one.publish(RecordKind::State, 9, 0);
    let expected =
        [change(BEHIND, 2), (Seen::State, 3, 0), (Seen::VenueGap, 6, 0), data(8), (Seen::State, 9, 0)];
    assert_eq!(one.take(300), expected);
    one.hub.detach(one.reader, one.id);
    assert_eq!(one.take(300), [change(BEHIND, 3)], "the rest of the count is told before the end");
}

#[test]
fn a_burst_beyond_the_bound_of_bytes_is_skipped_before_time_has_passed() {
    let bounds = HubBounds { owed_bytes: 10 * 21, ..HubBounds::default() };
    let mut one = follow(bounds, Start::Next, Delivery::Latest, Conflate::Newest);
    one.data(1..=10, 0);
    assert_eq!(one.take(0).len(), 10);
    one.data(11..=21, 1);
    assert_eq!(one.take(1), [change(BYTES, 10), data(21)]);
}

#[test]
fn a_book_that_is_behind_gets_one_cut_and_the_deltas_behind_it() {
    let mut one = latest(Conflate::Cut);
    let woken = Arc::new(AtomicU32::new(0));
    let count = woken.clone();
    one.hub.set_feed_waker(Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    one.data(1..=5, 0);
    assert_eq!(one.take(300), [], "nothing is given before the cut");
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    one.data(6..=7, 310);
    one.publish(RecordKind::State, 8, 310);
    assert_eq!(one.take(310), [change(BEHIND, 7), (Seen::State, 8, 0)]);
    assert!(one.wants_cut());
    one.data(9..=9, 320);
    one.publish(RecordKind::Cut, 9, 320);
    one.data(10..=11, 330);
    assert!(!one.wants_cut());
    assert_eq!(one.take(330), [(Seen::Cut, 9, 0), data(10), data(11)]);
    one.data(12..=12, 340);
    assert_eq!(one.take(2_000), [change(KEEPS_UP, 1), data(12)], "a single delta needs no cut");
}

#[test]
fn who_waits_for_a_cut_does_not_keep_up_however_long_it_takes() {
    let mut one = latest(Conflate::Cut);
    one.data(1..=5, 0);
    one.publish(RecordKind::State, 6, 0);
    assert_eq!(one.take(300), [change(BEHIND, 5), (Seen::State, 6, 0)]);
    one.publish(RecordKind::State, 7, 1_500);
    assert_eq!(one.take(1_500), [(Seen::State, 7, 0)], "it owes the cut still: more may be left out");
    one.publish(RecordKind::Cut, 7, 1_600);
    assert_eq!(one.take(1_600), [(Seen::Cut, 7, 0)]);
    one.data(8..=8, 1_700);
    assert_eq!(one.take(1_700), [change(KEEPS_UP, 0), data(8)]);
}

#[test]
fn a_cut_made_for_another_a_moment_ago_serves_too() {
    let mut one = latest(Conflate::Cut);
    one.data(1..=5, 0);
    one.publish(RecordKind::Cut, 5, 250);
    one.data(6..=6, 260);
    assert_eq!(one.take(300), [change(BEHIND, 5), (Seen::Cut, 5, 0), data(6)]);
    assert!(!one.wants_cut());
}

#[test]
fn interval_gives_the_newest_group_when_the_interval_has_passed_and_says_when_to_ask() {
    let mut one = every_second(Conflate::Newest);
    one.data(1..=3, 0);
    assert_eq!(one.take(0), [data(3)], "the first goes at once");
    one.data(4..=5, 100);
    assert_eq!(one.take(100), []);
    assert_eq!(one.wake_at, Some(1_000));
    one.data(6..=6, 900);
    assert_eq!(one.take(999), []);
    assert_eq!(one.take(1_000), [change(COUNTED, 4), data(6)]);
    assert_eq!(one.take(5_000), []);
    assert_eq!(one.wake_at, None, "nothing waits, so nothing is due");
    one.data(7..=7, 5_000);
    assert_eq!(one.take(5_000), [data(7)], "after a pause the next goes at once");
}

#[test]
fn a_state_ends_the_wait_of_an_interval() {
    let mut one = every_second(Conflate::Newest);
    one.data(1..=1, 0);
    assert_eq!(one.take(0), [data(1)]);
    one.data(2..=3, 10);
    assert_eq!(one.take(10), []);
    one.publish(RecordKind::State, 4, 20);
    assert_eq!(one.take(20), [data(3), (Seen::State, 4, 0)], "the newest data goes before it");
    one.data(5..=6, 30);
    assert_eq!(one.take(30), []);
    assert_eq!(one.wake_at, Some(1_000), "the timer of before is still set, and finds nothing due");
    assert_eq!(one.take(1_000), []);
    assert_eq!(one.wake_at, Some(1_020));
    assert_eq!(one.take(1_020), [change(COUNTED, 2), data(6)]);
}

#[test]
fn a_book_at_an_interval_gets_one_cut_each() {
    let mut one = every_second(Conflate::Cut);
    one.data(1..=1, 0);
    assert_eq!(one.take(0), [data(1)]);
    one.data(2..=4, 10);
    assert_eq!(one.take(10), []);
    assert!(!one.wants_cut(), "no cut is asked for in vain");
    assert_eq!(one.take(1_000), []);
    assert!(one.wants_cut());
    one.publish(RecordKind::Cut, 4, 1_001);
    assert_eq!(one.take(1_001), [change(COUNTED, 3), (Seen::Cut, 4, 0)]);
    one.data(5..=5, 1_500);
    assert_eq!(one.take(1_500), []);
    assert_eq!(one.take(2_001), [data(5)], "one delta alone stands for itself");
}

#[test]
fn what_left_the_ring_is_counted_and_the_present_is_still_given() {
    let bounds = HubBounds { ring_age_ns: 100 * MS, ..HubBounds::default() };
    let mut one = follow(bounds, Start::Next, Delivery::Latest, Conflate::Newest);
    one.publish(RecordKind::State, 1, 0);
    one.data(2..=5, 0);
    assert_eq!(one.take(1_000), [(Seen::State, 1, 0), data(5)]);
    one.hub.detach(one.reader, one.id);
    assert_eq!(one.take(1_000), [change(BEHIND, 3)]);
}

#[test]
fn row_e16_a_resume_replays_every_record_to_latest_too() {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let mut one = One { reader: hub.subscriber(), id: ids[0], hub, wake_at: None };
    one.data(1..=50, 0);
    let options = AttachOptions {
        start: Start::After { seq: 10 },
        delivery: Delivery::Latest,
        conflate: Conflate::Newest,
    };
    one.hub.advance(at(10_000 * MS));
    one.hub.attach(one.reader, one.id, options, &mut |_, _, _| {}).unwrap();
    one.data(51..=52, 10_000);
    let seqs: Vec<u64> = one.take(20_000).into_iter().map(|(_, seq, _)| seq).collect();
    assert_eq!(seqs, (11..=52).collect::<Vec<u64>>());
    one.data(53..=60, 20_000);
    assert_eq!(one.take(20_300), [change(BEHIND, 7), data(60)], "behind the replay it is LATEST");
}

#[test]
fn a_slow_reader_of_both_kinds_is_told_counts_and_gaps() {
    let (hub, ids) = hub(HubBounds { lag_ns: 30_000 * MS, ..HubBounds::default() }, 2);
    let reader = hub.subscriber();
    for (&id, delivery) in ids.iter().zip([Delivery::Every, Delivery::Latest]) {
        hub.attach(reader, id, AttachOptions { delivery, ..AttachOptions::default() }, &mut |_, _, _| {})
            .unwrap();
    }
    let publish = |topic: u8, seq: u64, now_ms: u64| {
        let mut batch = Batch::default();
        add(&mut batch, ids[usize::from(topic)], topic, RecordKind::Data, false, seq, 0, 0);
        hub.publish(&batch, at(now_ms * MS)).unwrap();
    };
    let take = |now_ms: u64| {
        let mut out = Vec::new();
        hub.advance(at(now_ms * MS));
        hub.take(reader, usize::MAX, &mut out, None);
        let seen =
            Wire::read_all(&out).into_iter().map(|(wire, _)| (wire.topic, wire.seen, wire.seq, wire.tag));
        seen.collect::<Vec<_>>()
    };
    publish(0, 1, 0);
    (1..=5).for_each(|seq| publish(1, seq, 0));
    assert_eq!(take(300), [(0, Seen::Data, 1, 0), (1, Seen::Change, 4, BEHIND), (1, Seen::Data, 5, 0)]);
    (6..=8).for_each(|seq| publish(1, seq, 400));
    assert_eq!(take(450), [(1, Seen::Data, 8, 0)]);
    publish(0, 2, 500);
    publish(1, 9, 500);
    let expected = [(0, Seen::Gap, 2, 2), (1, Seen::Change, 2, BEHIND), (1, Seen::Gap, 9, 9)];
    assert_eq!(take(31_000), expected);
}

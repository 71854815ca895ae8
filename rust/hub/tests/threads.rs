//! Publishers, readers and joiners on threads of their own: nothing is lost, doubled, out of order or left asleep.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use facade_hub::{
    AttachOptions, Batch, Conflate, Delivery, Hub, HubBounds, RecordKind, Start, SubscriberId, Taken,
    TopicId, Turn,
};
use support::{Seen, Wire, add, at, hub};

const TOPICS: u8 = 6;
const PUBLISHERS: u8 = 3;
const RECORDS: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(20);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn attach(hub: &Hub, reader: SubscriberId, id: TopicId, topic: u8, start: Start) {
    let seen = Seen::Status;
    hub.attach(reader, id, AttachOptions { start, ..AttachOptions::default() }, &mut |_, seam, out| {
        Wire { topic, seen, more: false, seq: seam.seq_next, tag: 0 }.write(0, out);
    })
    .unwrap();
}

/// Publishes its share of the topics to the end; answers the cuts that are wanted of them meanwhile.
fn publish(hub: &Hub, ids: &[TopicId], share: u8) {
    let (mut batch, mut wanted) = (Batch::default(), Vec::new());
    for seq in 1..=RECORDS {
        wanted.clear();
        hub.cuts_wanted(&mut wanted);
        for topic in (share..TOPICS).step_by(usize::from(PUBLISHERS)) {
            let id = ids[usize::from(topic)];
            batch.clear();
            add(&mut batch, id, topic, RecordKind::Data, false, seq, 0, 40);
            if wanted.contains(&id) || seq == RECORDS {
                add(&mut batch, id, topic, RecordKind::Cut, true, seq, 0, 100);
                add(&mut batch, id, topic, RecordKind::Cut, false, seq, 0, 100);
            }
            hub.publish(&batch, at(seq * 100_000)).unwrap();
        }
    }
}

/// Takes with parked wakers until every topic has come to its end.
#[expect(clippy::disallowed_methods, reason = "the test measures whether a thread was woken")]
fn read(hub: &Hub, ids: &[TopicId], start: Start) {
    let reader = hub.subscriber();
    for (topic, &id) in (0..TOPICS).zip(ids) {
        attach(hub, reader, id, topic, start);
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut next = [None; TOPICS as usize];
    let mut out = Vec::new();
    while next.iter().any(|&next| next != Some(RECORDS + 1)) {
        out.clear();
        match hub.take(reader, 8 << 10, &mut out, Some(&waker)) {
            Taken::Some(_) => {}
            Taken::Empty { .. } => {
                let begun = std::time::Instant::now();
                std::thread::park_timeout(PATIENCE);
                assert!(begun.elapsed() < PATIENCE, "a reader was left asleep at {next:?}");
            }
            Taken::Ended(reason) => panic!("{reason:?}"),
        }
        for (wire, _) in Wire::read_all(&out) {
            let next = &mut next[usize::from(wire.topic)];
            match wire.seen {
                Seen::Status if start == Start::Cut => {}
                Seen::Status => *next = Some(wire.seq),
                Seen::Cut => {
                    assert_eq!(*next, None);
                    *next = (!wire.more).then_some(wire.seq + 1);
                }
                Seen::Data => {
                    assert_eq!(*next, Some(wire.seq));
                    *next = Some(wire.seq + 1);
                }
                _ => unreachable!(),
            }
        }
    }
    hub.close(reader);
}

/// Joins and leaves until told to stop.
fn churn(hub: &Hub, ids: &[TopicId], is_over: &AtomicBool) {
    let mut out = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let reader = hub.subscriber();
        for (topic, &id) in (0..TOPICS).zip(ids) {
            attach(hub, reader, id, topic, if topic % 2 == 0 { Start::Cut } else { Start::Newest });
        }
        out.clear();
        hub.take(reader, 4 << 10, &mut out, None);
        hub.detach(reader, ids[0]);
        hub.close(reader);
    }
}

/// Follows every topic with the right to skip, acknowledges, pauses now and then, and is given the present in the end.
fn skim(hub: &Hub, ids: &[TopicId], delivery: Delivery) {
    let reader = hub.subscriber();
    for (topic, &id) in (0..TOPICS).zip(ids) {
        let (start, conflate) = match topic % 2 {
            0 => (Start::Cut, Conflate::Cut),
            _ => (Start::Next, Conflate::Newest),
        };
        hub.attach(reader, id, AttachOptions { start, delivery, conflate }, &mut |_, _, _| {}).unwrap();
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut last = [0; TOPICS as usize];
    let (mut out, mut stream_seq) = (Vec::new(), 0);
    while last.iter().any(|&last| last != RECORDS) {
        out.clear();
        let mono_ns = stream_seq * 1_000;
        let turn = Turn { stream_seq: stream_seq + 1, bytes_max: 4 << 10, mono_ns };
        match hub.take_turn(reader, turn, &mut out, Some(&waker)) {
            Taken::Some(_) => {
                stream_seq += 1;
                hub.ack(reader, stream_seq, mono_ns);
                if stream_seq.is_multiple_of(100) {
                    std::thread::yield_now();
                }
            }
            Taken::Empty { wake_at_mono_ns, .. } => {
                // Timers ring at once here.
                stream_seq += u64::from(wake_at_mono_ns.is_some()) * 1_000_000;
                std::thread::park_timeout(Duration::from_millis(u64::from(wake_at_mono_ns.is_none())));
            }
            Taken::Ended(reason) => panic!("{reason:?}"),
        }
        for (wire, _) in Wire::read_all(&out) {
            let last = &mut last[usize::from(wire.topic)];
            match wire.seen {
                Seen::Cut if wire.more => {}
                Seen::Cut => {
                    assert!(wire.seq >= *last, "{wire:?} behind {last}");
                    *last = wire.seq;
                }
                Seen::Data => {
                    assert!(wire.seq > *last, "{wire:?} behind {last}");
                    let is_book = wire.topic % 2 == 0;
                    assert!(!is_book || wire.seq == *last + 1, "a book has no hole: {wire:?} behind {last}");
                    *last = wire.seq;
                }
                _ => {}
            }
        }
    }
    hub.close(reader);
}

/// Serves the cuts that are wanted once all was published.
fn serve(hub: &Hub, ids: &[TopicId], is_over: &AtomicBool) {
    let (mut batch, mut wanted) = (Batch::default(), Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        wanted.clear();
        hub.cuts_wanted(&mut wanted);
        batch.clear();
        for (topic, id) in (0..TOPICS).zip(ids) {
            if wanted.contains(id) && hub.head(*id) == RECORDS {
                add(&mut batch, *id, topic, RecordKind::Cut, true, RECORDS, 0, 100);
                add(&mut batch, *id, topic, RecordKind::Cut, false, RECORDS, 0, 100);
            }
        }
        hub.publish(&batch, at(RECORDS * 100_000)).unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn threads_lose_nothing_and_nobody_is_left_asleep() {
    let bounds = HubBounds { owed_bytes: u64::MAX, ..HubBounds::default() };
    let (hub, ids) = hub(bounds, TOPICS);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (hub, ids, is_over) = (&hub, &ids, &is_over);
        let churner = scope.spawn(move || churn(hub, ids, is_over));
        let starts = [Start::Next, Start::Next, Start::Cut, Start::Cut];
        let readers: Vec<_> = starts.map(|start| scope.spawn(move || read(hub, ids, start))).into();
        while hub.stats().cursors < 4 * u64::from(TOPICS) {
            std::thread::yield_now();
        }
        for share in 0..PUBLISHERS {
            scope.spawn(move || publish(hub, ids, share));
        }
        let lates = [Delivery::Latest, Delivery::Interval { ns: 10_000 }];
        let skimmers = lates.map(|delivery| scope.spawn(move || skim(hub, ids, delivery)));
        scope.spawn(move || serve(hub, ids, is_over));
        let judged: Vec<_> =
            readers.into_iter().chain(skimmers).map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        churner.join().unwrap();
        assert!(judged.iter().all(Result::is_ok), "{judged:?}");
    });
    let stats = hub.stats();
    assert_eq!((stats.subscribers, stats.cursors), (0, 0));
}

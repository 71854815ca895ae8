//! What is not acknowledged is bounded: clients of several speeds in virtual time, one millisecond a step.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::collections::VecDeque;

use facade_hub::{
    AttachOptions, Batch, Delivery, EndReason, Hub, HubBounds, RecordKind, SubscriberId, Taken, TopicId, Turn,
};
use support::{Seen, Wire, add, at, hub};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// A client that reads everything at once and handles one record after the other.
struct Client {
    reader: SubscriberId,
    /// Nanoseconds per record.
    pace_ns: u64,
    /// It acknowledges so many records at once, or what it has after [`Client::ack_ns`].
    ack_records: u64,
    ack_ns: u64,
    /// Records read and not handled: response and content.
    queue: VecDeque<(u64, Wire)>,
    stream_seq: u64,
    busy_until: u64,
    acked_at: u64,
    unacked: u64,
    /// The newest response of which it has handled all.
    done: u64,
    handled: u64,
    /// Age of each handled record, with the time.
    ages: Vec<(u64, u64)>,
    /// Causes of the changes that it has read.
    causes: Vec<u64>,
    skipped: u64,
    seq_last: u64,
    holes: u64,
    end: Option<EndReason>,
    wake_at: Option<u64>,
}

struct World {
    hub: Hub,
    id: TopicId,
    now: u64,
    head: u64,
    stamps: Vec<u64>,
    client: Client,
}

impl World {
    fn new(delivery: Delivery, pace_ns: u64, ack_records: u64, ack_ns: u64) -> Self {
        let (hub, ids) = hub(HubBounds::default(), 1);
        let now = 100 * SECOND;
        hub.advance(at(now));
        let reader = hub.subscriber();
        let options = AttachOptions { delivery, ..AttachOptions::default() };
        hub.attach(reader, ids[0], options, &mut |_, _, _| {}).unwrap();
        let client = Client {
            reader,
            pace_ns,
            ack_records,
            ack_ns,
            queue: VecDeque::new(),
            stream_seq: 0,
            busy_until: now,
            acked_at: now,
            unacked: 0,
            done: 0,
            handled: 0,
            ages: Vec::new(),
            causes: Vec::new(),
            skipped: 0,
            seq_last: 0,
            holes: 0,
            end: None,
            wake_at: None,
        };
        Self { hub, id: ids[0], now, head: 0, stamps: vec![0], client }
    }

    fn publish(&mut self, count: u64) {
        let mut batch = Batch::default();
        for _ in 0..count {
            self.head += 1;
            self.stamps.push(self.now);
            add(&mut batch, self.id, 0, RecordKind::Data, false, self.head, 0, 60);
        }
        self.hub.publish(&batch, at(self.now)).unwrap();
    }

    /// The edge gives what it may.
    fn serve(&mut self) {
        while self.client.end.is_none() {
            let mut out = Vec::new();
            let stream_seq = self.client.stream_seq + 1;
            let turn = Turn { stream_seq, bytes_max: 64 << 10, mono_ns: self.now };
            match self.hub.take_turn(self.client.reader, turn, &mut out, None) {
                Taken::Some(_) => {
                    self.client.stream_seq = stream_seq;
                    let read = Wire::read_all(&out).into_iter().map(|(wire, _)| (stream_seq, wire));
                    let read: Vec<_> = read.collect();
                    let changes = read.iter().filter(|(_, wire)| wire.seen == Seen::Change);
                    self.client.causes.extend(changes.map(|(_, wire)| wire.tag));
                    self.client.queue.extend(read);
                }
                Taken::Empty { wake_at_mono_ns, .. } => {
                    self.client.wake_at = wake_at_mono_ns;
                    return;
                }
                Taken::Ended(reason) => self.client.end = Some(reason),
            }
        }
    }

    /// The client handles what it has time for, and acknowledges.
    fn handle(&mut self) {
        let client = &mut self.client;
        while client.busy_until <= self.now {
            let Some((response, wire)) = client.queue.pop_front() else { break };
            if wire.seen == Seen::Change {
                client.skipped += wire.seq;
                continue;
            }
            client.busy_until = client.busy_until.max(self.now.saturating_sub(MS)) + client.pace_ns;
            client.handled += 1;
            client.unacked += 1;
            if wire.seen == Seen::Data {
                client.holes += wire.seq - client.seq_last - 1;
                client.seq_last = wire.seq;
                client.ages.push((self.now, self.now - self.stamps[usize::try_from(wire.seq).unwrap()]));
            }
            let is_last = client.queue.front().is_none_or(|(next, _)| *next != response);
            client.done = if is_last { response } else { response - 1 };
        }
        if client.done > 0 && client.unacked > 0 {
            let is_due = client.unacked >= client.ack_records || self.now - client.acked_at >= client.ack_ns;
            if is_due {
                self.hub.ack(client.reader, client.done, self.now);
                client.unacked = 0;
                client.acked_at = self.now;
            }
        }
    }

    /// Runs for a time with `per_ms` records published each millisecond.
    fn run(&mut self, duration: u64, per_ms: u64) {
        let until = self.now + duration;
        while self.now < until && self.client.end.is_none() {
            self.now += MS;
            if per_ms > 0 {
                self.publish(per_ms);
            } else {
                self.hub.advance(at(self.now));
            }
            self.serve();
            self.handle();
            self.serve();
            let stats = self.hub.subscriber_stats(self.client.reader);
            assert!(stats.is_none_or(|stats| stats.owed_bytes <= 4 << 20), "owed stays within its bound");
        }
    }

    fn age_max(&self, since: u64) -> u64 {
        self.client.ages.iter().filter(|(when, _)| *when >= since).map(|(_, age)| *age).max().unwrap()
    }
}

#[test]
fn row_e01_a_client_of_10_a_second_under_latest_reads_no_data_older_than_a_second() {
    let mut world = World::new(Delivery::Latest, 100 * MS, 256, 250 * MS);
    // What was sent before the first acknowledgement, 250 ms of records, takes it 25 s.
    world.run(90 * SECOND, 1);
    assert!(world.client.end.is_none());
    assert!(world.age_max(132 * SECOND) <= SECOND);
    assert!(world.client.handled >= 850, "it is kept busy: {} records", world.client.handled);
    // The client comes to rest; then every hole has been told.
    world.run(5 * SECOND, 0);
    world.hub.detach(world.client.reader, world.id);
    world.run(2 * SECOND, 0);
    let seen = world.client.ages.len() as u64;
    assert_eq!(seen + world.client.holes, world.client.seq_last);
    assert_eq!(world.client.holes, world.client.skipped, "counts are the truth");
    assert_eq!(world.client.seq_last, world.head, "it ends with the present");
}

#[test]
fn a_client_of_10_a_second_under_every_is_warned_and_ended_within_its_bound() {
    let mut world = World::new(Delivery::Every, 100 * MS, 256, 250 * MS);
    world.run(60 * SECOND, 1);
    let Some(EndReason::SlowReader { positions }) = &world.client.end else {
        panic!("{:?}", world.client.end)
    };
    assert_eq!(world.client.holes, 0, "EVERY never skips");
    let seconds = (world.now - 100 * SECOND) / SECOND;
    assert!((29..=32).contains(&seconds), "ended after {seconds} s");
    let tail: Vec<Wire> = world.client.queue.iter().map(|(_, wire)| *wire).collect();
    let gap = tail.last().unwrap();
    assert_eq!((gap.seen, gap.seq, gap.tag), (Seen::Gap, positions[0].seq + 1, world.head));
    assert_eq!(world.client.causes, [1], "LAG_WARNING came before");
}

#[test]
fn row_e02_a_client_that_stops_acknowledging_is_given_no_more_and_ended_after_30_s() {
    let mut world = World::new(Delivery::Latest, MS / 10, 64, 50 * MS);
    world.run(5 * SECOND, 1);
    assert!(world.age_max(104 * SECOND) <= 2 * MS, "while it keeps up it reads every record at once");
    assert_eq!(world.client.holes, 0);
    let stopped = world.now;
    world.client.pace_ns = u64::MAX / 4;
    world.run(2 * SECOND, 1);
    let sent = world.client.queue.len();
    assert!(sent <= 1_000, "{sent} records on their way");
    assert!(world.client.wake_at.is_some_and(|wake| wake > world.now), "the edge knows when to look again");
    world.run(20 * SECOND, 1);
    assert_eq!(world.client.queue.len(), sent, "nothing more is given");
    world.run(20 * SECOND, 1);
    assert!(matches!(world.client.end, Some(EndReason::SlowReader { .. })));
    let stalled = (world.now - stopped) / SECOND;
    assert!((30..=32).contains(&stalled), "ended after {stalled} s");
}

#[test]
fn a_client_that_pauses_is_given_the_newest_when_it_comes_back_and_every_record_later() {
    let mut world = World::new(Delivery::Latest, MS / 10, 64, 50 * MS);
    world.run(5 * SECOND, 1);
    world.client.busy_until = world.now + 10 * SECOND;
    world.run(12 * SECOND, 1);
    assert!(world.client.holes > 8_000, "what came meanwhile was skipped");
    assert!(world.age_max(world.now - SECOND) <= 20 * MS);
    world.run(5 * SECOND, 1);
    let holes = world.client.holes;
    world.run(5 * SECOND, 1);
    assert_eq!(world.client.holes, holes, "it keeps up again");
    assert_eq!(world.client.skipped, holes, "and that was told");
}

#[test]
fn a_fast_client_is_never_held_up_by_its_acknowledgements() {
    for delivery in [Delivery::Every, Delivery::Latest] {
        let mut world = World::new(delivery, 2_000, 256, 250 * MS);
        world.run(2 * SECOND, 1);
        world.run(2 * SECOND, 50);
        world.run(SECOND, 1);
        world.run(SECOND, 100);
        assert!(world.age_max(0) <= 20 * MS, "{delivery:?}: {} ms", world.age_max(0) / MS);
        assert_eq!((world.client.holes, world.client.seq_last), (0, world.head));
    }
}

#[test]
fn a_client_that_acknowledges_by_count_alone_is_not_left_waiting() {
    let mut world = World::new(Delivery::Every, MS, 256, u64::MAX / 4);
    for _ in 0..20_000 {
        world.run(3 * MS, 0);
        world.publish(1);
    }
    assert!(world.client.end.is_none());
    assert!(world.age_max(0) <= 20 * MS, "{} ms", world.age_max(0) / MS);
}

#[test]
fn a_client_that_never_acknowledges_is_not_bounded_here() {
    let mut world = World::new(Delivery::Every, MS / 10, u64::MAX, u64::MAX / 4);
    world.run(40 * SECOND, 1);
    assert!(world.client.end.is_none());
    assert_eq!(world.client.seq_last, world.head);
}

#[test]
fn a_window_stays_small_although_a_response_is_acknowledged_as_a_whole() {
    let mut world = World::new(Delivery::Every, 5 * MS, 256, 250 * MS);
    for _ in 0..500 {
        world.run(10 * MS, 0);
        world.publish(1);
    }
    world.publish(4_000);
    let mut most = 0;
    for _ in 0..2_500 {
        world.run(10 * MS, 0);
        most = most.max(world.client.queue.len());
    }
    assert_eq!(world.client.seq_last, world.head, "{:?}", world.client.end);
    assert!(most <= 200, "{most} records on their way to a client of 200 a second");
}

//! Publish and take, one thread: 90-byte records to 1, 10 and 100 subscribers of 64 topics.
//!
//! `cargo bench -p facade-hub`. Each row asserts that every subscriber was given every record.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures time and prints it")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that meets an error has no result")]

use std::task::Waker;
use std::time::Instant;

use facade_hub::{
    AttachOptions, Batch, DeliveryChange, DeliveryGap, Hub, HubBounds, RecordKind, ResumePosition, Stamp,
    Start, StreamEncoder, SubscriberId, Taken, TopicId, TopicKey,
};

const RECORD_BYTES: usize = 90;
const TOPICS: usize = 64;

struct Silent;

impl StreamEncoder for Silent {
    fn gap(&self, _gap: &DeliveryGap<'_>, _out: &mut Vec<u8>) {}
    fn delivery_change(&self, _change: &DeliveryChange<'_>, _out: &mut Vec<u8>) {}
    fn draining(&self, _positions: &[ResumePosition], _now: Stamp, _out: &mut Vec<u8>) {}
}

struct Bench {
    hub: Hub,
    ids: Vec<TopicId>,
    readers: Vec<SubscriberId>,
    batch: Batch,
    out: Vec<u8>,
    published: u64,
}

impl Bench {
    fn new(topics: usize, subscribers: usize) -> Self {
        let hub = Hub::new(HubBounds::default(), Box::new(Silent));
        let names = (0..topics).map(|topic| topic.to_string());
        let topic = |symbol: String| {
            hub.topic(&TopicKey { venue: "binance", symbol: &symbol, channel: 1, variant: "" })
        };
        let ids: Vec<TopicId> = names.map(topic).collect();
        let readers: Vec<SubscriberId> = (0..subscribers).map(|_| hub.subscriber()).collect();
        for &reader in &readers {
            for &id in &ids {
                hub.attach(
                    reader,
                    id,
                    AttachOptions { start: Start::Next, ..AttachOptions::default() },
                    &mut |_, _, _| {},
                )
                .unwrap();
            }
        }
        Self { hub, ids, readers, batch: Batch::default(), out: Vec::with_capacity(1 << 20), published: 0 }
    }

    /// Publishes one record per batch, topic after topic, `count` times.
    fn publish(&mut self, count: u64, topics: usize) {
        for _ in 0..count {
            let number = self.published;
            let &id = self.ids.get(usize::try_from(number).unwrap() % topics).unwrap();
            let seq = number / topics as u64 + 1;
            self.batch.clear();
            let write = |out: &mut Vec<u8>| {
                out.resize(out.len() + RECORD_BYTES, 7);
                Ok::<(), ()>(())
            };
            self.batch.record(id, seq, RecordKind::Data, false, write).unwrap();
            let mono_ns = number * 1_000;
            self.hub
                .publish(&self.batch, Stamp { wall_ns: i64::try_from(mono_ns).unwrap(), mono_ns })
                .unwrap();
            self.published += 1;
        }
    }

    fn take_all(&mut self) -> u64 {
        let mut records = 0;
        for &reader in &self.readers {
            loop {
                self.out.clear();
                match self.hub.take(reader, 256 << 10, &mut self.out, Some(Waker::noop())) {
                    Taken::Some(taken) => records += u64::from(taken.records),
                    Taken::Empty { .. } => break,
                    Taken::Ended(reason) => panic!("{reason:?}"),
                }
            }
        }
        records
    }
}

/// Deliveries per second with `joined` records published between takes.
fn fanout(subscribers: usize, joined: u64) -> f64 {
    let mut bench = Bench::new(TOPICS, subscribers);
    let turns = 4_000_000 / joined / subscribers as u64 / 4;
    for _ in 0..turns / 4 {
        bench.publish(joined, TOPICS);
        bench.take_all();
    }
    let mut delivered = 0;
    let begun = Instant::now();
    for _ in 0..turns {
        bench.publish(joined, TOPICS);
        delivered += bench.take_all();
    }
    let elapsed = begun.elapsed();
    assert_eq!(delivered, turns * joined * subscribers as u64);
    ratio(delivered, elapsed.as_nanos()) * 1e9
}

/// Nanoseconds of one publish and one take while one of `topics` attached topics is active.
fn one_active_topic(topics: usize) -> f64 {
    const TURNS: u64 = 200_000;
    let mut bench = Bench::new(topics, 1);
    bench.publish(1_000, 1);
    bench.take_all();
    let begun = Instant::now();
    let mut delivered = 0;
    for _ in 0..TURNS {
        bench.publish(1, 1);
        delivered += bench.take_all();
    }
    let elapsed = begun.elapsed();
    assert_eq!(delivered, TURNS);
    1.0 / ratio(TURNS, elapsed.as_nanos())
}

#[expect(clippy::cast_precision_loss, reason = "figures of a bench lie far below 2^52")]
fn ratio(count: u64, of: u128) -> f64 {
    count as f64 / of as f64
}

fn main() {
    for subscribers in [1, 10, 100] {
        for joined in [1, 10, 100] {
            let rate = fanout(subscribers, joined) / 1e6;
            println!("{subscribers:>4} subscribers, {joined:>4} records a take: {rate:>6.2} M deliveries/s");
        }
    }
    for topics in [1, 100, 10_000] {
        println!(
            "one of {topics:>6} topics active: {:>6.0} ns a publish and a take",
            one_active_topic(topics)
        );
    }
}

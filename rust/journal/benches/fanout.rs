//! What the journal's thread costs those who publish and take: the same work without and with it, in turns.
//!
//! `cargo bench -p facade-journal --bench fanout`. Each row asserts that every subscriber was given every record, and
//! that the journal lost none.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures time and prints it")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that meets an error has no result")]

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use facade_hub::{
    AttachOptions, Batch, DeliveryChange, DeliveryGap, Hub, HubBounds, RecordKind, ResumePosition, Stamp,
    Start, StreamEncoder, SubscriberId, Taken, TopicId, TopicKey,
};
use facade_journal::{HubLog, Journal, JournalBounds};

const TOPICS: usize = 64;
const RECORD_BYTES: usize = 90;
const JOINED: usize = 10;
const ROUNDS: usize = 9;
const RECORDS: usize = 400_000;

struct Silent;

impl StreamEncoder for Silent {
    fn gap(&self, _gap: &DeliveryGap<'_>, _out: &mut Vec<u8>) {}
    fn delivery_change(&self, _change: &DeliveryChange<'_>, _out: &mut Vec<u8>) {}
    fn draining(&self, _positions: &[ResumePosition], _now: Stamp, _out: &mut Vec<u8>) {}
}

struct Work {
    hub: Arc<Hub>,
    topics: Vec<TopicId>,
    readers: Vec<SubscriberId>,
    batch: Batch,
    out: Vec<u8>,
}

impl Work {
    fn new(readers: usize) -> Self {
        let hub = Arc::new(Hub::new(HubBounds::default(), Box::new(Silent)));
        let topic = |number: usize| {
            hub.topic(&TopicKey { venue: "binance", symbol: &number.to_string(), channel: 1, variant: "" })
        };
        let topics: Vec<TopicId> = (0..TOPICS).map(topic).collect();
        let readers: Vec<SubscriberId> = (0..readers).map(|_| hub.subscriber()).collect();
        for &reader in &readers {
            for &topic in &topics {
                let options = AttachOptions { start: Start::Next, ..AttachOptions::default() };
                hub.attach(reader, topic, options, &mut |_, _, _| {}).unwrap();
            }
        }
        Self { hub, topics, readers, batch: Batch::default(), out: Vec::with_capacity(1 << 20) }
    }

    fn publish(&mut self, number: usize) {
        let topic = *self.topics.get(number % TOPICS).unwrap();
        self.batch.clear();
        let write = |out: &mut Vec<u8>| {
            out.resize(out.len() + RECORD_BYTES, 7);
            Ok::<(), ()>(())
        };
        let seq = (number / TOPICS) as u64 + 1;
        self.batch.record(topic, seq, RecordKind::Data, false, write).unwrap();
        let mono_ns = number as u64 * 1_000;
        self.hub.publish(&self.batch, Stamp { wall_ns: 1, mono_ns }).unwrap();
    }

    fn take(&mut self) -> usize {
        let mut records = 0;
        for &reader in &self.readers {
            loop {
                self.out.clear();
                match self.hub.take(reader, 256 << 10, &mut self.out, Some(Waker::noop())) {
                    Taken::Some(taken) => records += taken.records as usize,
                    Taken::Empty { .. } => break,
                    Taken::Ended(reason) => panic!("{reason:?}"),
                }
            }
        }
        records
    }

    /// Publishes and takes everything; returns the time of it, and the longest publication.
    fn run(&mut self) -> (Duration, Duration) {
        let (begun, mut longest, mut delivered) = (Instant::now(), Duration::ZERO, 0);
        for turn in 0..RECORDS / JOINED {
            let turn_begun = Instant::now();
            for number in turn * JOINED..(turn + 1) * JOINED {
                self.publish(number);
            }
            longest = longest.max(turn_begun.elapsed());
            delivered += self.take();
        }
        let elapsed = begun.elapsed();
        assert_eq!(delivered, RECORDS * self.readers.len());
        (elapsed, longest)
    }
}

fn once(readers: usize, is_journaled: bool) -> Duration {
    let mut work = Work::new(readers);
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), 1, JournalBounds::default()).unwrap();
    if is_journaled {
        journal.start(Box::new(HubLog::new(Arc::clone(&work.hub))), Box::new(|| 1)).unwrap();
    }
    let (elapsed, _) = work.run();
    journal.stop();
    let expected = if is_journaled { RECORDS as u64 } else { 0 };
    assert_eq!((journal.stats().records_written, journal.stats().records_lost), (expected, 0));
    elapsed
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).unwrap().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "figures of a bench lie far below 2^52")]
fn main() {
    for readers in [1, 10, 100] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..if readers == 100 { 3 } else { ROUNDS } {
            without.push(once(readers, false));
            with.push(once(readers, true));
        }
        let (without, with) = (median(without), median(with));
        let rate = (RECORDS * readers) as f64 / with / 1e6;
        println!(
            "{readers:>4} subscribers: {rate:>6.2} M deliveries/s with a journal, {:.2} of what it is without",
            without / with
        );
    }
}

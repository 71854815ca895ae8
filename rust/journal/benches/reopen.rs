//! What a journal costs: writing, opening 512 MiB after an end in order and after SIGKILL, reading a topic back.
//!
//! `cargo bench -p facade-journal`. Each row asserts that nothing is missing.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures time and prints it")]
#![expect(clippy::unwrap_used, reason = "a bench that meets an error has no result")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use facade_hub::{
    Batch, DeliveryChange, DeliveryGap, Hub, HubBounds, RecordKind, ResumePosition, Stamp, StreamEncoder,
    TopicId, TopicKey,
};
use facade_journal::{HubLog, Journal, JournalBounds};

const TOPICS: u32 = 64;
const RECORD_BYTES: usize = 180;
const RECORDS: u64 = 2_400_000;
const EPOCH: u32 = 1_763_000_000;

struct Silent;

impl StreamEncoder for Silent {
    fn gap(&self, _gap: &DeliveryGap<'_>, _out: &mut Vec<u8>) {}
    fn delivery_change(&self, _change: &DeliveryChange<'_>, _out: &mut Vec<u8>) {}
    fn draining(&self, _positions: &[ResumePosition], _now: Stamp, _out: &mut Vec<u8>) {}
}

fn symbol(topic: u32) -> String {
    format!("T{topic}-USD")
}

fn key(symbol: &str) -> TopicKey<'_> {
    TopicKey { venue: "kraken", symbol, channel: 1, variant: "" }
}

/// Publishes all records in turns that the ring can hold, and waits for the journal after each.
fn fill(hub: &Hub, journal: &Journal) {
    let topics: Vec<TopicId> = (0..TOPICS).map(|topic| hub.topic(&key(&symbol(topic)))).collect();
    let mut batch = Batch::default();
    for number in 0..RECORDS {
        let topic = topics.get(usize::try_from(number % u64::from(TOPICS)).unwrap()).unwrap();
        batch.clear();
        let write = |out: &mut Vec<u8>| {
            out.resize(RECORD_BYTES, 7);
            Ok::<(), ()>(())
        };
        batch.record(*topic, number / u64::from(TOPICS) + 1, RecordKind::Data, false, write).unwrap();
        hub.publish(&batch, Stamp { wall_ns: 1, mono_ns: number }).unwrap();
        while number % 100_000 == 0 && journal.stats().records_written < number.saturating_sub(100_000) {
            std::thread::yield_now();
        }
    }
}

fn open(dir: &Path, epoch: u32) -> (Journal, f64) {
    let begun = Instant::now();
    let journal = Journal::open(dir, epoch, JournalBounds::default()).unwrap();
    (journal, begun.elapsed().as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "figures of a bench lie far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Cuts what sealing wrote, as if the process had been killed while it wrote the newest segment.
fn unseal(dir: &Path) {
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let file = std::fs::OpenOptions::new().write(true).open(paths.last().unwrap()).unwrap();
    file.set_len(file.metadata().unwrap().len() - 7).unwrap();
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Arc::new(Hub::new(HubBounds::default(), Box::new(Silent)));
    let journal = Journal::open(dir.path(), EPOCH, JournalBounds::default()).unwrap();
    journal.start(Box::new(HubLog::new(Arc::clone(&hub))), Box::new(|| 1)).unwrap();
    let begun = Instant::now();
    fill(&hub, &journal);
    journal.stop();
    let (elapsed, stats) = (begun.elapsed().as_secs_f64(), journal.stats());
    assert_eq!((stats.records_written, stats.records_lost), (RECORDS, 0));
    let size = mebibytes(stats.bytes);
    println!("publish and journal {size:.0} MiB: {elapsed:.2} s");
    drop(journal);
    println!("open after an end in order: {:.1} ms", open(dir.path(), EPOCH + 1).1 * 1e3);
    unseal(dir.path());
    let (journal, elapsed) = open(dir.path(), EPOCH + 1);
    println!("open after SIGKILL: {:.1} ms", elapsed * 1e3);
    let begun = Instant::now();
    let (symbol, mut seq, mut bytes) = (symbol(7), 0, 0);
    loop {
        let replay = journal.read(&key(&symbol), EPOCH, seq, 256 << 10).unwrap();
        if replay.entries.is_empty() {
            break;
        }
        (seq, bytes) = (replay.seq_last, bytes + replay.entries.len());
    }
    assert_eq!(seq, RECORDS / u64::from(TOPICS));
    let elapsed = begun.elapsed().as_secs_f64();
    println!("read one of {TOPICS} topics, {} KiB: {:.0} ms", bytes >> 10, elapsed * 1e3);
}

//! A process that publishes, reads and journals is killed by SIGKILL at random moments: whatever its reader had been
//! given before the journal last found nothing more to write is in the journal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and times itself, its helpers too"
)]

mod support;

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use facade_hub::{
    AttachOptions, Batch, LogBatch, LogRead, RecordKind, Stamp, Start, Taken, TopicId, TopicName,
};
use facade_journal::{HubLog, Journal, JournalBounds, LogSource};
use support::{BEGIN_NS, EPOCH, body, hub, name, read_all};

const DIR: &str = "FACADE_JOURNAL_CRASH_DIR";
const KILLS: u32 = 8;
const TOPICS: usize = 5;
/// Lines of a child whose journal writes nothing, at most.
const LINES_MAX: usize = 100_000;

/// How far a reader was given, and how far of that the journal has come: it asks for more when it has written all that
/// it got, so what was given before it asked in vain is written.
#[derive(Debug, Default)]
struct Progress {
    given: AtomicU64,
    kept: AtomicU64,
}

struct Watched {
    log: HubLog,
    progress: Arc<Progress>,
}

impl LogSource for Watched {
    fn read(&mut self, bytes_max: usize, batch: &mut LogBatch) -> LogRead {
        let given = self.progress.given.load(Ordering::Acquire);
        let read = self.log.read(bytes_max, batch);
        if batch.entries.is_empty() {
            self.progress.kept.store(given, Ordering::Release);
        }
        read
    }

    fn name(&self, topic: TopicId) -> Option<TopicName> {
        self.log.name(topic)
    }
}

/// The child: publishes for ever, and tells on stdout how far its journal has come.
fn publish_until_killed(dir: &Path) -> ! {
    let hub = hub();
    let journal = Journal::open(dir, EPOCH, JournalBounds::default()).unwrap();
    let topics: Vec<_> = (0..TOPICS).map(|topic| hub.topic(&name(topic).as_key())).collect();
    let reader = hub.subscriber();
    for &topic in &topics {
        let options = AttachOptions { start: Start::Next, ..AttachOptions::default() };
        hub.attach(reader, topic, options, &mut |_, _, _| {}).unwrap();
    }
    let progress = Arc::new(Progress::default());
    let source = Watched { log: HubLog::new(Arc::clone(&hub)), progress: Arc::clone(&progress) };
    journal.start(Box::new(source), Box::new(|| 0)).unwrap();
    let mut stdout = std::io::stdout().lock();
    let (mut batch, mut taken) = (Batch::default(), Vec::new());
    for seq in 1_u64.. {
        for (number, &topic) in topics.iter().enumerate() {
            batch.clear();
            let write = |out: &mut Vec<u8>| {
                out.extend_from_slice(&body(number, seq, 0, 300));
                Ok::<(), ()>(())
            };
            batch.record(topic, seq, RecordKind::Data, false, write).unwrap();
            let wall_ns = BEGIN_NS + i64::try_from(seq).unwrap() * 1_000;
            hub.publish(&batch, Stamp { wall_ns, mono_ns: seq * 1_000 }).unwrap();
        }
        while let Taken::Some(_) = hub.take(reader, 1 << 20, &mut taken, None) {}
        taken.clear();
        progress.given.store(seq, Ordering::Release);
        writeln!(stdout, "kept {}", progress.kept.load(Ordering::Acquire)).unwrap();
        stdout.flush().unwrap();
        thread::sleep(Duration::from_micros(200));
    }
    unreachable!("a child does not end by itself")
}

/// Starts a child, kills it after a while, and checks what it left.
fn kill_one(round: u32) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "what_a_reader_was_given_survives_sigkill", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kept =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ")?.parse::<u64>().ok());
    let moment = 37 * usize::try_from(round).unwrap();
    let before = kept.by_ref().take(LINES_MAX).filter(|&seq| seq > 0).nth(moment);
    child.kill().unwrap();
    child.wait().unwrap();
    let safe = kept.max().or(before).expect("the journal wrote before its process was killed");
    let journal = Journal::open(dir.path(), EPOCH + 1, JournalBounds::default()).unwrap();
    for topic in 0..TOPICS {
        let (entries, seq_last) = read_all(&journal, EPOCH, &name(topic).as_key(), 0, 64 << 10);
        assert!(seq_last >= safe, "round {round}: written up to {safe}, kept up to {seq_last}");
        let mut rest = entries.as_slice();
        for seq in 1..=seq_last {
            let record = body(topic, seq, 0, 300);
            let (framing, tail) = rest.split_at(3);
            assert_eq!(framing[0], 0x22);
            assert_eq!(&tail[..record.len()], record.as_slice());
            rest = &tail[record.len()..];
        }
        assert!(rest.is_empty());
    }
    assert_eq!(journal.stats().damages, 0);
}

#[test]
fn what_a_reader_was_given_survives_sigkill() {
    if let Ok(dir) = env::var(DIR) {
        publish_until_killed(Path::new(&dir));
    }
    (0..KILLS).for_each(kill_one);
}

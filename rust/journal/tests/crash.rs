//! A process that publishes, reads and journals is killed by SIGKILL at random moments: whatever its reader had been
//! given 50 ms before is in the journal.

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
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use facade_hub::{AttachOptions, Batch, RecordKind, Stamp, Start, Taken};
use facade_journal::{HubLog, Journal, JournalBounds};
use support::{EPOCH, body, hub, name, read_all};

const DIR: &str = "FACADE_JOURNAL_CRASH_DIR";
const KILLS: u32 = 8;
const TOPICS: usize = 5;
const GRACE_NS: u128 = 50_000_000;

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// The child: publishes for ever, and tells on stdout what its reader was given, and when.
fn publish_until_killed(dir: &Path) -> ! {
    let hub = hub();
    let journal = Journal::open(dir, EPOCH, JournalBounds::default()).unwrap();
    let topics: Vec<_> = (0..TOPICS).map(|topic| hub.topic(&name(topic).as_key())).collect();
    let reader = hub.subscriber();
    for &topic in &topics {
        let options = AttachOptions { start: Start::Next, ..AttachOptions::default() };
        hub.attach(reader, topic, options, &mut |_, _, _| {}).unwrap();
    }
    journal.start(Box::new(HubLog::new(Arc::clone(&hub))), Box::new(|| 0)).unwrap();
    let mut stdout = std::io::stdout().lock();
    let (mut batch, mut taken) = (Batch::default(), Vec::new());
    for seq in 1.. {
        for (number, &topic) in topics.iter().enumerate() {
            batch.clear();
            let write = |out: &mut Vec<u8>| {
                out.extend_from_slice(&body(number, seq, 0, 300));
                Ok::<(), ()>(())
            };
            batch.record(topic, seq, RecordKind::Data, false, write).unwrap();
            let wall_ns = i64::try_from(now_ns()).unwrap();
            hub.publish(&batch, Stamp { wall_ns, mono_ns: wall_ns.unsigned_abs() }).unwrap();
        }
        while let Taken::Some(_) = hub.take(reader, 1 << 20, &mut taken, None) {}
        taken.clear();
        writeln!(stdout, "{} {seq}", now_ns()).unwrap();
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
    let reading = thread::spawn(move || {
        let told = lines.map_while(Result::ok);
        told.filter_map(|line| {
            let (at, seq) = line.split_once(' ')?;
            Some((at.parse::<u128>().ok()?, seq.parse::<u64>().ok()?))
        })
        .collect::<Vec<_>>()
    });
    thread::sleep(Duration::from_millis(u64::from(150 + 37 * round)));
    let killed_at = now_ns();
    child.kill().unwrap();
    child.wait().unwrap();
    let told = reading.join().unwrap();
    let safe = told.iter().filter(|(at, _)| at + GRACE_NS < killed_at).map(|&(_, seq)| seq).max();
    let safe = safe.expect("the child had begun before it was killed");
    let journal = Journal::open(dir.path(), EPOCH + 1, JournalBounds::default()).unwrap();
    for topic in 0..TOPICS {
        let (entries, seq_last) = read_all(&journal, EPOCH, &name(topic).as_key(), 0, 64 << 10);
        assert!(seq_last >= safe, "round {round}: given up to {safe}, kept up to {seq_last}");
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

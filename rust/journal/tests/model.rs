//! The journal against a naive model: what comes back, what a crash or damage leaves, what a bound removes.

#![allow(clippy::cast_possible_truncation, reason = "numbers of a test are small")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use facade_hub::RecordKind;
use facade_journal::{Journal, JournalBounds, JournalError, Range};
use proptest::prelude::*;
use support::{BEGIN_NS, EPOCH, SECOND_NS, Script, check_ranges, expected, name, read_all, write};

const TOPICS: usize = 4;

fn bounds(bytes_max: u64) -> JournalBounds {
    JournalBounds { bytes_max, age_ns: 3_600 * SECOND_NS }
}

fn kind() -> impl Strategy<Value = (RecordKind, usize)> {
    prop_oneof![
        4 => (1..4_usize).prop_map(|parts| (RecordKind::Data, parts)),
        1 => Just((RecordKind::State, 1)),
        1 => Just((RecordKind::Gap, 1)),
        1 => (1..4_usize).prop_map(|parts| (RecordKind::Snapshot, parts)),
        1 => Just((RecordKind::Position, 1)),
        1 => (1..3_usize).prop_map(|parts| (RecordKind::Cut, parts)),
    ]
}

prop_compose! {
    fn script(groups: usize)(
        groups in prop::collection::vec((0..TOPICS, kind(), 0..60_usize), 1..groups)
    ) -> Script {
        let mut script = Script::new(TOPICS);
        for (topic, (kind, parts), filler) in groups {
            script.group(topic, kind, parts, filler);
        }
        script
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A log of many small segments: 40 records of some 10 KB each.
fn large_script() -> Script {
    let mut script = Script::new(TOPICS);
    for group in 0..600 {
        script.group(group % TOPICS, RecordKind::Data, 1 + group % 3, 3_000);
    }
    script
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_was_published_comes_back_whole(
        script in script(200),
        chunks in prop::collection::vec(1..20_usize, 1..5),
        bytes_max in 1..2_000_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let journal = write(dir.path(), EPOCH, bounds(1 << 20), script.source(&chunks));
        for journal in [journal, Journal::open(dir.path(), EPOCH + 1, bounds(1 << 20)).unwrap()] {
            let ranges = check_ranges(&journal, &script.model, TOPICS, bytes_max);
            for (topic, ranges) in ranges.iter().enumerate() {
                let last = script.model.get(&topic).map(|records| records.last().unwrap().seq);
                let whole = last.map(|seq_last| Range { epoch: EPOCH, seq_oldest: 1, seq_last });
                prop_assert_eq!(ranges.first().copied(), whole);
                prop_assert!(ranges.len() <= 1);
            }
            prop_assert_eq!(journal.stats().failure, None);
        }
    }

    #[test]
    fn a_position_inside_a_group_is_followed_by_its_rest(script in script(100), after in 0..300_u64) {
        let dir = tempfile::tempdir().unwrap();
        let journal = write(dir.path(), EPOCH, bounds(1 << 20), script.source(&[7]));
        for (&topic, records) in &script.model {
            let last = records.last().unwrap().seq;
            let (entries, seq) = read_all(&journal, EPOCH, &name(topic).as_key(), after.min(last), 100);
            prop_assert_eq!(seq, last);
            prop_assert_eq!(entries, expected(&script.model, topic, after.min(last) + 1, last));
        }
    }

    #[test]
    fn any_cut_of_the_last_segment_leaves_a_clean_prefix(script in script(60), cut in 0.0..1.0_f64) {
        let dir = tempfile::tempdir().unwrap();
        drop(write(dir.path(), EPOCH, bounds(1 << 20), script.source(&[5])));
        let Some(path) = segments(dir.path()).pop() else { return Ok(()) };
        let bytes = fs::read(&path).unwrap();
        #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a share of a small file")]
        let cut = (bytes.len() as f64 * cut) as usize;
        fs::write(&path, &bytes[..cut]).unwrap();
        for epoch in [EPOCH + 1, EPOCH + 2] {
            let journal = Journal::open(dir.path(), epoch, bounds(1 << 20)).unwrap();
            for ranges in check_ranges(&journal, &script.model, TOPICS, 300) {
                prop_assert!(ranges.len() <= 1 && ranges.iter().all(|range| range.seq_oldest == 1));
            }
            prop_assert_eq!(journal.stats().damages, 0, "a cut is no damage");
        }
    }

    #[test]
    fn a_flipped_bit_is_told_and_never_read(
        script in script(60), place in 0.0..1.0_f64, bit in 0..8_u32, is_sealed in any::<bool>()
    ) {
        let dir = tempfile::tempdir().unwrap();
        drop(write(dir.path(), EPOCH, bounds(1 << 20), script.source(&[5])));
        let Some(path) = segments(dir.path()).pop() else { return Ok(()) };
        let mut bytes = fs::read(&path).unwrap();
        if !is_sealed {
            bytes.truncate(bytes.len() - 20);
        }
        #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a share of a small file")]
        let place = (bytes.len() as f64 * place) as usize;
        bytes[place] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let journal = Journal::open(dir.path(), EPOCH + 1, bounds(1 << 20)).unwrap();
        let mut is_whole = true;
        for (&topic, records) in &script.model {
            let last = records.last().unwrap().seq;
            let (entries, seq) = read_all(&journal, EPOCH, &name(topic).as_key(), 0, 300);
            prop_assert_eq!(entries, expected(&script.model, topic, 1, seq));
            is_whole &= seq == last;
        }
        let stats = journal.stats();
        prop_assert!(is_whole || stats.damages > 0 || stats.bytes_torn > 0);
        check_ranges(&journal, &script.model, TOPICS, 300);
    }

    #[test]
    fn what_the_log_lost_is_a_hole_between_ranges(
        script in script(150), first in 0..100_usize, count in 1..40_usize,
        chunks in prop::collection::vec(1..20_usize, 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let source = script.source(&chunks).lose(first, count);
        let journal = write(dir.path(), EPOCH, bounds(1 << 20), source);
        for journal in [journal, Journal::open(dir.path(), EPOCH + 1, bounds(1 << 20)).unwrap()] {
            check_ranges(&journal, &script.model, TOPICS, 300);
        }
    }
}

#[test]
fn a_snapshot_that_lost_its_first_part_is_not_given_out() {
    let mut script = Script::new(1);
    script.group(0, RecordKind::State, 1, 5);
    script.group(0, RecordKind::Snapshot, 3, 5);
    script.group(0, RecordKind::Data, 1, 5);
    script.group(0, RecordKind::Data, 1, 5);
    for lost in [0..1, 1..2, 1..3, 0..2] {
        let dir = tempfile::tempdir().unwrap();
        let source = script.source(&[1]).lose(lost.start, lost.len());
        let journal = write(dir.path(), EPOCH, bounds(1 << 20), source);
        for range in &check_ranges(&journal, &script.model, 1, 300)[0] {
            assert!(!(range.seq_oldest..=range.seq_last).contains(&2), "{lost:?} {range:?}");
        }
        assert_eq!(journal.ranges(&name(0).as_key()).last().unwrap().seq_last, 4, "{lost:?}");
    }
}

#[test]
fn the_oldest_segments_leave_when_bytes_run_out() {
    let dir = tempfile::tempdir().unwrap();
    let script = large_script();
    let journal = write(dir.path(), EPOCH, bounds(1 << 20), script.source(&[9]));
    let stats = journal.stats();
    assert!(stats.bytes <= 1 << 20, "{stats:?}");
    let on_disk: u64 = segments(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(on_disk, stats.bytes);
    assert_eq!((stats.failure, stats.records_lost), (None, 0));
    for (topic, ranges) in check_ranges(&journal, &script.model, TOPICS, 10_000).iter().enumerate() {
        assert_eq!(ranges.len(), 1);
        assert!(ranges[0].seq_oldest > 1);
        assert_eq!(ranges[0].seq_last, script.model[&topic].last().unwrap().seq);
    }
}

#[test]
fn segments_of_earlier_epochs_stay_readable_and_leave_first() {
    let dir = tempfile::tempdir().unwrap();
    let script = large_script();
    drop(write(dir.path(), EPOCH, bounds(1 << 20), script.source(&[9])));
    let mut small = Script::new(TOPICS);
    small.group(0, RecordKind::Snapshot, 3, 50_000);
    let journal = write(dir.path(), EPOCH + 7, bounds(1 << 20), small.source(&[9]));
    let ranges = journal.ranges(&name(0).as_key());
    let epochs: Vec<u32> = ranges.iter().map(|range| range.epoch).collect();
    assert_eq!(epochs, [EPOCH, EPOCH + 7]);
    assert!(journal.stats().bytes <= 1 << 20);
    let (entries, seq) = read_all(&journal, EPOCH + 7, &name(0).as_key(), 0, 1);
    assert_eq!((entries, seq), (expected(&small.model, 0, 1, 1), 1));
}

#[test]
fn what_is_older_than_the_bound_leaves_when_the_journal_starts() {
    let dir = tempfile::tempdir().unwrap();
    drop(write(dir.path(), EPOCH, bounds(1 << 20), large_script().source(&[9])));
    let journal = Journal::open(dir.path(), EPOCH + 1, bounds(1 << 20)).unwrap();
    assert!(journal.stats().segments > 0);
    let later = BEGIN_NS + 3_601 * SECOND_NS + SECOND_NS;
    journal.start(Box::new(Script::new(1).source(&[1])), Box::new(move || later)).unwrap();
    journal.stop();
    assert_eq!(journal.stats().segments, 0);
    assert!(segments(dir.path()).is_empty());
}

#[test]
fn an_epoch_that_is_held_already_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(write(dir.path(), EPOCH, bounds(1 << 20), large_script().source(&[9])));
    let refused = Journal::open(dir.path(), EPOCH, bounds(1 << 20)).unwrap_err();
    assert!(matches!(refused, JournalError::EpochNotNew { epoch: EPOCH, newest: EPOCH }));
}

#[test]
fn a_directory_that_takes_nothing_stops_the_journal_and_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("journal");
    fs::create_dir(&inner).unwrap();
    let journal = Journal::open(&inner, EPOCH, bounds(1 << 20)).unwrap();
    fs::remove_dir(&inner).unwrap();
    journal.start(Box::new(large_script().source(&[9])), Box::new(|| BEGIN_NS)).unwrap();
    journal.stop();
    let failure = journal.stats().failure.unwrap();
    assert!(failure.starts_with("cannot create"), "{failure}");
    assert!(journal.ranges(&name(0).as_key()).is_empty());
}

#[test]
fn a_link_in_the_directory_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    drop(write(outside.path(), EPOCH, bounds(1 << 20), large_script().source(&[9])));
    let target = segments(outside.path()).remove(0);
    let length = fs::metadata(&target).unwrap().len();
    std::os::unix::fs::symlink(&target, dir.path().join(target.file_name().unwrap())).unwrap();
    let journal = Journal::open(dir.path(), EPOCH + 1, bounds(1 << 20)).unwrap();
    assert!(journal.ranges(&name(0).as_key()).is_empty());
    assert_eq!(fs::metadata(&target).unwrap().len(), length);
}

#[test]
fn files_are_for_their_owner_and_group() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    drop(write(dir.path(), EPOCH, bounds(1 << 20), large_script().source(&[9])));
    for path in segments(dir.path()) {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o137, 0);
    }
}

#[test]
fn damage_costs_the_rest_of_its_stripe_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let script = large_script();
    drop(write(dir.path(), EPOCH, bounds(512 << 20), script.source(&[9])));
    let paths = segments(dir.path());
    assert_eq!(paths.len(), 1);
    let mut bytes = fs::read(&paths[0]).unwrap();
    assert!(bytes.len() > 3_000_000);
    bytes[1_500_000] ^= 4;
    fs::write(&paths[0], &bytes).unwrap();
    let journal = Journal::open(dir.path(), EPOCH + 1, bounds(512 << 20)).unwrap();
    for topic in 0..TOPICS {
        let (entries, seq) = read_all(&journal, EPOCH, &name(topic).as_key(), 0, 10_000);
        assert_eq!(entries, expected(&script.model, topic, 1, seq));
    }
    assert_eq!(journal.stats().damages, 1);
    for (topic, ranges) in check_ranges(&journal, &script.model, TOPICS, 10_000).iter().enumerate() {
        let [before, behind] = ranges[..] else { panic!("{ranges:?}") };
        let last = script.model[&topic].last().unwrap().seq;
        assert_eq!((before.seq_oldest, behind.seq_last), (1, last));
        let missing = behind.seq_oldest - before.seq_last - 1;
        assert!((1..=100).contains(&missing), "{missing} records of some 3 KB are 300 KB");
    }
}

#[test]
fn state_and_gap_records_are_handed_out_in_order_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut script = Script::new(2);
    let mut expected = Vec::new();
    for kind in
        [RecordKind::State, RecordKind::Data, RecordKind::Gap, RecordKind::Position, RecordKind::State]
    {
        script.group(0, kind, 1, 10);
        if matches!(kind, RecordKind::State | RecordKind::Gap) {
            expected.extend_from_slice(&script.entries.last().unwrap().1);
        }
    }
    let journal = write(dir.path(), EPOCH, bounds(1 << 20), script.source(&[2]));
    let notices = journal.take_notices();
    assert_eq!((notices.entries, notices.is_torn), (expected, false));
    assert_eq!(journal.take_notices(), facade_journal::Notices::default());
    let torn = write(dir.path(), EPOCH + 1, bounds(1 << 20), script.source(&[2]).lose(1, 1));
    assert!(torn.take_notices().is_torn);
}

#[test]
fn a_flush_waits_for_what_was_published_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), EPOCH, bounds(1 << 20)).unwrap();
    let hub = support::hub();
    let topic = hub.topic(&name(0).as_key());
    let source = facade_journal::HubLog::new(std::sync::Arc::clone(&hub));
    journal.start(Box::new(source), Box::new(|| BEGIN_NS)).unwrap();
    let mut batch = facade_hub::Batch::default();
    for seq in 1..=50 {
        batch.clear();
        let write = |out: &mut Vec<u8>| {
            out.push(7);
            Ok::<(), ()>(())
        };
        batch.record(topic, seq, RecordKind::Data, false, write).unwrap();
        hub.publish(&batch, facade_hub::Stamp { wall_ns: BEGIN_NS, mono_ns: seq }).unwrap();
        assert!(journal.flush());
        let ranges = journal.ranges(&name(0).as_key());
        assert_eq!(ranges, [Range { epoch: EPOCH, seq_oldest: 1, seq_last: seq }]);
    }
    journal.stop();
    assert!(!journal.flush(), "nobody writes any more");
}

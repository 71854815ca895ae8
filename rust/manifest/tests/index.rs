//! The index finds what a naive reader of all lines finds.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod told;

use facade_manifest::{Found, Index, Interval, key_of};
use proptest::prelude::*;
use told::{ZERO, chained, dropped, id, put};

const DAY_NS: i64 = 86_400_000_000_000;

#[derive(Debug, Clone)]
enum Act {
    Put { number: u64, entity: usize, ts: i64 },
    Drop { number: u64 },
    Keep { number: u64 },
    Cut { share: usize },
}

/// A snapshot as the model knows it: number of the answer, record, entity, time, whether it is kept.
type Known = (u64, u64, usize, i64, bool);

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_u64..30, 0_usize..3, 0_i64..6).prop_map(|(number, entity, ts)| Act::Put { number, entity, ts }),
        2 => (0_u64..30).prop_map(|number| Act::Drop { number }),
        1 => (0_u64..30).prop_map(|number| Act::Keep { number }),
        1 => (0_usize..4).prop_map(|share| Act::Cut { share }),
    ]
}

fn entity(number: usize) -> String {
    format!("k/v/s{number}")
}

/// Returns the line that tells of an act, and does the same to the model.
fn told(act: &Act, seq: u64, live: &mut Vec<Known>, gone: &mut Vec<u64>) -> String {
    let mut let_go = |live: &mut Vec<Known>, is_gone: &dyn Fn(&Known) -> bool| {
        let mut left: Vec<u64> = live.iter().filter(|one| is_gone(one)).map(|one| one.0).collect();
        left.sort_unstable();
        gone.extend(left);
        live.retain(|one| !is_gone(one));
    };
    match act {
        Act::Put { number, entity: about, ts } => {
            if live.iter().all(|one| one.0 != *number) {
                live.push((*number, seq, *about, *ts, false));
            }
            put(*number, &entity(*about), *ts)
        }
        Act::Drop { number } => {
            let_go(live, &|one| one.0 == *number);
            dropped(*number)
        }
        Act::Keep { number } => {
            live.iter_mut().filter(|one| one.0 == *number).for_each(|one| one.4 = true);
            format!(r#""op":"label","id":"{}","ts":1,"labels":["keep:test"]"#, id(*number))
        }
        Act::Cut { share } => {
            let first = live.iter().map(|one| one.1).min().unwrap_or(1) + *share as u64;
            let_go(live, &|one| one.1 < first);
            format!(r#""op":"cut","id":"","ts":1,"first":{first},"follows":"x""#)
        }
    }
}

fn ids<'a>(found: impl Iterator<Item = Found<'a>>) -> Vec<String> {
    found.map(|found| found.id).collect()
}

proptest! {
    #[test]
    fn everything_is_found_as_a_naive_reader_finds_it(acts in prop::collection::vec(act(), 1..80)) {
        let (mut live, mut gone) = (Vec::new(), Vec::new());
        let lines: Vec<_> = acts.iter().zip(1..).map(|(act, seq)| told(act, seq, &mut live, &mut gone)).collect();
        let (lines, _) = chained(1, ZERO, &lines);
        let mut index = Index::new();
        let (first, second) = lines.split_at(lines.len() / 2);
        index.apply(first.concat().as_bytes());
        index.apply(second.concat().as_bytes());

        prop_assert_eq!(index.len(), live.len());
        prop_assert_eq!(index.bytes_live(), live.iter().map(|one| one.0).sum::<u64>());
        prop_assert_eq!(index.seq_first(), live.iter().map(|one| one.1).min().unwrap_or(0));
        prop_assert_eq!(index.gone(), gone.len() as u64);
        let mut told_gone = ids(index.gone_since(0).unwrap());
        let mut wanted: Vec<_> = gone.iter().map(|number| id(*number)).collect();
        told_gone.sort();
        wanted.sort();
        prop_assert_eq!(told_gone, wanted);
        for number in 0..30 {
            let key = key_of(&id(number)).unwrap();
            let known = live.iter().find(|one| one.0 == number);
            prop_assert_eq!(index.has(&key), known.is_some());
            prop_assert_eq!(index.is_held(&key), known.is_some_and(|one| one.4));
            prop_assert_eq!(index.is_dropped(&key), known.is_none() && gone.contains(&number));
            for digits in [16, 17, 31, 32, 64] {
                let found = index.find(&id(number)[..digits]).map(|found| found.seq);
                prop_assert_eq!(found, known.map(|one| one.1), "{} digits", digits);
            }
        }
        for about in 0..3 {
            let mut here: Vec<_> = live.iter().filter(|one| one.2 == about).collect();
            here.sort_by_key(|one| (one.3, one.1));
            for ts in -1..7 {
                let wanted = here.iter().rfind(|one| one.3 <= ts).map(|one| one.1);
                prop_assert_eq!(index.at(&entity(about), ts).map(|found| found.seq), wanted);
                for after in [None, Some((ts, 20))] {
                    let interval = Interval { from: ts, until: 5, limit: 4, after };
                    let wanted = here.iter().filter(|one| (ts..5).contains(&one.3) && Some((one.3, one.1)) > after);
                    let wanted: Vec<_> = wanted.take(4).map(|one| id(one.0)).collect();
                    prop_assert_eq!(ids(index.between(&entity(about), interval)), wanted);
                }
            }
        }
        live.sort_by_key(|one| one.1);
        for seq in [0, 5, 40] {
            let wanted: Vec<_> = live.iter().filter(|one| one.1 > seq).map(|one| id(one.0)).collect();
            prop_assert_eq!(ids(index.since(seq)), wanted);
        }
        let old: Vec<_> = index.ids(3).iter().map(told::hex).collect();
        let wanted: Vec<_> = live.iter().filter(|one| one.3 <= 3).map(|one| id(one.0)).collect();
        prop_assert_eq!(old, wanted);
    }
}

#[test]
fn rows_of_what_went_are_given_back_and_everything_else_is_still_found() {
    let told: Vec<_> =
        (0..6_000).map(|number| put(number, &entity(number as usize % 3), number as i64)).collect();
    let (lines, head) = chained(1, ZERO, &told);
    let mut index = Index::new();
    index.apply(lines.concat().as_bytes());
    let gone: Vec<_> = (0..6_000).filter(|number| number % 4 != 1).map(dropped).collect();
    index.apply(chained(6_001, &head, &gone).0.concat().as_bytes());
    assert_eq!((index.len(), index.gone()), (1_500, 4_500));
    for number in 0..6_000 {
        let found = index.find(&id(number)).map(|found| found.seq);
        assert_eq!(found, (number % 4 == 1).then_some(number + 1));
        let before = (0..=number).rfind(|other| other % 4 == 1 && other % 3 == number % 3);
        let found = index.at(&entity(number as usize % 3), number as i64).map(|found| found.id);
        assert_eq!(found, before.map(id));
    }
    let wanted: Vec<_> = (3_000..6_000).filter(|number| number % 4 == 1).map(id).collect();
    assert_eq!(ids(index.since(3_000)), wanted);
    let first_gone: Vec<_> = ids(index.gone_since(4_498).unwrap());
    assert_eq!(first_gone, [id(5_998), id(5_999)]);
}

#[test]
fn the_newest_sixty_four_are_remembered_by_their_lines() {
    let told: Vec<_> = (0..100).map(|number| put(number, "k/v/s", 5)).collect();
    let (lines, _) = chained(1, ZERO, &told);
    let mut index = Index::new();
    index.apply(lines.concat().as_bytes());
    let wanted: Vec<_> = lines[36..].iter().map(|line| line.trim_end().as_bytes()).collect();
    assert_eq!(index.newest().collect::<Vec<_>>(), wanted);
}

#[test]
fn what_was_dropped_is_remembered_until_nothing_of_it_is_left() {
    let (lines, _) = chained(1, ZERO, &[put(1, "k/v/s", 5), dropped(1)]);
    let key = key_of(&id(1)).unwrap();
    let mut index = Index::new();
    index.apply(lines.concat().as_bytes());
    assert!(index.is_dropped(&key));
    index.settle();
    assert!(!index.is_dropped(&key));
}

#[test]
fn a_file_belongs_to_a_snapshot_only_by_its_name_in_its_place() {
    let ts = DAY_NS * 20_778 + 59_999_999_999; // 2026-11-21T00:00:59
    let (lines, _) =
        chained(1, ZERO, &[put(1, "k/v/s", ts), put(2, "k/v/t", ts), put(3, "k/v/s", ts), dropped(3)]);
    let mut index = Index::new();
    index.apply(lines.concat().as_bytes());
    let is_stray = |entity: &str, folder: &str, name: &str| {
        let names = format!("{name}\0");
        let shelf = index.shelf(entity);
        let strays: Vec<_> = shelf.strays(folder.as_bytes(), names.as_bytes()).collect();
        assert!(strays.is_empty() || strays == [name.as_bytes()], "{strays:?}");
        !strays.is_empty()
    };
    let (digits, gone) = (&id(1)[..32], &id(3)[..32]);
    for suffix in [".json.gz", ".pb", ".parquet"] {
        let name = format!("20261121_000059_{digits}{suffix}");
        assert!(!is_stray("k/v/s", "2026-11-21", &name));
        for (entity, day) in
            [("k/v/t", "2026-11-21"), ("k/v/s", "2026-11-22"), ("k/v/s", "metadata"), ("", "2026-11-21")]
        {
            assert!(is_stray(entity, day, &name));
        }
        for other in [
            format!("20261121_000058_{digits}{suffix}"),
            format!("20261121_000059_{}{suffix}", &id(2)[..32]),
            format!("20261121_000059_{gone}{suffix}"),
            format!("20261121_000059_{digits}0{suffix}"),
            format!("20261121_000059_{}{suffix}", digits.to_uppercase()),
            format!("20261121_000059_{digits}{suffix}.tmp"),
            format!("{digits}{suffix}"),
            ".tmp-1".to_owned(),
            "ä".repeat(24),
            String::new(),
        ] {
            assert!(is_stray("k/v/s", "2026-11-21", &other), "{other}");
        }
    }
    assert!(!is_stray("k/v/s", "metadata", &format!("{digits}.meta.json")));
    assert!(is_stray("k/v/t", "metadata", &format!("{digits}.meta.json")));
    assert!(is_stray("k/v/s", "metadata", &format!("{gone}.meta.json")));
    assert!(is_stray("k/v/s", "2026-11-21", &format!("{digits}.meta.json")));
}

#[test]
fn of_many_names_every_stray_is_told_and_nothing_else() {
    let (lines, _) = chained(1, ZERO, &[put(1, "k/v/s", 5), put(2, "k/v/s", 5)]);
    let mut index = Index::new();
    index.apply(lines.concat().as_bytes());
    let meta = |number| format!("{}.meta.json", &id(number)[..32]);
    let names = [meta(1), "\u{ff}".to_owned(), meta(3), meta(2), String::new()];
    let packed = names.join("\0") + "\0";
    let shelf = index.shelf("k/v/s");
    let strays: Vec<_> = shelf.strays(b"metadata", packed.as_bytes()).collect();
    assert_eq!(strays, [names[1].as_bytes(), names[2].as_bytes(), b""]);
    assert_eq!(shelf.strays(b"metadata", b"").count(), 0);
}

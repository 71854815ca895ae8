//! Whatever happens to the lines of a manifest is named, and what is whole is still read.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod told;

use facade_manifest::{Broken, Chain, Line, Segment, lines};
use proptest::prelude::*;
use told::{ZERO, chained, dropped, id, line, put};

const FOLDER: &str = ".manifest";

fn folded(first: u64, last: u64) -> Segment<'static> {
    Segment { first, last, path: ".manifest/folded", is_small: false }
}

fn ten() -> Vec<String> {
    chained(1, ZERO, &(0..10).map(|number| put(number, "k/v/s", 5)).collect::<Vec<_>>()).0
}

/// Judges one segment of ten lines; returns what is wrong and what is whole.
fn judged(content: &str) -> (Vec<String>, String) {
    let mut chain = Chain::new(FOLDER);
    let whole = chain.take(&folded(1, 10), content.as_bytes());
    chain.end();
    let problems = chain.damages().iter().map(|damage| damage.problem.clone()).collect();
    (problems, whole.map_or(content.to_owned(), |whole| String::from_utf8(whole).unwrap()))
}

#[test]
fn a_chain_that_is_whole_is_told_by_its_last_hash() {
    let (told, head) = chained(1, ZERO, &[put(1, "k/v/s", 5), dropped(1)]);
    let mut chain = Chain::new(FOLDER);
    assert_eq!(chain.take(&folded(1, 2), told.concat().as_bytes()), None, "all of it");
    chain.end();
    assert_eq!((chain.seq(), chain.head(), chain.damages().len()), (2, head.as_bytes(), 0));
}

#[test]
fn a_lost_a_doubled_and_a_swapped_line_are_named_and_all_others_read() {
    let all = ten();
    let lost = [&all[..4], &all[5..]].concat();
    let (problems, whole) = judged(&lost.concat());
    assert_eq!(problems, ["line 5: expected record 5, found 6", "9 lines, expected 10"]);
    assert_eq!(whole, lost.concat());
    let doubled = [&all[..4], &all[3..]].concat();
    assert_eq!(judged(&doubled.concat()).0, ["line 5: expected record 5, found 4", "11 lines, expected 10"]);
    let mut swapped = all.clone();
    swapped.swap(3, 4);
    let (problems, _) = judged(&swapped.concat());
    assert_eq!(problems.first().unwrap(), "line 4: expected record 4, found 5");
}

#[test]
fn a_file_that_is_missing_is_named_by_its_first_record() {
    let all = ten();
    let mut chain = Chain::new(FOLDER);
    chain.take(&folded(1, 3), all[..3].concat().as_bytes());
    chain.expect(6);
    chain.take(&folded(6, 10), all[5..].concat().as_bytes());
    chain.end();
    let [damage] = chain.damages() else { panic!("{:?}", chain.damages()) };
    assert_eq!((&*damage.file, &*damage.problem), (".manifest/0000000000000004.jsonl", "missing up to 5"));
}

#[test]
fn a_beginning_must_be_the_first_line_or_what_a_cut_named() {
    let all = ten();
    let beginning = |told: String, follows: &str| {
        let (_, head) = chained(1, ZERO, &(0..10).map(|number| put(number, "k/v/s", 5)).collect::<Vec<_>>());
        let cut = format!(r#""op":"cut","id":"","ts":1,"first":6,"follows":"{follows}""#);
        let (end, _) = line(11, &head, &cut);
        let mut chain = Chain::new(FOLDER);
        chain.take(&folded(6, 11), (told + &end).as_bytes());
        chain.end();
        (chain.cut_at(), chain.damages().len())
    };
    let follows =
        String::from_utf8(Line::check(all[4].trim_end().as_bytes()).unwrap().hash.to_vec()).unwrap();
    assert_eq!(beginning(all[5..].concat(), &follows), (6, 0));
    assert_eq!(beginning(all[5..].concat(), ZERO), (6, 1));
    let mut chain = Chain::new(FOLDER);
    chain.take(&folded(6, 10), all[5..].concat().as_bytes());
    chain.end();
    assert_eq!(chain.damages().first().unwrap().file, ".manifest/0000000000000001.jsonl");
}

#[test]
fn a_segment_of_nonsense_costs_a_hundred_problems_at_most() {
    let mut chain = Chain::new(FOLDER);
    assert_eq!(chain.take(&folded(9, 1), &[b'\n'; 10_000]), Some(Vec::new()));
    assert_eq!(chain.damages().len(), 100);
}

#[test]
fn a_line_that_was_forged_must_still_be_spelled_and_told_as_ours() {
    let whole = [
        put(1, "k/v/s", 5),
        put(1, "k//", i64::MAX),
        put(1, &format!("k/v/{}", "x".repeat(1_020)), 5),
        put(1, &format!("k/v/{}", r"\ud83d\ude00".repeat(1_020)), 5),
        put(1, "k/v/s/1h", 5) + r#","labels":["keep","\ud800"],"refs":[]"#,
        put(1, "k/v/s", 5).replace(r#","json":[1,"ab"]"#, ""),
        put(1, "k/v/s", 5) + r#","lines":1,"later":{"a":[1.5,null]}"#,
        dropped(1),
        format!(r#""op":"label","id":"{}","ts":0,"labels":[]"#, id(1)),
        format!(r#""op":"cut","id":"","ts":1,"first":1,"follows":"{ZERO}""#),
    ];
    for told in &whole {
        let (line, _) = line(1, ZERO, told);
        assert!(Line::check(line.trim_end().as_bytes()).is_ok(), "{told}");
    }
    let forged = [
        put(1, "k/v", 5),
        put(1, "/v/s", 5),
        put(1, "a/b/c/d/e", 5),
        put(1, &format!("k/v/{}", "x".repeat(1_021)), 5),
        put(1, &format!("k/v/{}", r"\ud83d".repeat(1_021)), 5),
        put(1, r"k/v/\u0041", 5),
        put(1, r"k/v\/s", 5),
        put(1, "k/v/s", -1),
        put(1, "k/v/s", 5).replace(r#""ts":5"#, r#""ts":9223372036854775808"#),
        put(1, "k/v/s", 5).replace(&id(1), "AB"),
        put(1, "k/v/s", 5).replace(r#""size":1"#, r#""size":true"#),
        put(1, "k/v/s", 5).replace(r#""rows":3"#, r#""rows":9007199254740993"#),
        put(1, "k/v/s", 5).replace(r#","meta":[2,"cd"]"#, ""),
        put(1, "k/v/s", 5).replace(r#"[2,"cd"]"#, r#"[2,"cd",3]"#),
        put(1, "k/v/s", 5) + r#","op":"drop""#,
        put(1, "k/v/s", 5) + r#","\u006fp":"drop""#,
        put(1, "k/v/s", 5) + r#","refs":["ab"]"#,
        put(1, "k/v/s", 5) + r#","lines":0"#,
        put(1, "k/v/s", 5) + r#","later": 1"#,
        put(1, "k/v/s", 5).replace(r#""op":"put""#, r#""op":"other""#),
        r#""op":"cut","id":"","ts":1,"first":0,"follows":"""#.to_owned(),
    ];
    for told in &forged {
        let (line, _) = line(1, ZERO, told);
        assert_eq!(Line::check(line.trim_end().as_bytes()), Err(Broken::Untold), "{told}");
    }
}

#[test]
fn nothing_at_all_is_one_empty_line() {
    let of = |content: &'static str| lines(content.as_bytes()).map(<[u8]>::len).collect::<Vec<_>>();
    assert_eq!((of(""), of("\n"), of("a"), of("a\n\nbc\n")), (vec![0], vec![0], vec![1], vec![1, 0, 2]));
}

proptest! {
    #[test]
    fn any_flipped_bit_of_a_segment_is_named(bit in 0_usize..10 * 300 * 8) {
        let whole = ten().concat();
        let mut content = whole.clone().into_bytes();
        let bit = bit % (content.len() * 8);
        content[bit / 8] ^= 1 << (bit % 8);
        let mut chain = Chain::new(FOLDER);
        let left = chain.take(&folded(1, 10), &content).unwrap_or(content);
        chain.end();
        prop_assert!(!chain.damages().is_empty());
        for line in lines(&left).filter(|line| !line.is_empty()) {
            prop_assert!(whole.as_bytes().windows(line.len()).any(|window| window == line));
        }
    }

    #[test]
    fn no_noise_brings_a_reader_down(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Line::check(&noise).is_err());
        let _ = Line::read(&noise);
        let _ = Line::read(&[b"{\"seq\":1,\"op\":".as_slice(), &noise].concat());
    }
}

//! What two lines note while one is about to take the other's topics over, and where they meet. Pure.

use std::collections::{HashMap, HashSet, VecDeque};

use facade_model::Channel;

use crate::messages::Told;

/// Most bytes of frames that a standby keeps; the oldest go first.
const HELD_BYTES_MAX: usize = 32 << 20;
/// How long a standby keeps a frame: lines lag behind each other by less.
const HELD_NS: i64 = 5_000_000_000;
/// Last messages of one stream that are compared.
const COMPARED_MAX: usize = 8;

/// One stream of messages: an instrument's index, and a channel.
pub(crate) type Key = (usize, Channel);

/// A frame that a standby keeps.
#[derive(Debug)]
pub(crate) struct HeldFrame {
    pub bytes: Vec<u8>,
    pub ts_recv: i64,
    /// When it came, monotonic ns.
    pub at: i64,
    /// Coinbase Advanced: its number on the connection.
    pub sequence: Option<u64>,
    /// Number of its first event among all held ones.
    pub first: u64,
}

/// What a standby has received.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub frames: VecDeque<HeldFrame>,
    pub bytes: usize,
    pub next: u64,
    /// By stream of messages: number, time and identity of each message, oldest first.
    pub told: HashMap<Key, VecDeque<(u64, i64, Told)>>,
    /// Streams of messages whose first whole state has come.
    pub based: HashSet<Key>,
}

/// What the line in use received last, while another is about to take over.
#[derive(Debug)]
pub(crate) struct Tracks {
    pub since: i64,
    pub not_before: i64,
    pub last: HashMap<Key, VecDeque<Told>>,
    /// Since when its frames are held back, and those frames.
    pub frozen: Option<(i64, Vec<Raw>)>,
    pub tries: u32,
}

/// A frame and its receive time, ns UTC.
pub(crate) type Raw = (Vec<u8>, i64);

impl Tracks {
    pub fn new(now: i64, overlap_ns: i64) -> Self {
        Self { since: now, not_before: now + overlap_ns, last: HashMap::new(), frozen: None, tries: 0 }
    }

    /// Notes the newest message of a stream.
    pub fn note(&mut self, key: Key, message: Told) {
        let last = self.last.entry(key).or_default();
        if last.len() == COMPARED_MAX {
            last.pop_front();
        }
        last.push_back(message);
    }
}

impl Held {
    /// Forgets what is too old, or too much.
    pub fn trim(&mut self, now: i64) {
        while let Some(frame) = self.frames.front() {
            if now - frame.at <= HELD_NS && self.bytes <= HELD_BYTES_MAX {
                return;
            }
            let behind = self.frames.get(1).map_or(self.next, |next| next.first);
            self.bytes -= frame.bytes.len();
            self.frames.pop_front();
            for told in self.told.values_mut() {
                while told.front().is_some_and(|(number, ..)| *number < behind) {
                    told.pop_front();
                }
            }
        }
    }
}

/// Returns the number of the newest held message that the line in use had received too. With nothing received since
/// the notes began, all that was held before that is contained.
pub(crate) fn meeting_of(
    held: Option<&VecDeque<(u64, i64, Told)>>,
    last: Option<&VecDeque<Told>>,
    since: i64,
) -> Option<u64> {
    let Some(newest) = last.and_then(VecDeque::back) else {
        let before = held.into_iter().flatten().rev().find(|(_, at, _)| *at < since);
        return Some(before.map_or(0, |(number, ..)| *number));
    };
    let held = held?;
    if let Told::Number(newest) = newest {
        let has_caught_up = held.iter().any(|(.., told)| told.number() >= Some(*newest));
        let until = held.iter().rev().find(|(.., told)| told.number() <= Some(*newest));
        return until.filter(|_| has_caught_up).map(|(number, ..)| *number);
    }
    let last: Vec<&Told> = last?.iter().rev().collect();
    let mut best: Option<(usize, u64)> = None;
    for at in (0..held.len()).rev() {
        let backwards = held.iter().take(at + 1).rev().map(|(.., told)| told);
        let alike = backwards.zip(&last).take_while(|(ours, theirs)| ours == *theirs).count();
        if alike > best.map_or(0, |(most, _)| most) {
            best = held.get(at).map(|(number, ..)| (alike, *number));
        }
    }
    best.map(|(_, number)| number)
}

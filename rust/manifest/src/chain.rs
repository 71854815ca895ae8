//! Judges segments in order: what is broken, missing, doubled or out of place. A refused line changes nothing but that.

use std::collections::HashMap;

use crate::line::{Deed, Line, lines};

/// Lines of one segment that are named; what follows them is not read.
const BROKEN_MAX: usize = 100;
/// What the first line of a chain follows.
const ZERO: [u8; 64] = [b'0'; 64];

/// One file of the manifest.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Number of its first record, as its name says.
    pub first: u64,
    /// Number of its last record, as its name says; the first one again if it holds a group as it was committed.
    pub last: u64,
    /// Path in the store.
    pub path: &'a str,
    /// Whether it holds one group as it was committed.
    pub is_small: bool,
}

/// Something that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Path in the store.
    pub file: String,
    /// What is wrong.
    pub problem: String,
    /// Number of the last record that it touches: what was cut off since is no damage.
    reach: u64,
}

/// What is known of the lines so far.
#[derive(Debug)]
pub struct Chain {
    folder: String,
    noted: Vec<Damage>,
    seq: u64,
    head: Vec<u8>,
    /// What the first line of a segment follows, by its number; `None`: the beginning was judged.
    starts: Option<HashMap<u64, Vec<u8>>>,
    /// Whether the next line need not join: it is the first, or one before was unreadable.
    is_torn: bool,
    /// The newest cut: the first record that is left, and the hash that it follows.
    cut: Option<(u64, Vec<u8>)>,
}

impl Chain {
    /// Begins before the first line.
    #[must_use]
    pub fn new(folder: &str) -> Self {
        let folder = folder.to_owned();
        let head = ZERO.to_vec();
        Self {
            folder,
            noted: Vec::new(),
            seq: 0,
            head,
            starts: Some(HashMap::new()),
            is_torn: true,
            cut: None,
        }
    }

    /// Number of the last line; 0: there is none.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Hash of the last line.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Number of the first record that the newest cut left; 0: there is none.
    #[must_use]
    pub fn cut_at(&self) -> u64 {
        self.cut.as_ref().map_or(0, |(first, _)| *first)
    }

    /// What is wrong.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        &self.noted
    }

    /// Takes in a segment; returns every line that is whole, wherever it stands, or `None` if all of them are.
    pub fn take(&mut self, segment: &Segment<'_>, content: &[u8]) -> Option<Vec<u8>> {
        let mut whole: Option<Vec<u8>> = None; // made at the first line that is broken
        let (mut wanted, mut count, mut broken, mut read) =
            ((segment.last + 1).saturating_sub(segment.first), 0, 0, 0);
        for text in lines(content) {
            count += 1;
            match Line::check(text) {
                Ok(line) => {
                    if count == 1 {
                        self.starts.as_mut().map(|starts| starts.insert(line.seq, line.prev.to_vec()));
                        wanted = if segment.is_small { line.lines.unwrap_or(1) } else { wanted };
                    }
                    self.join(segment, &line, count);
                    if let Some(whole) = &mut whole {
                        whole.extend_from_slice(text);
                        whole.push(b'\n');
                    }
                }
                Err(problem) => {
                    whole.get_or_insert_with(|| content.get(..read).unwrap_or_default().to_vec());
                    self.tear(segment.last, segment.path, format!("line {count}: {problem}"));
                    broken += 1;
                    if broken == BROKEN_MAX {
                        return whole;
                    }
                }
            }
            read += text.len() + 1;
        }
        if count != wanted && !self.is_torn {
            self.tear(segment.last, segment.path, format!("{count} lines, expected {wanted}"));
        }
        whole
    }

    /// Notes that files are missing if the next one begins further on.
    pub fn expect(&mut self, first: u64) {
        if self.seq > 0 && !self.is_torn && first > self.seq + 1 {
            let last = first - 1;
            self.note(self.name(self.seq + 1), format!("missing up to {last}"), last);
            self.is_torn = true;
        }
    }

    /// Notes a file that cannot be read at all.
    pub fn miss(&mut self, last: u64, path: &str, problem: &str) {
        self.tear(last, path, problem.to_owned());
    }

    /// Judges the beginning, once all is read: it is the first line ever, or the one that the newest cut names.
    pub fn end(&mut self) {
        let (first, follows) = self.cut.as_ref().map_or((1, ZERO.as_slice()), |(first, hash)| (*first, hash));
        self.noted.retain(|damage| damage.reach >= first);
        let starts = self.starts.take().unwrap_or_default();
        let is_begun = starts.get(&first).is_some_and(|prev| prev == follows);
        if self.seq > 0 && !is_begun && self.noted.is_empty() {
            self.note(self.name(first), "missing, or not what the beginning was".to_owned(), first);
        }
    }

    fn join(&mut self, segment: &Segment<'_>, line: &Line<'_>, at: u64) {
        let next = self.seq + 1;
        if !self.is_torn && (line.seq, line.prev) != (next, &*self.head) {
            let problem = format!("line {at}: expected record {next}, found {}", line.seq);
            self.note(segment.path.to_owned(), problem, line.seq.max(next));
        }
        self.is_torn = false;
        if let Deed::Cut { first, follows } = line.deed {
            self.cut = Some((first, follows.to_vec()));
        }
        if line.seq > self.seq {
            self.seq = line.seq;
            line.hash.clone_into(&mut self.head);
        }
    }

    fn tear(&mut self, last: u64, path: &str, problem: String) {
        self.note(path.to_owned(), problem, last.max(self.seq));
        self.is_torn = true;
    }

    fn note(&mut self, file: String, problem: String, reach: u64) {
        self.noted.push(Damage { file, problem, reach });
    }

    fn name(&self, seq: u64) -> String {
        format!("{}/{seq:016}.jsonl", self.folder)
    }
}

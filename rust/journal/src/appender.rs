//! What the writer's thread does: it takes chunks of the log and appends them, segment after segment.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use facade_hub::{LogBatch, LogEntry, RecordKind, TopicId, TopicName};

use crate::error::JournalError;
use crate::format::{HEADER_BYTES, Head, Identity, Kind, write_name, write_record};
use crate::index::Index;
use crate::segment::{self, Segment};
use crate::shelf::Shelf;
use crate::source::LogSource;

/// The ring is made of so many segments at least, whether bytes or time bound it.
const SEGMENTS_MIN: u64 = 32;
const SEGMENT_BYTES_MAX: u64 = 16 << 20;
/// Smallest journal.
pub(crate) const BYTES_MIN: u64 = 1 << 20;

/// Bounds of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalBounds {
    /// Bytes of all files.
    pub bytes_max: u64,
    /// Age of the oldest record, in nanoseconds; a segment leaves as a whole.
    pub age_ns: i64,
}

impl Default for JournalBounds {
    /// 512 MiB or 1 h.
    fn default() -> Self {
        Self { bytes_max: 512 << 20, age_ns: 3_600_000_000_000 }
    }
}

/// What the last record of a topic was.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    seq: u64,
    /// Whether more of its group was promised.
    is_open: bool,
    /// Whether something is missing: what follows stands in a stripe of its own, from the next group on.
    is_broken: bool,
    /// How often the log had lost records when it was written.
    losses: u64,
}

/// A record that is encoded and not written yet: what readers learn of it once it is.
enum Note {
    Name(u32, TopicName),
    Break,
    Update(Head, u64, u64),
}

/// The segment that is written to.
#[derive(Debug)]
struct Output {
    file: File,
    identity: Identity,
    seed: u32,
    /// Length of the file.
    bytes: u64,
    numbers: HashMap<TopicId, u32>,
}

/// Appends to the journal. It alone writes its directory.
pub(crate) struct Appender {
    shelf: Arc<Mutex<Shelf>>,
    dir: PathBuf,
    epoch: u32,
    bounds: JournalBounds,
    number_next: u32,
    output: Option<Output>,
    lasts: HashMap<TopicId, Last>,
    groups_open: usize,
    is_break_due: bool,
    /// How often the log lost records.
    losses: u64,
    encoded: Vec<u8>,
    notes: Vec<Note>,
    scratch: Vec<u8>,
}

pub(crate) fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Appender {
    pub fn new(shelf: Arc<Mutex<Shelf>>, dir: PathBuf, epoch: u32, bounds: JournalBounds) -> Self {
        Self {
            shelf,
            dir,
            epoch,
            bounds,
            number_next: 1,
            output: None,
            lasts: HashMap::new(),
            groups_open: 0,
            is_break_due: false,
            losses: 0,
            encoded: Vec::new(),
            notes: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Appends a chunk of the log. After an error nothing of it is readable, and the next chunk begins a segment.
    pub fn append(
        &mut self,
        batch: &LogBatch,
        is_behind: bool,
        source: &dyn LogSource,
        now_ns: i64,
    ) -> Result<(), JournalError> {
        if is_behind {
            self.abandon_groups();
        }
        lock(&self.shelf).notices.note(batch, is_behind);
        let mut result = Ok(());
        for entry in &batch.entries {
            let bytes = batch.bytes.get(entry.start..entry.end).unwrap_or_default();
            let Some(kind) = Kind::of(entry.kind) else { continue };
            if result.is_err() {
                self.skip(entry);
            } else if self.is_next(entry) {
                result = self.take(entry, kind, bytes, source, now_ns).inspect_err(|_| self.fail());
            }
        }
        result.and_then(|()| self.write().inspect_err(|_| self.fail()))
    }

    fn take(
        &mut self,
        entry: &LogEntry,
        kind: Kind,
        payload: &[u8],
        source: &dyn LogSource,
        now_ns: i64,
    ) -> Result<(), JournalError> {
        self.encode(entry, kind, payload, source, now_ns)?;
        let bytes = self.output.as_ref().map_or(0, |output| output.bytes) + self.encoded.len() as u64;
        if self.groups_open > 0 || bytes < (self.bounds.bytes_max / SEGMENTS_MIN).min(SEGMENT_BYTES_MAX) {
            return Ok(());
        }
        self.write()?;
        self.seal()
    }

    /// Seals the segment once it spans a share of the time bound, and removes what is too old.
    pub fn keep_house(&mut self, now_ns: i64) -> Result<(), JournalError> {
        let share = self.bounds.age_ns / i64::try_from(SEGMENTS_MIN).unwrap_or(i64::MAX);
        let is_due = |output: &Output| now_ns - output.identity.made_ns > share;
        if self.groups_open == 0 && self.output.as_ref().is_some_and(is_due) {
            self.seal()?;
        }
        lock(&self.shelf).expire(now_ns.saturating_sub(self.bounds.age_ns));
        Ok(())
    }

    /// Makes a segment if none is open: whether the disk takes one again.
    pub fn probe(&mut self, now_ns: i64) -> Result<(), JournalError> {
        if self.output.is_some() { Ok(()) } else { self.begin(now_ns) }
    }

    /// Ends the segment with its index.
    pub fn seal(&mut self) -> Result<(), JournalError> {
        let Some(output) = self.output.take() else { return Ok(()) };
        let mut kept = lock(&self.shelf);
        let Some(segment) = kept.current() else { return Ok(()) };
        let written = segment::seal(&output.file, segment);
        let path = segment.path.clone();
        segment.bytes += *written.as_ref().unwrap_or(&0);
        kept.is_open = false;
        written.map(|_| ()).map_err(|cause| JournalError::io("seal", &path, cause))
    }

    /// Decides whether a record is kept: it is, unless it does not join up with what is held of its topic.
    fn is_next(&mut self, entry: &LogEntry) -> bool {
        let last = self.lasts.entry(entry.topic).or_default();
        let Last { seq, is_open, is_broken, losses } = *last;
        // The parts of a snapshot share one seq: behind a loss its second part would pass for the first.
        let is_doubtful = losses != self.losses && entry.kind == RecordKind::Snapshot;
        let expected = if is_open && entry.kind == RecordKind::Snapshot { seq } else { seq + 1 };
        let is_kept = if is_broken {
            // A fresh start needs a whole group, and a stripe in which no other group is half-way.
            !is_open && self.groups_open == 0
        } else {
            entry.seq == expected
        } && !is_doubtful;
        *last = Last { seq: entry.seq, is_open: entry.more, is_broken: !is_kept, losses: self.losses };
        self.groups_open -= usize::from(is_open && !is_broken);
        self.groups_open += usize::from(is_kept && entry.more);
        self.is_break_due |= is_kept && is_broken;
        if !is_kept {
            let missing = if is_broken { 0 } else { entry.seq.saturating_sub(expected) };
            lock(&self.shelf).stats.records_lost += 1 + missing;
        }
        is_kept
    }

    /// Notes a record that is not kept because a write failed.
    fn skip(&mut self, entry: &LogEntry) {
        let last = Last { seq: entry.seq, is_open: entry.more, is_broken: true, losses: self.losses };
        self.lasts.insert(entry.topic, last);
        lock(&self.shelf).stats.records_lost += 1;
    }

    /// Gives up the groups that are half-way: the log lost records, theirs perhaps among them.
    fn abandon_groups(&mut self) {
        for last in self.lasts.values_mut().filter(|last| last.is_open) {
            last.is_broken = true;
        }
        self.groups_open = 0;
        self.is_break_due = true;
        self.losses += 1;
    }

    /// Gives up the segment as far as it is not written.
    fn fail(&mut self) {
        let updates = self.notes.iter().filter(|note| matches!(note, Note::Update(..))).count();
        self.notes.clear();
        self.encoded.clear();
        self.groups_open = 0;
        self.lasts.values_mut().for_each(|last| last.is_broken = true);
        let mut kept = lock(&self.shelf);
        kept.stats.records_lost += updates as u64;
        kept.is_open = false;
        if let Some(output) = self.output.take() {
            // A torn tail is cut when the journal is opened again, if it cannot be now.
            let _ = output.file.set_len(output.bytes);
        }
    }

    /// Makes the next segment.
    fn begin(&mut self, now_ns: i64) -> Result<(), JournalError> {
        let identity = Identity { epoch: self.epoch, number: self.number_next, made_ns: now_ns };
        let path = segment::path(&self.dir, identity.epoch, identity.number);
        self.number_next += 1;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        let seed = identity.write(&mut header);
        let mut file = segment::create(&path)?;
        if let Err(cause) = file.write_all(&header) {
            let _ = std::fs::remove_file(&path);
            return Err(JournalError::io("write", &path, cause));
        }
        let bytes = HEADER_BYTES as u64;
        let mut kept = lock(&self.shelf);
        kept.segments.push_back(Segment { path, identity, seed, index: Index::default(), bytes });
        kept.is_open = true;
        self.output = Some(Output { file, identity, seed, bytes, numbers: HashMap::new() });
        Ok(())
    }

    /// Writes what is encoded; only then readers learn of it.
    fn write(&mut self) -> Result<(), JournalError> {
        let Some(output) = self.output.as_mut().filter(|_| !self.encoded.is_empty()) else { return Ok(()) };
        let bytes = self.encoded.len() as u64;
        make_room(&mut lock(&self.shelf), bytes, self.bounds.bytes_max)?;
        if let Err(cause) = output.file.write_all(&self.encoded) {
            let path = segment::path(&self.dir, output.identity.epoch, output.identity.number);
            return Err(JournalError::io("write", &path, cause));
        }
        output.bytes += bytes;
        self.encoded.clear();
        let mut kept = lock(&self.shelf);
        let updates = self.notes.iter().filter(|note| matches!(note, Note::Update(..))).count();
        kept.stats.records_written += updates as u64;
        let Some(segment) = kept.current() else { return Ok(()) };
        segment.bytes = output.bytes;
        for note in self.notes.drain(..) {
            // What is written joins up: `is_next` has seen to it.
            let _ = match note {
                Note::Name(number, name) => segment.index.name(number, name),
                Note::Break => {
                    segment.index.split();
                    Ok(())
                }
                Note::Update(head, start, end) => segment.index.note(&head, start, end),
            };
        }
        Ok(())
    }

    fn encode(
        &mut self,
        entry: &LogEntry,
        kind: Kind,
        payload: &[u8],
        source: &dyn LogSource,
        now_ns: i64,
    ) -> Result<(), JournalError> {
        if self.output.is_none() {
            self.begin(now_ns)?;
        }
        let Some(output) = &mut self.output else { return Ok(()) };
        let mut head = Head { kind, topic: 0, seq: entry.seq, more: entry.more, wall_ns: entry.wall_ns };
        if std::mem::take(&mut self.is_break_due) {
            let mark = Head { kind: Kind::Break, seq: 0, more: false, ..head };
            write_record(&mut self.encoded, output.seed, &mark, &[]);
            self.notes.push(Note::Break);
        }
        let number_next = u32::try_from(output.numbers.len()).unwrap_or(u32::MAX);
        head.topic = *output.numbers.entry(entry.topic).or_insert(number_next);
        if head.topic == number_next {
            let name = source.name(entry.topic).unwrap_or_else(nameless);
            self.scratch.clear();
            write_name(&mut self.scratch, &name);
            let named = Head { kind: Kind::Topic, seq: 0, more: false, ..head };
            write_record(&mut self.encoded, output.seed, &named, &self.scratch);
            self.notes.push(Note::Name(head.topic, name));
        }
        let start = output.bytes + self.encoded.len() as u64;
        write_record(&mut self.encoded, output.seed, &head, payload);
        self.notes.push(Note::Update(head, start, output.bytes + self.encoded.len() as u64));
        Ok(())
    }
}

/// A topic that the source does not know: its records are kept, but nobody can ask for them.
fn nameless() -> TopicName {
    TopicName { venue: "".into(), symbol: "".into(), channel: 0, variant: "".into() }
}

/// Removes the oldest segments until `bytes` more may be written, a footer included.
fn make_room(shelf: &mut Shelf, bytes: u64, bytes_max: u64) -> Result<(), JournalError> {
    let footer = bytes_max / SEGMENTS_MIN / 4;
    while shelf.bytes() + bytes + footer > bytes_max {
        if !shelf.drop_oldest() {
            return Err(JournalError::TooLarge { bytes, bytes_max });
        }
    }
    Ok(())
}

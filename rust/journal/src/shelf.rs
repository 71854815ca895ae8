//! All segments that are held, in order: what the writer adds to and readers look into.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use facade_hub::{LogBatch, RecordKind, TopicName};

use crate::error::JournalError;
use crate::format::{HEADER_BYTES, Kind, read_record};
use crate::index::{Index, Span, Stripe};
use crate::segment::{self, Segment};

/// Notices that wait to be taken: hours of them, unless all venues fail at once and again.
const NOTICE_BYTES_MAX: usize = 4 << 20;

/// What is held of a topic without a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Start of the publisher, unix seconds.
    pub epoch: u32,
    /// `seq` of the oldest record.
    pub seq_oldest: u64,
    /// `seq` of the newest record.
    pub seq_last: u64,
}

/// Figures of a journal. Counters count from its opening.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Bytes of all files.
    pub bytes: u64,
    /// Files.
    pub segments: u64,
    /// Updates written.
    pub records_written: u64,
    /// Updates that were published and are not in the journal, each in a hole that `ranges` shows.
    pub records_lost: u64,
    /// Damaged places found.
    pub damages: u64,
    /// Bytes of writes that a crash interrupted, cut when the journal was opened.
    pub bytes_torn: u64,
    /// When the oldest segment was begun, ns UTC; 0: there is none.
    pub wall_oldest_ns: i64,
    /// Why nothing is written now; `None`: all is well.
    pub failure: Option<String>,
}

/// State and gap records: what a ledger of completeness is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notices {
    /// Entries of field 4 of the response, in the order of publication.
    pub entries: Vec<u8>,
    /// Whether some are missing before the first of them, or among them.
    pub is_torn: bool,
}

impl Notices {
    /// Notes those of a chunk of the log; beyond the bound the older ones go.
    pub(crate) fn note(&mut self, batch: &LogBatch, is_behind: bool) {
        self.is_torn |= is_behind;
        let notices = batch.entries.iter();
        for entry in notices.filter(|entry| matches!(entry.kind, RecordKind::State | RecordKind::Gap)) {
            if self.entries.len() > NOTICE_BYTES_MAX {
                self.entries.clear();
                self.is_torn = true;
            }
            self.entries.extend_from_slice(batch.bytes.get(entry.start..entry.end).unwrap_or_default());
        }
    }
}

/// Place of a stripe that holds what a reader looks for.
pub(crate) struct Place {
    pub path: PathBuf,
    pub epoch: u32,
    pub number: u32,
    pub seed: u32,
    pub start: u64,
    pub end: u64,
    pub span: Span,
}

/// The segments, the oldest first; the last one may be open.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub segments: VecDeque<Segment>,
    /// Whether the last segment is still written to.
    pub is_open: bool,
    pub stats: JournalStats,
    pub notices: Notices,
}

impl Shelf {
    /// Opens all segments of a directory.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let mut names = Vec::new();
        let entries = fs::read_dir(dir).map_err(|cause| JournalError::io("list", dir, cause))?;
        for entry in entries {
            let entry = entry.map_err(|cause| JournalError::io("list", dir, cause))?;
            names.extend(entry.file_name().to_str().and_then(segment::parse_name));
        }
        names.sort_unstable();
        let mut shelf = Self::default();
        for (epoch, number) in names {
            shelf.recover(&segment::path(dir, epoch, number), epoch, number);
        }
        Ok(shelf)
    }

    fn recover(&mut self, path: &Path, epoch: u32, number: u32) {
        match segment::recover(path, epoch, number) {
            Ok(Some((segment, repair))) => {
                self.stats.damages += u64::from(repair.is_damaged);
                self.stats.bytes_torn += repair.bytes_torn;
                self.segments.push_back(segment);
            }
            // No header of ours: a crash came before it was written, or it is damaged. Nothing can be read there.
            Ok(None) => {
                let is_begun = fs::metadata(path).is_ok_and(|file| file.len() >= HEADER_BYTES as u64);
                self.stats.damages += u64::from(is_begun);
                let _ = fs::remove_file(path);
            }
            Err(_) => self.stats.damages += 1,
        }
    }

    /// Newest epoch that is held.
    pub fn epoch_last(&self) -> Option<u32> {
        self.segments.back().map(|segment| segment.identity.epoch)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The segment that is written to.
    pub fn current(&mut self) -> Option<&mut Segment> {
        if self.is_open { self.segments.back_mut() } else { None }
    }

    /// Removes the oldest segment that is not written to; returns whether there was one.
    pub fn drop_oldest(&mut self) -> bool {
        if self.segments.len() <= usize::from(self.is_open) {
            return false;
        }
        if let Some(segment) = self.segments.pop_front() {
            // A file that cannot be removed is no longer read; the next opening finds it again.
            let _ = fs::remove_file(&segment.path);
        }
        true
    }

    /// Removes segments whose newest record was published before `wall_ns`.
    pub fn expire(&mut self, wall_ns: i64) {
        let is_old = |segment: &Segment| segment.index.wall_last_ns.max(segment.identity.made_ns) < wall_ns;
        while self.segments.front().is_some_and(is_old) && self.drop_oldest() {}
    }

    /// Returns what is held of a topic, the oldest first.
    pub fn ranges(&self, topic: &TopicName) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for (segment, span) in self.spans(topic) {
            let epoch = segment.identity.epoch;
            match ranges.last_mut() {
                Some(last) if last.epoch == epoch && last.seq_last + 1 == span.seq_first => {
                    last.seq_last = span.seq_last;
                }
                _ => ranges.push(Range { epoch, seq_oldest: span.seq_first, seq_last: span.seq_last }),
            }
        }
        ranges
    }

    fn spans(&self, topic: &TopicName) -> impl Iterator<Item = (&Segment, &Span)> {
        self.segments.iter().flat_map(move |segment| {
            let number = segment.index.number(topic);
            let stripes = segment.index.stripes.iter();
            stripes.filter_map(move |stripe| Some((segment, stripe.span(number?)?)))
        })
    }

    /// Returns the stripe that holds record `seq` of a topic.
    pub fn find(&self, topic: &TopicName, epoch: u32, seq: u64) -> Option<Place> {
        self.segments.iter().filter(|segment| segment.identity.epoch == epoch).find_map(|segment| {
            let number = segment.index.number(topic)?;
            segment.index.stripes.iter().find_map(|stripe| {
                let span =
                    stripe.span(number).filter(|span| (span.seq_first..=span.seq_last).contains(&seq))?;
                Some(Place {
                    path: segment.path.clone(),
                    epoch,
                    number: segment.identity.number,
                    seed: segment.seed,
                    start: stripe.start,
                    end: stripe.end,
                    span: *span,
                })
            })
        })
    }

    /// Forgets what a damaged stripe holds from the damage on; `bytes` is what was read of it.
    pub fn forget(&mut self, place: &Place, bytes: &[u8]) {
        let is_it = |segment: &&mut Segment| {
            (segment.identity.epoch, segment.identity.number) == (place.epoch, place.number)
        };
        let Some(segment) = self.segments.iter_mut().find(is_it) else { return };
        let count = segment.index.topics.len();
        let is_it = |stripe: &&mut Stripe| stripe.start == place.start && stripe.end == place.end;
        let Some(stripe) = segment.index.stripes.iter_mut().find(is_it) else { return };
        let mut whole = Index::with_topics(count);
        let mut rest = bytes;
        while let Ok(found) = read_record(rest, place.seed) {
            if matches!(found.head.kind, Kind::Update(_)) && whole.note(&found.head, 0, 0).is_err() {
                break;
            }
            rest = rest.get(found.bytes..).unwrap_or_default();
        }
        stripe.spans = whole.stripes.first().map(|stripe| stripe.spans.clone()).unwrap_or_default();
        self.stats.damages += 1;
    }
}

//! One book's life: snapshot, chain, checksum, crossing. Pure: messages in, outcomes out; the clock is elsewhere.

use facade_book::{Book, BookError};
use facade_model::{BookSide, Decimal, Integrity, LevelChange, StateReason};
use facade_venues::{Sequence, kraken_checksum, okx_checksum};

use crate::buffer::{Buffered, DeltaBuffer};
use crate::chain::{ChainRule, Link};
use crate::report::BookReport;
use crate::rules::{ChecksumRule, MachineRules, Message, Outcome};

/// Updates for which a crossed book may stay before it is fetched anew (DESIGN 13.2).
const CROSSED_UPDATES_MAX: u32 = 10;
/// Links that are remembered to know a repeated message from a broken chain.
const LINKS_REMEMBERED: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Bridging,
    Live,
    Crossed,
    Rejected,
}

/// A book and everything that is known about its truth.
#[derive(Debug)]
pub struct BookMachine {
    pub(crate) rules: MachineRules,
    pub(crate) phase: Phase,
    pub(crate) book: Book,
    pub(crate) last: Option<u64>,
    /// Worst price a side, bids first, down to which levels are known that never changed; absent: all are.
    pub(crate) known: [Option<Decimal>; 2],
    buffer: DeltaBuffer,
    links: [(u64, u64); LINKS_REMEMBERED],
    links_next: usize,
    pub(crate) integrity: Integrity,
    pub(crate) changes: Vec<LevelChange>,
    crossed_updates: u32,
    pub(crate) was_broken: bool,
    /// Whether the venue says that the book may be crossed (auction, halt).
    pub is_auction: bool,
    pub(crate) counts: Counts,
    pub(crate) reports: Vec<BookReport>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub updates: u64,
    pub level_changes: u64,
    pub gaps: u64,
    pub resyncs: u64,
    pub duplicates: u64,
    pub checked: u64,
    pub failed: u64,
}

impl BookMachine {
    /// Makes an empty book; `price_exponent` is the usual exponent of its prices.
    #[must_use]
    pub fn new(rules: MachineRules, price_exponent: i8) -> Self {
        Self {
            rules,
            phase: Phase::Waiting,
            book: Book::with_levels_max(price_exponent, usize::MAX), // cut below, by the rules
            last: None,
            known: [None; 2],
            buffer: DeltaBuffer::default(),
            links: [(0, 0); LINKS_REMEMBERED],
            links_next: 0,
            integrity: Integrity::Unspecified,
            changes: Vec::new(),
            crossed_updates: 0,
            was_broken: false,
            is_auction: false,
            counts: Counts::default(),
            reports: Vec::new(),
        }
    }

    /// Takes a delta.
    pub fn on_delta(&mut self, message: &Message<'_>) -> Outcome {
        match self.phase {
            Phase::Waiting if self.rules.bridges_rest => self.keep(message),
            Phase::Waiting | Phase::Rejected => Outcome::Ignored,
            Phase::Bridging => self.on_bridging(message),
            Phase::Live | Phase::Crossed => match self.link(message) {
                Link::Old => {
                    self.counts.duplicates += 1;
                    Outcome::Ignored
                }
                Link::Broken => {
                    self.counts.checked += 1;
                    self.fail(StateReason::SequenceGap);
                    if self.rules.bridges_rest {
                        self.keep(message);
                    }
                    Outcome::Broken(StateReason::SequenceGap)
                }
                link => self.advance(message, link),
            },
        }
    }

    /// Takes a whole book that the venue sent on the stream.
    pub fn on_snapshot(&mut self, message: &Message<'_>) -> Outcome {
        if self.phase == Phase::Rejected {
            return Outcome::Ignored;
        }
        let was_live = self.phase == Phase::Live;
        if let Err(error) = self.book.load(message.levels) {
            return self.reject(error);
        }
        self.known = [None; 2];
        self.cut();
        let is_chained = match self.rules.chain {
            ChainRule::None => false,
            _ => message.sequence.last.is_some(),
        };
        if let Err(reason) = self.verify(message.checksum, is_chained) {
            self.fail(reason);
            return Outcome::Broken(reason);
        }
        // A snapshot starts a chain; only a connection's count has already joined it to what came before.
        self.counts.checked += u64::from(self.rules.chain == ChainRule::Connection);
        self.last = message.sequence.last;
        self.changes.clear();
        self.enter_live();
        if was_live && self.phase == Phase::Live { Outcome::Replaced } else { self.settled() }
    }

    /// Takes a REST snapshot of a book that bridges; `last` is the venue's number of it.
    pub fn on_rest_snapshot(&mut self, levels: &[LevelChange], last: u64) -> Outcome {
        if matches!(self.phase, Phase::Live | Phase::Crossed | Phase::Rejected) {
            return Outcome::Ignored; // never replaces a proven book (row B14)
        }
        let mut contiguous = None;
        while let Some(first) = self.buffer.first() {
            match self.rules.chain.bridge(last, &first.sequence) {
                Link::Old => contiguous = self.buffer.pop().and_then(|delta| delta.sequence.last),
                Link::Broken => return Outcome::Refetch(StateReason::SnapshotUnusable),
                _ => break,
            }
        }
        if let Err(error) = self.book.load(levels) {
            return self.reject(error);
        }
        self.known = self.worst();
        self.cut();
        self.last = Some(last);
        self.integrity = Integrity::Sequence;
        self.changes.clear();
        if !self.buffer.is_empty() {
            return self.replay_buffer();
        }
        if contiguous == Some(last) {
            self.enter_live();
            return self.settled();
        }
        self.phase = Phase::Bridging;
        Outcome::Buffered
    }

    /// Accepts a REST snapshot that no delta followed: the market is quiet, nothing can be missing.
    pub fn on_quiet(&mut self) -> Outcome {
        if self.phase != Phase::Bridging {
            return Outcome::Ignored;
        }
        self.enter_live();
        self.settled()
    }

    /// Breaks the book from outside: the connection lost something, or a message could not be read.
    pub fn break_off(&mut self, reason: StateReason) -> Outcome {
        if matches!(self.phase, Phase::Live | Phase::Crossed) {
            if matches!(reason, StateReason::SequenceGap | StateReason::AuditFailed) {
                self.counts.checked += 1;
            }
            self.fail(reason);
            return Outcome::Broken(reason);
        }
        self.start_over();
        Outcome::Ignored
    }

    /// Forgets the snapshot and the buffer, keeps the counts and the last known levels.
    pub fn start_over(&mut self) {
        if self.phase == Phase::Rejected {
            return;
        }
        self.was_broken |= matches!(self.phase, Phase::Live | Phase::Crossed);
        self.phase = Phase::Waiting;
        self.buffer.clear();
        self.crossed_updates = 0;
    }

    fn on_bridging(&mut self, message: &Message<'_>) -> Outcome {
        match self.rules.chain.bridge(self.last.unwrap_or_default(), &message.sequence) {
            Link::Old => Outcome::Ignored,
            Link::Broken => {
                self.phase = Phase::Waiting;
                self.keep(message);
                Outcome::Refetch(StateReason::SnapshotUnusable)
            }
            _ => {
                self.enter_live();
                match self.advance(message, Link::Joined) {
                    Outcome::Applied => self.settled(),
                    other => other,
                }
            }
        }
    }

    /// Applies the buffered deltas to a fresh REST snapshot; the first of them bridges.
    fn replay_buffer(&mut self) -> Outcome {
        self.enter_live();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut is_first = true;
        let mut outcome = Outcome::Applied;
        while let Some(delta) = buffer.pop() {
            let message = Message {
                sequence: delta.sequence,
                checksum: None,
                ts_event: delta.ts_event,
                ts_recv: delta.ts_recv,
                levels: buffer.levels(&delta),
            };
            outcome = if is_first { self.advance(&message, Link::Joined) } else { self.on_delta(&message) };
            is_first = false;
            if matches!(outcome, Outcome::Broken(_) | Outcome::Rejected(_)) {
                return outcome; // what stays in `buffer` lies behind the break and is useless
            }
        }
        buffer.clear();
        self.buffer = buffer;
        match outcome {
            Outcome::Crossed | Outcome::StillCrossed => Outcome::Crossed,
            _ => Outcome::Synced,
        }
    }

    /// Keeps a delta until the snapshot comes.
    fn keep(&mut self, message: &Message<'_>) -> Outcome {
        if let Some(newest) = self.buffer.last() {
            match self.rules.chain.link(newest.sequence.last, &message.sequence) {
                Link::Old => {
                    self.counts.duplicates += 1;
                    return Outcome::Ignored;
                }
                Link::Broken => self.buffer.clear(), // what came before a hole can never be used
                _ => {}
            }
        }
        let delta = Buffered::new(message.sequence, message.ts_event, message.ts_recv);
        if self.buffer.push(delta, message.levels, self.rules.buffer) {
            return Outcome::Buffered;
        }
        self.buffer.clear();
        Outcome::Refetch(StateReason::BufferOverflow)
    }

    /// Applies a message that joins.
    fn advance(&mut self, message: &Message<'_>, link: Link) -> Outcome {
        if let Err(error) = self.book.apply(message.levels) {
            return self.reject(error);
        }
        self.changes.clear();
        self.changes.extend_from_slice(message.levels);
        self.cut();
        let is_chained = link == Link::Joined && self.rules.chain != ChainRule::None;
        self.counts.checked += u64::from(is_chained);
        if let Err(reason) = self.verify(message.checksum, is_chained) {
            self.fail(reason);
            return Outcome::Broken(reason);
        }
        self.remember(&message.sequence);
        if message.sequence.last.is_some() {
            self.last = message.sequence.last;
        }
        self.counts.updates += 1;
        self.counts.level_changes += message.levels.len() as u64;
        let outcome = self.crossing();
        if self.rules.report_every > 0 && self.counts.updates.is_multiple_of(self.rules.report_every) {
            self.reports.push(self.report(self.phase()));
        }
        outcome
    }

    /// Judges whether the book is crossed after a message.
    fn crossing(&mut self) -> Outcome {
        if !self.book.is_crossed() || self.is_auction {
            let was_crossed = self.phase == Phase::Crossed;
            self.phase = Phase::Live;
            self.crossed_updates = 0;
            return if was_crossed { Outcome::Synced } else { Outcome::Applied };
        }
        let was_crossed = self.phase == Phase::Crossed;
        self.phase = Phase::Crossed;
        self.crossed_updates += 1;
        if self.crossed_updates >= CROSSED_UPDATES_MAX {
            self.start_over();
            return Outcome::Broken(StateReason::Crossed);
        }
        if was_crossed { Outcome::StillCrossed } else { Outcome::Crossed }
    }

    fn link(&self, message: &Message<'_>) -> Link {
        let link = self.rules.chain.link(self.last, &message.sequence);
        match (link, message.sequence.previous, message.sequence.last) {
            (Link::Broken, Some(previous), Some(last)) if self.links.contains(&(previous, last)) => Link::Old,
            _ => link,
        }
    }

    fn remember(&mut self, sequence: &Sequence) {
        if let (ChainRule::Okx, Some(previous), Some(last)) =
            (self.rules.chain, sequence.previous, sequence.last)
        {
            if let Some(slot) = self.links.get_mut(self.links_next) {
                *slot = (previous, last);
            }
            self.links_next = (self.links_next + 1) % LINKS_REMEMBERED;
        }
    }

    /// Cuts the book to its depth; what falls out becomes a delete in [`BookMachine::changes`].
    fn cut(&mut self) {
        let Some(depth) = self.rules.depth_max else { return };
        if self.book.len(BookSide::Bid) > depth || self.book.len(BookSide::Ask) > depth {
            self.book.truncate(depth, &mut self.changes);
            self.shrink_known();
        }
    }

    /// Compares the checksum, if there is one, and notes what is now proven.
    fn verify(&mut self, checksum: Option<u32>, is_chained: bool) -> Result<(), StateReason> {
        let ours = match (checksum, self.rules.checksum) {
            (None, _) | (_, ChecksumRule::None) => None,
            (Some(_), ChecksumRule::Kraken { price_precision, quantity_precision }) => {
                let (asks, bids) = (self.book.asks(), self.book.bids());
                Some(kraken_checksum(asks, bids, price_precision, quantity_precision))
            }
            (Some(_), ChecksumRule::Okx) => Some(okx_checksum(self.book.bids(), self.book.asks())),
        };
        self.counts.checked += u64::from(ours.is_some());
        if ours.is_some() && ours != checksum {
            return Err(StateReason::ChecksumMismatch);
        }
        self.integrity = match (is_chained, ours.is_some()) {
            (true, true) => Integrity::SequenceAndChecksum,
            (true, false) => Integrity::Sequence,
            (false, true) => Integrity::Checksum,
            (false, false) => Integrity::Unverifiable,
        };
        Ok(())
    }

    /// Counts a broken proof and starts over.
    fn fail(&mut self, reason: StateReason) {
        let is_proof = matches!(
            reason,
            StateReason::SequenceGap | StateReason::ChecksumMismatch | StateReason::AuditFailed
        );
        self.counts.failed += u64::from(is_proof);
        self.counts.gaps += u64::from(is_proof && self.phase != Phase::Waiting);
        self.integrity = Integrity::Suspect;
        self.start_over();
    }

    fn reject(&mut self, error: BookError) -> Outcome {
        self.phase = Phase::Rejected;
        Outcome::Rejected(match error {
            BookError::NumberRange { .. } => StateReason::NumberRange,
            _ => StateReason::DepthLimit,
        })
    }

    fn enter_live(&mut self) {
        self.phase = Phase::Live;
        self.crossed_updates = 0;
        self.counts.resyncs += u64::from(std::mem::take(&mut self.was_broken));
    }

    /// The outcome of a fresh whole state: synced, unless it is crossed.
    fn settled(&mut self) -> Outcome {
        match self.crossing() {
            Outcome::Applied => Outcome::Synced,
            other => other,
        }
    }
}

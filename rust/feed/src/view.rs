//! What can be asked of a book machine.

use facade_book::Book;
use facade_model::{BookSide, Integrity, LevelChange, StreamPhase};

use crate::machine::{BookMachine, Phase};
use crate::report::{BookReport, Proofs};
use crate::rules::MachineRules;

impl BookMachine {
    /// The state of the stream as far as the book knows it.
    #[must_use]
    pub const fn phase(&self) -> StreamPhase {
        match self.phase {
            Phase::Live if self.is_auction => StreamPhase::Halted,
            Phase::Live => StreamPhase::Live,
            Phase::Crossed => StreamPhase::Resync,
            Phase::Rejected => StreamPhase::Rejected,
            Phase::Waiting | Phase::Bridging if self.was_broken => StreamPhase::Resync,
            Phase::Waiting | Phase::Bridging => StreamPhase::Syncing,
        }
    }

    /// Whether the book may be served as LIVE.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Whether a REST snapshot is loaded and waits for its first delta.
    #[must_use]
    pub fn is_bridging(&self) -> bool {
        self.phase == Phase::Bridging
    }

    /// Whether the book is crossed and waits to uncross.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        self.phase == Phase::Crossed
    }

    /// What was proven: SUSPECT unless live.
    #[must_use]
    pub fn integrity(&self) -> Integrity {
        if self.is_live() { self.integrity } else { Integrity::Suspect }
    }

    /// The levels.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// The venue's number of the last applied message.
    #[must_use]
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// The levels, and the changes of the last applied message: each price once, cut levels as deletes.
    pub fn changes(&mut self) -> (&Book, &[LevelChange]) {
        facade_book::merge_changes(&mut self.changes);
        (&self.book, &self.changes)
    }

    /// Rules of the book.
    #[must_use]
    pub const fn rules(&self) -> &MachineRules {
        &self.rules
    }

    /// Messages that were already contained.
    #[must_use]
    pub const fn duplicates(&self) -> u64 {
        self.counts.duplicates
    }

    /// Reports made by `report_every`, oldest first.
    #[must_use]
    pub fn reports(&self) -> &[BookReport] {
        &self.reports
    }

    /// Describes the book; `phase` is the stream's, which also knows the connection.
    #[must_use]
    pub fn report(&self, phase: StreamPhase) -> BookReport {
        let sha256 = self.is_live().then(|| self.book.sha256(0));
        BookReport { sha256, ..self.sketch(phase) }
    }

    /// Does the same without the hash, which costs as much as the book is deep.
    #[must_use]
    pub fn sketch(&self, phase: StreamPhase) -> BookReport {
        let counts = &self.counts;
        BookReport {
            phase,
            integrity: self.integrity(),
            updates: counts.updates,
            level_changes: counts.level_changes,
            gaps: counts.gaps,
            resyncs: counts.resyncs,
            duplicates: counts.duplicates,
            proofs: Proofs { checked: counts.checked, failed: counts.failed },
            bids: self.book.len(BookSide::Bid),
            asks: self.book.len(BookSide::Ask),
            best_bid: self.book.best_bid(),
            best_ask: self.book.best_ask(),
            venue_sequence: self.last,
            sha256: None,
        }
    }
}

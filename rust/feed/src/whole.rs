//! Whole books to records: snapshots, cuts and checkpoints, of all levels or of the best ones.

use facade_hub::RecordKind;
use facade_model::{BookSide, Integrity, UpdateFlags};
use facade_wire as wire;
use facade_wire::{Header, WireError};

use crate::inspect::EncodedBook;
use crate::machine::BookMachine;
use crate::publish::{Origin, Publisher, Times, header_of};
use crate::topic::Topic;

/// Most levels a side in one part of a snapshot (CONTRACT "Levels").
const PART_LEVELS_MAX: usize = 16_384;

/// What a topic shows of a book.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The book.
    pub machine: &'a BookMachine,
    /// Levels a side that are shown.
    pub levels: usize,
    /// The venue's number that the topic tells: the next delta joins it.
    pub venue_sequence: Option<u64>,
}

impl<'a> View<'a> {
    /// Shows the whole book.
    #[must_use]
    pub const fn whole(machine: &'a BookMachine) -> Self {
        Self { machine, levels: usize::MAX, venue_sequence: machine.last() }
    }

    /// Levels of a side that are shown.
    fn len(&self, side: BookSide) -> usize {
        self.machine.book().len(side).min(self.levels)
    }

    fn checkpoint(&self, proof_seq: u64, levels: u32) -> wire::Checkpoint {
        let count = |side| u32::try_from(self.len(side)).unwrap_or(u32::MAX);
        wire::Checkpoint {
            levels,
            sha256: self.machine.book().sha256(levels as usize),
            bid_levels: count(BookSide::Bid),
            ask_levels: count(BookSide::Ask),
            proof_seq,
            proof_levels: self.machine.rules().checksum.levels(),
            proof_venue_sequence: self.machine.last(),
        }
    }
}

impl Publisher {
    /// Publishes the whole book, in parts if it is deep: as a topic record, or as a CUT that takes no number.
    pub fn snapshot(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        view: View<'_>,
        times: Times,
        is_cut: bool,
    ) -> Result<(), WireError> {
        let seq = if is_cut { topic.seq } else { topic.seq + 1 };
        let kind = if is_cut { RecordKind::Cut } else { RecordKind::Snapshot };
        let (bids, asks) = (view.len(BookSide::Bid), view.len(BookSide::Ask));
        let parts = bids.max(asks).div_ceil(PART_LEVELS_MAX).max(1);
        for part in 0..parts {
            let is_last = part + 1 == parts;
            let mut flags = if is_cut { UpdateFlags::CUT } else { UpdateFlags::default() };
            if !is_last {
                flags = flags.with(UpdateFlags::MORE);
            }
            let header = Header {
                flags,
                integrity: view.machine.integrity(),
                venue_sequence: view.venue_sequence,
                ..self.header(origin, topic, seq, times)
            };
            let (first, book) = (part * PART_LEVELS_MAX, view.machine.book());
            let bids = book.bids().take(bids).skip(first).take(PART_LEVELS_MAX);
            let asks = book.asks().take(asks).skip(first).take(PART_LEVELS_MAX);
            let encode = |out: &mut Vec<u8>| wire::book_snapshot(out, &header, origin.usual, bids, asks);
            self.batch.record(topic.id, seq, kind, !is_last, encode)?;
        }
        if is_cut {
            self.note(topic, times);
        } else {
            self.counted(topic, times);
        }
        Ok(())
    }

    /// Publishes the hash of the best levels behind the newest record.
    pub fn checkpoint(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        view: View<'_>,
        levels: u32,
        times: Times,
    ) {
        let checkpoint = view.checkpoint(topic.seq, levels);
        self.prove(origin, topic, &checkpoint, view.machine.integrity(), times);
    }

    /// Publishes the same of a book that an audit found right: `(levels hashed, levels a side that were compared)`.
    pub fn audited(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        view: View<'_>,
        (levels, proof_levels): (u32, u32),
        times: Times,
    ) {
        let checkpoint = wire::Checkpoint { proof_levels, ..view.checkpoint(topic.seq, levels) };
        self.prove(origin, topic, &checkpoint, Integrity::Audited, times);
    }

    fn prove(
        &mut self,
        origin: Origin<'_>,
        topic: &Topic,
        checkpoint: &wire::Checkpoint,
        integrity: Integrity,
        times: Times,
    ) {
        let header = Header { integrity, ..self.header(origin, topic, topic.seq, times) };
        self.plain(topic, RecordKind::Position, |out| wire::checkpoint(out, &header, checkpoint));
    }
}

/// Encodes the best `depth` levels (0: all) of a book and their checkpoint as two `Update`s, outside any turn.
pub fn encode_book(
    origin: Origin<'_>,
    topic: &Topic,
    machine: &BookMachine,
    (epoch, wall): (u32, i64),
    times: Times,
    depth: usize,
) -> Result<EncodedBook, WireError> {
    let header = Header {
        integrity: machine.integrity(),
        flags: UpdateFlags::CUT,
        venue_sequence: machine.last(),
        ..header_of(origin, topic, epoch, (topic.seq, wall), times)
    };
    let most = if depth == 0 { usize::MAX } else { depth };
    let (mut snapshot, mut checkpoint) = (Vec::new(), Vec::new());
    let (bids, asks) = (machine.book().bids().take(most), machine.book().asks().take(most));
    wire::book_snapshot(&mut snapshot, &header, origin.usual, bids, asks)?;
    let levels = u32::try_from(depth).unwrap_or(u32::MAX);
    let proof = View::whole(machine).checkpoint(topic.seq, levels);
    wire::checkpoint(&mut checkpoint, &header, &proof);
    Ok((snapshot, checkpoint))
}

//! Books of limited depth: topics made of an instrument's whole book, with numbers of their own.
//!
//! They are proven as the whole book is, tell a record only when their own levels changed, and name the venue's number
//! that they told last, so that their chain joins up too.

use facade_book::Book;
use facade_model::{Channel, Integrity, LevelChange, Variant};
use facade_wire::WireError;

use crate::best_levels::DepthWindow;
use crate::feed::Feed;
use crate::machine::BookMachine;
use crate::publish::{GapDetail, Origin, Publisher, Times};
use crate::stream::Stream;
use crate::topic::Topic;
use crate::whole::View;

/// The best levels of a book.
#[derive(Debug)]
pub struct DepthTopic {
    /// Their topic.
    pub topic: Topic,
    levels: u16,
    window: DepthWindow,
    told: Option<u64>, // the venue's number of the last record
    is_changed: bool,  // since the last checkpoint
}

/// A message of the whole book that limited ones follow.
#[derive(Debug, Clone, Copy)]
pub struct Followed<'a> {
    /// The book behind it.
    pub book: &'a Book,
    /// What it changed, each price once.
    pub changes: &'a [LevelChange],
    /// What is proven.
    pub integrity: Integrity,
    /// The venue's number before the message.
    pub previous: Option<u64>,
    /// The venue's number of the message.
    pub number: Option<u64>,
    /// Whether the venue counts the messages of this book, not those of a connection.
    pub counts_book: bool,
}

impl DepthTopic {
    /// Makes the limited book of a topic; `None`: the topic's variant is no depth.
    #[must_use]
    pub fn new(topic: Topic) -> Option<Self> {
        let Variant::Depth(levels) = topic.variant else { return None };
        let window = DepthWindow::new(usize::from(levels));
        Some(Self { topic, levels, window, told: None, is_changed: false })
    }

    fn view<'a>(&self, machine: &'a BookMachine) -> View<'a> {
        View { machine, levels: usize::from(self.levels), venue_sequence: self.told }
    }
}

impl Publisher {
    /// Publishes what a message changed in the best levels of each limited book.
    pub(crate) fn depth_deltas(
        &mut self,
        origin: Origin<'_>,
        depths: &mut [DepthTopic],
        followed: &Followed<'_>,
        times: Times,
    ) -> Result<(), WireError> {
        for DepthTopic { topic, window, told, is_changed, .. } in depths {
            let changes = window.follow(followed.book, followed.changes);
            if changes.is_empty() {
                topic.ts_recv_last = times.recv;
                continue;
            }
            let previous = if followed.counts_book { *told } else { followed.previous };
            let proof = (followed.integrity, previous, followed.number);
            self.delta(origin, topic, changes, proof, times)?;
            *told = followed.number;
            *is_changed = true;
        }
        Ok(())
    }

    /// Publishes the best levels of a fresh book to each limited one, behind what was lost before it.
    pub(crate) fn depth_snapshots(
        &mut self,
        origin: Origin<'_>,
        depths: &mut [DepthTopic],
        machine: &BookMachine,
        lost: Option<&GapDetail>,
        times: Times,
    ) -> Result<(), WireError> {
        for depth in depths {
            if let Some(lost) = lost.filter(|_| depth.topic.counts.records > 0) {
                let lost = GapDetail { gap_id: None, ..*lost };
                self.gap(origin, &mut depth.topic, &lost, times);
            }
            depth.window.load(machine.book());
            depth.told = machine.last();
            depth.is_changed = true;
            let view = depth.view(machine);
            self.snapshot(origin, &mut depth.topic, view, times, false)?;
        }
        Ok(())
    }

    /// Publishes the hash of each limited book that changed since the last one.
    pub(crate) fn depth_checkpoints(
        &mut self,
        origin: Origin<'_>,
        depths: &mut [DepthTopic],
        machine: &BookMachine,
        times: Times,
    ) {
        for depth in depths.iter_mut().filter(|depth| depth.is_changed) {
            depth.is_changed = false;
            let (view, levels) = (depth.view(machine), u32::from(depth.levels));
            self.checkpoint(origin, &mut depth.topic, view, levels, times);
        }
    }
}

impl Feed {
    /// Gives a limited book its first levels if the whole one is LIVE already.
    pub(crate) fn begin_depth(&mut self, stream: usize, variant: Variant) {
        self.each_depth(stream, |depth| depth.topic.variant == variant, false);
    }

    /// Publishes a CUT for each limited book that somebody waits for.
    pub(crate) fn depth_cuts(&mut self, stream: usize, is_wanted: impl Fn(&Topic) -> bool) {
        self.each_depth(stream, |depth| is_wanted(&depth.topic) && depth.topic.counts.records > 0, true);
    }

    /// Publishes the hash of each limited book that changed since the last one.
    pub(crate) fn prove_depths(&mut self, stream: usize) {
        let venue = self.config.product.venue();
        let Some(entry) = self.streams.get_mut(stream).filter(|entry| entry.is_book_live()) else { return };
        let Some(times) = entry.topic(Channel::BookL2).map(Topic::times_last) else { return };
        let Stream { instrument, usual, depths, machine: Some(machine), .. } = entry else { return };
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        self.publisher.depth_checkpoints(origin, depths, machine, times);
    }

    fn each_depth(&mut self, stream: usize, chosen: impl Fn(&DepthTopic) -> bool, is_cut: bool) {
        let venue = self.config.product.venue();
        let Some(entry) = self.streams.get_mut(stream).filter(|entry| entry.is_book_live()) else { return };
        let Some(times) = entry.topic(Channel::BookL2).map(Topic::times_last) else { return };
        let Stream { instrument, usual, depths, machine: Some(machine), .. } = entry else { return };
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        for depth in depths.iter_mut().filter(|depth| chosen(depth)) {
            let outcome = if is_cut {
                let view = depth.view(machine);
                self.publisher.snapshot(origin, &mut depth.topic, view, times, true)
            } else {
                let one = std::slice::from_mut(depth);
                self.publisher.depth_snapshots(origin, one, machine, None, times)
            };
            if outcome.is_ok() && is_cut {
                let (view, levels) = (depth.view(machine), u32::from(depth.levels));
                self.publisher.checkpoint(origin, &mut depth.topic, view, levels, times);
            }
        }
    }
}

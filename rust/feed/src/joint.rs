//! What a feed tells the consolidator: the best prices of its spot instruments, or why they may not be used.

use std::sync::Arc;

use facade_model::{Channel, InstrumentKind, StreamPhase, TopOfBook, UpdateFlags};

use crate::consolidated::{Consolidator, Quote, QuoteSource};
use crate::feed::Feed;
use crate::publish::Times;
use crate::stream::Stream;
use crate::topic::Topic;

/// The feed's side of the consolidation.
#[derive(Default)]
pub struct Joining {
    consolidator: Option<Arc<Consolidator>>,
    generation: u64,
    is_due: bool,
}

/// One instrument's part in it.
#[derive(Debug, Default)]
pub struct Part {
    /// The last best prices that the venue's stream told, and the flags of their record.
    pub top: Option<(TopOfBook, Times, UpdateFlags)>,
    is_joined: bool,
    is_due: bool,
    told: [bool; 2], // whether the consolidator knows this source
}

impl Feed {
    /// Lets the feed tell its best prices to a consolidator.
    pub fn join(&mut self, consolidator: Arc<Consolidator>) {
        self.joining = Joining { consolidator: Some(consolidator), ..Joining::default() };
    }

    /// Notes the best prices that a record with these flags told.
    pub(crate) fn quote_top(&mut self, stream: usize, top: TopOfBook, times: Times, flags: UpdateFlags) {
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.part.top = Some((top, times, flags));
        }
        self.quote_changed(stream);
    }

    /// Notes that an instrument's best prices, or their worth, may have changed.
    pub(crate) fn quote_changed(&mut self, stream: usize) {
        if let Some(part) = self.streams.get_mut(stream).map(|entry| &mut entry.part)
            && part.is_joined
        {
            part.is_due = true;
            self.joining.is_due = true;
        }
    }

    /// Learns what is consolidated now.
    pub(crate) fn update_joints(&mut self) {
        if self.is_standby() {
            return; // the feed in use speaks for both
        }
        let Some(consolidator) = &self.joining.consolidator else { return };
        let generation = consolidator.generation();
        if generation == self.joining.generation {
            return;
        }
        self.joining.generation = generation;
        self.joining.is_due = true;
        let venue = self.config.product.venue();
        for entry in &mut self.streams {
            let is_spot = entry.instrument.kind == InstrumentKind::Spot;
            let is_joined = is_spot && consolidator.has_seat(venue, &entry.instrument.symbol);
            entry.part.is_joined = is_joined;
            entry.part.is_due = is_joined;
            entry.part.told = [false; 2];
        }
    }

    /// Makes sure that the next turn asks anew what is consolidated: there is a new instrument.
    pub(crate) const fn forget_joints(&mut self) {
        self.joining.generation = 0;
    }

    /// Tells what changed in this turn.
    pub(crate) fn tell_joints(&mut self) {
        if self.is_standby() {
            return;
        }
        if !std::mem::take(&mut self.joining.is_due) {
            return;
        }
        let Some(consolidator) = &self.joining.consolidator else { return };
        let venue = self.config.product.venue();
        for entry in self.streams.iter_mut().filter(|entry| entry.part.is_due) {
            entry.part.is_due = false;
            let quotes = [(QuoteSource::Top, top_of(entry)), (QuoteSource::Book, book_of(entry))];
            for ((source, quote), was_told) in quotes.into_iter().zip(&mut entry.part.told) {
                if quote.is_some() || *was_told {
                    let name = (venue, entry.instrument.symbol.as_str());
                    consolidator.tell(name, source, quote, entry.usual);
                }
                *was_told = quote.is_some();
            }
        }
    }

    /// Lets the consolidated topics beat.
    pub(crate) fn tick_joints(&self) {
        if let Some(consolidator) = &self.joining.consolidator {
            consolidator.tick();
        }
    }
}

fn top_of(entry: &Stream) -> Option<Quote> {
    let topic = entry.topic(Channel::TopOfBook)?;
    Some(match (out_of(topic), entry.part.top) {
        (Some(reason), _) => Quote::Out(reason),
        (None, None) => Quote::Out("SYNCING"),
        (None, Some((_, _, flags))) if flags.contains(UpdateFlags::BAD_TICK) => Quote::Out("BAD_TICK"),
        (None, Some((top, times, _))) => Quote::Top(top, times),
    })
}

fn book_of(entry: &Stream) -> Option<Quote> {
    let topic = entry.topic(Channel::BookL2)?;
    let book = entry.machine.as_ref()?.book();
    Some(match out_of(topic) {
        Some(reason) => Quote::Out(reason),
        None => Quote::Top(TopOfBook { bid: book.best_bid(), ask: book.best_ask() }, topic.times_last()),
    })
}

/// Why a topic that is not LIVE is left out.
const fn out_of(topic: &Topic) -> Option<&'static str> {
    match topic.phase {
        StreamPhase::Live => None,
        StreamPhase::Empty => Some("NOT_FOLLOWED"),
        StreamPhase::Syncing => Some("SYNCING"),
        StreamPhase::Stale => Some("STALE"),
        StreamPhase::Resync => Some("RESYNC"),
        StreamPhase::Halted => Some("HALTED"),
        StreamPhase::Rejected => Some("REJECTED"),
        StreamPhase::Down => Some("DOWN"),
    }
}

//! What can be asked of a feed: reports for replays and `Health`, one book for `L2Book`.

use facade_model::{Channel, Integrity, StateReason, StreamPhase, Variant};
use facade_wire::WireError;

use crate::feed::Feed;
use crate::lifeline::Lifeline;
use crate::machine::BookMachine;
use crate::publish::{Origin, Times};
use crate::report::BookReport;
use crate::stats::FeedStats;
use crate::stream::Stream;
use crate::topic::Topic;
use crate::whole::encode_book;

/// One topic as `Health` shows it.
#[derive(Debug, Clone)]
pub struct TopicReport {
    /// Canonical symbol.
    pub symbol: String,
    /// Channel.
    pub channel: Channel,
    /// Canonical text of the variant; empty: none.
    pub variant: Box<str>,
    /// State.
    pub phase: StreamPhase,
    /// Why.
    pub reason: StateReason,
    /// Venue time at which the state began, ns UTC; 0: unknown.
    pub since_event: i64,
    /// Our time at which the state began, ns UTC.
    pub since_recv: i64,
    /// Attempt number.
    pub attempt: u32,
    /// Wall time of the next attempt, ns UTC; 0: none planned.
    pub next_attempt: i64,
    /// What is proven of a book.
    pub integrity: Integrity,
    /// The newest number of the topic.
    pub seq: u64,
    /// Receive time of the last data, ns UTC.
    pub ts_recv_last: i64,
    /// Data records.
    pub records: u64,
    /// Gap records.
    pub gaps: u64,
    /// Events that were already contained.
    pub duplicates: u64,
    /// The book, if it is one, without its hash.
    pub book: Option<BookReport>,
}

/// One instrument as a replay shows it.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// Canonical symbol.
    pub symbol: String,
    /// Its book, if one was followed.
    pub book: Option<BookReport>,
    /// Reports made on the way.
    pub checkpoints: Vec<BookReport>,
}

/// A snapshot and its checkpoint, each one encoded `Update`.
pub type EncodedBook = (Vec<u8>, Vec<u8>);

impl Feed {
    /// The connection's state.
    #[must_use]
    pub const fn line(&self) -> &Lifeline {
        &self.line
    }

    /// Counts and latencies.
    #[must_use]
    pub const fn stats(&self) -> &FeedStats {
        &self.stats
    }

    /// Describes every topic.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicReport> {
        self.streams
            .iter()
            .flat_map(|stream| stream.all_topics().map(move |topic| topic_report(stream, topic)))
            .collect()
    }

    /// Describes every instrument.
    #[must_use]
    pub fn report(&self) -> Vec<StreamReport> {
        self.streams
            .iter()
            .map(|stream| StreamReport {
                symbol: stream.instrument.symbol.clone(),
                book: stream.topic(Channel::BookL2).and_then(|topic| book_report(stream, topic)),
                checkpoints: stream
                    .machine
                    .as_ref()
                    .map_or_else(Vec::new, |machine| machine.reports().to_vec()),
            })
            .collect()
    }

    /// Encodes the best levels of a book as it stands, with its checkpoint, as two `Update`s (CUT).
    ///
    /// `depth` 0: the whole book. `None`: no book of this symbol is followed.
    #[must_use]
    pub fn encode_book(&self, symbol: &str, depth: usize) -> Option<Result<EncodedBook, WireError>> {
        let stream = self.streams.iter().find(|stream| stream.instrument.symbol == symbol)?;
        let topic = stream.topic(Channel::BookL2)?;
        let machine = stream.machine.as_ref()?;
        let origin = Origin { venue: self.config.product.venue(), symbol, usual: stream.usual };
        let times = Times { event: topic.ts_event_last, recv: topic.ts_recv_last };
        let made = (self.config.epoch, self.clock.wall_ns());
        Some(encode_book(origin, topic, machine, made, times, depth))
    }
}

pub(crate) fn topic_report(stream: &Stream, topic: &Topic) -> TopicReport {
    let book = whole_book(stream, topic).map(|machine| machine.sketch(topic.phase));
    TopicReport {
        symbol: stream.instrument.symbol.clone(),
        channel: topic.channel,
        variant: topic.variant_text.clone(),
        phase: topic.phase,
        reason: topic.reason,
        since_event: topic.since_event,
        since_recv: topic.since_recv,
        attempt: topic.attempt,
        next_attempt: topic.next_attempt,
        integrity: book.as_ref().map_or(Integrity::Unspecified, |book| book.integrity),
        seq: topic.seq,
        ts_recv_last: topic.ts_recv_last,
        records: topic.counts.records,
        gaps: topic.counts.gaps,
        duplicates: book.as_ref().map_or(topic.counts.duplicates, |book| book.duplicates),
        book,
    }
}

fn book_report(stream: &Stream, topic: &Topic) -> Option<BookReport> {
    whole_book(stream, topic).map(|machine| machine.report(topic.phase))
}

fn whole_book<'stream>(stream: &'stream Stream, topic: &Topic) -> Option<&'stream BookMachine> {
    let is_whole = topic.channel == Channel::BookL2 && topic.variant == Variant::Plain;
    stream.machine.as_ref().filter(|_| is_whole)
}

//! Model to encoded records of the hub: every record of a feed is made here.

use std::convert::Infallible;

use facade_hub::{Batch, Hub, PublishError, RecordKind, Stamp};
use facade_model::{GapScope, GapState, Integrity, LevelChange, Ticker, TopOfBook, Trade, UpdateFlags};
use facade_wire as wire;
use facade_wire::{Exponents, Header, WireError};

use crate::topic::Topic;

/// Who publishes, and in which digits.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Venue name.
    pub venue: &'a str,
    /// Canonical symbol.
    pub symbol: &'a str,
    /// The instrument's usual digits.
    pub usual: Exponents,
}

/// When something happened, ns UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// At the venue; 0: it gave none.
    pub event: i64,
    /// At our socket.
    pub recv: i64,
}

/// What a state record tells beside the topic's own fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct StateDetail<'a> {
    /// Venue number that the last proof reached.
    pub venue_sequence_last_good: Option<u64>,
    /// Connection number.
    pub connection: u32,
    /// Close code of the connection.
    pub close_code: Option<u16>,
    /// Plain words, from us or, cut, from the venue.
    pub message: &'a str,
}

impl Times {
    /// The venue's time, or ours where it gave none.
    #[must_use]
    pub const fn best(self) -> i64 {
        if self.event == 0 { self.recv } else { self.event }
    }

    /// What a topic remembers of a record: a venue time outside all reason is none.
    const fn noted(self, flags: UpdateFlags) -> Self {
        if flags.contains(UpdateFlags::BAD_TS) { Self { event: 0, recv: self.recv } } else { self }
    }
}

/// Collects the records of one turn and hands them to the hub under one lock.
#[derive(Debug, Default)]
pub struct Publisher {
    /// Records of the turn so far.
    pub(crate) batch: Batch,
    /// Number of this start of the publisher.
    pub epoch: u32,
    /// Wall time of the turn, ns UTC.
    pub wall: i64,
    /// Monotonic time of the turn.
    pub now: i64,
    /// Encoded records since the start.
    pub records: u64,
    /// Whether the same turn brings more: subscribers are woken at its end.
    pub has_more: bool,
    is_held: bool,
}

impl Publisher {
    /// Makes a publisher without records.
    #[must_use]
    pub fn new(epoch: u32) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Starts a turn.
    pub fn begin(&mut self, wall: i64, now: i64) {
        self.wall = wall;
        self.now = now;
    }

    /// Hands the turn's records to the hub.
    ///
    /// # Errors
    /// [`PublishError`]: a fault of ours; the records are dropped and the caller starts its streams over.
    pub fn flush(&mut self, hub: &Hub) -> Result<(), PublishError> {
        if self.batch.is_empty() {
            if !self.has_more && std::mem::take(&mut self.is_held) {
                hub.release();
            }
            return Ok(());
        }
        self.records += self.batch.entries.len() as u64;
        let now = Stamp { wall_ns: self.wall, mono_ns: self.now.unsigned_abs() };
        self.is_held = self.has_more;
        let outcome =
            if self.has_more { hub.publish_held(&self.batch, now) } else { hub.publish(&self.batch, now) };
        self.batch.clear();
        outcome
    }

    /// Publishes one trade; MORE in its flags: not the last one of its venue frame.
    pub fn trade(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        trade: &Trade,
        times: Times,
        flags: UpdateFlags,
    ) -> Result<(), WireError> {
        let header = Header { flags, ..self.header(origin, topic, topic.seq + 1, times) };
        let encode = |out: &mut Vec<u8>| wire::trade(out, &header, origin.usual, trade);
        let more = flags.contains(UpdateFlags::MORE);
        self.batch.record(topic.id, header.seq, RecordKind::Data, more, encode)?;
        self.counted(topic, times.noted(flags));
        Ok(())
    }

    /// Publishes best prices.
    pub fn top(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        top: &TopOfBook,
        times: Times,
        (venue_sequence, flags): (Option<u64>, UpdateFlags),
    ) -> Result<(), WireError> {
        let header = Header { venue_sequence, flags, ..self.header(origin, topic, topic.seq + 1, times) };
        let encode = |out: &mut Vec<u8>| wire::top_of_book(out, &header, origin.usual, top);
        self.batch.record(topic.id, header.seq, RecordKind::Data, false, encode)?;
        self.counted(topic, times.noted(flags));
        Ok(())
    }

    /// Publishes statistics.
    pub fn ticker(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        ticker: &Ticker,
        times: Times,
        flags: UpdateFlags,
    ) -> Result<(), WireError> {
        let header = Header { flags, ..self.header(origin, topic, topic.seq + 1, times) };
        let encode = |out: &mut Vec<u8>| wire::ticker(out, &header, origin.usual, ticker);
        self.batch.record(topic.id, header.seq, RecordKind::Data, false, encode)?;
        self.counted(topic, times.noted(flags));
        Ok(())
    }

    /// Publishes the changes of one message.
    pub fn delta(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        changes: &[LevelChange],
        proof: (Integrity, Option<u64>, Option<u64>),
        times: Times,
    ) -> Result<(), WireError> {
        let (integrity, venue_sequence_previous, venue_sequence) = proof;
        let header = Header {
            integrity,
            venue_sequence_previous,
            venue_sequence,
            ..self.header(origin, topic, topic.seq + 1, times)
        };
        let encode = |out: &mut Vec<u8>| wire::book_delta(out, &header, origin.usual, changes);
        self.batch.record(topic.id, header.seq, RecordKind::Data, false, encode)?;
        self.counted(topic, times);
        Ok(())
    }

    /// Publishes the topic's state as a topic record.
    pub fn state(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        detail: &StateDetail<'_>,
        integrity: Integrity,
    ) {
        let state = wire::StreamState {
            state: topic.phase,
            reason: topic.reason,
            ts_since_event: topic.since_event,
            ts_since_recv: topic.since_recv,
            venue_sequence_last_good: detail.venue_sequence_last_good,
            connection: detail.connection,
            attempt: topic.attempt,
            ts_next_attempt: topic.next_attempt,
            close_code: detail.close_code.map(u32::from),
            message: detail.message,
        };
        let times = Times { event: 0, recv: topic.since_recv };
        topic.seq += 1;
        let header = Header { integrity, ..self.header(origin, topic, topic.seq, times) };
        self.plain(topic, RecordKind::State, |out| wire::stream_state(out, &header, &state));
        topic.published_at = self.now;
    }

    /// Publishes a hole of the venue's events before the next data record, or what became of one; returns its number.
    pub fn gap(&mut self, origin: Origin<'_>, topic: &mut Topic, gap: &GapDetail, times: Times) -> u64 {
        topic.seq += 1;
        topic.counts.gaps += u64::from(gap.gap_id.is_none());
        let gap_id = gap.gap_id.unwrap_or(topic.seq);
        let record = wire::Gap {
            gap_id,
            scope: GapScope::Venue,
            seq_first: 0, // what the venue's side lost never had a number of ours
            seq_last: 0,
            venue_sequence_first: gap.venue_sequence_first,
            venue_sequence_last: gap.venue_sequence_last,
            ts_first: gap.ts_first,
            ts_last: gap.ts_last,
            count: gap.count,
            cause: gap.cause,
            state: gap.state,
            filled: gap.filled,
        };
        let header = self.header(origin, topic, topic.seq, times);
        self.plain(topic, RecordKind::Gap, |out| wire::gap(out, &header, &record));
        topic.published_at = self.now;
        gap_id
    }

    /// Publishes that nothing happened: shared by all who follow the topic.
    pub fn heartbeat(&mut self, origin: Origin<'_>, topic: &mut Topic, ts_frame_last: i64) {
        let times = Times { event: 0, recv: ts_frame_last };
        let header = self.header(origin, topic, topic.seq, times);
        let heartbeat = wire::Heartbeat { ts_frame_last, state: topic.phase };
        self.plain(topic, RecordKind::Position, |out| wire::heartbeat(out, &header, &heartbeat));
        topic.published_at = self.now;
    }

    /// Begins a record of a topic.
    pub(crate) fn header<'a>(
        &self,
        origin: Origin<'a>,
        topic: &'a Topic,
        seq: u64,
        times: Times,
    ) -> Header<'a> {
        header_of(origin, topic, self.epoch, (seq, self.wall), times)
    }

    /// Notes a data record that was appended at the topic's next number.
    pub(crate) fn counted(&self, topic: &mut Topic, times: Times) {
        topic.seq += 1;
        topic.counts.records += 1;
        self.note(topic, times);
    }

    /// Appends a record at the topic's newest number; its encoding cannot fail.
    pub(crate) fn plain(&mut self, topic: &Topic, kind: RecordKind, encode: impl FnOnce(&mut Vec<u8>)) {
        let encode = |out: &mut Vec<u8>| -> Result<(), Infallible> {
            encode(out);
            Ok(())
        };
        let Ok(()) = self.batch.record(topic.id, topic.seq, kind, false, encode);
    }

    pub(crate) fn note(&self, topic: &mut Topic, times: Times) {
        topic.published_at = self.now;
        topic.ts_recv_last = times.recv;
        if times.event != 0 {
            topic.ts_event_last = times.event;
        }
    }
}

/// A hole in the venue's events, or what became of one.
#[derive(Debug, Clone, Copy)]
pub struct GapDetail {
    /// Its number, if it was told before.
    pub gap_id: Option<u64>,
    /// Why.
    pub cause: facade_model::GapCause,
    /// First missing number, if there are numbers.
    pub venue_sequence_first: Option<u64>,
    /// Last missing number, if there are numbers.
    pub venue_sequence_last: Option<u64>,
    /// How many are missing, if known.
    pub count: Option<u64>,
    /// Time of the last good event before it, ns UTC.
    pub ts_first: i64,
    /// Time of the first good event behind it, ns UTC.
    pub ts_last: i64,
    /// What became of it.
    pub state: GapState,
    /// How many of the missing events came.
    pub filled: u64,
}

/// Begins a record of a topic, outside any turn.
pub(crate) fn header_of<'a>(
    origin: Origin<'a>,
    topic: &'a Topic,
    epoch: u32,
    (seq, ts_publish): (u64, i64),
    times: Times,
) -> Header<'a> {
    Header {
        venue: origin.venue,
        symbol: origin.symbol,
        channel: topic.channel,
        variant: &topic.variant_text,
        epoch,
        seq,
        ts_event: times.event,
        ts_recv: times.recv,
        ts_publish,
        integrity: Integrity::Unspecified,
        flags: UpdateFlags::default(),
        venue_sequence_previous: None,
        venue_sequence: None,
    }
}

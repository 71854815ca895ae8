//! Books, best prices and statistics by REST while the socket is down: flagged, unverifiable, and never LIVE.

use facade_book::Book;
use facade_hub::RecordKind;
use facade_model::{Channel, GapState, Integrity, StreamPhase, TopOfBook, UpdateFlags};
use facade_venues::{Decoded, Event, RestRequest, TickerEvent};
use facade_wire as wire;
use facade_wire::{Header, WireError};

use crate::feed::Feed;
use crate::fetches::Purpose;
use crate::lifeline::Socket;
use crate::publish::{GapDetail, Origin, Publisher, Times};
use crate::stream::Stream;
use crate::topic::Topic;

/// How long the socket must be down.
const AFTER_NS: i64 = 1_000_000_000;
/// Levels a side.
const LEVELS: u32 = 50;

impl Feed {
    /// Whether REST stands in for the socket.
    #[must_use]
    pub const fn is_fallback(&self) -> bool {
        self.line.is_fallback
    }

    /// Asks for what is due while the socket is down: one instrument a tick, so that no burst arises.
    pub(crate) fn fallbacks_due(&mut self) {
        let now = self.publisher.now;
        let is_down = self.line.socket != Socket::Open && self.line.down_since != 0;
        if !is_down || self.config.fallback_ns == 0 || now - self.line.down_since <= AFTER_NS {
            return;
        }
        for stream in 0..self.streams.len() {
            let Some(entry) = self.streams.get_mut(stream) else { continue };
            if entry.fallback_at != 0 && now - entry.fallback_at < self.config.fallback_ns {
                continue;
            }
            let is_down = |channel: Channel| entry.topic(channel).is_some_and(is_fallible);
            let has_book = is_down(Channel::BookL2) || is_down(Channel::TopOfBook);
            let has_ticker = is_down(Channel::Ticker);
            if !has_book && !has_ticker {
                continue;
            }
            entry.fallback_at = now;
            let symbol = entry.instrument.venue_symbol.clone();
            let product = self.config.product;
            if let Some(path) = product.snapshot_path(&symbol, LEVELS).filter(|_| has_book) {
                let request = RestRequest { path, weight: product.snapshot_weight(LEVELS) };
                self.fetch(stream, Purpose::FallbackBook, request);
            }
            if has_ticker {
                let request = product.ticker_request(&symbol);
                self.fetch(stream, Purpose::FallbackTicker, request);
            }
            return;
        }
    }

    /// Takes a book: its best levels for the book's topic, its best prices for theirs.
    pub(crate) fn on_fallback_book(&mut self, stream: usize, body: Option<&[u8]>, ts_recv: i64) {
        let mut decoded = Decoded::default();
        let is_read =
            body.is_some_and(|body| self.config.product.decode_snapshot(body, &mut decoded).is_ok());
        let Some(Event::Book(event)) = decoded.events.first().filter(|_| is_read) else {
            self.stats.fetch_failures += 1;
            return;
        };
        let times = Times { event: event.ts_event, recv: ts_recv };
        let Some(entry) = self.streams.get(stream).filter(|_| self.line.socket != Socket::Open) else {
            return;
        };
        let mut book = Book::with_levels_max(entry.usual.price, usize::MAX);
        if book.load(decoded.levels_of(event)).is_err() || book.is_crossed() {
            return;
        }
        let top = TopOfBook { bid: book.best_bid(), ask: book.best_ask() };
        self.publish_fallback(stream, Channel::BookL2, times, |publisher, origin, topic| {
            publisher.fallback_book(origin, topic, &book, times)
        });
        self.publish_fallback(stream, Channel::TopOfBook, times, |publisher, origin, topic| {
            publisher.top(origin, topic, &top, times, (None, UpdateFlags::REST_FALLBACK))
        });
    }

    /// Takes statistics.
    pub(crate) fn on_fallback_ticker(&mut self, stream: usize, body: Option<&[u8]>, ts_recv: i64) {
        let mut decoded = Decoded::default();
        let is_read = body.is_some_and(|body| self.config.product.decode_ticker(body, &mut decoded).is_ok());
        let Some(Event::Ticker(TickerEvent { ts_event, ticker, .. })) =
            decoded.events.last().filter(|_| is_read)
        else {
            self.stats.fetch_failures += 1;
            return;
        };
        let times = Times { event: *ts_event, recv: ts_recv };
        self.publish_fallback(stream, Channel::Ticker, times, |publisher, origin, topic| {
            publisher.ticker(origin, topic, ticker, times, UpdateFlags::REST_FALLBACK)
        });
    }

    /// Publishes one record of a topic that is DOWN still; what the outage took is told before the first one.
    fn publish_fallback(
        &mut self,
        stream: usize,
        channel: Channel,
        times: Times,
        publish: impl FnOnce(&mut Publisher, Origin<'_>, &mut Topic) -> Result<(), WireError>,
    ) {
        let venue = self.config.product.venue();
        let is_down = self.line.socket != Socket::Open;
        let Some(Stream { instrument, usual, topics, .. }) = self.streams.get_mut(stream) else { return };
        let Some(topic) = topics.get_mut(channel as usize).and_then(Option::as_mut) else { return };
        if !is_down || !is_fallible(topic) {
            return;
        }
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        if let Some(gap) = topic.gap.filter(|gap| gap.gap_id.is_none()) {
            let open = GapDetail {
                gap_id: None,
                cause: gap.cause,
                venue_sequence_first: gap.venue_sequence_first,
                venue_sequence_last: None,
                count: None,
                ts_first: gap.ts_first,
                ts_last: 0, // not over
                state: GapState::Open,
                filled: 0,
            };
            let gap_id = self.publisher.gap(origin, topic, &open, times);
            self.notes.gap(origin.symbol, topic, &open, (gap_id, self.publisher.wall));
            topic.gap = Some(crate::topic::PendingGap { gap_id: Some(gap_id), ..gap });
        }
        if publish(&mut self.publisher, origin, topic).is_ok() {
            self.stats.fallbacks += 1;
            self.line.is_fallback = true;
        }
    }
}

/// Whether REST may stand in for a topic.
fn is_fallible(topic: &Topic) -> bool {
    topic.phase == StreamPhase::Down
}

impl Publisher {
    /// Publishes the best levels of a book that REST told: no proof, no checkpoint, no number that a delta could join.
    fn fallback_book(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        book: &Book,
        times: Times,
    ) -> Result<(), WireError> {
        let header = Header {
            flags: UpdateFlags::REST_FALLBACK,
            integrity: Integrity::Unverifiable,
            ..self.header(origin, topic, topic.seq + 1, times)
        };
        let (bids, asks) = (book.bids().take(LEVELS as usize), book.asks().take(LEVELS as usize));
        let encode = |out: &mut Vec<u8>| wire::book_snapshot(out, &header, origin.usual, bids, asks);
        self.batch.record(topic.id, header.seq, RecordKind::Snapshot, false, encode)?;
        self.counted(topic, times);
        Ok(())
    }
}

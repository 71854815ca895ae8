//! What a frame brings: decoded, counted, handed event by event to whom it concerns.

use facade_model::StateReason;
use facade_venues::{BookEvent, DecodeError, Decoded, Event, Product, Sequence};

use crate::command::Command;
use crate::feed::Feed;

impl Feed {
    /// Takes one frame; `ts_recv`: wall time of the socket read, ns UTC. `has_more`: the next frame is there already
    /// and follows at once, so subscribers need not be woken for this one.
    pub fn on_frame(&mut self, frame: &[u8], ts_recv: i64, has_more: bool) {
        self.begin();
        self.publisher.has_more = has_more;
        if self.line.is_closing {
            self.end();
            return;
        }
        self.note_backlog(has_more);
        self.line.frame_at = self.publisher.now;
        self.line.frame_wall = ts_recv;
        if self.hold_back(frame, ts_recv) {
            self.end();
            return;
        }
        self.stats.frames += 1;
        let mut decoded = std::mem::take(&mut self.decoded);
        match self.config.product.decode(frame, &mut decoded) {
            Ok(()) if self.is_standby() => self.hold(frame, &decoded, ts_recv),
            Ok(()) => {
                self.on_decoded(frame, &decoded, ts_recv);
                if self.tracks.is_some() {
                    self.track(frame, &decoded);
                }
            }
            Err(error) => self.on_undecodable(frame, &error),
        }
        self.decoded = decoded;
        self.end();
        self.stats.recv_to_publish(self.publisher.now, self.clock.monotonic_ns());
    }

    pub(crate) fn on_decoded(&mut self, frame: &[u8], decoded: &Decoded, ts_recv: i64) {
        for (at, event) in decoded.events.iter().enumerate() {
            match event {
                Event::Book(book) => {
                    let later = decoded.events.get(at + 1..).unwrap_or_default();
                    let goes_on = later.iter().any(|event| is_of_book(event, frame, book));
                    self.on_book(frame, book, decoded.levels_of(book), ts_recv, goes_on);
                }
                Event::Trades(trades) => self.on_trades(frame, trades, decoded.trades_of(trades), ts_recv),
                Event::Top(top) => self.on_top(frame, top, ts_recv),
                Event::Ticker(ticker) => self.on_ticker(frame, ticker, ts_recv),
                Event::Acked(control) => self.on_control(frame, control, true),
                Event::Refused(control) => self.on_control(frame, control, false),
                Event::ConnectionSequence(number) => {
                    if !self.on_connection_sequence(*number) {
                        return;
                    }
                }
                Event::InstrumentStatus(status) => self.on_status(frame, status),
                Event::Notice => self.on_notice(),
                Event::Heartbeat(_) | Event::Pong => {}
                Event::Ignored => self.stats.unknown += 1,
            }
        }
    }

    /// Checks the count of a connection; `false`: the frame is old and must be ignored.
    fn on_connection_sequence(&mut self, number: u64) -> bool {
        if let Some(last) = self.frame_sequence {
            if number <= last {
                self.stats.duplicates += 1;
                return false;
            }
            if number > last + 1 {
                for stream in 0..self.streams.len() {
                    self.break_book(stream, StateReason::SequenceGap);
                }
                self.commands.push(Command::Close { code: 1000, reason: "sequence gap on the connection" });
            }
        }
        self.frame_sequence = Some(number);
        true
    }

    /// A frame that cannot be read: its book lost a delta (row B19); too many of them end the connection.
    fn on_undecodable(&mut self, frame: &[u8], error: &DecodeError) {
        self.stats.errors += 1;
        if error.is_book {
            match self.known_stream(error.book_symbol.of(frame)) {
                Some(stream) => self.break_and_resync(stream, StateReason::Undecodable),
                None if error.book_symbol.is_empty() => self.break_all_books(),
                None => {}
            }
        }
        if !self.config.is_replay && self.line.malformed(self.publisher.now, &self.config) {
            // The strike is counted when the close is done, as for every close for this cause.
            self.commands.push(Command::Close { code: 1007, reason: "too many malformed frames" });
        }
    }

    fn break_all_books(&mut self) {
        for stream in 0..self.streams.len() {
            self.break_and_resync(stream, StateReason::Undecodable);
        }
    }

    /// The numbers of a book message: a Coinbase Advanced book takes those of its connection.
    pub(crate) fn sequence_of(&self, own: Sequence) -> Sequence {
        match self.frame_sequence {
            Some(number) if self.config.product == Product::CoinbaseAdvanced => {
                Sequence { first: None, last: Some(number), previous: number.checked_sub(1) }
            }
            _ => own,
        }
    }
}

/// Whether an event tells more of the same book.
fn is_of_book(event: &Event, frame: &[u8], book: &BookEvent) -> bool {
    matches!(event, Event::Book(other) if other.symbol.of(frame) == book.symbol.of(frame))
}

//! Best prices, statistics, answers and status to records.

use facade_model::{Channel, InstrumentStatus, StateReason, StreamPhase, UpdateFlags};
use facade_venues::{Control, StatusEvent, TickerEvent, TopEvent};

use crate::feed::Feed;
use crate::publish::{Origin, Times};
use crate::rules::Outcome;
use crate::stream::Stream;
use crate::subscriptions::{Answer, Verdict};

/// Longest text of a venue that a state record repeats (FAULTS S25).
const MESSAGE_BYTES_MAX: usize = 256;

impl Feed {
    pub(crate) fn on_top(&mut self, frame: &[u8], event: &TopEvent, ts_recv: i64) {
        let Some(stream) = self.followed(event.symbol.of(frame), Channel::TopOfBook) else { return };
        self.heard(stream, Channel::TopOfBook);
        let times = Times { event: event.ts_event, recv: ts_recv };
        let mut flags = self.judged(times);
        self.go_live(stream, Channel::TopOfBook);
        let venue = self.config.product.venue();
        let Some(Stream { instrument, usual, topics, ticks, .. }) = self.streams.get_mut(stream) else {
            return;
        };
        let Some(topic) = topics.get_mut(Channel::TopOfBook as usize).and_then(Option::as_mut) else {
            return;
        };
        let mut top = event.top;
        if ticks.clean(&mut top) {
            self.stats.bad_ticks += 1;
            flags = flags.with(UpdateFlags::BAD_TICK);
        }
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        if self.publisher.top(origin, topic, &top, times, (event.sequence, flags)).is_err() {
            self.set_state(stream, Channel::TopOfBook, StreamPhase::Rejected, StateReason::NumberRange, "");
            return;
        }
        self.quote_top(stream, top, times, flags);
    }

    pub(crate) fn on_ticker(&mut self, frame: &[u8], event: &TickerEvent, ts_recv: i64) {
        let Some(stream) = self.followed(event.symbol.of(frame), Channel::Ticker) else { return };
        let times = Times { event: event.ts_event, recv: ts_recv };
        let mut flags = self.judged(times);
        self.go_live(stream, Channel::Ticker);
        let venue = self.config.product.venue();
        let Some(Stream { instrument, usual, topics, ticks, .. }) = self.streams.get_mut(stream) else {
            return;
        };
        let Some(topic) = topics.get_mut(Channel::Ticker as usize).and_then(Option::as_mut) else { return };
        if event.ticker.last_px.is_some_and(|px| ticks.is_bad_last(px)) {
            self.stats.bad_ticks += 1;
            flags = flags.with(UpdateFlags::BAD_TICK);
        }
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        if self.publisher.ticker(origin, topic, &event.ticker, times, flags).is_err() {
            self.set_state(stream, Channel::Ticker, StreamPhase::Rejected, StateReason::NumberRange, "");
        }
    }

    /// Measures how old an event is, unless its time is outside all reason: then it is flagged.
    pub(crate) fn judged(&mut self, times: Times) -> UpdateFlags {
        if self.times.is_bad(times.event, times.recv) {
            self.stats.bad_times += 1;
            return UpdateFlags::BAD_TS;
        }
        self.stats.venue_to_recv(times);
        UpdateFlags::default()
    }

    /// Takes the venue's answer to a subscription, item by item.
    pub(crate) fn on_control(&mut self, frame: &[u8], control: &Control, is_accepted: bool) {
        let symbol = control.symbol.of(frame);
        let stream = if symbol.is_empty() { None } else { self.known_stream(symbol) };
        if !symbol.is_empty() && stream.is_none() {
            return; // an item that nobody follows any more
        }
        let answer = Answer {
            request_id: control.request_id,
            stream,
            channel: control.channel,
            is_accepted,
            is_subscribe: control.is_subscribe,
        };
        let mut verdicts = Vec::new();
        self.subscriptions
            .answer(&answer, |stream, channel, verdict| verdicts.push((stream, channel, verdict)));
        let words = control.message.of(frame);
        let words = String::from_utf8_lossy(words.get(..MESSAGE_BYTES_MAX).unwrap_or(words)).into_owned();
        for (stream, channel, verdict) in verdicts {
            match verdict {
                Verdict::Accepted => self.accepted(stream, channel),
                Verdict::Refused => self.refused(stream, channel, StateReason::VenueRejected, &words),
                Verdict::Left => {}
            }
        }
        if !is_accepted {
            self.stats.refusals += 1;
        }
        self.ask(); // what left is asked for again, what was refused together is asked for alone
    }

    /// An item is acknowledged: streams of events are live, a book waits for its snapshot.
    pub(crate) fn accepted(&mut self, stream: usize, representative: Channel) {
        if representative == Channel::BookL2 {
            let deadline = self.publisher.now + self.config.ack_ns;
            let needs_rest = self.streams.get_mut(stream).is_some_and(|entry| {
                let Some(machine) = &entry.machine else { return false };
                entry.resync.snapshot_deadline = deadline;
                let is_idle = entry.resync.request_id.is_none() && entry.resync.due == 0;
                machine.rules().bridges_rest && !machine.is_live() && is_idle
            });
            if needs_rest && !self.config.is_replay {
                self.resync_now(stream);
            }
            return;
        }
        for channel in [Channel::Trades, Channel::TopOfBook, Channel::Ticker] {
            let is_mute = self.is_in(stream, channel, |phase| phase == StreamPhase::Stale);
            if self.config.product.stream_of(channel) == Some(representative) && !is_mute {
                self.go_live(stream, channel);
            }
        }
    }

    /// An item is refused, or given up.
    pub(crate) fn refused(
        &mut self,
        stream: usize,
        representative: Channel,
        reason: StateReason,
        words: &str,
    ) {
        for channel in [Channel::Trades, Channel::BookL2, Channel::TopOfBook, Channel::Ticker] {
            if self.config.product.stream_of(channel) == Some(representative) {
                self.set_state(stream, channel, StreamPhase::Rejected, reason, words);
            }
        }
    }

    /// Takes the venue's word about trading of an instrument, or of all.
    pub(crate) fn on_status(&mut self, frame: &[u8], event: &StatusEvent) {
        let symbol = event.symbol.of(frame);
        let first = if symbol.is_empty() { None } else { self.known_stream(symbol) };
        if !symbol.is_empty() && first.is_none() {
            return;
        }
        let range = first.map_or(0..self.streams.len(), |stream| stream..stream + 1);
        for stream in range {
            self.apply_status(stream, event.status);
        }
    }

    fn apply_status(&mut self, stream: usize, status: InstrumentStatus) {
        let is_auction = status != InstrumentStatus::Trading;
        let Some(entry) = self.streams.get_mut(stream) else { return };
        entry.instrument.status = status;
        let Some(machine) = &mut entry.machine else { return };
        let was_auction = std::mem::replace(&mut machine.is_auction, is_auction);
        if !machine.is_live() || was_auction == is_auction {
            return;
        }
        if is_auction {
            self.set_state(stream, Channel::BookL2, StreamPhase::Halted, StateReason::VenueStatus, "");
        } else {
            let times = Times { event: 0, recv: self.line.frame_wall };
            self.settle(stream, Outcome::Synced, times);
        }
    }

    /// Tells that a stream of events flows.
    pub(crate) fn go_live(&mut self, stream: usize, channel: Channel) {
        let is_new = self
            .streams
            .get(stream)
            .and_then(|entry| entry.topic(channel))
            .is_some_and(|topic| !matches!(topic.phase, StreamPhase::Live | StreamPhase::Rejected));
        if is_new {
            self.set_state(stream, channel, StreamPhase::Live, StateReason::Synced, "");
        }
    }

    /// Returns the instrument of an event if its channel is followed; a replay follows everything.
    pub(crate) fn followed(&mut self, venue_symbol: &[u8], channel: Channel) -> Option<usize> {
        let stream = self.known_stream(venue_symbol)?;
        if self.config.is_replay {
            self.open_topic(stream, channel);
        }
        self.streams.get(stream).and_then(|entry| entry.topic(channel)).map(|_| stream)
    }
}

//! Streams that are mute while the connection lives (rows B24, B25): learned patience, a second source, one remedy.
//!
//! Silence alone is no fault. Before anything is told, a second source must know news that we did not hear: a sibling
//! channel of the same instrument, or the venue's REST. A quiet market has no news there either.

use facade_model::{BookSide, Channel, GapCause, InstrumentStatus, StateReason, StreamPhase, Trade};
use facade_venues::{Decoded, Event, RestRequest, TradesSpan};

use crate::chain::SnapshotSource;
use crate::feed::Feed;
use crate::fetches::Purpose;
use crate::machine::BookMachine;
use crate::pace::Pace;
use crate::publish::Times;
use crate::stream::Stream;
use crate::trade_flow::counts_trades;

/// Channels whose silence is looked into. Statistics change by the clock alone, so nothing can be learned of theirs.
pub(crate) const WATCHED: [Channel; 3] = [Channel::Trades, Channel::BookL2, Channel::TopOfBook];
/// How long news of the second source may take to reach us by the stream.
const GRACE_NS: i64 = 1_000_000_000;
/// How long before its patience ends a stream is told to be mute: ticks are 50 ms apart, and it is to be known by then.
const NOTICE_NS: i64 = 100_000_000;
/// Longest pause between two questions about one stream.
const PAUSE_MAX_NS: i64 = 300_000_000_000;
/// Questions under way at once.
const QUESTIONS_MAX: usize = 4;
/// Levels a side of the book that a question asks for.
const LEVELS: u32 = 5;

/// What is known of one stream's silence.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Its rhythm.
    pub pace: Pace,
    step: Step,
    /// No question before this, monotonic ns.
    due: i64,
    /// Remedies without success so far.
    rounds: u32,
}

/// How far a suspicion got.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Step {
    #[default]
    None,
    /// REST was asked.
    Asked { request_id: u64, is_urgent: bool },
    /// The second source knows more; it is mute unless it is heard until then.
    Grace { until: i64, newest: Option<Trade> },
}

impl Watch {
    /// Notes that it was heard: every suspicion ends.
    pub fn heard(&mut self, now: i64) {
        self.pace.heard(now);
        self.step = Step::None;
        self.due = 0;
        self.rounds = 0;
    }

    /// Starts to listen: it is not expected to have been heard before.
    pub const fn listen(&mut self, now: i64) {
        self.pace.listen(now);
        self.step = Step::None;
    }

    /// Notes that nothing is to be heard: the market is quiet.
    fn is_quiet(&mut self, now: i64, pause: i64) {
        self.step = Step::None;
        self.due = now + pause.max(now - self.pace.last()).min(PAUSE_MAX_NS);
    }
}

impl Feed {
    /// Notes data of a stream.
    pub(crate) fn heard(&mut self, stream: usize, channel: Channel) {
        if self.config.is_replay {
            return;
        }
        let now = self.publisher.now;
        self.line.data_at = now;
        let watches = self.streams.get_mut(stream).map(|entry| &mut entry.watches);
        if let Some(watch) = watches.and_then(|watches| watches.get_mut(channel as usize)) {
            watch.heard(now);
        }
    }

    /// Lets all silences begin now: we did not listen before.
    pub(crate) fn listen(&mut self) {
        let now = self.publisher.now;
        self.line.frame_at = now;
        self.line.data_at = now;
        for watch in self.streams.iter_mut().flat_map(|entry| &mut entry.watches) {
            watch.listen(now);
        }
    }

    /// Looks into the streams that are silent for longer than usual.
    pub(crate) fn silences_due(&mut self) {
        let now = self.publisher.now;
        for stream in 0..self.streams.len() {
            for channel in WATCHED {
                self.look_into(stream, channel);
                if self.line.is_closing {
                    return;
                }
            }
        }
        let quiet = now - self.line.data_at;
        if quiet >= self.config.line_probe_ns && now >= self.line.question_at {
            self.line.question_at = now + quiet.min(PAUSE_MAX_NS);
            self.ask_for_the_line();
        }
    }

    fn look_into(&mut self, stream: usize, channel: Channel) {
        let now = self.publisher.now;
        let Some((entry, is_mute)) = self.watched(stream, channel) else { return };
        let Some(watch) = entry.watches.get_mut(channel as usize) else { return };
        if watch.pace.last() == 0 {
            watch.listen(now);
        }
        let silence = now - watch.pace.last();
        match watch.step {
            Step::Grace { until, newest } if now >= until => self.found_mute(stream, channel, newest),
            Step::Grace { .. } | Step::Asked { .. } => {}
            Step::None if now < watch.due => {}
            Step::None => {
                let least = self.config.stale_ns;
                if !is_mute && silence < early(least) {
                    return; // the usual case, without a median
                }
                if is_mute || silence >= early(self.patience(stream, channel)) {
                    self.ask_about(stream, channel, false);
                }
            }
        }
    }

    /// An instrument whose channel is expected to be heard, and whether it was found mute already.
    fn watched(&mut self, stream: usize, channel: Channel) -> Option<(&mut Stream, bool)> {
        let now = self.publisher.now;
        let entry = self.streams.get_mut(stream)?;
        let topic = entry.topic(channel)?;
        let is_mute = topic.phase == StreamPhase::Stale && topic.reason == StateReason::Silent;
        let is_expected = is_mute || topic.phase == StreamPhase::Live;
        if is_expected && entry.instrument.status == InstrumentStatus::Trading {
            return Some((entry, is_mute));
        }
        if let Some(watch) = entry.watches.get_mut(channel as usize) {
            watch.listen(now); // no state in which silence means anything: halted, syncing, down
        }
        None
    }

    fn patience(&self, stream: usize, channel: Channel) -> i64 {
        let config = &self.config;
        let watch = self.streams.get(stream).and_then(|entry| entry.watches.get(channel as usize));
        watch.map_or(config.stale_unknown_ns, |watch| {
            watch.pace.patience(config.stale_ns, config.stale_factor, config.stale_unknown_ns)
        })
    }

    /// Asks a second source; `is_urgent`: whatever its own patience, the whole connection is suspected.
    fn ask_about(&mut self, stream: usize, channel: Channel, is_urgent: bool) {
        let now = self.publisher.now;
        let tells_on = channel == Channel::BookL2 && self.siblings_know_more(stream);
        let until = if is_urgent { now } else { self.threshold(stream, channel) };
        let questions = self.fetches.values().filter(|fetch| fetch.purpose.is_question()).count();
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let Some(watch) = entry.watches.get_mut(channel as usize) else { return };
        if tells_on {
            watch.step = Step::Grace { until, newest: None };
            return;
        }
        if questions >= QUESTIONS_MAX {
            return;
        }
        let symbol = entry.instrument.venue_symbol.as_str();
        let product = self.config.product;
        let request = if channel == Channel::Trades {
            product.trades_request(symbol, &TradesSpan::default())
        } else {
            let Some(path) = product.snapshot_path(symbol, LEVELS) else { return };
            RestRequest { path, weight: product.snapshot_weight(LEVELS) }
        };
        self.stats.probes += 1;
        let request_id = self.fetch(stream, Purpose::Probe(channel), request);
        if let Some(watch) = self.watch_mut(stream, channel) {
            watch.step = Step::Asked { request_id, is_urgent };
        }
    }

    /// Whether trades or best prices were heard since the book: both change it.
    fn siblings_know_more(&self, stream: usize) -> bool {
        let Some(entry) = self.streams.get(stream) else { return false };
        let last =
            |channel: Channel| entry.watches.get(channel as usize).map_or(0, |watch| watch.pace.last());
        let book = last(Channel::BookL2);
        [Channel::Trades, Channel::TopOfBook]
            .iter()
            .any(|&sibling| entry.topic(sibling).is_some() && last(sibling) - book > GRACE_NS)
    }

    /// When the patience with a stream ends.
    fn threshold(&self, stream: usize, channel: Channel) -> i64 {
        let watch = self.streams.get(stream).and_then(|entry| entry.watches.get(channel as usize));
        watch.map_or(0, |watch| watch.pace.last()).saturating_add(self.patience(stream, channel) - NOTICE_NS)
    }

    fn watch_mut(&mut self, stream: usize, channel: Channel) -> Option<&mut Watch> {
        self.streams.get_mut(stream)?.watches.get_mut(channel as usize)
    }

    /// Asks about the stream that was heard last of all: nothing at all is heard.
    fn ask_for_the_line(&mut self) {
        let mut latest: Option<(i64, usize, Channel)> = None;
        for (stream, entry) in self.streams.iter().enumerate() {
            for channel in WATCHED {
                let is_live = entry.topic(channel).is_some_and(|topic| topic.phase == StreamPhase::Live);
                let Some(watch) = entry.watches.get(channel as usize).filter(|_| is_live) else { continue };
                if watch.step == Step::None && latest.is_none_or(|(last, _, _)| watch.pace.last() > last) {
                    latest = Some((watch.pace.last(), stream, channel));
                }
            }
        }
        if let Some((_, stream, channel)) = latest {
            self.ask_about(stream, channel, true);
        }
    }

    /// Takes the answer of the second source.
    pub(crate) fn on_probe(&mut self, stream: usize, channel: Channel, request_id: u64, body: Option<&[u8]>) {
        let now = self.publisher.now;
        let pause = self.config.probe_ns;
        let (threshold, product) = (self.threshold(stream, channel), self.config.product);
        let Some(watch) = self.watch_mut(stream, channel) else { return };
        let Step::Asked { request_id: awaited, is_urgent } = watch.step else { return };
        if awaited != request_id {
            return;
        }
        let mut decoded = Decoded::default();
        let is_read = body.is_some_and(|body| match channel {
            Channel::Trades => product.decode_trades(body, &mut decoded).is_ok(),
            _ => product.decode_snapshot(body, &mut decoded).is_ok(),
        });
        if !is_read {
            watch.step = Step::None; // no second source, no alarm
            watch.due = now + pause;
            self.stats.fetch_failures += 1;
            return;
        }
        let newest = decoded.trades.last().copied();
        let has_news = self.has_news(stream, channel, &decoded);
        let Some(watch) = self.watch_mut(stream, channel) else { return };
        if has_news {
            let until = if is_urgent { now } else { threshold };
            watch.step = Step::Grace { until: until.max(now + GRACE_NS), newest };
            return;
        }
        watch.is_quiet(now, pause);
        let is_stale =
            |entry: &Stream| entry.topic(channel).is_some_and(|topic| topic.phase == StreamPhase::Stale);
        if self.streams.get(stream).is_some_and(is_stale) {
            self.end_staleness(stream, channel); // it was mute, and nothing happened since
        }
    }

    /// Whether REST knows what we did not hear.
    fn has_news(&self, stream: usize, channel: Channel, decoded: &Decoded) -> bool {
        let Some(entry) = self.streams.get(stream) else { return false };
        if channel == Channel::Trades {
            let Some(newest) = decoded.trades.last() else { return false };
            return entry.window.last().is_some_and(|last| newest.id > last);
        }
        let Some(Event::Book(book)) = decoded.events.first() else { return false };
        if channel == Channel::BookL2
            && let Some(machine) = &entry.machine
            && machine.rules().chain.numbers_rest()
        {
            return book.sequence.last > machine.last();
        }
        let levels = decoded.levels_of(book);
        let best = |side: BookSide| {
            let level = levels.iter().find(|level| level.side == side && !level.qty.is_zero());
            level.map(|level| (level.px.canonical(), level.qty.canonical()))
        };
        let ours = match channel {
            Channel::BookL2 => {
                let book = entry.machine.as_ref().map(BookMachine::book);
                book.map(|book| (book.best_bid(), book.best_ask()))
            }
            _ => entry.part.top.map(|(top, _, _)| (top.bid, top.ask)),
        };
        let ours = ours.map(|(bid, ask)| {
            [bid, ask].map(|level| level.map(|level| (level.px.canonical(), level.qty.canonical())))
        });
        ours.is_some_and(|ours| ours != [best(BookSide::Bid), best(BookSide::Ask)])
    }

    /// A second source knows news, and we did not hear it: tell it, and ask for that stream anew. If nothing at all was
    /// heard, the connection is made anew.
    fn found_mute(&mut self, stream: usize, channel: Channel, newest: Option<Trade>) {
        let now = self.publisher.now;
        let pause = self.config.probe_ns;
        self.stats.mutes += 1;
        let data_at = self.line.data_at;
        let Some(watch) = self.watch_mut(stream, channel) else { return };
        if data_at <= watch.pace.last() + GRACE_NS && watch.rounds == 0 {
            self.go_silent();
            return;
        }
        watch.step = Step::None;
        watch.due = now + (pause << watch.rounds.min(5)).min(PAUSE_MAX_NS);
        watch.rounds += 1;
        self.set_state(stream, channel, StreamPhase::Stale, StateReason::Silent, "");
        match channel {
            Channel::Trades => self.tell_missed_trades(stream, newest),
            Channel::BookL2 if SnapshotSource::of(self.config.product) != SnapshotSource::Rest => {
                let Some(entry) = self.streams.get_mut(stream) else { return };
                let next = entry.machine.as_ref().and_then(BookMachine::last).map(|last| last + 1);
                if let Some(topic) = entry.topic_mut(channel) {
                    topic.open_gap(GapCause::Disconnect, next);
                }
            }
            _ => {}
        }
        if let Some(representative) = self.config.product.stream_of(channel) {
            self.resubscribe(stream, representative);
        }
    }

    /// Notes the trades that we did not hear; those that REST knows are told and fetched at once.
    fn tell_missed_trades(&mut self, stream: usize, newest: Option<Trade>) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let (Some(newest), Some(last)) = (newest, entry.window.last()) else { return };
        if newest.id <= last {
            return;
        }
        if let Some(topic) = entry.topic_mut(Channel::Trades) {
            topic.open_gap(GapCause::Disconnect, Some(last + 1));
        }
        if counts_trades(self.config.product) {
            let times = Times { event: newest.ts_event, recv: self.publisher.wall };
            let behind = Trade { id: newest.id + 1, ..newest };
            self.tell_trade_gap(stream, &behind, newest.id - last, times);
        } // else ids do not tell where the hole ends: the next trade does
    }
}

/// When a question is asked, so that its answer is there, and its grace over, when the patience ends.
const fn early(patience: i64) -> i64 {
    patience / 3 * 2
}

//! The feed of one venue connection: frames, answers and time in; commands and encoded records out. No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use facade_hub::Hub;
use facade_model::{Channel, Instrument, StateReason, StreamPhase, Variant};
use facade_venues::{DecodeError, Decoded, Product};

use crate::audit_flow::Audit;
use crate::clock::Clock;
use crate::command::Command;
use crate::config::FeedConfig;
use crate::favoured::Favoured;
use crate::fetches::Fetch;
use crate::jitter::Jitter;
use crate::joint::Joining;
use crate::klines::KlineTopic;
use crate::lifeline::{Lifeline, Socket, close_reason};
use crate::notes::{Note, Notes};
use crate::publish::Publisher;
use crate::standby::{Held, Tracks};
use crate::states::source_of;
use crate::stats::FeedStats;
use crate::stream::Stream;
use crate::subscriptions::Subscriptions;
use crate::times::TimeJudge;
use crate::trade_flow::Fresh;

/// All channels that a feed can publish.
pub(crate) const CHANNELS: [Channel; 4] =
    [Channel::Trades, Channel::BookL2, Channel::TopOfBook, Channel::Ticker];

/// One venue connection's machine.
pub struct Feed {
    pub(crate) config: FeedConfig,
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) line: Lifeline,
    pub(crate) streams: Vec<Stream>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) favoured: Favoured,
    pub(crate) publisher: Publisher,
    pub(crate) commands: Vec<Command>,
    pub(crate) stats: FeedStats,
    pub(crate) fetches: HashMap<u64, Fetch>,
    pub(crate) notes: Notes,
    pub(crate) times: TimeJudge,
    /// Whether this turn is the first one after a pause of ours.
    pub(crate) is_after_pause: bool,
    /// The instrument whose best prices are followed as a sign of life, asked for or not.
    pub(crate) canary: Option<usize>,
    pub(crate) fresh: Vec<Fresh>,
    /// Coinbase Advanced: number of the last frame of this connection, and of the frame in hand.
    pub(crate) frame_sequence: Option<u64>,
    instruments: HashMap<Box<[u8]>, Instrument>,
    by_venue_symbol: HashMap<Box<[u8]>, usize>,
    last_hit: usize,
    pub(crate) decoded: Decoded,
    pub(crate) texts: Vec<String>,
    pub(crate) group: Vec<(usize, Channel)>,
    /// Whether a stream may have bars to publish.
    pub(crate) has_klines_due: bool,
    /// The audit under way.
    pub(crate) audit: Option<Audit>,
    pub(crate) audit_jitter: Jitter,
    pub(crate) joining: Joining,
    /// What a standby keeps; absent: this feed publishes.
    pub(crate) held: Option<Box<Held>>,
    /// What came last, while another line is about to take over.
    pub(crate) tracks: Option<Box<Tracks>>,
}

impl Feed {
    /// Makes a feed without a connection.
    #[must_use]
    pub fn new(config: FeedConfig, hub: Arc<Hub>, clock: Box<dyn Clock>) -> Self {
        let publisher = Publisher::new(config.epoch);
        Self {
            line: Lifeline::new(config.seed),
            audit_jitter: Jitter::new(!config.seed),
            config,
            hub,
            clock,
            streams: Vec::new(),
            subscriptions: Subscriptions::default(),
            favoured: Favoured::default(),
            publisher,
            commands: Vec::new(),
            stats: FeedStats::default(),
            fetches: HashMap::new(),
            notes: Notes::default(),
            times: TimeJudge::default(),
            is_after_pause: false,
            canary: None,
            fresh: Vec::new(),
            frame_sequence: None,
            instruments: HashMap::new(),
            by_venue_symbol: HashMap::new(),
            last_hit: 0,
            decoded: Decoded::default(),
            texts: Vec::new(),
            group: Vec::new(),
            has_klines_due: false,
            audit: None,
            joining: Joining::default(),
            held: None,
            tracks: None,
        }
    }

    /// Venue and protocol.
    #[must_use]
    pub const fn product(&self) -> Product {
        self.config.product
    }

    /// Settings.
    #[must_use]
    pub const fn config(&self) -> &FeedConfig {
        &self.config
    }

    /// Sets the depth of books subscribed from now on (a replay learns it from the capture).
    pub const fn set_book_depth(&mut self, depth: u32) {
        self.config.book_depth = depth;
    }

    /// Reads an instrument list of the venue; returns how many instruments it names.
    ///
    /// # Errors
    /// [`DecodeError`] if the body is no list of this venue.
    pub fn add_instruments(&mut self, body: &[u8]) -> Result<usize, DecodeError> {
        let list = self.config.product.decode_instruments(body)?;
        let count = list.len();
        for instrument in list {
            self.instruments.insert(instrument.venue_symbol.as_bytes().into(), instrument);
        }
        Ok(count)
    }

    /// Takes the instruments that another feed of the same product knows; returns how many.
    pub fn adopt_instruments(&mut self, old: &Self) -> usize {
        self.instruments.clone_from(&old.instruments);
        self.instruments.len()
    }

    /// All known instruments.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.instruments.values()
    }

    /// Takes the commands given since the last call, oldest first.
    pub fn drain_commands(&mut self) -> std::vec::Drain<'_, Command> {
        self.commands.drain(..)
    }

    /// Judges clocks: steps of our own, venue times outside all reason.
    #[must_use]
    pub const fn times(&self) -> &TimeJudge {
        &self.times
    }

    /// Takes what happened to the topics since the last call, oldest first.
    pub fn take_notes(&mut self) -> Vec<Note> {
        self.notes.take()
    }

    /// Whether commands wait.
    #[must_use]
    pub const fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// Follows a channel of an instrument, named by the venue's spelling, in a variant that [`Variant::parse`] gave for
    /// this channel. `false`: unknown instrument.
    pub fn subscribe(&mut self, venue_symbol: &str, channel: Channel, variant: Variant) -> bool {
        self.begin();
        let Some(stream) = self.stream_of(venue_symbol) else { return false };
        if !self.is_standby() {
            self.open(stream, channel, variant);
        }
        if let Some(representative) = self.config.product.stream_of(source_of(channel)) {
            self.subscriptions.want(stream, representative);
        }
        if self.line.socket == Socket::Open {
            self.want_canary();
            self.ask();
        }
        self.end();
        true
    }

    /// Hears which trade of an instrument was the newest that an earlier start told: a venue that repeats its last
    /// trades then tells nobody anything twice.
    pub fn note_told(&mut self, venue_symbol: &str, trade_id: u64, ts_event: i64) {
        let stream = self.stream_named(venue_symbol).and_then(|stream| self.streams.get_mut(stream));
        if let Some(stream) = stream {
            stream.told_before = Some((trade_id, ts_event));
        }
    }

    /// Gives a topic of an instrument up; it ends with a state record.
    pub fn unsubscribe(&mut self, venue_symbol: &str, channel: Channel, variant: Variant) {
        self.begin();
        let stream = self.stream_named(venue_symbol).filter(|_| !self.is_standby()); // it leaves when it took over
        if let Some(stream) = stream {
            self.close_topic(stream, channel, variant);
        }
        self.end();
    }

    /// Starts the first dial.
    pub fn start(&mut self) {
        if self.line.socket == Socket::Idle {
            self.begin();
            self.plan_dial(0);
            self.end();
        }
    }

    /// Takes the news that the socket is open.
    pub fn on_opened(&mut self) {
        self.begin();
        let now = self.publisher.now;
        self.line.opened(now, self.config.lifetime_ns);
        self.frame_sequence = None;
        self.subscriptions.reopen();
        self.favour_the_most_followed();
        let opening: Vec<String> =
            self.config.product.opening().iter().map(|text| (*text).to_owned()).collect();
        let request_id = self.subscriptions.request_id();
        self.subscriptions.post(request_id, opening.into_iter());
        for stream in 0..self.streams.len() {
            for channel in CHANNELS {
                self.set_state(stream, channel, StreamPhase::Syncing, StateReason::Subscribed, "");
            }
        }
        self.want_canary();
        self.ask();
        self.end();
    }

    /// Follows the venue's most active symbol, where nothing else says that the line lives.
    fn want_canary(&mut self) {
        let is_wanted = self.config.has_canary && !self.config.is_replay && self.canary.is_none();
        let Some(symbol) = self.config.product.canary().filter(|_| is_wanted) else { return };
        if let Some(stream) = self.stream_of(symbol) {
            self.canary = Some(stream);
            self.subscriptions.want(stream, Channel::TopOfBook);
        }
    }

    /// Takes the news that the socket is gone, or never came up (`code` 0).
    pub fn on_closed(&mut self, code: u16, message: &str) {
        self.thaw(self.clock.monotonic_ns());
        self.tracks = None;
        self.begin();
        let reason =
            if self.line.socket == Socket::Open { close_reason(code) } else { StateReason::DialFailed };
        if reason == StateReason::MalformedFrames {
            self.line.strike(self.publisher.now);
        }
        self.line.close_code = (code != 0).then_some(code);
        self.forget_fetches();
        self.plan_dial(0);
        for stream in 0..self.streams.len() {
            self.lose_connection(stream, reason, message);
        }
        self.end();
    }

    /// Takes the news that a dial failed for a reason that the socket knows better (TLS, refused upgrade).
    ///
    /// `wait_ns`: no dial sooner than this, as the venue or the breaker before it wants; 0: no such wish.
    pub fn on_dial_failed(&mut self, reason: StateReason, message: &str, wait_ns: i64) {
        self.begin();
        self.plan_dial(wait_ns);
        for stream in 0..self.streams.len() {
            self.lose_connection(stream, reason, message);
        }
        self.end();
    }

    /// Rebuilds everything after a panic was caught: no proof survives it (row H01).
    pub fn on_panic(&mut self) {
        self.publisher = Publisher::new(self.config.epoch);
        self.decoded = Decoded::default();
        self.audit = None;
        self.stats.panics += 1;
        self.begin();
        for stream in 0..self.streams.len() {
            self.resync_numbers(stream);
            self.break_book(stream, StateReason::InternalFault);
        }
        self.commands.push(Command::Close { code: 1011, reason: "internal fault" });
        self.end();
    }

    pub(crate) fn begin(&mut self) {
        let (wall, now) = (self.clock.wall_ns(), self.clock.monotonic_ns());
        self.publisher.begin(wall, now);
        self.times.turn(wall, now);
        self.is_after_pause = self.note_pause();
        self.publisher.has_more = false;
        self.update_joints();
    }

    pub(crate) fn end(&mut self) {
        self.line.turn_at = self.clock.monotonic_ns(); // a long turn is no pause
        self.publish_klines();
        if self.publisher.flush(&self.hub).is_err() {
            self.stats.publish_errors += 1;
            for stream in 0..self.streams.len() {
                self.resync_numbers(stream);
            }
            self.commands.push(Command::Close { code: 1011, reason: "internal fault" });
        }
        self.tell_joints();
    }

    /// Returns the index of an instrument that is followed; a replay follows whatever shows up.
    pub(crate) fn known_stream(&mut self, venue_symbol: &[u8]) -> Option<usize> {
        let is_hit = |stream: &Stream| stream.instrument.venue_symbol.as_bytes() == venue_symbol;
        if self.streams.get(self.last_hit).is_some_and(is_hit) {
            return Some(self.last_hit);
        }
        if let Some(&stream) = self.by_venue_symbol.get(venue_symbol) {
            self.last_hit = stream;
            return Some(stream);
        }
        if !self.config.is_replay {
            return None;
        }
        let Ok(text) = std::str::from_utf8(venue_symbol) else { return None };
        let stream = self.stream_of(text);
        if stream.is_none() && !text.is_empty() {
            self.stats.missing_instruments.insert(text.to_owned());
        }
        stream
    }

    /// Returns the index of an instrument, by the venue's name of it.
    pub(crate) fn stream_named(&self, venue_symbol: &str) -> Option<usize> {
        self.by_venue_symbol.get(venue_symbol.as_bytes()).copied()
    }

    /// Returns the index of an instrument that somebody wants, by the bytes of its name in a frame.
    pub(crate) fn index_of(&self, venue_symbol: &[u8]) -> Option<usize> {
        self.by_venue_symbol.get(venue_symbol).copied()
    }

    pub(crate) fn stream_of(&mut self, venue_symbol: &str) -> Option<usize> {
        if let Some(&stream) = self.by_venue_symbol.get(venue_symbol.as_bytes()) {
            return Some(stream);
        }
        let instrument = self.instruments.get(venue_symbol.as_bytes())?.clone();
        let stream = self.streams.len();
        self.streams.push(Stream::new(instrument));
        self.by_venue_symbol.insert(venue_symbol.as_bytes().into(), stream);
        self.forget_joints();
        Some(stream)
    }

    fn plan_dial(&mut self, wait_ns: i64) {
        let delay_ns = self.line.plan_dial(self.publisher.now, &self.config, wait_ns);
        self.commands.push(Command::Connect { delay_ns });
    }

    /// Takes the hub's numbers as the truth after a fault of ours.
    fn resync_numbers(&mut self, stream: usize) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        for topic in entry.all_topics_mut().1 {
            topic.seq = self.hub.head(topic.id);
        }
        entry.klines.iter_mut().for_each(KlineTopic::start_over);
    }
}

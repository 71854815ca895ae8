//! States and requests of a feed's topics: what is told to subscribers, what is asked of the venue.

use facade_hub::TopicKey;
use facade_model::{Channel, GapCause, Integrity, StateReason, StreamPhase, Variant};
use facade_venues::ControlOp;

use crate::command::Command;
use crate::feed::{CHANNELS, Feed};
use crate::inspect::topic_report;
use crate::klines::KlineTopic;
use crate::lifeline::Socket;
use crate::machine::BookMachine;
use crate::publish::{Origin, StateDetail};
use crate::stream::Resync;
use crate::topic::Topic;

/// Items in one subscription request: well below every venue's bound, and isolated cheaply when refused.
const GROUP_MAX: usize = 100;
/// Items of the first request: what most follow has its snapshots before the others ask for theirs.
const GROUP_FIRST: usize = 60;

impl Feed {
    /// Makes sure that the topic of a channel exists, and tells its first state.
    pub(crate) fn open_topic(&mut self, stream: usize, channel: Channel) {
        if !self.add_topic(stream, channel, Variant::Plain) {
            return;
        }
        let (phase, reason) = match self.line.socket {
            Socket::Idle | Socket::Dialing if self.line.connection > 0 => {
                (StreamPhase::Down, StateReason::ConnectionClosed)
            }
            _ => (StreamPhase::Syncing, StateReason::Subscribed),
        };
        self.set_state(stream, channel, phase, reason, "");
        for at in 0..self.config.klines.len() {
            if let Some(&variant) = self.config.klines.get(at).filter(|_| channel == Channel::Trades) {
                self.open_variant(stream, Channel::Klines, variant);
            }
        }
    }

    /// Opens what a subscriber asks for.
    pub(crate) fn open(&mut self, stream: usize, channel: Channel, variant: Variant) {
        if variant != Variant::Plain {
            self.open_variant(stream, channel, variant);
            return;
        }
        self.open_topic(stream, channel);
        if let Some(topic) = self.streams.get_mut(stream).and_then(|entry| entry.topic_mut(channel)) {
            topic.is_asked = true;
        }
    }

    /// Makes sure that a topic of a variant exists, and the one that it is made of, and tells its first state.
    pub(crate) fn open_variant(&mut self, stream: usize, channel: Channel, variant: Variant) {
        let source = source_of(channel);
        self.open_topic(stream, source);
        if !self.add_topic(stream, channel, variant) {
            return;
        }
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let Some(made_of) = entry.topic(source) else { return };
        let (phase, reason, ts_event_last) = (made_of.phase, made_of.reason, made_of.ts_event_last);
        if phase == StreamPhase::Live && ts_event_last != 0 {
            let is_new = |kline: &&mut KlineTopic| kline.topic.variant == variant;
            entry.klines.iter_mut().filter(is_new).for_each(|kline| kline.begin_behind(ts_event_last));
        }
        self.begin_depth(stream, variant);
        let is_it = |topic: &Topic| topic.channel == channel && topic.variant == variant;
        self.tell_state(stream, source, is_it, (phase, reason), "");
        self.prove_depths(stream);
    }

    /// Adds a topic; `false`: it was there.
    fn add_topic(&mut self, stream: usize, channel: Channel, variant: Variant) -> bool {
        let Some(entry) = self.streams.get_mut(stream) else { return false };
        if entry.find(channel, variant).is_some() {
            return false;
        }
        let text = variant.to_string();
        let key = TopicKey {
            venue: self.config.product.venue(),
            symbol: &entry.instrument.symbol,
            variant: &text,
            channel: channel as u8,
        };
        let id = self.hub.topic(&key);
        entry.add_topic(Topic::new(id, channel, variant, self.hub.head(id)), &self.config);
        true
    }

    /// Ends a topic with a state record, and the one that it is made of if nobody needs that any more.
    pub(crate) fn close_topic(&mut self, stream: usize, channel: Channel, variant: Variant) {
        let (phase, reason) = (StreamPhase::Empty, StateReason::Unsubscribed);
        let source = source_of(channel);
        let Some(entry) = self.streams.get_mut(stream) else { return };
        if variant == Variant::Plain {
            if let Some(topic) = entry.topic_mut(channel) {
                topic.is_asked = false;
            }
        } else {
            let is_it = |topic: &Topic| topic.channel == channel && topic.variant == variant;
            self.tell_state(stream, source, is_it, (phase, reason), "");
            if let Some(entry) = self.streams.get_mut(stream) {
                entry.all_topics().filter(|topic| is_it(topic)).for_each(|topic| {
                    self.stats.given_up.add(&topic_report(entry, topic));
                });
                entry.remove_variant(channel, variant);
            }
        }
        if self.streams.get(stream).is_none_or(|entry| entry.is_needed(source)) {
            return;
        }
        self.set_state(stream, source, phase, reason, "");
        if let Some(entry) = self.streams.get_mut(stream) {
            if let Some(topic) = entry.topic(source) {
                self.stats.given_up.add(&topic_report(entry, topic));
            }
            entry.remove_topic(source);
        }
        self.leave_venue_stream(stream, source);
    }

    fn leave_venue_stream(&mut self, stream: usize, channel: Channel) {
        let product = self.config.product;
        let Some(representative) = product.stream_of(channel) else { return };
        let is_shared = self.streams.get(stream).is_some_and(|entry| {
            CHANNELS.iter().any(|&other| {
                entry.topic(other).is_some() && product.stream_of(other) == Some(representative)
            })
        });
        let is_canary = self.canary == Some(stream) && representative == Channel::TopOfBook;
        if is_shared
            || is_canary
            || !self.subscriptions.forget(stream, representative)
            || self.line.socket != Socket::Open
        {
            return;
        }
        self.control(ControlOp::Unsubscribe, &[(stream, representative)]);
    }

    /// Puts a subscription request for these items into the outbox; returns its number.
    pub(crate) fn control(&mut self, op: ControlOp, items: &[(usize, Channel)]) -> u64 {
        let request_id = self.subscriptions.request_id();
        self.control_as(request_id, op, items);
        request_id
    }

    fn control_as(&mut self, request_id: u64, op: ControlOp, items: &[(usize, Channel)]) {
        let named: Vec<(&str, Channel)> = items
            .iter()
            .filter_map(|&(stream, channel)| {
                self.streams.get(stream).map(|entry| (entry.instrument.venue_symbol.as_str(), channel))
            })
            .collect();
        self.texts.clear();
        self.config.product.control(op, request_id, &named, self.config.book_depth, &mut self.texts);
        self.subscriptions.post(request_id, self.texts.drain(..));
        self.send_due();
    }

    /// Asks the venue for everything that is wanted.
    pub(crate) fn ask(&mut self) {
        let mut group = std::mem::take(&mut self.group);
        let mut most = GROUP_FIRST;
        loop {
            let request_id = self.subscriptions.request_id();
            self.subscriptions.next_group(most, request_id, &mut group);
            most = GROUP_MAX;
            if group.is_empty() {
                break;
            }
            self.control_as(request_id, ControlOp::Subscribe, &group);
        }
        self.group = group;
        self.send_due();
    }

    /// Sends what the venue's pace allows.
    pub(crate) fn send_due(&mut self) {
        let now = self.publisher.now;
        while let Some(text) = self.subscriptions.next_text(now, self.config.send_ns, self.config.ack_ns) {
            self.commands.push(Command::Send(text));
        }
    }

    pub(crate) fn lose_connection(&mut self, stream: usize, reason: StateReason, message: &str) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        entry.resync = Resync::default();
        if let Some(machine) = &mut entry.machine {
            let next = machine.last().map(|last| last + 1);
            machine.start_over();
            if let Some(topic) = entry.topic_mut(Channel::BookL2).filter(|topic| topic.is_whole()) {
                topic.open_gap(GapCause::Disconnect, next);
            }
        }
        let next_id = entry.window.last().map(|id| id + 1);
        if let Some(topic) = entry.topic_mut(Channel::Trades).filter(|topic| topic.is_whole()) {
            topic.open_gap(GapCause::Disconnect, next_id);
            let ts_first = topic.gap.map_or(0, |gap| gap.ts_first);
            self.kline_gap(stream, ts_first, i64::MAX);
        }
        let reason = if self.line.is_breaker_open() { StateReason::BreakerOpen } else { reason };
        for channel in CHANNELS {
            self.set_state(stream, channel, StreamPhase::Down, reason, message);
        }
    }

    /// Enters a state and tells it, as do the topics made of this one; the same state with the same attempt is not
    /// told twice.
    pub(crate) fn set_state(
        &mut self,
        stream: usize,
        channel: Channel,
        phase: StreamPhase,
        reason: StateReason,
        message: &str,
    ) {
        self.tell_state(stream, channel, |_| true, (phase, reason), message);
    }

    /// Lets the topics of a channel's family that are `chosen` enter a state.
    fn tell_state(
        &mut self,
        stream: usize,
        channel: Channel,
        chosen: impl Fn(&Topic) -> bool,
        (phase, reason): (StreamPhase, StateReason),
        message: &str,
    ) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let is_book = channel == Channel::BookL2;
        let (attempt, due) = match self.line.socket {
            Socket::Open if is_book => (entry.resync.attempt, entry.resync.due),
            Socket::Open => (0, 0),
            Socket::Idle | Socket::Dialing => (self.line.attempt, self.line.dial_at),
        };
        let integrity = entry.machine.as_ref().map_or(Integrity::Unspecified, BookMachine::integrity);
        let last_good = entry.machine.as_ref().and_then(BookMachine::last);
        let venue_sequence_last_good = if is_book { last_good } else { entry.window.last() };
        let detail = StateDetail {
            venue_sequence_last_good,
            connection: self.line.connection,
            close_code: self.line.close_code.filter(|_| phase == StreamPhase::Down),
            message,
        };
        let integrity = if is_book { integrity } else { Integrity::Unspecified };
        let wait = due.saturating_sub(self.publisher.now);
        let is_waiting = due != 0 && phase != StreamPhase::Live;
        let next_attempt = if is_waiting { self.publisher.wall + wait } else { 0 };
        let (venue, usual) = (self.config.product.venue(), entry.usual);
        let (symbol, family) = entry.family_mut(channel);
        let origin = Origin { venue, symbol, usual };
        for topic in family.filter(|topic| chosen(topic)) {
            if topic.phase == phase && topic.reason == reason && topic.attempt == attempt {
                continue;
            }
            topic.since_event = topic.ts_event_last;
            topic.since_recv = self.publisher.wall;
            (topic.phase, topic.reason, topic.attempt) = (phase, reason, attempt);
            topic.next_attempt = next_attempt;
            self.publisher.state(origin, topic, &detail, integrity);
            self.notes.state(symbol, topic, self.publisher.wall);
            self.stats.states += 1;
        }
        if channel == Channel::TopOfBook && phase != StreamPhase::Live {
            entry.part.top = None; // what was told before is no news after
        }
        self.quote_changed(stream);
    }
}

/// The channel whose data a channel's topics are made of.
pub(crate) const fn source_of(channel: Channel) -> Channel {
    match channel {
        Channel::Klines => Channel::Trades,
        _ => channel,
    }
}

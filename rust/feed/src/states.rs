//! States and requests of a feed's topics: what is told to subscribers, what is asked of the venue.

use facade_hub::TopicKey;
use facade_model::{Channel, GapCause, Integrity, StateReason, StreamPhase};
use facade_venues::ControlOp;

use crate::command::Command;
use crate::feed::{CHANNELS, Feed};
use crate::lifeline::Socket;
use crate::machine::BookMachine;
use crate::publish::{Origin, StateDetail};
use crate::stream::Resync;
use crate::topic::Topic;

/// Items in one subscription request: well below every venue's bound, and isolated cheaply when refused.
const GROUP_MAX: usize = 100;

impl Feed {
    /// Makes sure that a topic exists, and tells its first state.
    pub(crate) fn open_topic(&mut self, stream: usize, channel: Channel) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        if entry.topic(channel).is_some() {
            return;
        }
        let key = TopicKey {
            venue: self.config.product.venue(),
            symbol: &entry.instrument.symbol,
            variant: "",
            channel: channel as u8,
        };
        let id = self.hub.topic(&key);
        entry.add_topic(Topic::new(id, channel, self.hub.head(id)), &self.config);
        let (phase, reason) = match self.line.socket {
            Socket::Idle | Socket::Dialing if self.line.connection > 0 => {
                (StreamPhase::Down, StateReason::ConnectionClosed)
            }
            _ => (StreamPhase::Syncing, StateReason::Subscribed),
        };
        self.set_state(stream, channel, phase, reason, "");
    }

    pub(crate) fn leave_venue_stream(&mut self, stream: usize, channel: Channel) {
        let product = self.config.product;
        let Some(representative) = product.stream_of(channel) else { return };
        let is_shared = self.streams.get(stream).is_some_and(|entry| {
            CHANNELS.iter().any(|&other| {
                entry.topic(other).is_some() && product.stream_of(other) == Some(representative)
            })
        });
        if is_shared || !self.subscriptions.forget(stream, representative) || self.line.socket != Socket::Open
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
        loop {
            let request_id = self.subscriptions.request_id();
            self.subscriptions.next_group(GROUP_MAX, request_id, &mut group);
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
        let was_live = entry.is_book_live();
        if let Some(machine) = &mut entry.machine {
            let next = machine.last().map(|last| last + 1);
            machine.start_over();
            if let Some(topic) = entry.topic_mut(Channel::BookL2).filter(|_| was_live) {
                topic.open_gap(GapCause::Disconnect, next);
            }
        }
        let next_id = entry.trade_id_last.map(|id| id + 1);
        if let Some(topic) = entry.topic_mut(Channel::Trades).filter(|topic| topic.phase == StreamPhase::Live)
        {
            topic.open_gap(GapCause::Disconnect, next_id);
        }
        let reason = if self.line.is_breaker_open() { StateReason::BreakerOpen } else { reason };
        for channel in CHANNELS {
            self.set_state(stream, channel, StreamPhase::Down, reason, message);
        }
    }

    /// Enters a state and tells it; the same state with the same attempt is not told twice.
    pub(crate) fn set_state(
        &mut self,
        stream: usize,
        channel: Channel,
        phase: StreamPhase,
        reason: StateReason,
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
        let venue_sequence_last_good = if is_book { last_good } else { entry.trade_id_last };
        let Some(topic) = entry.topics.get_mut(channel as usize).and_then(Option::as_mut) else { return };
        if topic.phase == phase && topic.reason == reason && topic.attempt == attempt {
            return;
        }
        topic.since_event = topic.ts_event_last;
        topic.since_recv = self.publisher.wall;
        topic.phase = phase;
        topic.reason = reason;
        topic.attempt = attempt;
        let wait = due.saturating_sub(self.publisher.now);
        topic.next_attempt =
            if due == 0 || phase == StreamPhase::Live { 0 } else { self.publisher.wall + wait };
        let detail = StateDetail {
            venue_sequence_last_good,
            connection: self.line.connection,
            close_code: self.line.close_code.filter(|_| phase == StreamPhase::Down),
            message,
        };
        let origin = Origin {
            venue: self.config.product.venue(),
            symbol: &entry.instrument.symbol,
            usual: entry.usual,
        };
        let integrity = if is_book { integrity } else { Integrity::Unspecified };
        self.publisher.state(origin, topic, &detail, integrity);
        self.stats.states += 1;
    }
}

//! Book messages to records: what each outcome of the machine means for subscribers and for the venue.

use facade_model::{Channel, GapCause, GapState, LevelChange, StateReason, StreamPhase};
use facade_venues::{BookEvent, ControlOp, RestRequest};

use crate::chain::{ChainRule, SnapshotSource, previous_of};
use crate::depth::Followed;
use crate::feed::Feed;
use crate::fetches::Purpose;
use crate::machine::BookMachine;
use crate::publish::{GapDetail, Origin, Times};
use crate::rules::{Message, Outcome};
use crate::stream::{Resync, Stream};
use crate::subscriptions::ItemState;
use crate::whole::View;

impl Feed {
    /// Takes a book message; `goes_on`: the same frame tells more of this book, and subscribers see both as one.
    pub(crate) fn on_book(
        &mut self,
        frame: &[u8],
        event: &BookEvent,
        levels: &[LevelChange],
        ts_recv: i64,
        goes_on: bool,
    ) {
        let Some(stream) = self.known_stream(event.symbol.of(frame)) else {
            self.stats.unknown += 1;
            return;
        };
        if self.config.is_replay {
            self.open_topic(stream, Channel::BookL2);
        }
        self.stats.book_messages += 1;
        self.note_changes(stream, levels);
        let times = Times { event: event.ts_event, recv: ts_recv };
        self.stats.venue_to_recv(times);
        let message = Message {
            sequence: self.sequence_of(event.sequence),
            checksum: event.checksum,
            ts_event: event.ts_event,
            ts_recv,
            levels,
        };
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let Some(machine) = &mut entry.machine else { return };
        let (duplicates, last) = (machine.duplicates(), machine.last());
        let outcome =
            if event.is_snapshot { machine.on_snapshot(&message) } else { machine.on_delta(&message) };
        self.stats.duplicates += machine.duplicates() - duplicates;
        if outcome == Outcome::Applied && goes_on {
            entry.held.extend_from_slice(machine.changes().1);
        } else if outcome == Outcome::Applied {
            self.wake_book(stream);
            self.publish_delta(stream, &message, times, last);
            self.quote_changed(stream);
        } else {
            if outcome == Outcome::Crossed {
                // An earlier event of the same message may be held back with this one: its number is missing, too.
                let first = last.map(|last| message.sequence.last.unwrap_or(last + 1).min(last + 1));
                self.withhold(stream, GapCause::Crossed, first);
            }
            self.settle(stream, outcome, times);
        }
        self.note_book_data(stream);
        self.heard(stream, Channel::BookL2);
    }

    /// A stale book is heard again. If its proof never broke and nothing was withheld, it goes on; one that was mute and
    /// whose venue numbers nothing of it waits for the snapshot that was asked for.
    fn wake_book(&mut self, stream: usize) {
        let topic = self.streams.get(stream).and_then(|entry| entry.topic(Channel::BookL2));
        if topic.is_some_and(|topic| topic.phase == StreamPhase::Stale && topic.gap.is_none()) {
            self.end_staleness(stream, Channel::BookL2);
        }
    }

    /// Publishes the changes of a proven message, and a checkpoint when one is due; `last`: the venue's number before it.
    fn publish_delta(&mut self, stream: usize, message: &Message<'_>, times: Times, last: Option<u64>) {
        let venue = self.config.product.venue();
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let Stream {
            instrument,
            usual,
            topics,
            depths,
            machine: Some(machine),
            checkpoint_at,
            is_changed,
            held,
            ..
        } = entry
        else {
            return;
        };
        let previous = previous_of(machine.rules().chain, last, &message.sequence);
        let Some(topic) = topics.get_mut(Channel::BookL2 as usize).and_then(Option::as_mut) else { return };
        if topic.phase != StreamPhase::Live {
            let is_halted = topic.phase == StreamPhase::Halted;
            let cause = if is_halted { GapCause::VenueStatus } else { GapCause::Disconnect };
            topic.open_gap(cause, previous.map(|last| last + 1));
            held.clear();
            return;
        }
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        let (integrity, number) = (machine.integrity(), message.sequence.last);
        let counts_book = !matches!(machine.rules().chain, ChainRule::Connection | ChainRule::None);
        let is_moved = counts_book && number.is_some() && number != last;
        let (book, changes) = machine.changes();
        let changes = joined(held, changes);
        if changes.is_empty() && !is_moved {
            topic.ts_recv_last = times.recv; // a keep-alive tells nothing, but the stream lives
            return;
        }
        *is_changed |= !changes.is_empty(); // an empty delta tells that the venue's number moved
        let mut outcome = self.publisher.delta(origin, topic, changes, (integrity, previous, number), times);
        if outcome.is_ok() && !depths.is_empty() {
            let followed = Followed { book, changes, integrity, previous, number, counts_book };
            outcome = self.publisher.depth_deltas(origin, depths, &followed, times);
        }
        held.clear();
        if outcome.is_err() {
            self.settle(stream, Outcome::Rejected(StateReason::NumberRange), times);
            return;
        }
        if *is_changed && self.publisher.now - *checkpoint_at >= self.config.checkpoint_ns {
            *checkpoint_at = self.publisher.now;
            *is_changed = false;
            self.publish_checkpoint(stream, times);
        }
    }

    /// Notes that changes are applied and not published, so that a Gap precedes what comes next.
    fn withhold(&mut self, stream: usize, cause: GapCause, first: Option<u64>) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        if let Some(topic) = entry.topic_mut(Channel::BookL2).filter(|topic| topic.phase == StreamPhase::Live)
        {
            topic.open_gap(cause, first);
        }
    }

    /// Does what an outcome demands, but the plain application.
    pub(crate) fn settle(&mut self, stream: usize, outcome: Outcome, times: Times) {
        let now = self.publisher.now;
        match outcome {
            Outcome::Ignored | Outcome::Applied | Outcome::StillCrossed => {}
            Outcome::Buffered => self.buffered(stream),
            Outcome::Crossed => {
                if let Some(entry) = self.streams.get_mut(stream) {
                    entry.resync.crossed_since = now;
                }
                self.set_state(stream, Channel::BookL2, StreamPhase::Resync, StateReason::Crossed, "");
            }
            Outcome::Synced => self.publish_whole(stream, times, StateReason::Synced),
            Outcome::Replaced => self.publish_whole(stream, times, StateReason::VenueSnapshot),
            Outcome::Broken(reason) => self.broken(stream, reason),
            Outcome::Refetch(reason) => self.retry(stream, reason),
            Outcome::Rejected(reason) => {
                self.set_state(stream, Channel::BookL2, StreamPhase::Rejected, reason, "");
            }
        }
    }

    /// A whole proven state is there: the loss before it, the book, LIVE, its checkpoint.
    fn publish_whole(&mut self, stream: usize, times: Times, reason: StateReason) {
        let venue = self.config.product.venue();
        self.drop_audit(stream);
        let Some(entry) = self.streams.get_mut(stream) else { return };
        entry.resync = Resync::default();
        entry.held.clear();
        entry.checkpoint_at = self.publisher.now;
        entry.is_changed = false;
        let Stream { instrument, usual, topics, depths, machine: Some(machine), .. } = entry else { return };
        let Some(topic) = topics.get_mut(Channel::BookL2 as usize).and_then(Option::as_mut) else { return };
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        let mut lost = None;
        if let Some(gap) = topic.gap.take() {
            let first = gap.venue_sequence_first;
            let lost = lost.insert(GapDetail {
                gap_id: gap.gap_id,
                cause: gap.cause,
                venue_sequence_first: first,
                venue_sequence_last: machine.last().filter(|last| first.is_some_and(|first| first <= *last)),
                count: None,
                ts_first: gap.ts_first,
                ts_last: times.best(),
                state: GapState::Lost,
                filled: 0,
            });
            let gap_id = self.publisher.gap(origin, topic, lost, times);
            self.notes.gap(origin.symbol, topic, lost, (gap_id, self.publisher.wall));
        }
        let whole = self.publisher.snapshot(origin, topic, View::whole(machine), times, false);
        let limited = self.publisher.depth_snapshots(origin, depths, machine, lost.as_ref(), times);
        if whole.and(limited).is_err() {
            self.set_state(stream, Channel::BookL2, StreamPhase::Rejected, StateReason::NumberRange, "");
            return;
        }
        let phase = machine.phase();
        if topic.phase != phase {
            let reason = if phase == StreamPhase::Live { reason } else { StateReason::VenueStatus };
            self.set_state(stream, Channel::BookL2, phase, reason, "");
        }
        self.quote_changed(stream);
        self.publish_checkpoint(stream, times);
    }

    pub(crate) fn publish_checkpoint(&mut self, stream: usize, times: Times) {
        let venue = self.config.product.venue();
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let Stream { instrument, usual, topics, depths, machine: Some(machine), .. } = entry else { return };
        let Some(topic) = topics.get_mut(Channel::BookL2 as usize).and_then(Option::as_mut) else { return };
        if topic.phase == StreamPhase::Live {
            let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
            let (view, levels) = (View::whole(machine), self.config.checkpoint_levels);
            self.publisher.checkpoint(origin, topic, view, levels, times);
            self.publisher.depth_checkpoints(origin, depths, machine, times);
        }
    }

    /// A proof broke: tell it, note the loss, start over.
    fn broken(&mut self, stream: usize, reason: StateReason) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let next = entry.machine.as_ref().and_then(BookMachine::last).map(|last| last + 1);
        if let Some(topic) = entry.topic_mut(Channel::BookL2) {
            topic.open_gap(gap_cause(reason), next);
        }
        entry.resync = Resync::default();
        self.set_state(stream, Channel::BookL2, StreamPhase::Resync, reason, "");
        self.resync_now(stream);
    }

    /// Breaks a book from outside and does not ask for a new one: the connection will be made anew.
    pub(crate) fn break_book(&mut self, stream: usize, reason: StateReason) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let Some(machine) = &mut entry.machine else { return };
        let next = machine.last().map(|last| last + 1);
        if let Outcome::Broken(reason) = machine.break_off(reason) {
            if let Some(topic) = entry.topic_mut(Channel::BookL2) {
                topic.open_gap(gap_cause(reason), next);
            }
            self.set_state(stream, Channel::BookL2, StreamPhase::Resync, reason, "");
        }
    }

    /// Breaks a book from outside and asks for a new one.
    pub(crate) fn break_and_resync(&mut self, stream: usize, reason: StateReason) {
        let Some(machine) = self.streams.get_mut(stream).and_then(|entry| entry.machine.as_mut()) else {
            return;
        };
        if let Outcome::Broken(reason) = machine.break_off(reason) {
            self.broken(stream, reason);
        }
    }

    /// A delta was kept, or a snapshot waits for its first delta.
    fn buffered(&mut self, stream: usize) {
        let now = self.publisher.now;
        let Some(entry) = self.streams.get_mut(stream) else { return };
        if entry.machine.as_ref().is_some_and(BookMachine::is_bridging) {
            entry.resync.bridging_since = now;
        } else if entry.resync.request_id.is_none() && entry.resync.due == 0 {
            self.resync_now(stream);
        }
    }

    /// The last try was of no use: wait, then try again; for ever, and visibly (row B13).
    pub(crate) fn retry(&mut self, stream: usize, reason: StateReason) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let resync = &mut entry.resync;
        resync.request_id = None;
        resync.bridging_since = 0;
        let config = &self.config;
        let pause = if resync.attempt >= config.resync_fast_tries {
            config.resync_slow_ns
        } else {
            let doubled = config.resync_min_ns << resync.attempt.saturating_sub(1).min(16);
            doubled.min(config.resync_fast_max_ns)
        };
        resync.due = self.publisher.now + pause;
        let phase = match entry.machine.as_ref().map(BookMachine::phase) {
            Some(StreamPhase::Resync) => StreamPhase::Resync,
            _ => StreamPhase::Syncing,
        };
        self.set_state(stream, Channel::BookL2, phase, reason, "");
    }

    /// Tries once to get a whole book from the venue.
    pub(crate) fn resync_now(&mut self, stream: usize) {
        let product = self.config.product;
        if SnapshotSource::of(product) == SnapshotSource::Rest && self.yields(stream) {
            return;
        }
        let Some(entry) = self.streams.get_mut(stream) else { return };
        entry.resync.attempt += 1;
        entry.resync.due = 0;
        entry.resync.crossed_since = 0;
        if SnapshotSource::of(product) != SnapshotSource::Rest {
            entry.resync.snapshot_deadline = self.publisher.now + self.config.ack_ns;
            self.resubscribe(stream, Channel::BookL2);
            return;
        }
        let levels = self.config.snapshot_levels;
        let Some(path) = product.snapshot_path(&entry.instrument.venue_symbol, levels) else { return };
        let request = RestRequest { path, weight: product.snapshot_weight(levels) };
        let request_id = self.fetch(stream, Purpose::Snapshot, request);
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.resync.request_id = Some(request_id);
        }
    }

    /// Ends a subscription and asks for it anew; the second step follows the venue's answer.
    pub(crate) fn resubscribe(&mut self, stream: usize, channel: Channel) {
        let is_known = self
            .subscriptions
            .find(stream, channel)
            .is_some_and(|item| matches!(item.state, ItemState::Active | ItemState::Asked { .. }));
        if !is_known {
            return;
        }
        let request_id = self.control(ControlOp::Unsubscribe, &[(stream, channel)]);
        let deadline = self.publisher.now + self.config.ack_ns / 10;
        if let Some(item) = self.subscriptions.find(stream, channel) {
            item.state = ItemState::Leaving { request_id, deadline };
        }
    }

    /// Data is an acknowledgement too: it may come first.
    fn note_book_data(&mut self, stream: usize) {
        if let Some(item) = self.subscriptions.find(stream, Channel::BookL2)
            && matches!(item.state, ItemState::Asked { .. })
        {
            item.state = ItemState::Active;
        }
    }
}

/// Joins the changes of a message to those held from the same frame: each price once, the last one counts.
fn joined<'a>(held: &'a mut Vec<LevelChange>, changes: &'a [LevelChange]) -> &'a [LevelChange] {
    if held.is_empty() {
        return changes;
    }
    held.extend_from_slice(changes);
    facade_book::merge_changes(held);
    held
}

const fn gap_cause(reason: StateReason) -> GapCause {
    match reason {
        StateReason::ChecksumMismatch => GapCause::ChecksumMismatch,
        StateReason::Crossed => GapCause::Crossed,
        StateReason::AuditFailed => GapCause::AuditFailed,
        StateReason::Undecodable | StateReason::MalformedFrames => GapCause::Undecodable,
        StateReason::BufferOverflow => GapCause::Overflow,
        StateReason::ConnectionClosed | StateReason::Silent | StateReason::InternalFault => {
            GapCause::Disconnect
        }
        _ => GapCause::SequenceGap,
    }
}

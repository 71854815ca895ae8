//! Slow subscribers: warned at three quarters of a bound, ended beyond it, each loss told in-band.

use std::collections::BTreeMap;

use crate::conflate::tell;
use crate::delivery::{DeliveryCause, Mode, News};
use crate::encoder::DeliveryGap;
use crate::ring::Position;
use crate::state::State;
use crate::subscriber::SubscriberId;
use crate::take::EndReason;
use crate::topic::TopicId;

/// Returns where a warning is given.
fn warned_from(bound: u64) -> u64 {
    bound - bound / 4
}

/// Returns below what it is taken back.
fn cleared_below(bound: u64) -> u64 {
    bound / 2
}

impl State {
    /// Judges a subscriber before it takes: warns it, takes the warning back, or ends it.
    pub fn judge(&mut self, id: SubscriberId, turn_ns: u64) {
        let Some(subscriber) = self.subscriber(id).filter(|subscriber| subscriber.end.is_none()) else {
            return;
        };
        let lag_max = self.bounds.lag_ns;
        let is_fresh = self.now.mono_ns.saturating_sub(subscriber.rested_ns) < cleared_below(lag_max);
        let is_held = subscriber.oldest().is_none_or(|oldest| oldest.at >= self.ring.tail());
        let is_calm = subscriber.warned.is_none() && subscriber.flight.stalled_since_ns().is_none();
        if is_fresh && is_held && is_calm && self.bytes < subscriber.owed_check_at {
            return; // the usual case, without a look at cursors and records
        }
        let is_stalled =
            subscriber.flight.stalled_since_ns().is_some_and(|since| turn_ns.saturating_sub(since) > lag_max);
        let oldest = subscriber.oldest_lossless();
        let is_lost = oldest.is_some_and(|oldest| oldest.at < self.ring.tail());
        let lag_ns = oldest.map_or(0, |oldest| self.age_ns(oldest));
        let is_warned = subscriber.warned.is_some();
        let is_owed_due = self.bytes >= subscriber.owed_check_at
            || (is_warned && subscriber.bytes_taken >= subscriber.clear_check_at);
        let owed = is_owed_due.then(|| self.owed_bytes(subscriber));
        let owed_max = self.bounds.owed_bytes;
        if is_stalled || is_lost || lag_ns > lag_max || owed.is_some_and(|owed| owed > owed_max) {
            return self.end_slow(id);
        }
        if let Some(owed) = owed {
            self.plan_checks(id, owed);
        }
        let is_late = lag_ns > warned_from(lag_max) || owed.is_some_and(|owed| owed > warned_from(owed_max));
        let is_well =
            lag_ns < cleared_below(lag_max) && owed.is_some_and(|owed| owed < cleared_below(owed_max));
        if !is_warned && is_late {
            let topic = oldest.and_then(|oldest| self.cursors.get(oldest.cursor)).map(|cursor| cursor.topic);
            self.warn(id, topic, DeliveryCause::LagWarning, lag_ns);
        } else if is_warned && is_well {
            self.warn(id, None, DeliveryCause::LagCleared, lag_ns);
        }
    }

    /// Notes before which bytes nothing can change: it cannot owe more than what it owes and the hub publishes, nor
    /// less than without what it takes.
    fn plan_checks(&mut self, id: SubscriberId, owed: u64) {
        let (bytes, bound) = (self.bytes, self.bounds.owed_bytes);
        let Some(subscriber) = self.subscriber_mut(id) else { return };
        let next = if subscriber.warned.is_some() { bound } else { warned_from(bound) };
        subscriber.owed_check_at = bytes.saturating_add(next.saturating_sub(owed)).saturating_add(1);
        subscriber.clear_check_at =
            subscriber.bytes_taken.saturating_add((owed + 1).saturating_sub(cleared_below(bound)));
    }

    /// Warns a subscriber about a topic; `None`: takes the warning back.
    fn warn(&mut self, id: SubscriberId, topic: Option<TopicId>, cause: DeliveryCause, lag_ns: u64) {
        let Some(subscriber) = self.subscribers.get_mut(id.slot()) else { return };
        (subscriber.owed_check_at, subscriber.clear_check_at) = (0, 0);
        subscriber.is_warning_alone = subscriber.stream.is_empty() && subscriber.open.is_none();
        let told = std::mem::replace(&mut subscriber.warned, topic).or(topic);
        if let Some(topic) = told.and_then(|topic| self.topics.get(topic)) {
            let news = News { mode_old: Mode::Every, mode_new: Mode::Every, cause, skipped: 0, lag_ns };
            let encoder = self.encoder.as_ref();
            tell(news, topic, encoder, self.now, &mut self.scratch, &mut subscriber.stream);
        }
    }

    /// Tells what a cursor has skipped and not told, because it ends.
    pub fn tell_rest(&mut self, id: SubscriberId, slot: u32) {
        let (Some(cursor), Some(subscriber)) =
            (self.cursors.get_mut(slot), self.subscribers.get_mut(id.slot()))
        else {
            return;
        };
        let news = cursor.pace.as_mut().and_then(|pace| pace.rest(self.now.mono_ns));
        if let (Some(news), Some(topic)) = (news, self.topics.get(cursor.topic)) {
            let encoder = self.encoder.as_ref();
            tell(news, topic, encoder, self.now, &mut self.scratch, &mut subscriber.stream);
        }
    }

    /// Ends a slow reader: the counts of what was skipped, a gap for each topic of which it misses records, the end.
    pub fn end_slow(&mut self, id: SubscriberId) {
        let Some(subscriber) = self.subscriber(id) else { return };
        let positions = self.positions(subscriber);
        let places: BTreeMap<u32, Position> =
            subscriber.all_pending().map(|pending| (pending.cursor, pending.at)).collect();
        let cursors: Vec<u32> = subscriber.cursors.values().copied().collect();
        for slot in cursors {
            self.tell_rest(id, slot);
            self.tell_gap(id, slot, places.get(&slot).copied());
        }
        self.stats.slow_readers += 1;
        self.end(id, EndReason::SlowReader { positions });
    }

    /// Queues the gap that covers what a cursor still had to give.
    fn tell_gap(&mut self, id: SubscriberId, slot: u32, at: Option<Position>) {
        let Some(cursor) = self.cursors.get(slot).filter(|cursor| cursor.is_counted) else { return };
        let Some(topic) = self.topics.get(cursor.topic).filter(|topic| cursor.seq_next <= topic.head) else {
            return;
        };
        let at = at.or_else(|| cursor.pace.as_ref().and_then(|pace| pace.parked));
        let (seq_first, seq_last) = (cursor.seq_next, topic.head);
        let count = seq_last - seq_first + 1;
        let wall_ns_first = at.and_then(|at| self.ring.get(at)).map_or(0, |(record, _)| record.stamp.wall_ns);
        let (topic, now) = (topic.name.as_key(), self.now);
        self.scratch.clear();
        self.encoder
            .gap(&DeliveryGap { topic, seq_first, seq_last, count, wall_ns_first, now }, &mut self.scratch);
        self.stats.records_lost += count;
        if let Some(subscriber) = self.subscribers.get_mut(id.slot()) {
            subscriber.stream.push(&self.scratch);
        }
    }

    /// Ends a subscriber that has taken all, because the hub drains. Returns false if it has ended already.
    pub fn end_drained(&mut self, id: SubscriberId) -> bool {
        let Some(subscriber) = self.subscriber(id).filter(|subscriber| subscriber.end.is_none()) else {
            return false;
        };
        let positions = self.positions(subscriber);
        let cursors: Vec<u32> = subscriber.cursors.values().copied().collect();
        for slot in cursors {
            self.tell_rest(id, slot);
        }
        self.scratch.clear();
        self.encoder.draining(&positions, self.now, &mut self.scratch);
        if let Some(subscriber) = self.subscribers.get_mut(id.slot()) {
            subscriber.stream.push(&self.scratch);
        }
        self.end(id, EndReason::Draining { positions });
        true
    }

    fn end(&mut self, id: SubscriberId, reason: EndReason) {
        self.detach_all(id);
        if let Some(subscriber) = self.subscriber_mut(id) {
            subscriber.end = Some(reason);
        }
    }
}

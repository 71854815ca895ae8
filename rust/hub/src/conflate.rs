//! What a cursor that may skip gives next: each record while its subscriber keeps up, else the newest group of data or
//! a cut; states and gaps always. Every skipped record is counted, and the count is told in-band.

use crate::cursor::{Cursor, Pending, Phase, Rest};
use crate::delivery::{Conflate, Delivery, DeliveryCause, DeliveryChange, FRESH_CUT_NS, News};
use crate::encoder::StreamEncoder;
use crate::record::{RecordKind, Stamp};
use crate::ring::{Position, Record, Ring};
use crate::subscriber::{StreamQueue, Subscriber};
use crate::take::Walk;
use crate::topic::Topic;

/// What follows from a look at a cursor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The record at this place is given.
    Give(Position),
    /// A stream record goes first, then the record at this place.
    Tell(Position),
    /// Nothing is given; the cursor is filed elsewhere.
    Leave,
}

/// What becomes of a group of data that is due.
enum Choice {
    Give,
    /// What lies between is skipped.
    Jump(Position),
    /// A base stands for it: this one, or one that is to be asked for.
    Rebase(Option<Position>),
    /// Its interval has not passed.
    Park,
}

impl Walk<'_> {
    /// Finds the next record of a cursor that may skip; never called inside a group.
    pub(crate) fn next_paced(&mut self, pending: Pending) -> Step {
        let Pending { mut at, cursor: slot, .. } = pending;
        loop {
            let Some(cursor) = self.cursors.get_mut(slot) else { return Step::Leave };
            let Some(topic) = self.topics.get_mut(cursor.topic) else { return Step::Leave };
            let Some((record, _)) = self.ring.get(at) else {
                recover(cursor, topic, &mut self.subscriber.stream, self.now);
                match topic.first {
                    Some(first) => at = first,
                    None => return self.rest(slot),
                }
                continue;
            };
            let is_data = matches!(record.kind, RecordKind::Data | RecordKind::Snapshot);
            let next = if !cursor.wants(record) {
                skip_unwanted(cursor, topic, at, record)
            } else if cursor.phase == Phase::Live && is_data {
                match self.sight.choose(cursor, topic, at, record, self.ring) {
                    Choice::Give => break,
                    Choice::Jump(to) => Some(to),
                    Choice::Rebase(base) => {
                        wait_for_base(cursor, topic, base, self.ring);
                        self.is_cut_wanted |= base.is_none();
                        if base.is_none() && !topic.is_cut_listed {
                            topic.is_cut_listed = true;
                            self.cuts.push(cursor.topic);
                        }
                        skip_unwanted(cursor, topic, at, record)
                    }
                    Choice::Park => {
                        park(cursor, topic, self.subscriber, slot, at);
                        return Step::Leave;
                    }
                }
            } else {
                break;
            };
            let Some(next) = next else { return self.rest(slot) };
            at = next;
            if let Some((record, _)) = self.ring.get(at)
                && cursor.phase == Phase::Live
            {
                cursor.skip_to(record.seq, self.now.mono_ns);
            }
        }
        self.announce(slot, at)
    }

    /// Counts what a base stands for, and tells what is to be told before the record at `at`.
    fn announce(&mut self, slot: u32, at: Position) -> Step {
        let (Some(cursor), Some((record, _))) = (self.cursors.get_mut(slot), self.ring.get(at)) else {
            return Step::Leave;
        };
        match record.kind {
            RecordKind::Position => {}
            RecordKind::Cut => cursor.skip_to(record.seq + 1, self.now.mono_ns),
            _ => cursor.skip_to(record.seq, self.now.mono_ns),
        }
        let is_waiting = cursor.phase == Phase::Waiting;
        let news = cursor.pace.as_mut().and_then(|pace| pace.news(self.now.mono_ns, is_waiting));
        match (news, self.topics.get(cursor.topic)) {
            (Some(news), Some(topic)) => {
                tell(news, topic, self.encoder, self.now, self.scratch, &mut self.subscriber.stream);
                Step::Tell(at)
            }
            _ if !self.subscriber.stream.is_empty() => Step::Tell(at),
            _ => Step::Give(at),
        }
    }

    /// Files a cursor that has no record to take.
    fn rest(&mut self, slot: u32) -> Step {
        self.settle(slot);
        Step::Leave
    }
}

/// What a choice depends on beside the cursor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    /// Time of the hub.
    pub now_ns: u64,
    /// Time of the taker.
    pub turn_ns: u64,
    /// Bytes that a subscriber may be owed.
    pub owed_bytes: u64,
}

impl Sight {
    fn choose(
        self,
        cursor: &mut Cursor,
        topic: &Topic,
        at: Position,
        record: &Record,
        ring: &Ring,
    ) -> Choice {
        let since_ns = cursor.since_ns;
        let Some(pace) = cursor.pace.as_mut() else { return Choice::Give };
        let lag_ns = self.now_ns.saturating_sub(record.stamp.mono_ns.max(since_ns));
        let cause = match pace.delivery {
            Delivery::Latest if lag_ns > pace.age_ns_max() => DeliveryCause::Behind,
            Delivery::Latest if !pace.is_behind() && topic.bytes - record.topic_bytes > self.owed_bytes => {
                DeliveryCause::Bytes
            }
            Delivery::Interval { .. } if self.turn_ns >= pace.due_ns => DeliveryCause::Counted,
            Delivery::Interval { .. } if topic.notice_behind(at).is_none() => return Choice::Park,
            Delivery::Interval { .. } => DeliveryCause::Counted,
            Delivery::Latest | Delivery::Every => return Choice::Give,
        };
        let newest = topic.newest_from(at);
        if newest == at {
            return Choice::Give;
        }
        let choice = match pace.conflate {
            Conflate::Newest => {
                Choice::Jump(topic.notice_behind(at).map_or(newest, |notice| notice.min(newest)))
            }
            Conflate::Cut => Choice::Rebase(topic.cut_last.filter(|&base| {
                let published = ring.get(base).map(|(base, _)| base.stamp.mono_ns);
                base > at && published.is_some_and(|ns| self.now_ns.saturating_sub(ns) <= FRESH_CUT_NS)
            })),
        };
        pace.fall_behind(cause, lag_ns, self.now_ns);
        choice
    }
}

/// Returns where a cursor goes on behind a record that is not for it.
fn skip_unwanted(cursor: &Cursor, topic: &Topic, at: Position, record: &Record) -> Option<Position> {
    if cursor.phase == Phase::Live {
        return record.next;
    }
    let base = topic.cut_last.filter(|&base| base > at && base >= cursor.waits_since);
    match (topic.notice_behind(at), base) {
        (Some(notice), Some(base)) => Some(notice.min(base)),
        (notice, base) => notice.or(base),
    }
}

/// Lets a cursor wait for a base: `base`, or the next one that is published.
fn wait_for_base(cursor: &mut Cursor, topic: &mut Topic, base: Option<Position>, ring: &Ring) {
    cursor.phase = Phase::Waiting;
    cursor.waits_since = base.unwrap_or_else(|| ring.end());
    topic.cuts_owed += u32::from(base.is_none());
}

/// Lets a cursor wait until its interval has passed.
fn park(cursor: &mut Cursor, topic: &mut Topic, subscriber: &mut Subscriber, slot: u32, at: Position) {
    if let Some(pace) = &mut cursor.pace {
        pace.parked = Some(at);
        if pace.timer_ns != pace.due_ns {
            pace.timer_ns = pace.due_ns;
            subscriber.timers.push(std::cmp::Reverse((pace.due_ns, slot)));
        }
    }
    topic.list(subscriber.id.slot(), slot, cursor, Rest::Parked);
}

/// Gives what is still known of records that left the ring before a cursor came to them: the newest state, and the
/// newest data. The others count as skipped.
fn recover(cursor: &mut Cursor, topic: &Topic, stream: &mut StreamQueue, now: Stamp) {
    let is_lost = |seq: u64| seq >= cursor.seq_next && seq <= topic.seq_evicted;
    let (state, data) = (&topic.kept_state, &topic.newest);
    let wants_data = cursor.phase == Phase::Live
        && cursor.pace.as_ref().is_some_and(|pace| pace.conflate == Conflate::Newest);
    let state = Some((state.seq, &state.bytes)).filter(|&(seq, _)| is_lost(seq));
    let data = Some((data.seq_last, &data.kept))
        .filter(|&(seq, kept)| wants_data && data.at.is_none() && !kept.is_empty() && is_lost(seq));
    let mut given = [state, data];
    given.sort_by_key(|record| record.map(|(seq, _)| seq));
    for (seq, framed) in given.into_iter().flatten() {
        cursor.skip_to(seq, now.mono_ns);
        cursor.seq_next = seq + 1;
        stream.push_framed(framed);
    }
    if cursor.phase == Phase::Live {
        cursor.skip_to(topic.seq_evicted + 1, now.mono_ns);
    }
}

/// Queues a change of delivery.
pub(crate) fn tell(
    news: News,
    topic: &Topic,
    encoder: &dyn StreamEncoder,
    now: Stamp,
    scratch: &mut Vec<u8>,
    stream: &mut StreamQueue,
) {
    let News { mode_old, mode_new, cause, skipped, lag_ns } = news;
    let topic = topic.name.as_key();
    scratch.clear();
    encoder
        .delivery_change(&DeliveryChange { topic, mode_old, mode_new, cause, skipped, lag_ns, now }, scratch);
    stream.push(scratch);
}

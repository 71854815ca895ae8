//! The hub as plain vectors: it keeps every record for ever, and takes them one by one.

use std::collections::BTreeMap;

use facade_hub::{DeliveryCause, HubBounds, RecordKind, Start, SubscriberId};

use crate::support::{self, BODY_BYTES_MIN, Seen, Wire};

/// A published record as the model keeps it, for ever.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    pub wire: Wire,
    pub kind: RecordKind,
    pub framed: usize,
    pub mono_ns: u64,
}

#[derive(Debug, Default)]
pub struct ModelTopic {
    pub head: u64,
    pub state: Option<usize>,
    /// Indices of the newest group of data.
    pub data: Vec<usize>,
}

#[derive(Debug)]
pub struct ModelCursor {
    pub is_waiting: bool,
    /// A cut or snapshot came since it attached.
    pub is_served: bool,
    pub seq_next: u64,
    /// Indices of the records to look at.
    pub queue: Vec<usize>,
}

#[derive(Debug, Default)]
pub struct ModelSubscriber {
    pub stream: Vec<(Wire, usize)>,
    pub cursors: BTreeMap<u8, ModelCursor>,
    pub open: Option<u8>,
    pub warned: Option<u8>,
    pub end: Option<Vec<(u8, u64)>>,
}

pub struct Model {
    pub bounds: HubBounds,
    pub overhead: usize,
    pub log: Vec<Published>,
    /// Index of the oldest record that the ring holds.
    pub floor: usize,
    pub topics: Vec<ModelTopic>,
    pub subscribers: BTreeMap<SubscriberId, ModelSubscriber>,
    pub now: u64,
}

pub fn framed(body: usize) -> usize {
    body + 1 + if body < 128 { 1 } else { 2 }
}

impl Model {
    pub fn evict(&mut self) {
        loop {
            let bytes: usize =
                self.log[self.floor..].iter().map(|record| record.framed + self.overhead).sum();
            let Some(oldest) = self.log.get(self.floor) else { return };
            if bytes <= self.bounds.ring_bytes && self.now - oldest.mono_ns <= self.bounds.ring_age_ns {
                return;
            }
            self.floor += 1;
        }
    }

    pub fn append(&mut self, wire: Wire, kind: RecordKind, padding: usize, is_first: bool) {
        let index = self.log.len();
        self.log.push(Published { wire, kind, framed: framed(BODY_BYTES_MIN + padding), mono_ns: self.now });
        let topic = &mut self.topics[usize::from(wire.topic)];
        topic.head = wire.seq;
        match kind {
            RecordKind::State => topic.state = Some(index),
            RecordKind::Data if is_first => topic.data = vec![index],
            RecordKind::Data => topic.data.push(index),
            _ => {}
        }
        for subscriber in self.subscribers.values_mut() {
            let Some(cursor) = subscriber.cursors.get_mut(&wire.topic) else { continue };
            let is_base = matches!(kind, RecordKind::Snapshot | RecordKind::Cut);
            cursor.is_served |= is_base;
            let is_mark = match kind {
                RecordKind::State | RecordKind::Gap | RecordKind::Snapshot => true,
                RecordKind::Cut => cursor.is_waiting,
                RecordKind::Data | RecordKind::Position => !cursor.is_waiting,
            };
            if is_mark || !cursor.queue.is_empty() {
                cursor.queue.push(index);
            }
        }
    }

    /// What a joiner is told: the seam and the records that describe the present.
    pub fn present(&self, topic: u8, start: Start) -> (u64, Vec<usize>) {
        let of = &self.topics[usize::from(topic)];
        let is_large = |&index: &usize| self.log[index].framed > 4096;
        let is_lost = of
            .data
            .first()
            .is_some_and(|&first| first < self.floor && (of.data.len() > 1 || is_large(&first)));
        let data: Vec<usize> = if start == Start::Newest && !is_lost { of.data.clone() } else { Vec::new() };
        let is_head = data.last().is_some_and(|&last| self.log[last].wire.seq == of.head);
        let seam = if is_head { self.log[data[0]].wire.seq } else { of.head + 1 };
        let mut all: Vec<usize> = data.into_iter().chain(of.state).collect();
        all.sort_by_key(|&index| self.log[index].wire.seq);
        (seam, all)
    }

    /// Age of the oldest record that waits, its topic, and the bytes that wait.
    fn waits(&self, subscriber: &ModelSubscriber) -> (u64, Option<u8>, u64) {
        let fronts = subscriber.cursors.iter().filter_map(|(topic, c)| Some((*c.queue.first()?, *topic)));
        let oldest = fronts.min();
        let lag = oldest.map_or(0, |(index, _)| self.now - self.log[index].mono_ns);
        let streamed: usize = subscriber.stream.iter().map(|(_, framed)| framed).sum();
        let live = subscriber.cursors.values().filter(|cursor| !cursor.is_waiting);
        let records = live.flat_map(|cursor| &cursor.queue).map(|&index| &self.log[index]);
        let owed: usize = records.filter(|r| r.kind != RecordKind::Cut).map(|record| record.framed).sum();
        (lag, oldest.map(|(_, topic)| topic), (streamed + owed) as u64)
    }

    fn is_slow(&self, subscriber: &ModelSubscriber) -> bool {
        let (lag, _, owed) = self.waits(subscriber);
        let mut fronts = subscriber.cursors.values().filter_map(|cursor| cursor.queue.first());
        fronts.any(|&index| index < self.floor) || lag > self.bounds.lag_ns || owed > self.bounds.owed_bytes
    }

    /// Warns beyond three quarters of a bound, takes it back below half of both.
    fn warn(&mut self, id: SubscriberId) {
        let (lag, topic, owed) = self.waits(&self.subscribers[&id]);
        let (lag_max, owed_max) = (self.bounds.lag_ns, self.bounds.owed_bytes);
        let subscriber = self.subscribers.get_mut(&id).unwrap();
        let change = |topic, cause| {
            let tag = support::cause_tag(cause);
            (Wire { topic, seen: Seen::Change, more: false, seq: 0, tag }, framed(BODY_BYTES_MIN))
        };
        match (subscriber.warned, topic) {
            (None, Some(topic)) if lag > lag_max - lag_max / 4 || owed > owed_max - owed_max / 4 => {
                subscriber.warned = Some(topic);
                subscriber.stream.push(change(topic, DeliveryCause::LagWarning));
            }
            (Some(topic), _) if lag < lag_max / 2 && owed < owed_max / 2 => {
                subscriber.warned = None;
                subscriber.stream.push(change(topic, DeliveryCause::LagCleared));
            }
            _ => {}
        }
    }

    /// Replaces what a slow reader was owed by gaps.
    pub fn end_slow(&mut self, id: SubscriberId) {
        let subscriber = self.subscribers.get_mut(&id).unwrap();
        let mut positions = Vec::new();
        for (topic, cursor) in std::mem::take(&mut subscriber.cursors) {
            let head = self.topics[usize::from(topic)].head;
            if !cursor.is_waiting {
                positions.push((topic, cursor.seq_next - 1));
            }
            if !cursor.is_waiting && cursor.seq_next <= head {
                let wire = Wire { topic, seen: Seen::Gap, more: false, seq: cursor.seq_next, tag: head };
                subscriber.stream.push((wire, framed(BODY_BYTES_MIN)));
            }
        }
        subscriber.open = None;
        subscriber.end = Some(positions);
    }

    /// Takes record by record. Returns what is given.
    pub fn take(&mut self, id: SubscriberId, bytes_max: usize) -> Vec<Wire> {
        if self.subscribers[&id].end.is_none() {
            if self.is_slow(&self.subscribers[&id]) {
                self.end_slow(id);
            } else {
                self.warn(id);
            }
        }
        let (mut given, mut bytes) = (Vec::new(), 0);
        let subscriber = self.subscribers.get_mut(&id).unwrap();
        loop {
            let oldest = subscriber.cursors.iter().filter(|(_, cursor)| !cursor.queue.is_empty());
            let oldest = oldest.min_by_key(|(_, cursor)| cursor.queue[0]).map(|(&topic, _)| topic);
            let (wire, framed) = match (subscriber.open, subscriber.stream.first(), oldest) {
                (None, Some(&first), _) => first,
                (None, None, None) => return given,
                (open, _, oldest) => {
                    let topic = open.or(oldest).unwrap();
                    let cursor = subscriber.cursors.get_mut(&topic).unwrap();
                    let record = self.log[cursor.queue[0]];
                    let is_wanted = match record.kind {
                        RecordKind::State | RecordKind::Gap | RecordKind::Snapshot => true,
                        RecordKind::Cut => cursor.is_waiting,
                        RecordKind::Data | RecordKind::Position => !cursor.is_waiting,
                    };
                    if !is_wanted {
                        if record.kind == RecordKind::Data && !cursor.is_waiting {
                            cursor.seq_next = record.wire.seq + 1;
                        }
                        cursor.queue.remove(0);
                        continue;
                    }
                    (record.wire, record.framed)
                }
            };
            if !given.is_empty() && bytes + framed > bytes_max {
                return given;
            }
            bytes += framed;
            given.push(wire);
            if subscriber.open.is_none() && !subscriber.stream.is_empty() {
                subscriber.stream.remove(0);
                continue;
            }
            let cursor = subscriber.cursors.get_mut(&wire.topic).unwrap();
            let kind = self.log[cursor.queue.remove(0)].kind;
            subscriber.open = wire.more.then_some(wire.topic);
            let is_base = matches!(kind, RecordKind::Snapshot | RecordKind::Cut);
            if kind != RecordKind::Position && !(is_base && wire.more) {
                cursor.seq_next = wire.seq + 1;
                cursor.is_waiting &= !is_base;
            }
        }
    }
}

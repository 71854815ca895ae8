//! Hub, model and clients, driven side by side: what they disagree about fails.

use std::collections::BTreeMap;

use facade_hub::{
    AttachOptions, Batch, EndReason, Hub, HubBounds, RecordKind, Start, SubscriberId, Taken, TopicId,
};

use crate::client::Client;
use crate::naive::{Model, ModelCursor, ModelSubscriber, ModelTopic, framed};
use crate::steps::{Group, Op, TOPICS};
use crate::support::{BODY_BYTES_MIN, Seen, Wire, add, at, hub};

pub struct World {
    pub hub: Hub,
    ids: Vec<TopicId>,
    model: Model,
    clients: BTreeMap<SubscriberId, (Client, BTreeMap<u8, Start>)>,
    pub order: Vec<SubscriberId>,
    tag: u64,
}

impl World {
    pub fn new(bounds: HubBounds) -> Self {
        let (hub, ids) = hub(bounds, TOPICS);
        hub.advance(at(0));
        let topics = (0..TOPICS).map(|_| ModelTopic::default()).collect();
        let (log, subscribers) = (Vec::new(), BTreeMap::new());
        let model = Model { bounds, overhead: overhead(), log, floor: 0, topics, subscribers, now: 0 };
        Self { hub, ids, model, clients: BTreeMap::new(), order: Vec::new(), tag: 0 }
    }

    pub fn who(&self, index: usize) -> Option<SubscriberId> {
        (!self.order.is_empty()).then(|| self.order[index % self.order.len()])
    }

    pub fn run(&mut self, op: &Op) {
        match op {
            Op::Publish { groups, dt } => self.publish(groups, *dt),
            Op::Advance { dt } => {
                self.model.now += dt;
                self.hub.advance(at(self.model.now));
                self.model.evict();
            }
            Op::Subscribe => {
                let id = self.hub.subscriber();
                self.order.push(id);
                self.model.subscribers.insert(id, ModelSubscriber::default());
                self.clients.insert(id, (Client::default(), BTreeMap::new()));
            }
            Op::Attach { who, topic, start } => {
                if let Some(id) = self.who(*who) {
                    self.attach(id, *topic, *start);
                }
            }
            Op::Detach { who, topic } => {
                if let Some(id) = self.who(*who) {
                    self.detach(id, *topic);
                }
            }
            Op::Push { who, padding } => {
                if let Some(id) = self.who(*who) {
                    self.push(id, *padding);
                }
            }
            Op::Take { who, bytes_max } => {
                if let Some(id) = self.who(*who) {
                    self.take(id, *bytes_max);
                }
            }
            Op::Close { who } => {
                if let Some(id) = self.who(*who) {
                    self.hub.close(id);
                    self.remove(id);
                    assert_eq!(self.hub.take(id, 10, &mut Vec::new(), None), Taken::Ended(EndReason::Closed));
                }
            }
            Op::Cuts => self.cuts(),
        }
    }

    fn publish(&mut self, groups: &[Group], dt: u64) {
        self.model.now += dt;
        let mut batch = Batch::default();
        for group in groups {
            let mut head = self.model.topics[usize::from(group.topic)].head;
            let takes_none = matches!(group.kind, RecordKind::Position | RecordKind::Cut);
            if takes_none && head == 0 {
                continue;
            }
            let is_single = matches!(group.kind, RecordKind::State | RecordKind::Gap | RecordKind::Position);
            let count = if is_single { 1 } else { group.count };
            for part in 0..count {
                let is_step = group.kind == RecordKind::Data || (!takes_none && part == 0);
                head += u64::from(is_step);
                self.tag += 1;
                let (more, tag, padding) = (part + 1 < count, self.tag, group.padding);
                let id = self.ids[usize::from(group.topic)];
                add(&mut batch, id, group.topic, group.kind, more, head, tag, padding);
                let wire = Wire { topic: group.topic, seen: group.kind.into(), more, seq: head, tag };
                self.model.append(wire, group.kind, padding, part == 0);
            }
        }
        self.hub.publish(&batch, at(self.model.now)).unwrap();
        self.model.evict();
        let stats = self.hub.stats();
        assert!(stats.ring_bytes <= self.model.bounds.ring_bytes as u64);
        assert!(stats.ring_age_ns <= self.model.bounds.ring_age_ns);
        assert_eq!(stats.ring_records, (self.model.log.len() - self.model.floor) as u64);
    }

    fn attach(&mut self, id: SubscriberId, topic: u8, start: Start) {
        let has_ended = self.model.subscribers[&id].end.is_some();
        let is_new = !self.model.subscribers[&id].cursors.contains_key(&topic);
        let options = AttachOptions { start, ..AttachOptions::default() };
        let seen = Seen::Status;
        let result = self.hub.attach(id, self.ids[usize::from(topic)], options, &mut |_, seam, out| {
            Wire { topic, seen, more: false, seq: seam.seq_next, tag: 0 }.write(0, out);
        });
        assert_eq!(result.is_ok(), is_new && !has_ended);
        let Ok(seam) = result else { return };
        let (seq_next, present) = self.model.present(topic, start);
        assert_eq!(seam.seq_next, seq_next);
        let oldest = self.model.log[self.model.floor..].iter().find(|record| {
            record.wire.topic == topic && !matches!(record.kind, RecordKind::Position | RecordKind::Cut)
        });
        if let Some(oldest) = oldest {
            assert!(seam.seq_oldest == oldest.wire.seq || oldest.wire.seen == Seen::Snapshot);
        }
        let described =
            present.iter().map(|&index| (self.model.log[index].wire, self.model.log[index].framed));
        let described: Vec<(Wire, usize)> = described.collect();
        let head = self.model.topics[usize::from(topic)].head;
        let subscriber = self.model.subscribers.get_mut(&id).unwrap();
        subscriber
            .stream
            .push((Wire { topic, seen, more: false, seq: seq_next, tag: 0 }, framed(BODY_BYTES_MIN)));
        subscriber.stream.extend(described);
        let is_waiting = start == Start::Cut;
        let cursor = ModelCursor { is_waiting, is_served: false, seq_next: head + 1, queue: Vec::new() };
        subscriber.cursors.insert(topic, cursor);
        self.clients.get_mut(&id).unwrap().1.insert(topic, start);
    }

    fn detach(&mut self, id: SubscriberId, topic: u8) {
        let subscriber = self.model.subscribers.get_mut(&id).unwrap();
        let cursor = subscriber.cursors.remove(&topic);
        subscriber.warned = subscriber.warned.filter(|&warned| warned != topic);
        if subscriber.open == Some(topic) {
            subscriber.open = None;
            self.clients.get_mut(&id).unwrap().0.group = None;
        }
        let seq = cursor.filter(|cursor| !cursor.is_waiting).map(|cursor| cursor.seq_next - 1);
        assert_eq!(self.hub.detach(id, self.ids[usize::from(topic)]), seq);
        // What describes the present may still be queued: drop the client's view once all of it was taken.
        while !self.model.subscribers.get(&id).is_none_or(|subscriber| subscriber.stream.is_empty()) {
            self.take(id, 1);
        }
        if let Some((client, _)) = self.clients.get_mut(&id) {
            client.expected.remove(&topic);
        }
    }

    fn push(&mut self, id: SubscriberId, padding: usize) {
        let wire = Wire { topic: 0, seen: Seen::Pushed, more: false, seq: 0, tag: 0 };
        let mut update = Vec::new();
        wire.write(padding, &mut update);
        let subscriber = self.model.subscribers.get_mut(&id).unwrap();
        let queued: usize = subscriber.stream.iter().map(|(_, framed)| framed).sum();
        let has_ended = subscriber.end.is_some();
        let is_over = (queued + update.len()) as u64 > self.model.bounds.owed_bytes;
        assert_eq!(self.hub.push(id, &update), !has_ended && !is_over);
        if !has_ended && is_over {
            self.model.end_slow(id);
            self.clients.get_mut(&id).unwrap().0.group = None;
        } else if !has_ended {
            subscriber.stream.push((wire, framed(update.len())));
        }
    }

    pub fn take(&mut self, id: SubscriberId, bytes_max: usize) {
        let mut out = Vec::new();
        let taken = self.hub.take(id, bytes_max, &mut out, None);
        let given = self.model.take(id, bytes_max);
        let wires = Wire::read_all(&out);
        assert_eq!(wires.iter().map(|(wire, _)| *wire).collect::<Vec<_>>(), given);
        let (client, starts) = self.clients.get_mut(&id).unwrap();
        if self.model.subscribers[&id].end.is_some() {
            client.group = None;
        }
        for wire in given {
            client.see(wire, starts);
        }
        match taken {
            Taken::Some(taken) => {
                assert_eq!((taken.bytes, taken.records as usize), (out.len(), wires.len()));
                assert!(out.len() <= bytes_max || wires.len() == 1);
                let waits = &self.model.subscribers[&id];
                let fronts = waits.cursors.values().filter_map(|cursor| cursor.queue.first());
                let oldest = fronts.map(|&index| self.model.log[index].mono_ns).min();
                assert_eq!(taken.has_more, oldest.is_some() || !waits.stream.is_empty());
                let complete_until = oldest.map_or(self.model.now, |oldest| oldest.max(client.watermark_ns));
                assert!(taken.watermark_wall_ns <= at(complete_until).wall_ns, "what waits is not covered");
                client.watermark_ns = u64::try_from(taken.watermark_wall_ns - at(0).wall_ns).unwrap_or(0);
            }
            Taken::Empty { watermark_wall_ns, .. } => {
                assert_eq!(watermark_wall_ns, at(self.model.now).wall_ns);
                for (topic, expected) in &client.expected {
                    let head = self.model.topics[usize::from(*topic)].head;
                    assert!(expected.is_none_or(|next| next == head + 1), "nothing is lost in silence");
                }
            }
            Taken::Ended(reason) => {
                let positions = self.model.subscribers[&id].end.clone().unwrap();
                let EndReason::SlowReader { positions: told } = reason else { panic!("{reason:?}") };
                let told = told.iter().map(|position| (position.topic.symbol.parse().unwrap(), position.seq));
                assert_eq!(told.collect::<Vec<_>>(), positions);
                self.remove(id);
            }
        }
    }

    fn cuts(&mut self) {
        let mut wanted = Vec::new();
        self.hub.cuts_wanted(&mut wanted);
        wanted.sort();
        let waits = |topic: u8| {
            let cursors =
                self.model.subscribers.values().filter_map(|subscriber| subscriber.cursors.get(&topic));
            cursors.into_iter().any(|cursor| cursor.is_waiting && !cursor.is_served)
        };
        let expected: Vec<TopicId> =
            (0..TOPICS).filter(|&t| waits(t)).map(|t| self.ids[usize::from(t)]).collect();
        assert_eq!(wanted, expected);
    }

    fn remove(&mut self, id: SubscriberId) {
        self.model.subscribers.remove(&id);
        self.clients.remove(&id);
        self.order.retain(|&other| other != id);
    }
}

/// Bytes of bookkeeping per record.
fn overhead() -> usize {
    let (hub, ids) = hub(HubBounds::default(), 1);
    let mut batch = Batch::default();
    add(&mut batch, ids[0], 0, RecordKind::Data, false, 1, 0, 0);
    hub.publish(&batch, at(0)).unwrap();
    usize::try_from(hub.stats().ring_bytes).unwrap() - framed(BODY_BYTES_MIN)
}

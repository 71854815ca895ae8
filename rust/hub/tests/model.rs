//! The hub against a model of plain vectors, under any interleaving; and its output against the rules of delivery.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::collections::BTreeMap;

use facade_hub::{
    AttachOptions, Batch, DeliveryCause, EndReason, Hub, HubBounds, RecordKind, Start, SubscriberId, Taken,
    TopicId,
};
use proptest::prelude::*;
use support::{BODY_BYTES_MIN, Seen, Wire, add, at, hub};

const TOPICS: u8 = 4;

/// One group of records to publish.
#[derive(Debug, Clone)]
struct Group {
    topic: u8,
    kind: RecordKind,
    count: u64,
    padding: usize,
}

#[derive(Debug, Clone)]
enum Op {
    Publish { groups: Vec<Group>, dt: u64 },
    Advance { dt: u64 },
    Subscribe,
    Attach { who: usize, topic: u8, start: Start },
    Detach { who: usize, topic: u8 },
    Push { who: usize, padding: usize },
    Take { who: usize, bytes_max: usize },
    Close { who: usize },
    Cuts,
}

/// A published record as the model keeps it, for ever.
#[derive(Debug, Clone, Copy)]
struct Published {
    wire: Wire,
    kind: RecordKind,
    framed: usize,
    mono_ns: u64,
}

#[derive(Debug, Default)]
struct ModelTopic {
    head: u64,
    state: Option<usize>,
    /// Indices of the newest group of data.
    data: Vec<usize>,
}

#[derive(Debug)]
struct ModelCursor {
    is_waiting: bool,
    /// A cut or snapshot came since it attached.
    is_served: bool,
    seq_next: u64,
    /// Indices of the records to look at.
    queue: Vec<usize>,
}

#[derive(Debug, Default)]
struct ModelSubscriber {
    stream: Vec<(Wire, usize)>,
    cursors: BTreeMap<u8, ModelCursor>,
    open: Option<u8>,
    warned: Option<u8>,
    end: Option<Vec<(u8, u64)>>,
}

struct Model {
    bounds: HubBounds,
    overhead: usize,
    log: Vec<Published>,
    /// Index of the oldest record that the ring holds.
    floor: usize,
    topics: Vec<ModelTopic>,
    subscribers: BTreeMap<SubscriberId, ModelSubscriber>,
    now: u64,
}

fn framed(body: usize) -> usize {
    body + 1 + if body < 128 { 1 } else { 2 }
}

impl Model {
    fn evict(&mut self) {
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

    fn append(&mut self, wire: Wire, kind: RecordKind, padding: usize, is_first: bool) {
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
    fn present(&self, topic: u8, start: Start) -> (u64, Vec<usize>) {
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
    fn end_slow(&mut self, id: SubscriberId) {
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
    fn take(&mut self, id: SubscriberId, bytes_max: usize) -> Vec<Wire> {
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

/// Judges one stream by the rules alone: it knows nothing of hub or model.
#[derive(Default)]
struct Client {
    /// By topic: the `seq` that must come next; `None` until a base came.
    expected: BTreeMap<u8, Option<u64>>,
    group: Option<(u8, Seen)>,
    watermark_ns: u64,
}

impl Client {
    fn see(&mut self, wire: Wire, starts: &BTreeMap<u8, Start>) {
        if let Some(group) = self.group {
            assert_eq!(group, (wire.topic, wire.seen), "a group is never split");
        }
        self.group = wire.more.then_some((wire.topic, wire.seen));
        let topic = wire.topic;
        match wire.seen {
            Seen::Status => {
                let is_cut = starts[&topic] == Start::Cut;
                assert!(self.expected.insert(topic, (!is_cut).then_some(wire.seq)).is_none());
            }
            Seen::Data | Seen::State | Seen::VenueGap | Seen::Snapshot => {
                let expected =
                    self.expected.get_mut(&topic).expect("a status stands before the first record");
                match *expected {
                    None => assert_ne!(wire.seen, Seen::Data, "no data before the base"),
                    // Records before the seam describe the present.
                    Some(next) => assert!(wire.seq <= next, "hole before {wire:?}, expected {next}"),
                }
                let is_due = expected.is_none_or(|next| next == wire.seq);
                if is_due && wire.seen == Seen::Snapshot && !wire.more
                    || is_due && expected.is_some() && wire.seen != Seen::Snapshot
                {
                    *expected = Some(wire.seq + 1);
                }
            }
            Seen::Cut => {
                let expected =
                    self.expected.get_mut(&topic).expect("a status stands before the first record");
                assert!(expected.is_none(), "a cut goes to those who wait");
                if !wire.more {
                    *expected = Some(wire.seq + 1);
                }
            }
            Seen::Position => {
                assert_eq!(self.expected[&topic], Some(wire.seq + 1), "positions describe what was given");
            }
            Seen::Gap => {
                if let Some(Some(next)) = self.expected.insert(topic, Some(wire.tag + 1)) {
                    assert_eq!(wire.seq, next, "a gap begins where delivery stopped");
                }
            }
            Seen::Draining | Seen::Pushed | Seen::Change => {}
        }
    }
}

struct World {
    hub: Hub,
    ids: Vec<TopicId>,
    model: Model,
    clients: BTreeMap<SubscriberId, (Client, BTreeMap<u8, Start>)>,
    order: Vec<SubscriberId>,
    tag: u64,
}

impl World {
    fn new(bounds: HubBounds) -> Self {
        let (hub, ids) = hub(bounds, TOPICS);
        hub.advance(at(0));
        let topics = (0..TOPICS).map(|_| ModelTopic::default()).collect();
        let (log, subscribers) = (Vec::new(), BTreeMap::new());
        let model = Model { bounds, overhead: overhead(), log, floor: 0, topics, subscribers, now: 0 };
        Self { hub, ids, model, clients: BTreeMap::new(), order: Vec::new(), tag: 0 }
    }

    fn who(&self, index: usize) -> Option<SubscriberId> {
        (!self.order.is_empty()).then(|| self.order[index % self.order.len()])
    }

    fn run(&mut self, op: &Op) {
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

    fn take(&mut self, id: SubscriberId, bytes_max: usize) {
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

fn group() -> impl Strategy<Value = Group> {
    let kind = prop_oneof![
        8 => Just(RecordKind::Data),
        1 => Just(RecordKind::State),
        1 => Just(RecordKind::Gap),
        1 => Just(RecordKind::Snapshot),
        2 => Just(RecordKind::Position),
        2 => Just(RecordKind::Cut),
    ];
    let count = prop_oneof![4 => Just(1_u64), 1 => 2..5_u64];
    let padding = prop_oneof![8 => 0..200_usize, 1 => 1000..5000_usize];
    (0..TOPICS, kind, count, padding).prop_map(|(topic, kind, count, padding)| Group {
        topic,
        kind,
        count,
        padding,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let start = prop_oneof![Just(Start::Next), Just(Start::Newest), Just(Start::Cut)];
    let bytes_max = prop_oneof![2 => 1..400_usize, 1 => Just(1 << 20)];
    prop_oneof![
        12 => (prop::collection::vec(group(), 1..4), 0..20_u64)
            .prop_map(|(groups, dt)| Op::Publish { groups, dt }),
        1 => (0..200_u64).prop_map(|dt| Op::Advance { dt }),
        1 => Just(Op::Subscribe),
        4 => (0..8_usize, 0..TOPICS, start).prop_map(|(who, topic, start)| Op::Attach { who, topic, start }),
        1 => (0..8_usize, 0..TOPICS).prop_map(|(who, topic)| Op::Detach { who, topic }),
        1 => (0..8_usize, 0..200_usize).prop_map(|(who, padding)| Op::Push { who, padding }),
        12 => (0..8_usize, bytes_max).prop_map(|(who, bytes_max)| Op::Take { who, bytes_max }),
        1 => (0..8_usize).prop_map(|who| Op::Close { who }),
        1 => Just(Op::Cuts),
    ]
}

fn bounds() -> impl Strategy<Value = HubBounds> {
    (40_000..120_000_usize, 100..2000_u64, 2_000..30_000_u64, 50..2000_u64).prop_map(
        |(ring_bytes, ring_age_ns, owed_bytes, lag_ns)| HubBounds {
            ring_bytes,
            ring_age_ns,
            owed_bytes,
            lag_ns,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_equals_the_model_and_keeps_the_rules_of_delivery(
        bounds in bounds(),
        ops in prop::collection::vec(op(), 1..250),
    ) {
        let mut world = World::new(bounds);
        world.run(&Op::Subscribe);
        world.run(&Op::Subscribe);
        for op in &ops {
            world.run(op);
        }
        while let Some(id) = world.who(0) {
            world.take(id, 1 << 20);
            if world.order.first() == Some(&id) {
                world.take(id, 1 << 20);
                world.run(&Op::Close { who: 0 });
            }
        }
        let stats = world.hub.stats();
        prop_assert_eq!((stats.subscribers, stats.cursors), (0, 0));
    }
}

//! LATEST and INTERVAL, judged by what was published and what was seen alone: nothing is missing that was not told,
//! nothing comes twice or out of order, and who keeps up ends with the present.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::collections::BTreeMap;

use facade_hub::{
    AttachOptions, Batch, Conflate, Delivery, Hub, HubBounds, Notice, RecordKind, Seam, Start, SubscriberId,
    Taken, TopicId, Turn,
};
use proptest::prelude::*;
use support::{Seen, Wire, add, at, hub};

const MS: u64 = 1_000_000;
const TOPICS: u8 = 3;

/// How one topic is followed, and what was seen of it.
#[derive(Debug)]
struct Followed {
    options: AttachOptions,
    /// Every `seq` seen that takes one, in order; a base stands for all up to its own.
    seqs: Vec<(Seen, u64)>,
    /// The first `seq` that must be given, skipped or in a gap; `None` until a base came.
    first: Option<u64>,
    /// The `seq` that would come next without a skip; a client's book stands here.
    next: u64,
    /// Whether the client's book has a hole until a base comes.
    is_torn: bool,
    skipped_seen: u64,
    skipped_told: u64,
    data_at_ns: Option<u64>,
    data_seq: u64,
}

struct World {
    hub: Hub,
    ids: Vec<TopicId>,
    reader: SubscriberId,
    now: u64,
    heads: [u64; TOPICS as usize],
    /// Kind and time of each `seq` by topic.
    published: Vec<BTreeMap<u64, (RecordKind, u64)>>,
    followed: Vec<Followed>,
    wake_at: Option<u64>,
    group: Option<u8>,
}

impl World {
    fn new(options: &[AttachOptions]) -> Self {
        let (hub, ids) = hub(HubBounds::default(), TOPICS);
        let reader = hub.subscriber();
        let mut world = Self {
            hub,
            ids,
            reader,
            now: 1_000 * MS,
            heads: [0; TOPICS as usize],
            published: vec![BTreeMap::new(); TOPICS as usize],
            followed: Vec::new(),
            wake_at: None,
            group: None,
        };
        world.hub.advance(at(world.now));
        for (topic, &options) in (0..TOPICS).zip(options) {
            world.publish(topic, RecordKind::Snapshot, 1, 0);
            let mut first = 0;
            let id = world.ids[usize::from(topic)];
            let mut status = |notice: Notice, seam: Seam, _: &mut Vec<u8>| {
                if notice == Notice::Begins {
                    first = seam.seq_next;
                }
            };
            world.hub.attach(reader, id, options, &mut status).unwrap();
            let first = (options.start != Start::Cut).then_some(first);
            world.followed.push(Followed {
                options,
                seqs: Vec::new(),
                first,
                next: first.unwrap_or(0),
                is_torn: false,
                skipped_seen: 0,
                skipped_told: 0,
                data_at_ns: None,
                data_seq: 0,
            });
        }
        world
    }

    fn publish(&mut self, topic: u8, kind: RecordKind, count: u64, dt: u64) {
        self.now += dt;
        let head = &mut self.heads[usize::from(topic)];
        let takes_none = matches!(kind, RecordKind::Position | RecordKind::Cut);
        let is_single = matches!(kind, RecordKind::State | RecordKind::Gap | RecordKind::Position);
        let count = if is_single { 1 } else { count };
        let mut batch = Batch::default();
        for part in 0..count {
            *head += u64::from(kind == RecordKind::Data || (!takes_none && part == 0));
            let more = part + 1 < count;
            add(&mut batch, self.ids[usize::from(topic)], topic, kind, more, *head, 0, 30);
            if !takes_none {
                self.published[usize::from(topic)].insert(*head, (kind, self.now));
            }
        }
        self.hub.publish(&batch, at(self.now)).unwrap();
    }

    fn serve_cuts(&mut self) {
        let mut wanted = Vec::new();
        self.hub.cuts_wanted(&mut wanted);
        for topic in 0..TOPICS {
            if wanted.contains(&self.ids[usize::from(topic)]) {
                self.publish(topic, RecordKind::Cut, 2, 0);
            }
        }
    }

    /// Takes one response. Returns whether there was anything.
    fn take(&mut self, bytes_max: usize) -> bool {
        let mut out = Vec::new();
        let turn = Turn { stream_seq: 0, bytes_max, mono_ns: self.now };
        self.wake_at = None;
        match self.hub.take_turn(self.reader, turn, &mut out, None) {
            Taken::Some(_) => {}
            Taken::Empty { wake_at_mono_ns, .. } => self.wake_at = wake_at_mono_ns,
            Taken::Ended(reason) => panic!("{reason:?}"),
        }
        assert!(self.wake_at.is_none_or(|wake| wake > self.now), "a timer that rang does not ring again");
        for (wire, _) in Wire::read_all(&out) {
            self.see(wire);
        }
        !out.is_empty()
    }

    fn see(&mut self, wire: Wire) {
        assert!(self.group.is_none_or(|topic| topic == wire.topic), "a group is whole and unbroken");
        self.group = wire.more.then_some(wire.topic);
        let followed = &mut self.followed[usize::from(wire.topic)];
        let is_paced = followed.options.delivery != Delivery::Every;
        match wire.seen {
            Seen::Change => {
                assert!(is_paced || wire.tag <= 2, "EVERY is never switched");
                followed.skipped_told += wire.seq;
                return;
            }
            Seen::Position => {
                assert!(wire.seq < followed.next, "positions describe what was given");
                return;
            }
            _ => {}
        }
        let is_base = matches!(wire.seen, Seen::Snapshot | Seen::Cut);
        let Some(_) = followed.first else {
            if is_base && !wire.more {
                followed.first = Some(wire.seq + 1);
                followed.next = wire.seq + 1;
                followed.data_at_ns = Some(self.now);
                followed.data_seq = wire.seq;
            } else {
                assert_ne!(wire.seen, Seen::Data, "no data before the base");
            }
            return;
        };
        if is_base && wire.more {
            return;
        }
        // A cut tells the state after its `seq`, which it does not give.
        let next = if wire.seen == Seen::Cut { wire.seq + 1 } else { wire.seq };
        assert!(next >= followed.next, "{wire:?} came when {} was next", followed.next);
        let hole = next - followed.next;
        assert!(hole == 0 || is_paced, "EVERY has no hole");
        for seq in followed.next..next {
            let (kind, _) = self.published[usize::from(wire.topic)][&seq];
            assert!(
                !matches!(kind, RecordKind::State | RecordKind::Gap),
                "states and gaps are never skipped"
            );
        }
        followed.skipped_seen += hole;
        if followed.options.conflate == Conflate::Cut {
            followed.is_torn = (followed.is_torn || hole > 0) && !is_base;
            assert!(!(followed.is_torn && wire.seen == Seen::Data), "no delta behind a hole without a base");
        }
        let is_new = wire.seen != Seen::Cut;
        if is_new {
            followed.seqs.push((wire.seen, wire.seq));
        }
        followed.next = wire.seq + 1;
        let is_data = matches!(wire.seen, Seen::Data | Seen::Snapshot | Seen::Cut);
        if let Delivery::Interval { ns } = followed.options.delivery
            && is_data
            && !wire.more
        {
            let since = followed.data_at_ns.map_or(u64::MAX, |before| self.now - before);
            // A state or a gap does not wait, so what stands before it goes early.
            let published = &self.published[usize::from(wire.topic)];
            let is_flushed = published
                .range(followed.data_seq + 1..)
                .any(|(_, (kind, _))| matches!(kind, RecordKind::State | RecordKind::Gap));
            assert!(since >= ns || is_flushed, "{since} ns after the group before");
            followed.data_at_ns = Some(self.now);
            followed.data_seq = wire.seq;
        }
    }

    /// Gives the reader all it needs to catch up.
    fn settle(&mut self) {
        for _ in 0..64 {
            self.now = self.wake_at.unwrap_or(self.now);
            self.hub.advance(at(self.now));
            self.serve_cuts();
            while self.take(1 << 20) {}
            if self.wake_at.is_none() {
                let mut wanted = Vec::new();
                self.hub.cuts_wanted(&mut wanted);
                if wanted.is_empty() {
                    return;
                }
            }
        }
        panic!("the reader does not come to rest");
    }

    /// Judges a reader that has caught up, then detaches it, so that all counts are told.
    fn judge(&mut self) {
        for topic in 0..TOPICS {
            let followed = &self.followed[usize::from(topic)];
            let head = self.heads[usize::from(topic)];
            if let Some(first) = followed.first {
                assert_eq!(followed.next, head + 1, "topic {topic} ends with the present");
                assert!(!followed.is_torn);
                let newest = self.published[usize::from(topic)]
                    .iter()
                    .rfind(|(seq, (kind, _))| **seq >= first && *kind == RecordKind::Data);
                let is_given = |seq| followed.seqs.iter().any(|&(_, given)| given == seq);
                if let (Some((&seq, _)), Conflate::Newest) = (newest, followed.options.conflate) {
                    assert!(is_given(seq), "topic {topic}: the newest data {seq} was given");
                }
                let given = followed.seqs.iter().filter(|(_, seq)| *seq >= first).count() as u64;
                assert_eq!(given + followed.skipped_seen, head + 1 - first);
            }
            self.hub.detach(self.reader, self.ids[usize::from(topic)]);
        }
        while self.take(1 << 20) {}
        for (topic, followed) in self.followed.iter().enumerate() {
            assert_eq!(followed.skipped_told, followed.skipped_seen, "topic {topic}: counts are whole");
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Publish { topic: u8, kind: RecordKind, count: u64, dt: u64 },
    Take { bytes_max: usize },
    Wait { ms: u64 },
    Cuts,
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        12 => Just(RecordKind::Data),
        1 => Just(RecordKind::State),
        1 => Just(RecordKind::Gap),
        2 => Just(RecordKind::Position),
        1 => Just(RecordKind::Cut),
    ];
    let count = prop_oneof![4 => Just(1_u64), 1 => 2..4_u64];
    let dt = prop_oneof![Just(0_u64), 0..5 * MS, 0..300 * MS];
    let bytes_max = prop_oneof![2 => 1..400_usize, 1 => Just(1 << 20)];
    prop_oneof![
        12 => (0..TOPICS, kind, count, dt).prop_map(|(topic, kind, count, dt)| Op::Publish {
            topic, kind, count, dt,
        }),
        4 => bytes_max.prop_map(|bytes_max| Op::Take { bytes_max }),
        1 => (0..1_500_u64).prop_map(|ms| Op::Wait { ms }),
        1 => Just(Op::Cuts),
    ]
}

fn options() -> impl Strategy<Value = AttachOptions> {
    let delivery = prop_oneof![
        1 => Just(Delivery::Every),
        3 => Just(Delivery::Latest),
        3 => (1..1_000_u64).prop_map(|ms| Delivery::Interval { ns: ms * MS }),
    ];
    let kind = prop_oneof![
        Just((Start::Next, Conflate::Newest)),
        Just((Start::Newest, Conflate::Newest)),
        Just((Start::Cut, Conflate::Cut)),
        Just((Start::After { seq: 0 }, Conflate::Cut)),
    ];
    (delivery, kind).prop_map(|(delivery, (start, conflate))| AttachOptions { start, delivery, conflate })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_record_is_given_or_counted_and_who_keeps_up_ends_with_the_present(
        options in prop::collection::vec(options(), usize::from(TOPICS)),
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let mut world = World::new(&options);
        for op in ops {
            match op {
                Op::Publish { topic, kind, count, dt } => world.publish(topic, kind, count, dt),
                Op::Take { bytes_max } => {
                    world.take(bytes_max);
                }
                Op::Wait { ms } => {
                    world.now += ms * MS;
                    world.hub.advance(at(world.now));
                }
                Op::Cuts => world.serve_cuts(),
            }
        }
        world.settle();
        world.judge();
    }
}

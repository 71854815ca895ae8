//! The rules of delivery, judged from one stream alone.

use std::collections::BTreeMap;

use facade_hub::Start;

use crate::support::{Seen, Wire};

/// Judges one stream by the rules alone: it knows nothing of hub or model.
#[derive(Default)]
pub struct Client {
    /// By topic: the `seq` that must come next; `None` until a base came.
    pub expected: BTreeMap<u8, Option<u64>>,
    pub group: Option<(u8, Seen)>,
    pub watermark_ns: u64,
}

impl Client {
    pub fn see(&mut self, wire: Wire, starts: &BTreeMap<u8, Start>) {
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

//! Topics: their names, their heads, and who is caught up with them.

use std::collections::{BTreeMap, VecDeque};

use crate::cursor::{Cursor, Phase, Rest};
use crate::record::RecordKind;
use crate::ring::Position;

/// Name of a topic, borrowed. The words are those of the contract; the hub compares them and nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicKey<'a> {
    /// Venue and product, e.g. `binance-usdm`.
    pub venue: &'a str,
    /// Canonical symbol, e.g. `BTC-USD`.
    pub symbol: &'a str,
    /// Number of the contract's enum `Channel`.
    pub channel: u8,
    /// Variant of the channel (interval, depth); empty by default.
    pub variant: &'a str,
}

/// Name of a topic, owned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName {
    /// Venue and product.
    pub venue: Box<str>,
    /// Canonical symbol.
    pub symbol: Box<str>,
    /// Number of the contract's enum `Channel`.
    pub channel: u8,
    /// Variant of the channel; empty by default.
    pub variant: Box<str>,
}

impl TopicName {
    /// Returns the same name, borrowed.
    #[must_use]
    pub fn as_key(&self) -> TopicKey<'_> {
        TopicKey { venue: &self.venue, symbol: &self.symbol, channel: self.channel, variant: &self.variant }
    }
}

impl From<&TopicKey<'_>> for TopicName {
    fn from(key: &TopicKey<'_>) -> Self {
        Self {
            venue: key.venue.into(),
            symbol: key.symbol.into(),
            channel: key.channel,
            variant: key.variant.into(),
        }
    }
}

/// Handle of a topic; valid for the life of its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub(crate) u32);

/// A caught-up cursor: nobody has to look at it until the next record comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caught {
    /// Slot of the subscriber.
    pub subscriber: u32,
    /// Slot of the cursor.
    pub cursor: u32,
    /// Whether the cursor may skip records.
    pub is_paced: bool,
}

/// The newest state record. It outlives the ring: every joiner begins with it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// `seq` of the record; 0: none is kept.
    pub seq: u64,
    /// The record, framed.
    pub bytes: Vec<u8>,
}

impl Kept {
    /// Replaces what is kept; the buffer is reused.
    pub fn set(&mut self, seq: u64, framed: &[u8]) {
        self.seq = seq;
        self.bytes.clear();
        self.bytes.extend_from_slice(framed);
    }
}

/// The newest group of data: what a joiner of a top of book or a ticker begins with.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    /// Its first record, while the ring holds it.
    pub at: Option<Position>,
    /// `seq` of its first record; 0: there was none.
    pub seq_first: u64,
    /// `seq` of its last record.
    pub seq_last: u64,
    /// Its one record, framed, once it left the ring; empty: it stood in a larger group, or was large.
    pub kept: Vec<u8>,
}

impl Newest {
    /// Whether its bytes are still known.
    pub fn is_known(&self) -> bool {
        self.at.is_some() || !self.kept.is_empty()
    }
}

/// Places of one record in so many.
const PLACES_STEP: u32 = 64;

/// Where the records of a topic lie in the ring: every so many, so that a `seq` is found without a long walk.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// `seq` and place, rising.
    known: VecDeque<(u64, Position)>,
    /// Records since the newest of them.
    since: u32,
}

impl Places {
    /// Notes a new record.
    pub fn note(&mut self, seq: u64, at: Position) {
        self.since += 1;
        if self.since >= PLACES_STEP {
            self.since = 0;
            self.known.push_back((seq, at));
        }
    }

    /// Forgets what lies at `at`, the oldest record.
    pub fn forget(&mut self, at: Position) {
        if self.known.front().is_some_and(|&(_, place)| place <= at) {
            self.known.pop_front();
        }
    }

    /// Returns the newest place from which `seq` + 1 is found by going on.
    pub fn before(&self, seq: u64) -> Option<Position> {
        let behind = self.known.partition_point(|&(known, _)| known <= seq);
        self.known.get(behind.checked_sub(1)?).map(|&(_, place)| place)
    }
}

/// Scratch of the check that a batch passes before it changes anything.
#[derive(Debug, Default)]
pub(crate) struct Check {
    /// Number of the batch that this scratch belongs to.
    pub batch: u64,
    /// Head after the entries checked so far.
    pub head: u64,
    /// Kind of the group that is open.
    pub group: Option<RecordKind>,
}

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub name: TopicName,
    /// `seq` of the newest topic record; 0: none.
    pub head: u64,
    /// Highest `seq` that the ring no longer holds; 0: none.
    pub seq_evicted: u64,
    /// Oldest record in the ring.
    pub first: Option<Position>,
    /// Newest record in the ring.
    pub last: Option<Position>,
    /// Where its records lie in the ring.
    pub places: Places,
    pub newest: Newest,
    /// States and gaps in the ring.
    pub notices: VecDeque<Position>,
    /// The newest state record.
    pub kept_state: Kept,
    /// Framed bytes published, snapshots for waiters (cuts) left out.
    pub bytes: u64,
    /// Live cursors without a pending record.
    pub caught: Vec<Caught>,
    /// Cursors without a pending record that only notices and bases concern; some may have gone on meanwhile.
    pub waiting: Vec<Caught>,
    /// Cursors in all.
    pub attached: u32,
    /// Cursors that wait for a cut which was not published yet.
    pub cuts_owed: u32,
    /// Whether the topic stands in the list of wanted cuts.
    pub is_cut_listed: bool,
    /// First part of the newest snapshot or cut published: it serves all who began to wait before it.
    pub cut_last: Option<Position>,
    /// Whether the newest record promised more of its group.
    pub is_group_open: bool,
    pub check: Check,
}

impl Topic {
    /// Files a cursor that has caught up.
    pub fn settle(&mut self, subscriber: u32, slot: u32, cursor: &mut Cursor) {
        match cursor.phase {
            Phase::Live => {
                cursor.rest = Rest::Not;
                self.caught.push(Caught { subscriber, cursor: slot, is_paced: cursor.is_paced() });
            }
            Phase::Waiting => self.list(subscriber, slot, cursor, Rest::Waits),
        }
    }

    /// Lists a cursor that only notices and bases concern.
    pub fn list(&mut self, subscriber: u32, slot: u32, cursor: &mut Cursor, rest: Rest) {
        cursor.rest = rest;
        if !std::mem::replace(&mut cursor.is_listed, true) {
            self.waiting.push(Caught { subscriber, cursor: slot, is_paced: cursor.is_paced() });
        }
    }

    /// Returns the oldest state or gap behind `at`.
    pub fn notice_behind(&self, at: Position) -> Option<Position> {
        self.notices.get(self.notices.partition_point(|&notice| notice <= at)).copied()
    }

    /// Returns the newest group of data if it begins behind `at`, else `at`.
    pub fn newest_from(&self, at: Position) -> Position {
        self.newest.at.map_or(at, |newest| newest.max(at))
    }

    fn new(name: TopicName) -> Self {
        Self {
            name,
            head: 0,
            seq_evicted: 0,
            first: None,
            last: None,
            places: Places::default(),
            newest: Newest::default(),
            notices: VecDeque::new(),
            kept_state: Kept::default(),
            bytes: 0,
            caught: Vec::new(),
            waiting: Vec::new(),
            attached: 0,
            cuts_owed: 0,
            is_cut_listed: false,
            cut_last: None,
            is_group_open: false,
            check: Check::default(),
        }
    }
}

/// All topics, by handle and by name.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_id: Vec<Topic>,
    by_name: BTreeMap<TopicName, TopicId>,
}

impl Topics {
    pub fn get(&self, id: TopicId) -> Option<&Topic> {
        self.by_id.get(id.0 as usize)
    }

    pub fn get_mut(&mut self, id: TopicId) -> Option<&mut Topic> {
        self.by_id.get_mut(id.0 as usize)
    }

    pub fn find(&self, key: &TopicKey<'_>) -> Option<TopicId> {
        self.by_name.get(&TopicName::from(key)).copied()
    }

    /// Returns the topic of that name, made if it is new.
    pub fn find_or_make(&mut self, key: &TopicKey<'_>) -> TopicId {
        let name = TopicName::from(key);
        if let Some(&id) = self.by_name.get(&name) {
            return id;
        }
        let id = TopicId(u32::try_from(self.by_id.len()).unwrap_or(u32::MAX));
        self.by_id.push(Topic::new(name.clone()));
        self.by_name.insert(name, id);
        id
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }
}

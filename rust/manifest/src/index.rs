//! Everything that is live, found by id and by time. About 150 bytes a snapshot.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;

use crate::hex::{Id, Key, decode, encode, key_in, key_of};
use crate::line::{Deed, Line, Put, lines};
use crate::shelf::Shelf;
use crate::timeline::{Place, Timeline};

/// Snapshots whose lines are kept: their files are read at every start.
const NEWEST: usize = 64;
/// Of those that went, so many are known.
const GONE_MAX: usize = 65_536;
/// Dead rows that are not worth a turn of their own.
const DEAD_MIN: usize = 1_024;

/// A snapshot that is live. Texts are as they are spelled in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// SHA-256 of the answer, 64 hex digits.
    pub id: String,
    /// Number of its record.
    pub seq: u64,
    /// What it is about.
    pub entity: &'a str,
    /// Type of the message.
    pub kind: &'a str,
    /// Wall time, ns UTC.
    pub ts: i64,
    /// Bytes of the answer.
    pub size: u64,
    /// Records in the answer.
    pub rows: u64,
    /// Whether it is a table.
    pub is_table: bool,
    /// Its labels.
    pub labels: &'a [String],
}

/// Which snapshots of an entity are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    /// First instant, ns UTC.
    pub from: i64,
    /// First instant behind, ns UTC.
    pub until: i64,
    /// The oldest so many.
    pub limit: usize,
    /// Only those behind this wall time and number.
    pub after: Option<(i64, u64)>,
}

#[derive(Debug, Clone)]
struct Row {
    id: Id,
    ts: i64,
    seq: u64,
    size: u64,
    rows: u64,
    entity: u32,
    kind: u32,
    is_table: bool,
}

/// Numbers for texts that repeat.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Names {
    fn number(&mut self, text: &[u8]) -> Option<u32> {
        let text = str::from_utf8(text).ok()?; // a line is plain ASCII
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let number = u32::try_from(self.texts.len()).ok()?;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        Some(number)
    }

    fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", String::as_str)
    }
}

/// The index. Only whole lines may be applied.
#[derive(Debug, Default)]
pub struct Index {
    slots: HashMap<Key, u32>,
    rows: Vec<Row>,
    /// Rows that are not live any more.
    dead: usize,
    entities: Names,
    kinds: Names,
    timelines: Vec<Timeline>,
    labels: HashMap<Key, Vec<String>>,
    references: HashMap<Key, Vec<Key>>,
    referenced: HashMap<Key, u32>,
    /// Of those whose files may still be there; `None`: nobody asks any more.
    dropped: Option<HashSet<Key>>,
    /// Those that went, ever, and the newest of them.
    gone: (u64, VecDeque<Row>),
    newest: VecDeque<Vec<u8>>,
    bytes_live: u64,
    seq_last: u64,
}

impl Index {
    /// Begins empty, and remembers what is dropped until [`Index::settle`].
    #[must_use]
    pub fn new() -> Self {
        Self { dropped: Some(HashSet::new()), ..Self::default() }
    }

    /// Takes in lines of the manifest that are whole; one that was seen before changes nothing.
    pub fn apply(&mut self, content: &[u8]) {
        for text in lines(content) {
            match Line::read(text).map(|line| (line.seq, line.deed)) {
                Some((seq, Deed::Put(put))) => self.put(seq, &put, text),
                Some((_, Deed::Drop { id })) => self.drop(key_in(&id)),
                Some((_, Deed::Label { id, labels })) => self.label(key_in(&id), &labels),
                Some((_, Deed::Cut { first, .. })) => self.cut(first),
                None => {}
            }
        }
    }

    /// Forgets what was dropped, since nothing of that is left on the disk.
    pub fn settle(&mut self) {
        self.dropped = None;
    }

    /// Snapshots that are live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of all answers that are live.
    #[must_use]
    pub const fn bytes_live(&self) -> u64 {
        self.bytes_live
    }

    /// Number of the newest record of a snapshot, live or not; 0: there is none.
    #[must_use]
    pub const fn seq_last(&self) -> u64 {
        self.seq_last
    }

    /// Lines of the newest 64 snapshots, oldest first.
    pub fn newest(&self) -> impl Iterator<Item = &[u8]> {
        self.newest.iter().map(Vec::as_slice)
    }

    /// All entities that were ever named, and whether they have a live snapshot.
    pub fn entities(&self) -> impl Iterator<Item = (&str, bool)> {
        self.entities.texts.iter().zip(&self.timelines).map(|(text, line)| (text.as_str(), !line.is_empty()))
    }

    /// Whether a snapshot of this key is live.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.slots.contains_key(key)
    }

    /// Whether a snapshot of this key was dropped since the manifest begins.
    #[must_use]
    pub fn is_dropped(&self, key: &Key) -> bool {
        self.dropped.as_ref().is_some_and(|dropped| dropped.contains(key))
    }

    /// Finds the snapshot of an id, or of its first digits; `None`: there is none, or several.
    #[must_use]
    pub fn find(&self, digits: &str) -> Option<Found<'_>> {
        if let Some(key) = key_of(digits) {
            let found = self.found(*self.slots.get(&key)?)?;
            return found.id.starts_with(digits).then_some(found);
        }
        let even = digits.get(..digits.len() / 2 * 2)?;
        let head = (0..even.len()).step_by(2).map(|at| decode::<1>(even.as_bytes().get(at..at + 2)?));
        let head: Vec<u8> = head.map(|byte| byte.map(|[byte]| byte)).collect::<Option<_>>()?;
        let mut matching = self.slots.iter().filter(|(key, _)| key.starts_with(&head));
        let mut matching = matching.by_ref().filter(|(key, _)| encode(*key).starts_with(digits));
        let (_, slot) = matching.next()?;
        matching.next().is_none().then(|| self.found(*slot))?
    }

    /// Returns the newest snapshot of an entity at a time, ns UTC.
    #[must_use]
    pub fn at(&self, entity: &str, ts: i64) -> Option<Found<'_>> {
        let line = self.timeline(entity)?;
        let count = line.count(|(other, _)| other <= ts, |slot| self.place(slot));
        self.found(line.get(count.checked_sub(1)?)?)
    }

    /// Yields an entity's snapshots of an interval, by time and then by number.
    pub fn between(&self, entity: &str, wanted: Interval) -> impl Iterator<Item = Found<'_>> {
        let line = self.timeline(entity);
        let count = |is_before: &dyn Fn(Place) -> bool| {
            line.map_or(0, |line| line.count(is_before, |slot| self.place(slot)))
        };
        let behind = wanted.after.map_or(0, |after| count(&|place| place <= after));
        let first = count(&|(ts, _)| ts < wanted.from).max(behind);
        let end = count(&|(ts, _)| ts < wanted.until).min(first.saturating_add(wanted.limit));
        (first..end).filter_map(move |at| self.found(line?.get(at)?))
    }

    /// Yields live snapshots whose number is greater, in the order of their records.
    pub fn since(&self, seq: u64) -> impl Iterator<Item = Found<'_>> {
        let rows = self.rows.iter().zip(0_u32..).skip(self.rows.partition_point(|row| row.seq <= seq));
        rows.filter(|(row, slot)| self.slots.get(&key_in(&row.id)) == Some(slot))
            .map(|(row, _)| self.found_row(row))
    }

    /// Snapshots that went, ever.
    #[must_use]
    pub const fn gone(&self) -> u64 {
        self.gone.0
    }

    /// Yields snapshots that went after so many had, in that order; `None`: not all of them are known.
    #[must_use]
    pub fn gone_since(&self, count: u64) -> Option<impl Iterator<Item = Found<'_>>> {
        let (all, newest) = &self.gone;
        let first = newest.len().checked_sub(usize::try_from(all.saturating_sub(count)).ok()?)?;
        Some(newest.range(first..).map(|row| self.found_row(row)))
    }

    /// Returns the ids of all snapshots up to a wall time, ns UTC, in the order of their records.
    #[must_use]
    pub fn ids(&self, ts: i64) -> Vec<[u8; 32]> {
        let old = self.slots.values().filter_map(|slot| self.row(*slot)).filter(|row| row.ts <= ts);
        let mut old: Vec<_> = old.map(|row| (row.seq, row.id)).collect();
        old.sort_unstable();
        old.into_iter().map(|(_, id)| id).collect()
    }

    /// Returns the number of the oldest record that is live; 0: none is.
    #[must_use]
    pub fn seq_first(&self) -> u64 {
        self.slots.values().filter_map(|slot| self.row(*slot)).map(|row| row.seq).min().unwrap_or_default()
    }

    /// Whether retention must leave a snapshot: by a keep label, or since a live one was made from it.
    #[must_use]
    pub fn is_held(&self, key: &Key) -> bool {
        let is_keep = |label: &String| label == "keep" || label.starts_with("keep:");
        self.referenced.contains_key(key)
            || self.labels.get(key).is_some_and(|labels| labels.iter().any(is_keep))
    }

    /// Returns who tells which files belong to the live snapshots of an entity.
    #[must_use]
    pub fn shelf(&self, entity: &str) -> Shelf {
        let slots = self.timeline(entity).into_iter().flat_map(Timeline::slots);
        slots.filter_map(|slot| self.row(slot)).map(|row| (key_in(&row.id), row.ts)).collect()
    }

    fn put(&mut self, seq: u64, put: &Put<'_>, text: &[u8]) {
        let key = key_in(&put.id);
        if self.slots.contains_key(&key) {
            return;
        }
        let (Some(entity), Some(kind)) = (self.entities.number(put.entity), self.kinds.number(put.kind))
        else {
            return;
        };
        let &Put { id, ts, size, rows, is_table, .. } = put;
        let Ok(slot) = u32::try_from(self.rows.len()) else { return };
        self.rows.push(Row { id, ts, seq, size, rows, entity, kind, is_table });
        self.slots.insert(key, slot);
        self.timelines.resize_with(self.entities.texts.len(), Timeline::default);
        self.with_timeline(slot, |line, index| line.add(slot, |slot| index.place(slot)));
        self.bytes_live = self.bytes_live.saturating_add(size);
        self.seq_last = seq;
        if let Some(dropped) = &mut self.dropped {
            dropped.remove(&key);
        }
        self.label(key, &put.labels);
        for other in put.references.iter().map(key_in) {
            *self.referenced.entry(other).or_default() += 1;
            self.references.entry(key).or_default().push(other);
        }
        self.remember(text);
    }

    fn remember(&mut self, text: &[u8]) {
        let mut line =
            if self.newest.len() < NEWEST { Vec::new() } else { self.newest.pop_front().unwrap_or_default() };
        text.clone_into(&mut line);
        self.newest.push_back(line);
    }

    fn drop(&mut self, key: Key) {
        let Some(slot) = self.slots.remove(&key) else { return };
        self.with_timeline(slot, |line, index| line.remove(slot, |slot| index.place(slot)));
        if let Some(row) = self.rows.get(slot as usize) {
            self.bytes_live = self.bytes_live.saturating_sub(row.size);
            let (count, newest) = &mut self.gone;
            *count += 1;
            newest.push_back(row.clone());
            newest.drain(..newest.len().saturating_sub(GONE_MAX));
        }
        if let Some(dropped) = &mut self.dropped {
            dropped.insert(key);
        }
        self.labels.remove(&key);
        for other in self.references.remove(&key).unwrap_or_default() {
            if let Some(count) = self.referenced.get_mut(&other) {
                *count -= 1;
                if *count == 0 {
                    self.referenced.remove(&other);
                }
            }
        }
        self.dead += 1;
        if self.dead > DEAD_MIN.max(self.slots.len()) {
            self.compact();
        }
    }

    /// Gives back the rows of what is not live, so that a store that runs for months does not grow.
    fn compact(&mut self) {
        let mut places = vec![0_u32; self.rows.len()];
        let mut next = 0_u32;
        let Self { rows, slots, timelines, .. } = self;
        let mut place = places.iter_mut().zip(0_u32..);
        rows.retain(|row| {
            let is_live = place.next().is_some_and(|(place, slot)| {
                *place = next;
                slots.get(&key_in(&row.id)) == Some(&slot)
            });
            next += u32::from(is_live);
            is_live
        });
        let moved = |slot: &mut u32| *slot = places.get(*slot as usize).copied().unwrap_or_default();
        slots.values_mut().for_each(moved);
        timelines.iter_mut().flat_map(Timeline::slots_mut).for_each(moved);
        self.dead = 0;
    }

    /// Lets go of what is before a cut: a power loss may have left records without their ends.
    fn cut(&mut self, first: u64) {
        let rows = self.slots.iter().filter_map(|(key, slot)| Some((*key, self.row(*slot)?.seq)));
        let gone: Vec<Key> = rows.filter(|(_, seq)| *seq < first).map(|(key, _)| key).collect();
        for key in gone {
            self.drop(key);
        }
    }

    fn label(&mut self, key: Key, labels: &[&[u8]]) {
        if labels.is_empty() {
            self.labels.remove(&key);
        } else if self.slots.contains_key(&key) {
            let labels = labels.iter().map(|label| String::from_utf8_lossy(label).into_owned());
            self.labels.insert(key, labels.collect());
        }
    }

    /// Changes the timeline of a slot's entity.
    fn with_timeline(&mut self, slot: u32, change: impl FnOnce(&mut Timeline, &Self)) {
        let entity = self.row(slot).map_or(usize::MAX, |row| row.entity as usize);
        let Some(mut line) = self.timelines.get_mut(entity).map(mem::take) else { return };
        change(&mut line, self);
        if let Some(place) = self.timelines.get_mut(entity) {
            *place = line;
        }
    }

    fn timeline(&self, entity: &str) -> Option<&Timeline> {
        self.timelines.get(*self.entities.numbers.get(entity)? as usize)
    }

    fn row(&self, slot: u32) -> Option<&Row> {
        self.rows.get(slot as usize)
    }

    fn place(&self, slot: u32) -> Place {
        self.row(slot).map_or((0, 0), |row| (row.ts, row.seq))
    }

    fn found(&self, slot: u32) -> Option<Found<'_>> {
        self.row(slot).map(|row| self.found_row(row))
    }

    fn found_row(&self, row: &Row) -> Found<'_> {
        Found {
            id: encode(&row.id),
            seq: row.seq,
            entity: self.entities.text(row.entity),
            kind: self.kinds.text(row.kind),
            ts: row.ts,
            size: row.size,
            rows: row.rows,
            is_table: row.is_table,
            labels: self.labels.get(&key_in(&row.id)).map_or(&[], Vec::as_slice),
        }
    }
}

//! The machine: entries by key, in the order of their use, each with its time. Keys are hashed and compared by the
//! caller, who may hold them in another language. What leaves is handed out, so that the caller drops it when no lock
//! is held.

use hashbrown::HashTable;

use crate::class::{Class, ClassId, ClassStats, Classes, UnknownClass};
use crate::order::{LOOSE, Link, Links, NONE, Order};
use crate::terms::{Bounds, Clock, Terms};

/// Slots that each insertion looks at for entries whose time is over.
const SLOTS_SWEPT_PER_INSERT: usize = 2;

/// Entries for which the table has room from the start, so that none of the usual sizes ever grows it.
const ENTRIES_RESERVED_MAX: usize = 1 << 20;

/// Where an entry lies, and which one: another entry in the same slot does not answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    pub(crate) slot: u32,
    pub(crate) number: u32,
}

/// An entry that left.
pub type Removed<K, V> = (K, V);

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a, K, V> {
    /// It is as good as new.
    Fresh(Handle, &'a mut V),
    /// It is past its time and may still be served if that is said.
    Stale(Handle, &'a mut V),
    /// It was there and its time is over: here it is, to be dropped.
    Gone(Removed<K, V>),
    /// It is not there.
    Missing,
}

/// One cache line, with a key and a value of a pointer each.
#[derive(Debug)]
#[repr(align(64))]
struct Entry<K, V> {
    link: Link,
    hash: u64,
    stale_at_ns: u64,
    gone_at_ns: u64,
    bytes: usize,
    number: u32,
    class: ClassId,
    key: K,
    value: V,
}

impl<K, V> Links for Vec<Option<Entry<K, V>>> {
    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        self.get_mut(slot as usize)?.as_mut().map(|entry| &mut entry.link)
    }
}

/// A bounded cache, exact in its order.
#[derive(Debug)]
pub struct Store<K, V> {
    bounds: Bounds,
    table: HashTable<u32>,
    slots: Vec<Option<Entry<K, V>>>,
    free: Vec<u32>,
    order: Order,
    classes: Classes,
    bytes: usize,
    number_next: u32,
    /// The slot that is looked at next for an entry whose time is over.
    hand: usize,
}

impl<K, V> Store<K, V> {
    /// Makes an empty cache.
    #[must_use]
    pub fn new(bounds: Bounds, classes: impl IntoIterator<Item = Class>) -> Self {
        let entries_max = bounds.entries_max.clamp(1, NONE as usize - 1);
        Self {
            bounds: Bounds { entries_max, ..bounds },
            table: HashTable::with_capacity(entries_max.min(ENTRIES_RESERVED_MAX) + 1),
            slots: Vec::new(),
            free: Vec::new(),
            order: Order::default(),
            classes: Classes::new(classes),
            bytes: 0,
            number_next: 0,
            hand: 0,
        }
    }

    /// Returns how many entries there are, those included whose time is over and that nobody met yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns what the entries take, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Looks an entry up and makes it the newest. Counts a hit, or nothing: see [`Store::count_miss`].
    pub fn get(&mut self, hash: u64, is_key: impl Fn(&K) -> bool, clock: &impl Clock) -> Lookup<'_, K, V> {
        match self.find(hash, is_key) {
            Some(slot) => self.use_slot(slot, clock),
            None => Lookup::Missing,
        }
    }

    /// Looks an entry up by its handle, otherwise as [`Store::get`].
    pub fn get_at(&mut self, handle: Handle, clock: &impl Clock) -> Lookup<'_, K, V> {
        if self.entry(handle.slot).is_some_and(|entry| entry.number == handle.number) {
            self.use_slot(handle.slot, clock)
        } else {
            Lookup::Missing
        }
    }

    /// Looks an entry up and changes nothing; returns its value and whether it is stale.
    pub fn peek(&self, hash: u64, is_key: impl Fn(&K) -> bool, clock: &impl Clock) -> Option<(&V, bool)> {
        let entry = self.entry(self.find(hash, is_key)?)?;
        let now_ns = clock.mono_ns();
        (now_ns < entry.gone_at_ns).then_some((&entry.value, now_ns >= entry.stale_at_ns))
    }

    /// Returns an entry's value whatever its time, and counts nothing.
    pub fn value_mut(&mut self, handle: Handle) -> Option<&mut V> {
        let entry = self.entry_mut(handle.slot)?;
        (entry.number == handle.number).then_some(&mut entry.value)
    }

    /// Returns the handle of a key.
    pub fn handle(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<Handle> {
        let slot = self.find(hash, is_key)?;
        self.entry(slot).map(|entry| Handle { slot, number: entry.number })
    }

    /// Puts an entry in as the newest, in place of one with the same key, whose handle it takes over.
    ///
    /// Whatever has to leave is pushed to `removed`: the value replaced, entries past their time, the oldest ones. An
    /// entry that is larger than the whole cache is not kept (`None`), and what had its key leaves too.
    pub fn insert(
        &mut self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        (key, value): (K, V),
        terms: Terms,
        now_ns: u64,
        removed: &mut Vec<Removed<K, V>>,
    ) -> Option<Handle> {
        let before = self.find(hash, is_key);
        if self.bounds.bytes_max > 0 && terms.bytes > self.bounds.bytes_max {
            removed.extend(before.and_then(|slot| self.take(slot)));
            removed.push((key, value));
            return None;
        }
        let number = match before.and_then(|slot| self.entry(slot)) {
            Some(entry) => entry.number,
            None => self.next_number(),
        };
        let stale_at_ns = now_ns.saturating_add(terms.ttl_ns);
        let gone_at_ns = stale_at_ns.saturating_add(terms.stale_ns);
        let entry = Entry {
            link: LOOSE,
            hash,
            stale_at_ns,
            gone_at_ns,
            bytes: terms.bytes,
            number,
            class: terms.class,
            key,
            value,
        };
        self.count_in(terms.class, terms.bytes);
        let slot = match before {
            Some(slot) => {
                removed.extend(self.replace(slot, entry));
                slot
            }
            None => self.place(entry),
        };
        self.sweep(SLOTS_SWEPT_PER_INSERT, now_ns, removed);
        self.evict(removed);
        Some(Handle { slot, number })
    }

    /// Takes an entry out.
    pub fn remove(&mut self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<Removed<K, V>> {
        let slot = self.find(hash, is_key)?;
        self.take(slot)
    }

    /// Takes everything out. The statistics go on.
    pub fn clear(&mut self, removed: &mut Vec<Removed<K, V>>) {
        while let Some(entry) = self.take(self.order.oldest()) {
            removed.push(entry);
        }
    }

    /// Looks at the next `slots` slots and takes out what is past its time.
    pub fn sweep(&mut self, slots: usize, now_ns: u64, removed: &mut Vec<Removed<K, V>>) {
        for _ in 0..slots.min(self.slots.len()) {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let is_over = |entry: &Entry<K, V>| now_ns >= entry.gone_at_ns;
            if let Ok(slot) = u32::try_from(self.hand)
                && self.entry(slot).is_some_and(is_over)
            {
                removed.extend(self.expire(slot));
            }
            self.hand += 1;
        }
    }

    /// Says anew what an entry takes of the bound; the oldest ones leave if there is no room, itself at last.
    pub fn resize(&mut self, handle: Handle, bytes: usize, removed: &mut Vec<Removed<K, V>>) {
        let Some(entry) = self.entry_mut(handle.slot).filter(|entry| entry.number == handle.number) else {
            return;
        };
        let before = std::mem::replace(&mut entry.bytes, bytes);
        let class = entry.class;
        self.count_in(class, bytes);
        self.count_out(class, before);
        self.evict(removed);
    }

    /// Returns the keys, the least recently used first, whatever their time.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries().map(|entry| &entry.key)
    }

    /// Returns the values, the least recently used first, whatever their time.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries().map(|entry| &entry.value)
    }

    /// Counts a look-up that found nothing of use.
    pub fn count_miss(&mut self, class: ClassId) {
        self.classes.stats(class).misses += 1;
    }

    /// Returns the class of this name.
    ///
    /// # Errors
    /// [`UnknownClass`]: there is none.
    pub fn class(&self, name: &str) -> Result<ClassId, UnknownClass> {
        self.classes.find(name)
    }

    /// Adds a class.
    ///
    /// # Errors
    /// [`UnknownClass`]: there are 65,536 already.
    pub fn add_class(&mut self, class: Class) -> Result<ClassId, UnknownClass> {
        self.classes.add(class)
    }

    /// Returns the name of a class.
    #[must_use]
    pub fn class_name(&self, id: ClassId) -> &str {
        self.classes.name(id)
    }

    /// Returns the classes with their figures.
    pub fn stats(&self) -> impl Iterator<Item = (&Class, &ClassStats)> {
        self.classes.iter()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry<K, V>> {
        let first = Some(self.order.oldest());
        std::iter::successors(first, |&slot| self.entry(slot).map(|entry| entry.link.newer()))
            .map_while(|slot| self.entry(slot))
    }

    fn find(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<u32> {
        self.table
            .find(hash, |&slot| {
                self.entry(slot).is_some_and(|entry| entry.hash == hash && is_key(&entry.key))
            })
            .copied()
    }

    fn entry(&self, slot: u32) -> Option<&Entry<K, V>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry<K, V>> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn use_slot(&mut self, slot: u32, clock: &impl Clock) -> Lookup<'_, K, V> {
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return Lookup::Missing;
        };
        let is_fresh = clock.mono_ns_at_most() < entry.stale_at_ns || clock.mono_ns() < entry.stale_at_ns;
        if !is_fresh && clock.mono_ns() >= entry.gone_at_ns {
            return self.expire(slot).map_or(Lookup::Missing, Lookup::Gone);
        }
        self.order.touch(&mut self.slots, slot);
        // Borrowed anew: the compiler does not see that the early return above ends the first borrow.
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return Lookup::Missing;
        };
        let handle = Handle { slot, number: entry.number };
        let stats = self.classes.stats(entry.class);
        if is_fresh {
            stats.hits += 1;
            Lookup::Fresh(handle, &mut entry.value)
        } else {
            stats.stale_hits += 1;
            Lookup::Stale(handle, &mut entry.value)
        }
    }

    fn next_number(&mut self) -> u32 {
        self.number_next = self.number_next.wrapping_add(1);
        self.number_next
    }

    fn place(&mut self, entry: Entry<K, V>) -> u32 {
        let hash = entry.hash;
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = Some(entry);
            }
            slot
        } else {
            self.slots.push(Some(entry));
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        };
        let slots = &self.slots;
        let hash_of =
            |&slot: &u32| slots.get(slot as usize).and_then(Option::as_ref).map_or(0, |entry| entry.hash);
        self.table.insert_unique(hash, slot, hash_of);
        self.order.push(&mut self.slots, slot);
        slot
    }

    fn replace(&mut self, slot: u32, entry: Entry<K, V>) -> Option<Removed<K, V>> {
        let link = self.entry(slot)?.link;
        let before = self.slots.get_mut(slot as usize)?.replace(Entry { link, ..entry })?;
        self.count_out(before.class, before.bytes);
        self.order.touch(&mut self.slots, slot);
        Some((before.key, before.value))
    }

    fn take(&mut self, slot: u32) -> Option<Removed<K, V>> {
        self.order.remove(&mut self.slots, slot);
        let entry = self.slots.get_mut(slot as usize)?.take()?;
        if let Ok(found) = self.table.find_entry(entry.hash, |&other| other == slot) {
            found.remove();
        }
        self.free.push(slot);
        self.count_out(entry.class, entry.bytes);
        Some((entry.key, entry.value))
    }

    fn expire(&mut self, slot: u32) -> Option<Removed<K, V>> {
        let class = self.entry(slot)?.class;
        self.classes.stats(class).expirations += 1;
        self.take(slot)
    }

    fn evict(&mut self, removed: &mut Vec<Removed<K, V>>) {
        while self.table.len() > self.bounds.entries_max
            || (self.bounds.bytes_max > 0 && self.bytes > self.bounds.bytes_max)
        {
            let oldest = self.order.oldest();
            let Some(class) = self.entry(oldest).map(|entry| entry.class) else { break };
            self.classes.stats(class).evictions += 1;
            removed.extend(self.take(oldest));
        }
    }

    fn count_in(&mut self, class: ClassId, bytes: usize) {
        self.bytes += bytes;
        let stats = self.classes.stats(class);
        stats.entries += 1;
        stats.entries_bytes += bytes as u64;
    }

    fn count_out(&mut self, class: ClassId, bytes: usize) {
        self.bytes -= bytes;
        let stats = self.classes.stats(class);
        stats.entries -= 1;
        stats.entries_bytes -= bytes as u64;
    }
}

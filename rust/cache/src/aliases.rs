//! Exact requests that lead to an answer. The aliases of one answer form a chain, so that they can leave with it.

use hashbrown::HashTable;

use crate::order::NONE;
use crate::store::Handle;

/// Aliases of one answer: a client that varies its bytes fills no more than these.
pub const ALIASES_MAX: usize = 16;

/// Size of a request that becomes an alias, bytes.
pub const ALIAS_REQUEST_BYTES_MAX: usize = 1_024;

/// What an alias takes beside its request, bytes.
const OVERHEAD_BYTES: usize = 80;

#[derive(Debug)]
struct Alias {
    hash: u64,
    method: u16,
    request: Box<[u8]>,
    handle: Handle,
    next: u32,
}

impl Alias {
    fn bytes(&self) -> usize {
        self.request.len() + OVERHEAD_BYTES
    }
}

/// All aliases of a cache.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    table: HashTable<u32>,
    slots: Vec<Option<Alias>>,
    free: Vec<u32>,
}

impl Aliases {
    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns the place of an alias and where it leads.
    pub(crate) fn find(&self, hash: u64, method: u16, request: &[u8]) -> Option<(u32, Handle)> {
        let is_it = |&slot: &u32| {
            self.alias(slot).is_some_and(|alias| alias.method == method && *alias.request == *request)
        };
        let slot = *self.table.find(hash, is_it)?;
        self.alias(slot).map(|alias| (slot, alias.handle))
    }

    /// Adds an alias that is not there yet before the chain `first` of its answer. Returns the new start of the chain
    /// and the bytes it takes; `None`: the chain is full.
    pub(crate) fn add(
        &mut self,
        (hash, method, request): (u64, u16, &[u8]),
        handle: Handle,
        first: u32,
    ) -> Option<(u32, usize)> {
        if self.chain(first).count() >= ALIASES_MAX {
            return None;
        }
        let alias = Some(Alias { hash, method, request: request.into(), handle, next: first });
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => u32::try_from(self.slots.len()).ok()?,
        };
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = alias,
            None => self.slots.push(alias),
        }
        let slots = &self.slots;
        let hash_of =
            |&slot: &u32| slots.get(slot as usize).and_then(Option::as_ref).map_or(0, |alias| alias.hash);
        self.table.insert_unique(hash, slot, hash_of);
        Some((slot, request.len() + OVERHEAD_BYTES))
    }

    /// Returns what the chain `first` takes, bytes.
    pub(crate) fn bytes(&self, first: u32) -> usize {
        self.chain(first).filter_map(|slot| self.alias(slot)).map(Alias::bytes).sum()
    }

    /// Takes one alias out of the chain `first`. Returns the new start of the chain and the bytes it took.
    pub(crate) fn remove(&mut self, slot: u32, first: u32) -> (u32, usize) {
        let before =
            self.chain(first).find(|&other| self.alias(other).is_some_and(|alias| alias.next == slot));
        let (next, bytes) = self.drop_one(slot);
        if slot == first {
            return (next, bytes);
        }
        if let Some(alias) = before.and_then(|before| self.slots.get_mut(before as usize)?.as_mut()) {
            alias.next = next;
        }
        (first, bytes)
    }

    /// Takes a whole chain out.
    pub(crate) fn remove_all(&mut self, first: u32) {
        let mut slot = first;
        while slot != NONE {
            (slot, _) = self.drop_one(slot);
        }
    }

    fn alias(&self, slot: u32) -> Option<&Alias> {
        self.slots.get(slot as usize)?.as_ref()
    }

    fn chain(&self, first: u32) -> impl Iterator<Item = u32> {
        std::iter::successors((first != NONE).then_some(first), |&slot| {
            self.alias(slot).map(|alias| alias.next).filter(|&next| next != NONE)
        })
    }

    /// Returns what came behind it, and the bytes it took.
    fn drop_one(&mut self, slot: u32) -> (u32, usize) {
        let Some(alias) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
            return (NONE, 0);
        };
        if let Ok(found) = self.table.find_entry(alias.hash, |&other| other == slot) {
            found.remove();
        }
        self.free.push(slot);
        (alias.next, alias.bytes())
    }
}

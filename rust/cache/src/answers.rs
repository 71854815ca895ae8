//! Encoded answers, shared by the handlers that make them and the server that repeats them: found by their canonical
//! key, or by the exact request that led to them before. One lock, held for a look-up only.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::aliases::{ALIAS_REQUEST_BYTES_MAX, Aliases};
use crate::class::{Class, ClassId, ClassStats, UnknownClass};
use crate::held::{Body, Found, Held, NewAnswer, Refresh};
use crate::order::NONE;
use crate::owners::{OwnerId, OwnerStats, Owners};
use crate::store::{Handle, Lookup, Removed, Store};
use crate::terms::{Bounds, Clock, Terms};

/// What an answer takes beside its key and its message, bytes: entry, links, table, its own fields.
const OVERHEAD_BYTES: usize = 288;

/// Hits after which an answer is hot: it is made anew before its time is over.
const HOT_HITS_MIN: u32 = 3;

/// In the last `1 / HOT_TTL_SHARE` of its time a hot answer is made anew.
const HOT_TTL_SHARE: u64 = 5;

/// Methods whose requests can be aliases.
const METHODS_MAX: usize = 64;

#[derive(Debug)]
struct Answer {
    body: Arc<Body>,
    hits: u32,
    is_refreshing: bool,
    owner: Option<OwnerId>,
    alias_first: u32,
    /// What it takes with its aliases.
    bytes: usize,
}

type Key = Box<str>;

struct Inner {
    store: Store<Key, Answer>,
    aliases: Aliases,
    methods: Vec<Box<str>>,
    owners: Owners,
}

/// A cache of encoded answers.
pub struct AnswerCache {
    inner: Mutex<Inner>,
    clock: Arc<dyn Clock + Send + Sync>,
    hasher: RandomState,
}

impl fmt::Debug for AnswerCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AnswerCache").field("entries", &self.len()).finish_non_exhaustive()
    }
}

impl AnswerCache {
    /// Makes an empty cache.
    #[must_use]
    pub fn new(
        bounds: Bounds,
        classes: impl IntoIterator<Item = Class>,
        clock: Arc<dyn Clock + Send + Sync>,
    ) -> Self {
        let inner = Inner {
            store: Store::new(bounds, classes),
            aliases: Aliases::default(),
            methods: Vec::new(),
            owners: Owners::default(),
        };
        Self { inner: Mutex::new(inner), clock, hasher: RandomState::new() }
    }

    /// Puts an answer in, in place of the one with the same key, whose aliases lead to it from now on. Returns its
    /// snapshot id, which is computed before the lock is taken.
    ///
    /// # Errors
    /// [`UnknownClass`]: the class is none of the cache's.
    pub fn put(&self, new: NewAnswer<'_>) -> Result<String, UnknownClass> {
        let class = self.lock().store.class(new.class)?;
        let snapshot_id = hex(&Sha256::digest(new.message));
        let now_ns = self.clock.mono_ns();
        let body = Arc::new(Body {
            message: new.message.into(),
            snapshot_id: snapshot_id.clone(),
            ts_cached: new.ts_cached,
            ttl_ns: new.ttl_ns,
            put_at_ns: now_ns,
            age_ns: new.age_ns,
            class,
        });
        let bytes = new.key.len() + new.message.len() + OVERHEAD_BYTES;
        let terms = Terms { class, ttl_ns: new.ttl_ns, stale_ns: new.stale_ns, bytes };
        let mut removed = Vec::new();
        let mut inner = self.lock();
        let owner = inner.owners.fill(new.owner);
        inner.put((self.hash_key(new.key), new.key), (body, owner), terms, now_ns, &mut removed);
        drop(inner);
        Ok(snapshot_id)
    }

    /// Returns the answer of a key. A miss is counted in `class`, if that is one of the cache's.
    pub fn get(&self, key: &str, class: &str) -> Option<Held> {
        let hash = self.hash_key(key);
        let mut inner = self.lock();
        let lookup = inner.store.get(hash, |other| **other == *key, &self.now());
        let (held, owner, removed) = match lookup {
            Lookup::Fresh(_, answer) => (Some(self.held(answer, false)), answer.owner, None),
            Lookup::Stale(_, answer) => (Some(self.held(answer, true)), answer.owner, None),
            Lookup::Gone(removed) => (None, None, Some(removed)),
            Lookup::Missing => (None, None, None),
        };
        inner.owners.hit(owner);
        inner.forget(removed.as_slice());
        if held.is_none()
            && let Ok(class) = inner.store.class(class)
        {
            inner.store.count_miss(class);
        }
        drop(inner);
        held
    }

    /// Returns the answer of a key, and neither counts nor moves it.
    pub fn peek(&self, key: &str) -> Option<Held> {
        let inner = self.lock();
        let found = inner.store.peek(self.hash_key(key), |other| **other == *key, &self.now());
        found.map(|(answer, is_stale)| self.held(answer, is_stale))
    }

    /// Returns what an exact request led to before. A miss is not counted: whoever answers the request counts it.
    pub fn find(&self, method: &str, request: &[u8]) -> Option<Found> {
        if request.len() > ALIAS_REQUEST_BYTES_MAX {
            return None;
        }
        let mut inner = self.lock();
        let method = inner.method(method)?;
        let (_, handle) = inner.aliases.find(self.hash_request(method, request), method, request)?;
        let (answer, handle, is_stale) = match inner.store.get_at(handle, &self.now()) {
            Lookup::Fresh(handle, answer) => (answer, handle, false),
            Lookup::Stale(handle, answer) => (answer, handle, true),
            Lookup::Gone(removed) => {
                inner.forget(&[removed]);
                return None;
            }
            Lookup::Missing => return None,
        };
        answer.hits = answer.hits.saturating_add(1);
        let held = self.held(answer, is_stale);
        let is_due = is_stale || (answer.hits >= HOT_HITS_MIN && is_nearly_over(&held, self.clock.mono_ns()));
        let is_mine = is_due && !std::mem::replace(&mut answer.is_refreshing, true);
        let owner = answer.owner;
        inner.owners.hit(owner);
        drop(inner);
        Some(Found { held, refresh: is_mine.then_some(Refresh(handle)) })
    }

    /// Ends the duty to make an answer anew, however that went.
    pub fn refreshed(&self, refresh: &Refresh) {
        if let Some(answer) = self.lock().store.value_mut(refresh.0) {
            answer.is_refreshing = false;
        }
    }

    /// Lets an exact request lead to the answer of `key`. Returns whether it does: the key is there, the request not too
    /// long, and the answer has few aliases.
    pub fn alias(&self, method: &str, request: &[u8], key: &str) -> bool {
        if request.len() > ALIAS_REQUEST_BYTES_MAX {
            return false;
        }
        let hash = self.hash_key(key);
        let mut removed = Vec::new();
        let mut inner = self.lock();
        let Some(handle) = inner.store.handle(hash, |other| **other == *key) else { return false };
        let Some(method) = inner.method_or_new(method) else { return false };
        let hash = self.hash_request(method, request);
        inner.alias((hash, method, request), handle, &mut removed)
    }

    /// Takes an answer out. Returns whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        let mut inner = self.lock();
        let removed = inner.store.remove(self.hash_key(key), |other| **other == *key);
        inner.forget(removed.as_slice());
        drop(inner);
        removed.is_some()
    }

    /// Takes everything out.
    pub fn clear(&self) {
        let mut removed = Vec::new();
        let mut inner = self.lock();
        inner.store.clear(&mut removed);
        inner.forget(&removed);
    }

    /// Looks at the next `slots` places and takes out what is past its time.
    pub fn sweep(&self, slots: usize) {
        let mut removed = Vec::new();
        let mut inner = self.lock();
        inner.store.sweep(slots, self.clock.mono_ns(), &mut removed);
        inner.forget(&removed);
    }

    /// Returns how many answers there are.
    pub fn len(&self) -> usize {
        self.lock().store.len()
    }

    /// Returns whether there is no answer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many aliases there are.
    pub fn aliases(&self) -> usize {
        self.lock().aliases.len()
    }

    /// Returns the classes with their figures.
    pub fn stats(&self) -> Vec<(Class, ClassStats)> {
        self.lock().store.stats().map(|(class, stats)| (class.clone(), *stats)).collect()
    }

    /// Returns what was counted by owner, in the order in which they came.
    pub fn owners(&self) -> Vec<OwnerStats> {
        self.lock().owners.stats()
    }

    /// Returns the name of a class.
    pub fn class_name(&self, class: ClassId) -> String {
        self.lock().store.class_name(class).to_owned()
    }

    /// Locks even if a holder panicked: what it left is a cache, at worst with an entry too few.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now<'_> {
        Now(&*self.clock)
    }

    fn held(&self, answer: &Answer, is_stale: bool) -> Held {
        let body = Arc::clone(&answer.body);
        let since_ns = self.clock.mono_ns().saturating_sub(body.put_at_ns);
        Held { age_ns: body.age_ns.saturating_add(since_ns), is_stale, body }
    }

    fn hash_key(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    fn hash_request(&self, method: u16, request: &[u8]) -> u64 {
        self.hasher.hash_one((method, request))
    }
}

impl Inner {
    fn put(
        &mut self,
        (hash, key): (u64, &str),
        (body, owner): (Arc<Body>, Option<OwnerId>),
        terms: Terms,
        now_ns: u64,
        removed: &mut Vec<Removed<Key, Answer>>,
    ) {
        let is_key = |other: &Key| **other == *key;
        let mut answer =
            Answer { body, hits: 0, is_refreshing: false, owner, alias_first: NONE, bytes: terms.bytes };
        let before = self.store.handle(hash, is_key).and_then(|handle| self.store.value_mut(handle));
        if let Some(before) = before {
            answer.alias_first = std::mem::replace(&mut before.alias_first, NONE);
            answer.bytes += self.aliases.bytes(answer.alias_first);
        }
        let terms = Terms { bytes: answer.bytes, ..terms };
        self.store.insert(hash, is_key, (key.into(), answer), terms, now_ns, removed);
        self.forget(removed);
    }

    /// Lets the aliases of answers that left leave too.
    fn forget(&mut self, removed: &[Removed<Key, Answer>]) {
        for (_, answer) in removed {
            self.aliases.remove_all(answer.alias_first);
        }
    }

    fn alias(
        &mut self,
        (hash, method, request): (u64, u16, &[u8]),
        handle: Handle,
        removed: &mut Vec<Removed<Key, Answer>>,
    ) -> bool {
        if let Some((slot, other)) = self.aliases.find(hash, method, request) {
            if other == handle {
                return true;
            }
            self.unlink(slot, other, removed);
        }
        let Some(answer) = self.store.value_mut(handle) else { return false };
        let Some((first, bytes)) = self.aliases.add((hash, method, request), handle, answer.alias_first)
        else {
            return false;
        };
        answer.alias_first = first;
        answer.bytes += bytes;
        let bytes = answer.bytes;
        self.store.resize(handle, bytes, removed);
        self.forget(removed);
        self.store.value_mut(handle).is_some()
    }

    fn unlink(&mut self, slot: u32, handle: Handle, removed: &mut Vec<Removed<Key, Answer>>) {
        let Some(answer) = self.store.value_mut(handle) else { return };
        let (first, bytes) = self.aliases.remove(slot, answer.alias_first);
        answer.alias_first = first;
        answer.bytes -= bytes;
        let bytes = answer.bytes;
        self.store.resize(handle, bytes, removed);
    }

    fn method(&self, name: &str) -> Option<u16> {
        let place = self.methods.iter().position(|method| **method == *name)?;
        u16::try_from(place).ok()
    }

    fn method_or_new(&mut self, name: &str) -> Option<u16> {
        if let Some(method) = self.method(name) {
            return Some(method);
        }
        if self.methods.len() >= METHODS_MAX {
            return None;
        }
        self.methods.push(name.into());
        self.method(name)
    }
}

/// Lends a clock behind a reference to the store.
struct Now<'a>(&'a (dyn Clock + Send + Sync));

impl Clock for Now<'_> {
    fn mono_ns(&self) -> u64 {
        self.0.mono_ns()
    }

    fn mono_ns_at_most(&self) -> u64 {
        self.0.mono_ns_at_most()
    }
}

fn is_nearly_over(held: &Held, now_ns: u64) -> bool {
    let stale_at_ns = held.body.put_at_ns.saturating_add(held.body.ttl_ns);
    stale_at_ns.saturating_sub(now_ns) <= held.body.ttl_ns / HOT_TTL_SHARE
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

//! An answer on its way into the cache, inside it, and as it was found.

use std::sync::Arc;

use crate::class::ClassId;
use crate::store::Handle;

/// An answer to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewAnswer<'a> {
    /// Canonical key.
    pub key: &'a str,
    /// The message without the fields that tell how it was served.
    pub message: &'a [u8],
    /// Class by its name.
    pub class: &'a str,
    /// Wall time at which it is put in, ns since 1970 UTC.
    pub ts_cached: i64,
    /// Time for which it is fresh, ns.
    pub ttl_ns: u64,
    /// Time behind that for which it is still served, flagged, ns.
    pub stale_ns: u64,
    /// How old its data is already, ns.
    pub age_ns: u64,
    /// Whose answer it is, for the statistics; empty: nobody's.
    pub owner: &'a str,
}

/// What an answer is, for as long as anybody holds it.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) message: Box<[u8]>,
    pub(crate) snapshot_id: String,
    pub(crate) ts_cached: i64,
    pub(crate) ttl_ns: u64,
    pub(crate) put_at_ns: u64,
    pub(crate) age_ns: u64,
    pub(crate) class: ClassId,
}

/// An answer as it was found.
#[derive(Debug, Clone)]
pub struct Held {
    pub(crate) body: Arc<Body>,
    /// Age of its data now, ns.
    pub age_ns: u64,
    /// Whether it is past its time.
    pub is_stale: bool,
}

impl Held {
    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.body.message
    }

    /// Returns the SHA-256 of the message, 64 lower-case hex digits.
    #[must_use]
    pub fn snapshot_id(&self) -> &str {
        &self.body.snapshot_id
    }

    /// Returns when it was put in, ns since 1970 UTC.
    #[must_use]
    pub fn ts_cached(&self) -> i64 {
        self.body.ts_cached
    }

    /// Returns when it stops being fresh, ns since 1970 UTC.
    #[must_use]
    pub fn ts_expires(&self) -> i64 {
        self.body.ts_cached.saturating_add_unsigned(self.body.ttl_ns)
    }

    /// Returns its class.
    #[must_use]
    pub fn class(&self) -> ClassId {
        self.body.class
    }
}

/// The duty to make an answer anew; nobody else has it until [`AnswerCache::refreshed`].
#[derive(Debug, PartialEq, Eq)]
pub struct Refresh(pub(crate) Handle);

/// What an exact request led to.
#[derive(Debug)]
pub struct Found {
    /// The answer.
    pub held: Held,
    /// Whoever gets this has the answer made anew.
    pub refresh: Option<Refresh>,
}

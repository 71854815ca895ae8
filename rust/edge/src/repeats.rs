//! Answers that need no handler: an exact request whose answer is in the cache gets it again, byte for byte.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use facade_cache::{AnswerCache, Held, Refresh};

use crate::call::Question;
use crate::protobuf::Fields;
use crate::served::Provenance;
use crate::shared::Shared;
use crate::{clock, executor, frame, served, stats};

/// `CacheTier` of the contract: found in the memory of the process.
const TIER_L1: u32 = 2;

/// What may be repeated, and out of which cache.
#[derive(Debug, Clone)]
pub struct Repeats {
    /// The answers, shared with the handlers that put them in.
    pub answers: Arc<AnswerCache>,
    /// By path of a method whose answers do not depend on who asks: the numbers of the fields that its request may
    /// hold. A request that holds others is left to the handlers.
    pub fields: HashMap<String, Vec<u64>>,
}

impl Repeats {
    /// Returns whether an answer to this request may be given again to an equal one.
    fn allow(&self, method: &str, request: &[u8]) -> bool {
        let Some(known) = self.fields.get(method) else { return false };
        Fields::new(request).all(|field| field.is_ok_and(|(number, _)| known.contains(&number)))
    }

    /// Lets equal requests find the answer of `key` from now on.
    pub(crate) fn remember(&self, method: &str, request: &[u8], key: &str) {
        if self.allow(method, request) {
            self.answers.alias(method, request, key);
        }
    }
}

/// Returns the frame of an answer that the cache holds, with `served`, not sealed yet.
pub(crate) fn find(shared: &Arc<Shared>, question: &Question, arrived_ns: u64) -> Option<Vec<u8>> {
    let repeats = shared.options.repeats.as_ref()?;
    if !repeats.fields.contains_key(&*question.method) {
        return None;
    }
    let found = repeats.answers.find(&question.method, &question.request)?;
    if let Some(refresh) = found.refresh {
        post_refresh(shared, Arc::clone(&repeats.answers), refresh, question);
    }
    stats::add(&shared.stats.unary_repeated, 1);
    let mut frame = frame::with_room(found.held.message());
    let latency_ns = clock::mono_ns().saturating_sub(arrived_ns);
    served::append(&mut frame, &provenance(&found.held), shared.options.freshness, latency_ns);
    Some(frame)
}

fn provenance(held: &Held) -> Provenance {
    Provenance {
        cache_tier: TIER_L1,
        age_ns: held.age_ns,
        ts_cached: held.ts_cached(),
        ts_expires: held.ts_expires(),
        is_stale: held.is_stale,
        snapshot_id: held.snapshot_id().to_owned(),
    }
}

/// Gives the duty back, whatever became of the call.
struct Duty {
    answers: Arc<AnswerCache>,
    refresh: Refresh,
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.answers.refreshed(&self.refresh);
    }
}

/// Asks the handlers for the answer once more. Nobody waits for it: it goes into the cache.
fn post_refresh(shared: &Arc<Shared>, answers: Arc<AnswerCache>, refresh: Refresh, question: &Question) {
    let duty = Duty { answers, refresh };
    let patience = shared.options.limits.unary_max;
    let patience_ns = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    let question = Question {
        deadline_ns: Some(clock::mono_ns().saturating_add(patience_ns)),
        metadata: Arc::default(),
        request: Bytes::copy_from_slice(&question.request),
        is_refresh: true,
        ..question.clone()
    };
    let Ok(ticket) = shared.bridge.post(question) else { return };
    stats::add(&shared.stats.refreshes_posted, 1);
    executor::spawn(&shared.stats, async move {
        let _duty = duty;
        // Beyond its time the call is cancelled: the ticket is dropped.
        let _ = tokio::time::timeout(patience, ticket.only()).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{put_bytes, put_fixed64, put_integer};
    use facade_cache::{Bounds, Clock};

    struct Still;

    impl Clock for Still {
        fn mono_ns(&self) -> u64 {
            0
        }
    }

    fn repeats() -> Repeats {
        let bounds = Bounds { entries_max: 10, bytes_max: 0 };
        let answers = Arc::new(AnswerCache::new(bounds, [], Arc::new(Still)));
        Repeats { answers, fields: HashMap::from([("/m".to_owned(), vec![1, 2, 3])]) }
    }

    #[test]
    fn only_known_fields_of_listed_methods_are_repeated() {
        let mut request = Vec::new();
        put_bytes(&mut request, 1, b"kraken");
        put_integer(&mut request, 3, 24);
        assert!(repeats().allow("/m", &request) && repeats().allow("/m", b""));
        assert!(!repeats().allow("/other", &request));
        put_integer(&mut request, 4, 1);
        assert!(!repeats().allow("/m", &request), "an unknown field");
    }

    #[test]
    fn what_asks_for_the_past_or_is_no_message_is_left_to_the_handlers() {
        let mut as_of = Vec::new();
        put_fixed64(&mut as_of, 14, 1);
        let mut snapshot = Vec::new();
        put_bytes(&mut snapshot, 15, b"id");
        for request in [&as_of[..], &snapshot, &[0x0a, 5, b'x']] {
            assert!(!repeats().allow("/m", request), "{request:?}");
        }
    }
}

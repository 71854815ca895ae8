//! The bridge to the handlers: calls wait in a bounded inbox, a doorbell wakes the handlers' event loop,
//! and what the client no longer wants is posted back to them. No side ever waits for the other.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::call::{self, Call, Question, Subscription, Ticket};
use crate::doorbell::Doorbell;

#[derive(Debug, Default)]
struct Inbox {
    calls: VecDeque<Call>,
    cancelled: Vec<u64>,
    credited: Vec<u64>,
    closed: Vec<u64>,
    is_ringing: bool,
}

/// The bound on calls is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overloaded;

/// Both ends of the bridge.
#[derive(Debug)]
pub struct Bridge {
    inbox: Mutex<Inbox>,
    doorbell: Doorbell,
    calls_max: usize,
    open: AtomicUsize,
    id_next: AtomicU64,
}

impl Bridge {
    /// Makes an empty bridge that holds at most `calls_max` unanswered calls.
    ///
    /// # Errors
    /// What the system says when it has no descriptor left.
    pub fn new(calls_max: usize) -> io::Result<Self> {
        Ok(Self {
            inbox: Mutex::default(),
            doorbell: Doorbell::new()?,
            calls_max,
            open: AtomicUsize::new(0),
            id_next: AtomicU64::new(1),
        })
    }

    /// Returns the descriptor that becomes readable when there is something to fetch.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.doorbell.fd()
    }

    /// Returns how many calls have no answer yet.
    #[must_use]
    pub fn calls_open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Hands the waiting calls to `take`, oldest first, and silences the doorbell.
    ///
    /// Whoever heard the bell also asks for [`Bridge::closed`], [`Bridge::cancelled`] and [`Bridge::credited`], in
    /// this order: a stream's end is posted behind the end of its call, so the call of each stream that is closed is
    /// among those that are cancelled.
    pub fn calls(&self, mut take: impl FnMut(Call)) {
        let waiting = {
            let mut inbox = lock(&self.inbox);
            if std::mem::take(&mut inbox.is_ringing) {
                self.doorbell.silence();
            }
            inbox.calls.iter().for_each(Call::taken);
            std::mem::take(&mut inbox.calls)
        };
        waiting.into_iter().filter(|call| !call.is_cancelled()).for_each(&mut take);
    }

    /// Returns the numbers of calls that a handler has and nobody waits for any more.
    pub fn cancelled(&self) -> Vec<u64> {
        std::mem::take(&mut lock(&self.inbox).cancelled)
    }

    /// Returns the numbers of calls whose part the edge has taken: their handlers may hand over the next one.
    pub fn credited(&self) -> Vec<u64> {
        std::mem::take(&mut lock(&self.inbox).credited)
    }

    /// Returns the subscribers whose stream has ended since the last time.
    pub fn closed(&self) -> Vec<u64> {
        std::mem::take(&mut lock(&self.inbox).closed)
    }

    pub(crate) fn post(self: &Arc<Self>, question: Question) -> Result<Ticket, Overloaded> {
        if self.open.fetch_add(1, Ordering::AcqRel) >= self.calls_max {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return Err(Overloaded);
        }
        let id = self.id_next.fetch_add(1, Ordering::Relaxed);
        let (call, ticket) = call::open(id, question, Arc::clone(self));
        let mut inbox = lock(&self.inbox);
        inbox.calls.push_back(call);
        self.ring(&mut inbox);
        drop(inbox);
        Ok(ticket)
    }

    /// Gives a call's place free; a handler that has not said its last word is told that nobody waits for it.
    pub(crate) fn ended(&self, ticket: &Ticket) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        if ticket.is_answered() {
            return;
        }
        let mut inbox = lock(&self.inbox);
        if ticket.is_taken() {
            inbox.cancelled.push(ticket.id());
            self.ring(&mut inbox);
        } else {
            inbox.calls.retain(|call| call.id() != ticket.id());
        }
    }

    pub(crate) fn post_credit(&self, id: u64) {
        let mut inbox = lock(&self.inbox);
        inbox.credited.push(id);
        self.ring(&mut inbox);
    }

    pub(crate) fn post_closed(&self, subscription: &Subscription) {
        let mut inbox = lock(&self.inbox);
        if subscription.is_known() {
            inbox.closed.push(subscription.id);
            self.ring(&mut inbox);
        }
    }

    fn ring(&self, inbox: &mut Inbox) {
        if !std::mem::replace(&mut inbox.is_ringing, true) {
            self.doorbell.ring();
        }
    }
}

/// Locks even if a holder panicked: every change under these locks is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Answer, PART_BYTES_MAX, PartError, Reply};
    use crate::frame;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use tonic::Code;

    fn question(subscriber: Option<Arc<Subscription>>) -> Question {
        Question {
            method: "/datafacade.v1.DataFacadeService/Health".into(),
            request: Bytes::from_static(b"ask"),
            deadline_ns: None,
            peer: "127.0.0.1:1".parse().unwrap(),
            metadata: Arc::default(),
            subscriber,
            is_refresh: false,
        }
    }

    fn bridge(calls_max: usize) -> Arc<Bridge> {
        Arc::new(Bridge::new(calls_max).unwrap())
    }

    fn fetch(bridge: &Bridge) -> Vec<Call> {
        let mut calls = Vec::new();
        bridge.calls(|call| calls.push(call));
        calls
    }

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn an_answer_reaches_whoever_waits_and_a_second_one_does_not() {
        let bridge = bridge(1);
        let ticket = bridge.post(question(None)).unwrap();
        let call = fetch(&bridge).pop().unwrap();
        assert!(call.reply(b"answer", 5));
        assert!(!call.reply(b"again", 5));
        let Reply { frame, provenance, .. } = run(ticket.only()).unwrap();
        assert_eq!((frame::message(&frame), provenance.cache_tier), (&b"answer"[..], 5));
        assert_eq!(bridge.calls_open(), 0);
    }

    #[test]
    fn a_call_that_its_handler_drops_fails_with_internal() {
        let bridge = bridge(1);
        let ticket = bridge.post(question(None)).unwrap();
        drop(fetch(&bridge));
        assert_eq!(run(ticket.only()).unwrap_err().code(), Code::Internal);
    }

    #[test]
    fn one_call_beyond_the_bound_is_refused_until_one_is_over() {
        let bridge = bridge(2);
        let tickets = [bridge.post(question(None)).unwrap(), bridge.post(question(None)).unwrap()];
        assert_eq!(bridge.post(question(None)).unwrap_err(), Overloaded);
        drop(tickets);
        assert!(bridge.post(question(None)).is_ok());
    }

    #[test]
    fn a_call_nobody_waits_for_is_not_handed_out() {
        let bridge = bridge(1);
        drop(bridge.post(question(None)).unwrap());
        assert!(fetch(&bridge).is_empty());
        assert!(bridge.cancelled().is_empty());
    }

    #[test]
    fn a_call_in_the_hands_of_a_handler_is_posted_as_cancelled() {
        let bridge = bridge(1);
        let ticket = bridge.post(question(None)).unwrap();
        let call = fetch(&bridge).pop().unwrap();
        drop(ticket);
        assert!(call.is_cancelled());
        assert!(!call.reply(b"late", 1));
        assert_eq!(bridge.cancelled(), [call.id()]);
        assert!(bridge.cancelled().is_empty());
    }

    #[test]
    fn an_answered_call_is_never_posted_as_cancelled() {
        let bridge = bridge(1);
        let ticket = bridge.post(question(None)).unwrap();
        fetch(&bridge).pop().unwrap().fail(Code::NotFound, "nothing", b"");
        assert_eq!(run(ticket.only()).unwrap_err().code(), Code::NotFound);
        assert!(bridge.cancelled().is_empty());
    }

    #[test]
    fn a_part_is_taken_before_the_next_one_is_credited() {
        let bridge = bridge(1);
        let mut ticket = bridge.post(question(None)).unwrap();
        let call = fetch(&bridge).pop().unwrap();
        assert_eq!(call.part(b"one"), Ok(true));
        assert_eq!(call.part(b"two"), Err(PartError::NoCredit));
        assert!(bridge.credited().is_empty());
        let Answer::Part(first) = run(ticket.next()) else { panic!("no part") };
        assert_eq!((frame::message(&first), bridge.credited()), (&b"one"[..], vec![call.id()]));
        assert_eq!(call.part(b"two"), Ok(true));
        assert!(matches!(run(ticket.next()), Answer::Part(_)));
        assert!(call.reply(b"last", 1));
        assert_eq!(call.part(b"more"), Err(PartError::NoCredit));
        assert!(matches!(run(ticket.next()), Answer::Reply(_)));
        assert_eq!(call.part(b"more"), Ok(false), "it has said its last word");
        drop(ticket);
        assert!(bridge.cancelled().is_empty());
        assert_eq!(bridge.calls_open(), 0);
    }

    #[test]
    fn a_refusal_stands_behind_the_part_that_waits() {
        let bridge = bridge(1);
        let mut ticket = bridge.post(question(None)).unwrap();
        let call = fetch(&bridge).pop().unwrap();
        assert_eq!(call.part(b"one"), Ok(true));
        drop(call);
        assert!(matches!(run(ticket.next()), Answer::Part(_)));
        assert!(matches!(run(ticket.next()), Answer::Refusal(status) if status.code() == Code::Internal));
    }

    #[test]
    fn a_client_that_leaves_between_two_parts_is_posted_as_cancelled() {
        let bridge = bridge(1);
        let mut ticket = bridge.post(question(None)).unwrap();
        let call = fetch(&bridge).pop().unwrap();
        assert_eq!(call.part(b"one"), Ok(true));
        assert!(matches!(run(ticket.next()), Answer::Part(_)));
        assert_eq!(call.part(b"two"), Ok(true));
        drop(ticket);
        assert_eq!(call.part(b"three"), Ok(false));
        assert_eq!((bridge.cancelled(), bridge.calls_open()), (vec![call.id()], 0));
    }

    #[test]
    fn a_part_beyond_the_bound_of_a_message_is_refused() {
        let bridge = bridge(1);
        let _ticket = bridge.post(question(None)).unwrap();
        let call = fetch(&bridge).pop().unwrap();
        let bytes = PART_BYTES_MAX + 1;
        assert_eq!(call.part(&vec![0; bytes]), Err(PartError::TooLarge { bytes }));
        assert_eq!(call.part(&vec![0; PART_BYTES_MAX]), Ok(true));
    }

    #[test]
    fn the_end_of_a_stream_is_told_only_to_who_has_seen_it() {
        let bridge = bridge(4);
        let (seen, unseen) = (Arc::new(Subscription::new(1)), Arc::new(Subscription::new(2)));
        let _first = bridge.post(question(Some(Arc::clone(&seen)))).unwrap();
        fetch(&bridge);
        let _second = bridge.post(question(Some(Arc::clone(&unseen)))).unwrap();
        for stream in [&seen, &unseen] {
            stream.close();
            bridge.post_closed(stream);
        }
        assert_eq!(bridge.closed(), [1]);
        assert!(fetch(&bridge).is_empty(), "a request of a stream that has ended concerns nobody");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Post,
        Fetch,
        Answer(usize),
        GiveUp(usize),
        Cancelled,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Post),
            2 => Just(Step::Fetch),
            2 => (0usize..8).prop_map(Step::Answer),
            2 => (0usize..8).prop_map(Step::GiveUp),
            1 => Just(Step::Cancelled),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        /// The model: every posted call is in one place, and what a handler holds ends exactly once.
        #[test]
        fn every_call_ends_once_and_the_bound_holds(steps in steps()) {
            let bridge = bridge(4);
            let (mut tickets, mut held): (Vec<Ticket>, Vec<Call>) = (Vec::new(), Vec::new());
            let mut cancelled_expected = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Post => {
                        let is_full = tickets.len() == 4;
                        tickets.extend(bridge.post(question(None)));
                        prop_assert_eq!(tickets.len(), if is_full { 4 } else { bridge.calls_open() });
                    }
                    Step::Fetch => held.extend(fetch(&bridge)),
                    Step::Answer(index) if index < held.len() => {
                        let call = held.swap_remove(index);
                        let waits = tickets.iter().position(|ticket| ticket.id() == call.id());
                        prop_assert_eq!(call.reply(b"", 1), waits.is_some());
                        waits.map(|at| run(tickets.swap_remove(at).only()).unwrap());
                    }
                    Step::GiveUp(index) if index < tickets.len() => {
                        let ticket = tickets.swap_remove(index);
                        if held.iter().any(|call| call.id() == ticket.id()) {
                            cancelled_expected.insert(ticket.id());
                        }
                    }
                    Step::Answer(_) | Step::GiveUp(_) => {}
                    Step::Cancelled => {
                        let cancelled: BTreeSet<u64> = bridge.cancelled().into_iter().collect();
                        prop_assert_eq!(&cancelled, &cancelled_expected);
                        cancelled_expected.clear();
                    }
                }
                prop_assert_eq!(bridge.calls_open(), tickets.len());
            }
        }
    }
}

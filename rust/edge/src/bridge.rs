//! The bridge to the handlers: calls wait in a bounded inbox, a doorbell wakes the handlers' event loop,
//! and what the client no longer wants is posted back to them. No side ever waits for the other.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::{future, pin, task};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::oneshot;
use tonic::Status;

use crate::doorbell::Doorbell;
use crate::served::Provenance;
use crate::{frame, status};

/// What a handler says about one call.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A message with room for its prefix, what is known about it, and its key in the cache, empty: it is not there.
    Reply { frame: Vec<u8>, provenance: Provenance, key: String },
    /// The call, or the stream that the call belongs to, ends with this status.
    Refusal(Status),
}

/// What a call is about.
#[derive(Debug, Clone)]
pub struct Question {
    /// Path of the method, as `/package.Service/Method`.
    pub method: Arc<str>,
    /// The request message.
    pub request: Bytes,
    /// When the client stops waiting, ns of the monotonic clock; `None`: it never does.
    pub deadline_ns: Option<u64>,
    /// The client's address.
    pub peer: SocketAddr,
    /// The call's metadata.
    pub metadata: Arc<HeaderMap>,
    /// The stream that the message came on; `None`: a unary call.
    pub subscriber: Option<Arc<Subscription>>,
    /// Whether the edge asks, to have an answer in the cache made anew: nobody waits.
    pub is_refresh: bool,
}

/// A stream as the handlers know it.
#[derive(Debug)]
pub struct Subscription {
    /// The subscriber's number in the Hub.
    pub id: u64,
    /// Whether a handler has seen a message of it; else its end is none of their business.
    is_known: AtomicBool,
    is_closed: AtomicBool,
}

impl Subscription {
    /// Describes a stream that no handler has seen yet.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self { id, is_known: AtomicBool::new(false), is_closed: AtomicBool::new(false) }
    }

    /// Ends the stream for its handlers: requests of it that still wait concern nobody.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }
}

#[derive(Debug, Default)]
struct CallState {
    /// Whether a handler has it. Changes under the inbox's lock only.
    is_taken: AtomicBool,
    is_over: AtomicBool,
}

/// One message on its way to a handler. Dropped without an answer, it fails with INTERNAL.
#[derive(Debug)]
pub struct Call {
    id: u64,
    question: Question,
    state: Arc<CallState>,
    answer: Mutex<Option<oneshot::Sender<Answer>>>,
}

impl Call {
    /// Returns the number of the call, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns what is asked.
    #[must_use]
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Returns whether nobody waits for the answer any more: the deadline passed or the client left.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let is_closed = |stream: &Arc<Subscription>| stream.is_closed.load(Ordering::Acquire);
        self.state.is_over.load(Ordering::Acquire) || self.question.subscriber.as_ref().is_some_and(is_closed)
    }

    /// Answers with a message, which is copied. For a stream it means: accepted, the bytes are not sent.
    ///
    /// Returns whether somebody was still waiting.
    pub fn reply(&self, message: &[u8], cache_tier: u32) -> bool {
        self.reply_with(message, Provenance { cache_tier, ..Provenance::default() }, "")
    }

    /// Answers as [`Call::reply`], with all that is known about the message. `key` is the answer's in the cache, where
    /// equal requests find it from now on; empty: it is not there.
    pub fn reply_with(&self, message: &[u8], provenance: Provenance, key: &str) -> bool {
        // Whoever refreshes wants the cache filled, not the bytes.
        let frame = if self.question.is_refresh { Vec::new() } else { frame::with_room(message) };
        !self.is_cancelled() && self.give(Answer::Reply { frame, provenance, key: key.to_owned() })
    }

    /// Refuses the call; a stream ends. `details` is a serialized `google.rpc.Status`, or empty.
    ///
    /// Returns whether somebody was still waiting.
    pub fn fail(&self, code: tonic::Code, message: &str, details: &[u8]) -> bool {
        let details = Bytes::copy_from_slice(details);
        self.give(Answer::Refusal(Status::with_details(code, message, details)))
    }

    fn give(&self, answer: Answer) -> bool {
        let waiting = lock(&self.answer).take();
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }
}

/// The edge's end of a call: a future of the answer. Dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: u64,
    state: Arc<CallState>,
    answer: oneshot::Receiver<Answer>,
    bridge: Arc<Bridge>,
    is_answered: bool,
}

impl future::Future for Ticket {
    type Output = Answer;

    fn poll(mut self: pin::Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Answer> {
        let answer = task::ready!(pin::Pin::new(&mut self.answer).poll(context));
        self.is_answered = true;
        Poll::Ready(answer.unwrap_or_else(|_| Answer::Refusal(status::unanswered())))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.bridge.open.fetch_sub(1, Ordering::AcqRel);
        self.state.is_over.store(true, Ordering::Release);
        if !self.is_answered {
            self.bridge.post_cancelled(self.id, &self.state);
        }
    }
}

#[derive(Debug, Default)]
struct Inbox {
    calls: VecDeque<Call>,
    cancelled: Vec<u64>,
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
    /// Whoever heard the bell also asks for [`Bridge::cancelled`] and [`Bridge::closed`], in this order.
    pub fn calls(&self, mut take: impl FnMut(Call)) {
        let waiting = {
            let mut inbox = lock(&self.inbox);
            if std::mem::take(&mut inbox.is_ringing) {
                self.doorbell.silence();
            }
            for call in &inbox.calls {
                call.state.is_taken.store(true, Ordering::Release);
                if let Some(subscription) = &call.question.subscriber {
                    subscription.is_known.store(true, Ordering::Release);
                }
            }
            std::mem::take(&mut inbox.calls)
        };
        waiting.into_iter().filter(|call| !call.is_cancelled()).for_each(&mut take);
    }

    /// Returns the numbers of calls that a handler has and nobody waits for any more.
    pub fn cancelled(&self) -> Vec<u64> {
        std::mem::take(&mut lock(&self.inbox).cancelled)
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
        let state = Arc::new(CallState::default());
        let (sender, answer) = oneshot::channel();
        let call = Call { id, question, state: Arc::clone(&state), answer: Mutex::new(Some(sender)) };
        let mut inbox = lock(&self.inbox);
        inbox.calls.push_back(call);
        self.ring(&mut inbox);
        drop(inbox);
        Ok(Ticket { id, state, answer, bridge: Arc::clone(self), is_answered: false })
    }

    fn post_cancelled(&self, id: u64, state: &CallState) {
        let mut inbox = lock(&self.inbox);
        if state.is_taken.load(Ordering::Acquire) {
            inbox.cancelled.push(id);
            self.ring(&mut inbox);
        } else {
            inbox.calls.retain(|call| call.id != id);
        }
    }

    pub(crate) fn post_closed(&self, subscription: &Subscription) {
        let mut inbox = lock(&self.inbox);
        if subscription.is_known.load(Ordering::Acquire) {
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
        let Answer::Reply { frame, provenance, .. } = run(ticket) else { panic!("refused") };
        assert_eq!((frame::message(&frame), provenance.cache_tier), (&b"answer"[..], 5));
        assert_eq!(bridge.calls_open(), 0);
    }

    #[test]
    fn a_call_that_its_handler_drops_fails_with_internal() {
        let bridge = bridge(1);
        let ticket = bridge.post(question(None)).unwrap();
        drop(fetch(&bridge));
        let Answer::Refusal(status) = run(ticket) else { panic!("answered") };
        assert_eq!(status.code(), Code::Internal);
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
        run(ticket);
        assert!(bridge.cancelled().is_empty());
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
                        let waits = tickets.iter().position(|ticket| ticket.id == call.id());
                        prop_assert_eq!(call.reply(b"", 1), waits.is_some());
                        waits.map(|at| run(tickets.swap_remove(at)));
                    }
                    Step::GiveUp(index) if index < tickets.len() => {
                        let ticket = tickets.swap_remove(index);
                        if held.iter().any(|call| call.id() == ticket.id) {
                            cancelled_expected.insert(ticket.id);
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

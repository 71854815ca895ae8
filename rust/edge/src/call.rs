//! One call over the bridge, with an end for each side: the handler's [`Call`] says something, the edge's [`Ticket`]
//! hears it.
//!
//! A handler says one answer, or part after part and then the answer. Its credit is one part: the next may come when
//! the edge has taken the one before. So a call holds two parts at most, however slowly its client reads: one that
//! leaves and one that waits, so that the transport never waits for the handler's loop.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use tonic::Status;

use crate::bridge::Bridge;
use crate::served::Provenance;
use crate::{frame, status};

/// Size of one part, bytes: FAULTS S10.
pub const PART_BYTES_MAX: usize = 3 << 20;

/// What a handler says about one call.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One of several messages, with room for its prefix; another follows.
    Part(Vec<u8>),
    /// The only message, or the last one.
    Reply(Reply),
    /// The call, or the stream that the call belongs to, ends with this status.
    Refusal(Status),
}

/// A message with room for its prefix, what is known about it, and its key in the cache, empty: it is not there.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) frame: Vec<u8>,
    pub(crate) provenance: Provenance,
    pub(crate) key: String,
}

/// Why a part was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The one before still waits.
    #[error("expected to be asked for the next part first: the one before waits")]
    NoCredit,
    /// It is too large for one message.
    #[error("expected a part of at most {PART_BYTES_MAX} bytes, received {bytes}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
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

    /// Returns whether a handler has seen a message of it. Changes under the inbox's lock only.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Acquire)
    }
}

/// What both ends of a call share.
#[derive(Debug, Default)]
struct Line {
    /// Whether a handler has it. Changes under the inbox's lock only.
    is_taken: AtomicBool,
    is_over: AtomicBool,
    said: Mutex<Said>,
}

/// What the handler said and the edge has not heard yet.
#[derive(Debug, Default)]
struct Said {
    answers: VecDeque<Answer>,
    /// Whether the last word was said.
    is_ended: bool,
    listener: Option<Waker>,
}

impl Line {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes both ends of a call.
pub(crate) fn open(id: u64, question: Question, bridge: Arc<Bridge>) -> (Call, Ticket) {
    let line = Arc::new(Line::default());
    (Call { id, question, line: Arc::clone(&line) }, Ticket { id, line, bridge, is_answered: false })
}

/// One message on its way to a handler. Dropped without an answer, it fails with INTERNAL.
#[derive(Debug)]
pub struct Call {
    id: u64,
    question: Question,
    line: Arc<Line>,
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
        self.line.is_over.load(Ordering::Acquire) || self.question.subscriber.as_ref().is_some_and(is_closed)
    }

    /// Hands over one of several messages, which is copied. The next one, whatever it is, may come when the bridge
    /// names this call in [`Bridge::credited`]; a refusal may come at any time.
    ///
    /// Returns whether somebody was still waiting.
    ///
    /// # Errors
    /// [`PartError`] if the part before still waits, or if this one is too large. Nothing is handed over then.
    pub fn part(&self, message: &[u8]) -> Result<bool, PartError> {
        if message.len() > PART_BYTES_MAX {
            return Err(PartError::TooLarge { bytes: message.len() });
        }
        if self.is_cancelled() {
            return Ok(false);
        }
        if !self.line.said().answers.is_empty() {
            return Err(PartError::NoCredit);
        }
        Ok(self.give(Answer::Part(frame::with_room(message))))
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
        !self.is_cancelled() && self.give(Answer::Reply(Reply { frame, provenance, key: key.to_owned() }))
    }

    /// Refuses the call; a stream ends. `details` is a serialized `google.rpc.Status`, or empty.
    ///
    /// Returns whether somebody was still waiting.
    pub fn fail(&self, code: tonic::Code, message: &str, details: &[u8]) -> bool {
        let details = Bytes::copy_from_slice(details);
        self.give(Answer::Refusal(Status::with_details(code, message, details)))
    }

    /// Notes that a handler has it. To be called under the inbox's lock.
    pub(crate) fn taken(&self) {
        self.line.is_taken.store(true, Ordering::Release);
        if let Some(subscription) = &self.question.subscriber {
            subscription.is_known.store(true, Ordering::Release);
        }
    }

    fn give(&self, answer: Answer) -> bool {
        let mut said = self.line.said();
        if said.is_ended || self.line.is_over.load(Ordering::Acquire) {
            return false;
        }
        said.is_ended = !matches!(answer, Answer::Part(_));
        said.answers.push_back(answer);
        let listener = said.listener.take();
        drop(said);
        if let Some(listener) = listener {
            listener.wake();
        }
        true
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.give(Answer::Refusal(status::unanswered()));
    }
}

/// The edge's end of a call. Dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: u64,
    line: Arc<Line>,
    bridge: Arc<Bridge>,
    is_answered: bool,
}

impl Ticket {
    /// Returns the number of the call.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Returns whether a handler has the call. Changes under the inbox's lock only.
    pub(crate) fn is_taken(&self) -> bool {
        self.line.is_taken.load(Ordering::Acquire)
    }

    /// Returns whether the last word was heard.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Takes what the handler said next; behind a part more follows, and the handler is given credit for it.
    pub(crate) fn poll_next(&mut self, context: &Context<'_>) -> Poll<Answer> {
        let mut said = self.line.said();
        let Some(answer) = said.answers.pop_front() else {
            said.listener = Some(context.waker().clone());
            return Poll::Pending;
        };
        drop(said);
        if matches!(answer, Answer::Part(_)) {
            self.bridge.post_credit(self.id);
        } else {
            self.is_answered = true;
        }
        Poll::Ready(answer)
    }

    /// Waits for what the handler says next.
    pub(crate) async fn next(&mut self) -> Answer {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Waits for the answer of a handler that has no other.
    pub(crate) async fn only(mut self) -> Result<Reply, Status> {
        match self.next().await {
            Answer::Reply(reply) => Ok(reply),
            Answer::Refusal(status) => Err(status),
            Answer::Part(_) => Err(status::unanswered()),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.line.is_over.store(true, Ordering::Release);
        // The handler may hold its end for a while; what it said concerns nobody.
        self.line.said().answers.clear();
        self.bridge.ended(self);
    }
}
